use super::*;
use RuleAction::{Allow, Ask, Deny};
use serde_json::json;

#[test]
fn the_highest_level_that_matches_decides_and_inside_it_deny_before_ask_before_allow() {
    let low_deny = || rule("low", 1, Deny, truth(true));
    let said = of(
        [low_deny(), rule("high", 2, Allow, truth(true))],
        &Facts::default(),
    );
    assert_eq!((said.outcome, ids(&said.rules)), (Allow, vec!["high"]));
    assert_eq!(said.operations[0].level, Some(2));
    for (actions, outcome, acting) in [
        (vec![Allow, Ask], Ask, vec!["r1"]),
        (vec![Allow, Ask, Deny], Deny, vec!["r2"]),
        (vec![Ask, Ask, Allow], Ask, vec!["r0", "r1"]),
    ] {
        let rules = actions.iter().enumerate();
        let rules = rules.map(|(n, action)| rule(&format!("r{n}"), 5, *action, truth(true)));
        let said = of(rules, &Facts::default());
        assert_eq!((said.outcome, ids(&said.rules)), (outcome, acting));
    }
}

/// Two automatic rules conflict and nobody is asked.
#[test]
fn of_an_allow_and_a_deny_on_one_level_the_deny_holds() {
    let said = of(
        [
            rule("a", 5, Allow, truth(true)),
            rule("b", 5, Deny, truth(true)),
        ],
        &Facts::default(),
    );
    assert_eq!((said.outcome, ids(&said.rules)), (Deny, vec!["b"]));
    assert_eq!(said.reason, "by b");
}

/// A deny that errs is skipped.
#[test]
fn a_deny_that_cannot_be_evaluated_denies() {
    let deny = || rule("deny", 1, Deny, is("country", "KP"));
    for (facts, outcome) in [
        (country("DE"), Allow),
        (country("KP"), Deny),
        (Facts::default(), Deny),
    ] {
        assert_eq!(of([deny()], &facts).outcome, outcome, "{facts:?}");
    }
    let mut wrong_type = Facts::default();
    wrong_type.know("country", Value::Int(7));
    let said = of([deny(), rule("allow", 1, Allow, truth(true))], &wrong_type);
    assert_eq!(said.outcome, Deny);
    let why = RuleResult::Unevaluable("type".into());
    assert_eq!(said.operations[0].trace, [why, RuleResult::Match]);
}

/// A deny rule that is a string never denies: the document is refused, and a tree from elsewhere denies.
#[test]
fn a_condition_that_is_no_truth_value_counts_as_unevaluable() {
    assert_eq!(
        of([rule("deny", 1, Deny, text("true"))], &Facts::default()).outcome,
        Deny
    );
    assert_eq!(
        of([rule("ask", 1, Ask, text("true"))], &Facts::default()).outcome,
        Ask
    );
    let allow = Rule {
        sensitive: true,
        ..rule("allow", 1, Allow, text("true"))
    };
    let prepared = Prepared::new(policy([allow])).unwrap();
    let scope = scope();
    let asked = OperationFacts {
        granted: false,
        ..purge(&scope)
    };
    assert_eq!(
        evaluate(&prepared, &[asked], &Facts::default()).outcome,
        Ask
    );
}

#[test]
fn what_cannot_be_evaluated_is_carried_down_to_the_first_sure_level() {
    let unsure = || is("country", "KP");
    let high_ask = || rule("high", 9, Ask, unsure());
    // Matched, it would ask; not matched, the level below denies.
    let said = of(
        [high_ask(), rule("low", 1, Deny, truth(true))],
        &Facts::default(),
    );
    assert_eq!((said.outcome, ids(&said.rules)), (Deny, vec!["low"]));
    // Asks join, from wherever they come.
    let said = of(
        [high_ask(), rule("low", 1, Ask, truth(true))],
        &Facts::default(),
    );
    assert_eq!((said.outcome, ids(&said.rules)), (Ask, vec!["high", "low"]));
    assert_eq!(said.operations[0].level, Some(1));
    // An allow that is not sure to match is none.
    let said = of(
        [
            rule("high", 9, Allow, unsure()),
            rule("low", 1, Deny, truth(true)),
        ],
        &Facts::default(),
    );
    assert_eq!(said.outcome, Deny);
    // Below the sure level nothing counts.
    let said = of(
        [
            rule("high", 9, Ask, truth(true)),
            rule("low", 1, Deny, unsure()),
        ],
        &Facts::default(),
    );
    assert_eq!(said.outcome, Ask);
}

/// `.all()` over an empty list passes, as CEL says; that it does is a warning where a document is read.
#[test]
fn all_of_an_empty_list_hold_and_of_an_unknown_one_nothing_is_said() {
    let all = |which| {
        let body = Expr::Compare(
            Comparison::Equal,
            Box::new(Expr::Element),
            Box::new(text("ci")),
        );
        Expr::Quantified(which, Box::new(fact("agent.tags")), Box::new(body))
    };
    let tags = |tags: &[&str]| {
        let mut facts = Facts::default();
        let tags = tags.iter().map(|tag| Value::Text((*tag).to_owned()));
        facts.know("agent.tags", Value::List(tags.collect()));
        facts
    };
    for (which, facts, outcome) in [
        (Quantifier::All, tags(&[]), Deny),
        (Quantifier::All, tags(&["ci"]), Deny),
        (Quantifier::All, tags(&["ci", "x"]), Allow),
        (Quantifier::Exists, tags(&[]), Allow),
        (Quantifier::Exists, tags(&["x", "ci"]), Deny),
        (Quantifier::Exists, tags(&["x"]), Allow),
        (Quantifier::Exists, Facts::default(), Deny),
    ] {
        let said = of([rule("deny", 1, Deny, all(which))], &facts);
        assert_eq!(said.outcome, outcome, "{which:?} {facts:?}");
    }
}

#[test]
fn a_known_part_decides_where_it_can_whatever_is_unknown() {
    let unknown = || is("country", "DE");
    for (condition, denies) in [
        (Expr::And(vec![unknown(), truth(false)]), false),
        (Expr::And(vec![truth(true), unknown()]), true),
        (Expr::Or(vec![unknown(), truth(true)]), true),
        (not(Expr::Or(vec![unknown(), truth(true)])), false),
        (not(unknown()), true),
        (
            Expr::If(
                Box::new(truth(true)),
                Box::new(truth(false)),
                Box::new(unknown()),
            ),
            false,
        ),
        (
            Expr::If(
                Box::new(unknown()),
                Box::new(truth(false)),
                Box::new(truth(false)),
            ),
            true,
        ),
    ] {
        let said = of(
            [rule("deny", 1, Deny, condition.clone())],
            &Facts::default(),
        );
        assert_eq!(said.outcome == Deny, denies, "{condition:?}");
    }
}

#[test]
fn an_allow_reaches_sensitive_operations_only_where_it_says_so() {
    let scope = scope();
    let sensitive = OperationFacts {
        risk: Risk::Sensitive,
        granted: false,
        ..purge(&scope)
    };
    for (reaches, outcome) in [(false, Ask), (true, Allow)] {
        let allow = Rule {
            sensitive: reaches,
            ..rule("allow", 1, Allow, truth(true))
        };
        let prepared = Prepared::new(policy([allow])).unwrap();
        let said = evaluate(&prepared, &[sensitive], &Facts::default());
        assert_eq!(said.outcome, outcome);
    }
}

#[test]
fn an_allow_needs_no_grant_and_an_ask_stands_before_one() {
    let scope = scope();
    let prepared = Prepared::new(policy([rule("allow", 1, Allow, truth(true))])).unwrap();
    let asked = OperationFacts {
        granted: false,
        ..purge(&scope)
    };
    assert_eq!(
        evaluate(&prepared, &[asked], &Facts::default()).outcome,
        Allow
    );
    // Of a template of which everything is asked, nothing is allowed.
    let always = OperationFacts {
        always_asked: true,
        ..asked
    };
    let said = evaluate(&prepared, &[always], &Facts::default());
    assert_eq!((said.outcome, said.rules.len()), (Ask, 0));
    assert_eq!(
        of([rule("ask", 1, Ask, truth(true))], &Facts::default()).outcome,
        Ask
    );
}

#[test]
fn a_rule_that_observes_is_traced_and_does_nothing() {
    let observed = Rule {
        mode: Mode::Observe,
        ..rule("deny", 1, Deny, truth(true))
    };
    let said = of([observed], &Facts::default());
    assert_eq!(said.outcome, Allow);
    assert_eq!(said.operations[0].trace, [RuleResult::Match]);
}

#[test]
fn the_strictest_operation_says_what_becomes_of_the_apply_and_requirements_join() {
    let scope = scope();
    let operations = [
        purge(&scope),
        OperationFacts {
            operation: OperationId::of("dns.record.write"),
            ..purge(&scope)
        },
    ];
    let only = |rule: Rule, operation| Rule {
        operations: Some(BTreeSet::from([OperationId::of(operation)])),
        ..rule
    };
    let group: NeedGroup = "01890a5d-ac96-774b-bcce-b302099a8057"
        .parse()
        .map(NeedGroup::Group)
        .unwrap();
    let security = Need {
        group,
        n: 2,
        ..Need::default()
    };
    let rules = [
        only(
            Rule {
                ttl: 120,
                ..rule("purge", 1, Ask, truth(true))
            },
            "cache.purge.execute",
        ),
        only(
            Rule {
                needs: vec![security],
                retention: BTreeSet::from([RetentionMode::Once, RetentionMode::Cache]),
                ..rule("dns", 1, Ask, truth(true))
            },
            "dns.record.write",
        ),
    ];
    let prepared = Prepared::new(policy(rules)).unwrap();
    let said = evaluate(&prepared, &operations, &Facts::default());
    assert_eq!(ids(&said.rules), ["purge", "dns"]);
    assert_eq!(said.reason, "by purge; by dns");
    let requirement = said.requirement.unwrap();
    assert_eq!(requirement.needs, [Need::default(), security]);
    assert_eq!(requirement.ttl_seconds, Some(120));
    assert_eq!(
        requirement.retention.modes,
        BTreeSet::from([RetentionMode::Once])
    );
}

#[test]
fn params_are_read_as_their_canonical_form_says() {
    let params = json!({"ttl": 60.0, "half": 0.5, "none": null, "files": ["https://a/x"], "big": 9_007_199_254_740_993_i64});
    let of_param = |name: &str| Expr::Field(Box::new(Expr::Params), name.to_owned());
    let int = |int| Box::new(Expr::Literal(Value::Int(int)));
    let equals =
        |name: &str, with| Expr::Compare(Comparison::Equal, Box::new(of_param(name)), int(with));
    let unknown = |why: &str| RuleResult::Unevaluable(why.to_owned().into());
    let has = |name: &str| Expr::Has(Box::new(Expr::Params), name.to_owned());
    let scope = scope();
    for (condition, result) in [
        (equals("ttl", 60), RuleResult::Match),
        (equals("ttl", 61), RuleResult::NoMatch),
        (equals("half", 0), unknown("type")),
        (equals("none", 0), unknown("type")),
        (equals("big", 0), unknown("type")),
        (equals("gone", 0), unknown("absent")),
        (has("none"), RuleResult::Match),
        (has("gone"), RuleResult::NoMatch),
        (
            Expr::And(vec![has("gone"), equals("gone", 0)]),
            RuleResult::NoMatch,
        ),
        (
            Expr::Quantified(
                Quantifier::All,
                Box::new(of_param("files")),
                Box::new(Expr::Matches(
                    Box::new(Expr::Element),
                    "^https://".to_owned(),
                )),
            ),
            RuleResult::Match,
        ),
    ] {
        let about = Rule {
            operations: Some(BTreeSet::from([OperationId::of("cache.purge.execute")])),
            ..rule("ask", 1, Ask, condition.clone())
        };
        let prepared = Prepared::new(policy([about])).unwrap();
        let operation = OperationFacts {
            params: Some(&params),
            ..purge(&scope)
        };
        let said = evaluate(&prepared, &[operation], &Facts::default());
        assert_eq!(said.operations[0].trace, [result], "{condition:?}");
    }
}

#[test]
fn an_address_is_in_a_block_however_it_is_written() {
    let inside = || Expr::InCidr(Box::new(fact("address")), "10.0.0.0/8".to_owned());
    for (address, denies) in [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("11.0.0.1", false),
        ("2001:db8::1", false),
        ("no address", true),
    ] {
        let mut facts = Facts::default();
        facts.know("address", Value::Text(address.to_owned()));
        let said = of([rule("deny", 1, Deny, inside())], &facts);
        assert_eq!(said.outcome == Deny, denies, "{address}");
    }
}

#[test]
fn a_value_beyond_the_bounds_is_unknown() {
    let tags = |n| {
        let mut facts = Facts::default();
        facts.know(
            "agent.tags",
            Value::List(vec![Value::Text("x".to_owned()); n]),
        );
        facts
    };
    let has_ci = || Expr::In(Box::new(text("ci")), Box::new(fact("agent.tags")));
    let at = |n| of([rule("deny", 1, Deny, has_ci())], &tags(n)).outcome;
    assert_eq!(
        (at(bounds::MAX_LIST), at(bounds::MAX_LIST + 1)),
        (Allow, Deny)
    );
}

#[test]
fn the_facts_that_were_read_are_told_and_no_others() {
    let mut facts = country("DE");
    facts.know("asn", Value::Int(1));
    let condition = Expr::And(vec![
        is("country", "DE"),
        is("operation", "x"),
        is("subject", "y"),
    ]);
    let said = of([rule("ask", 1, Ask, condition)], &facts);
    let read: Vec<_> = said.facts.iter().collect();
    assert_eq!(
        read,
        [(&"country".to_owned(), facts.get("country").unwrap())]
    );
}

#[test]
fn a_tree_beyond_the_bounds_is_refused() {
    let deep = (0..bounds::MAX_NESTING).fold(truth(true), |inner, _| not(inner));
    let wide = Expr::And(vec![truth(true); bounds::MAX_NODES]);
    let element = Box::new(Expr::Element);
    let exists = |list: Expr, body: Expr| {
        Expr::Quantified(Quantifier::Exists, Box::new(list), Box::new(body))
    };
    let tags = || fact("agent.tags");
    let costly = Expr::Or(
        (0..10)
            .map(|n| exists(tags(), Expr::Matches(element.clone(), format!("a{n}"))))
            .collect(),
    );
    for (condition, code) in [
        (deep, "too_deep"),
        (wide, "too_long"),
        (costly, "too_costly"),
        (fact("weather"), "unknown_name"),
        (fact("window.night"), "unknown_name"),
        (Expr::Element, "profile"),
        (exists(tags(), exists(tags(), truth(true))), "profile"),
        (Expr::And(vec![truth(true)]), "profile"),
        (Expr::Has(Box::new(tags()), "x".to_owned()), "profile"),
        (
            Expr::Has(Box::new(Expr::Params), "x".to_owned()),
            "params_need_operations",
        ),
        (Expr::Matches(Box::new(tags()), "(".to_owned()), "pattern"),
        (
            Expr::Matches(Box::new(tags()), "(a{1000}){1000}".to_owned()),
            "pattern",
        ),
        (Expr::Matches(Box::new(tags()), "a".repeat(300)), "pattern"),
        (
            Expr::InCidr(Box::new(tags()), "10.0.0.1/8".to_owned()),
            "bad_value",
        ),
        (Expr::Literal(Value::Int(i64::MIN)), "bad_value"),
    ] {
        let refused = Prepared::new(policy([rule("r", 1, Deny, condition)])).unwrap_err();
        assert_eq!(
            (refused.code, refused.rule.is_some()),
            (code, true),
            "{refused}"
        );
    }
    let many = |n: usize| (0..n).map(|n| rule(&format!("r{n}"), 1, Deny, truth(true)));
    let refused = Prepared::new(policy(many(bounds::MAX_RULES + 1))).unwrap_err();
    assert_eq!(refused.code, "too_long");
    assert!(Prepared::new(policy(many(bounds::MAX_RULES))).is_ok());
    let twice = [
        rule("r", 1, Deny, truth(true)),
        rule("r", 2, Deny, truth(true)),
    ];
    assert_eq!(
        Prepared::new(policy(twice)).unwrap_err().code,
        "duplicate_id"
    );
    // Approvals that are omitted, or none, never suffice.
    for needs in [
        Vec::new(),
        vec![Need {
            n: 0,
            ..Need::default()
        }],
    ] {
        let asks = Rule {
            needs,
            ..rule("r", 1, Ask, truth(true))
        };
        assert_eq!(Prepared::new(policy([asks])).unwrap_err().code, "bad_value");
    }
}
