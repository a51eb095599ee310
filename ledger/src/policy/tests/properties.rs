use super::*;
use proptest::prelude::*;
use std::time::Duration;

const NAMES: [&str; 4] = ["country", "subject", "agent.tags", "asn"];

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (-2..3_i64).prop_map(Value::Int),
        "[ab]{0,2}".prop_map(Value::Text),
        prop::collection::vec("[ab]{0,1}".prop_map(Value::Text), 0..3).prop_map(Value::List),
    ]
}

fn comparison() -> impl Strategy<Value = Comparison> {
    prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::NotEqual),
        Just(Comparison::Less),
        Just(Comparison::GreaterOrEqual),
    ]
}

/// Conditions of any shape, also of wrong types.
fn condition() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        value().prop_map(Expr::Literal),
        prop::sample::select(&NAMES[..]).prop_map(fact),
        Just(Expr::Params),
        Just(fact("risk")),
        any::<bool>().prop_map(truth),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let part = || inner.clone().prop_map(Box::new);
        prop_oneof![
            part().prop_map(Expr::Not),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            (part(), part(), part()).prop_map(|(a, b, c)| Expr::If(a, b, c)),
            (comparison(), part(), part()).prop_map(|(how, a, b)| Expr::Compare(how, a, b)),
            (part(), part()).prop_map(|(a, b)| Expr::In(a, b)),
            part().prop_map(Expr::Size),
            part().prop_map(|a| Expr::Field(a, "x".to_owned())),
            part().prop_map(|a| Expr::Matches(a, "^a+$".to_owned())),
            part().prop_map(|a| Expr::InCidr(a, "10.0.0.0/8".to_owned())),
            (part(), part()).prop_map(|(a, b)| Expr::Text(TextTest::StartsWith, a, b)),
            (any::<bool>(), part(), value()).prop_map(|(all, list, with)| {
                let which = if all {
                    Quantifier::All
                } else {
                    Quantifier::Exists
                };
                let with = Box::new(Expr::Literal(with));
                let body = Expr::Compare(Comparison::Equal, Box::new(Expr::Element), with);
                Expr::Quantified(which, list, Box::new(body))
            }),
        ]
    })
}

fn a_rule() -> impl Strategy<Value = Rule> {
    let action = prop_oneof![
        Just(RuleAction::Allow),
        Just(RuleAction::Ask),
        Just(RuleAction::Deny)
    ];
    let modes = prop::sample::subsequence(
        vec![
            RetentionMode::Once,
            RetentionMode::Cache,
            RetentionMode::Permanent,
        ],
        1..=3,
    );
    (
        (0..3_u32, action, condition(), any::<bool>(), any::<bool>()),
        (60..63_u32, modes, 1..4_u32, 1..3_u32, any::<bool>()),
    )
        .prop_map(
            |((priority, action, when, sensitive, observes), (ttl, modes, most, n, passkey))| {
                let assurance = if passkey {
                    Assurance::Passkey
                } else {
                    Assurance::Any
                };
                let mut made = rule("r", priority, action, when);
                made.operations = Some(BTreeSet::from([OperationId::of("cache.purge.execute")]));
                made.sensitive = sensitive;
                if observes {
                    made.mode = Mode::Observe;
                }
                made.ttl = ttl;
                made.retention.extend(modes);
                made.max_duration = most;
                for need in &mut made.needs {
                    (need.n, need.assurance) = (n, assurance);
                }
                made
            },
        )
}

fn a_policy() -> impl Strategy<Value = Policy> {
    let default = prop_oneof![
        Just(DefaultAction::Catalog),
        Just(DefaultAction::Ask),
        Just(DefaultAction::Deny)
    ];
    (prop::collection::vec(a_rule(), 0..5), default).prop_map(|(mut rules, default)| {
        for (n, rule) in rules.iter_mut().enumerate() {
            rule.id = format!("r{n}").parse().unwrap();
        }
        Policy {
            default,
            ..policy(rules)
        }
    })
}

fn some_facts() -> impl Strategy<Value = Facts> {
    let each = (prop::sample::select(&NAMES[..]), value());
    prop::collection::vec(each, 0..5).prop_map(|known| {
        let known = known.into_iter();
        known
            .map(|(name, value)| (name.to_owned(), Fact::Known(value)))
            .collect()
    })
}

/// Whether the first is as strict as the second.
fn is_as_strict(one: &Evaluation, other: &Evaluation) -> bool {
    let requires = match (&one.requirement, &other.requirement) {
        (Some(one), Some(other)) => one.is_as_strict_as(other),
        _ => true,
    };
    let same = one.outcome == other.outcome;
    one.outcome > other.outcome || (same && requires)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn making_any_fact_unknown_never_loosens(
        policy in a_policy(),
        facts in some_facts(),
        which in prop::sample::select(&["country", "subject", "agent.tags", "asn", "risk", "params"][..]),
        (granted, is_sensitive, always_asked) in any::<(bool, bool, bool)>(),
        x in value(),
    ) {
        let prepared = Prepared::new(policy).unwrap();
        let scope = scope();
        let params = serde_json::json!({ "x": x });
        let operation = OperationFacts {
            granted,
            always_asked,
            risk: if is_sensitive { Risk::Sensitive } else { Risk::Elevated },
            params: Some(&params),
            ..purge(&scope)
        };
        let known = evaluate(&prepared, &[operation], &facts);
        let mut fewer = facts.clone();
        fewer.set(which, Fact::unknown("hidden"));
        let params = operation.params.filter(|_| which != "params");
        let hidden = evaluate(&prepared, &[OperationFacts { params, ..operation }], &fewer);
        prop_assert!(is_as_strict(&hidden, &known), "{known:?}\n{hidden:?}");
    }

    #[test]
    fn a_missing_fact_that_is_not_decisive_changes_nothing_whatever_it_was(
        policy in a_policy(),
        facts in some_facts(),
        missing in prop::sample::subsequence(NAMES.to_vec(), 1..=3),
        truth in some_facts(),
        (granted, is_sensitive) in any::<(bool, bool)>(),
    ) {
        let prepared = Prepared::new(policy).unwrap();
        let scope = scope();
        let risk = if is_sensitive { Risk::Sensitive } else { Risk::Elevated };
        let operation = OperationFacts { granted, risk, ..purge(&scope) };
        let missing: BTreeSet<String> = missing.into_iter().map(str::to_owned).collect();
        let mut recorded = facts;
        for name in &missing {
            recorded.set(name.clone(), Fact::unknown("not_recorded"));
        }
        let said = evaluate(&prepared, &[operation], &recorded);
        let named = decisive(&prepared, &[operation], &said, &missing);
        for name in missing.iter().filter(|name| !named.contains(name.as_str())) {
            let was = truth.get(name).cloned();
            recorded.set(name.clone(), was.unwrap_or(Fact::unknown("other")));
        }
        let known = evaluate(&prepared, &[operation], &recorded);
        prop_assert_eq!(known.outcome, said.outcome);
        prop_assert_eq!(known.requirement, said.requirement);
    }

    #[test]
    fn equal_inputs_give_equal_answers_and_a_tree_read_back_the_same(
        policy in a_policy(),
        facts in some_facts(),
    ) {
        let json = serde_json::to_value(&policy).unwrap();
        let read: Policy = serde_json::from_value(json).unwrap();
        let (one, other) = (Prepared::new(policy).unwrap(), Prepared::new(read).unwrap());
        prop_assert_eq!(one.digest(), other.digest());
        let scope = scope();
        let operations = [purge(&scope), purge(&scope)];
        let said = evaluate(&one, &operations, &facts);
        prop_assert_eq!(&said, &evaluate(&other, &operations, &facts));
        // Two equal operations need nothing more than one.
        prop_assert_eq!(said.requirement, evaluate(&one, &operations[..1], &facts).requirement);
    }

    /// The bound is of nodes and not of time; what stands here is a hundred times of what it takes.
    #[test]
    fn a_condition_costs_its_nodes_at_least_and_the_fuel_at_most(condition in condition()) {
        let nodes = u64::try_from(condition.nodes()).unwrap();
        prop_assert!(nodes <= condition.cost());
        prop_assert!(condition.cost() <= bounds::CONDITION_FUEL);
    }
}

#[test]
fn the_dearest_documents_are_evaluated_in_a_blink() {
    let element = || Box::new(Expr::Element);
    let list = Value::List(vec![Value::Text("a".repeat(2000)); bounds::MAX_LIST]);
    let looks = |n: usize| {
        let body = Expr::Matches(element(), format!("(a|b|ab)*c{n}"));
        Expr::Quantified(
            Quantifier::Exists,
            Box::new(fact("agent.tags")),
            Box::new(body),
        )
    };
    let rules: Vec<_> = (0..7)
        .map(|n| rule(&format!("r{n}"), 1, RuleAction::Deny, looks(n)))
        .collect();
    let prepared = Prepared::new(policy(rules)).unwrap();
    let mut facts = Facts::default();
    facts.know("agent.tags", list);
    let begun = std::time::Instant::now();
    let scope = scope();
    assert_eq!(
        evaluate(&prepared, &[purge(&scope)], &facts).outcome,
        RuleAction::Allow
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
}
