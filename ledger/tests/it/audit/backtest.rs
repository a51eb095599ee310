//! A policy that was not in force, tried on recorded applies.

use crate::ruled::{always, policy, put, rule};
use crate::scene::Scene;
use fixtures::commands::{agent, dns_create, purge, submit};
use fixtures::history::{History, trusting};
use ledger::Decision;
use ledger::audit::ChangeClass::{Looser, NotComparable, OtherRequirement, Tighter};
use ledger::audit::{Backtest, Candidate, ChangeClass, ChangeCounts, VerifyOptions};
use ledger::policy::{
    Comparison, Edge, Expr, Fact, Need, NeedGroup, Policy, Prepared, Rule, RuleAction, Value,
    WindowClock,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn is(fact: &str, value: &str) -> Expr {
    let (fact, value) = (
        Expr::Fact(fact.to_owned()),
        Expr::Literal(Value::Text(value.to_owned())),
    );
    Expr::Compare(Comparison::Equal, Box::new(fact), Box::new(value))
}

fn candidate(policy: Policy) -> Candidate {
    Candidate {
        policy: Arc::new(Prepared::new(policy).unwrap()),
        windows: WindowClock::new(|_, _| BTreeMap::from([("office".to_owned(), true)])),
        without: BTreeSet::new(),
        from: 0,
        to: None,
    }
}

fn tried(history: &History, candidate: Candidate) -> Backtest {
    let options = VerifyOptions {
        backtest: Some(candidate),
        ..trusting()
    };
    let report = history.verify_with(&options);
    assert_eq!(report.findings, []);
    report.backtest.unwrap()
}

fn tried_as(history: &History, rules: impl IntoIterator<Item = Rule>) -> Backtest {
    tried(history, candidate(policy(rules)))
}

fn recorded_rules() -> [Rule; 2] {
    let foreign = Rule {
        priority: 200,
        ..rule("foreign", RuleAction::Deny, is("country", "KP"))
    };
    [
        foreign,
        rule(
            "purges",
            RuleAction::Ask,
            is("operation", "cache.purge.execute"),
        ),
    ]
}

/// One apply before there was a document, and under one an apply that runs, one that is asked about and
/// approved, and one that is denied.
async fn told() -> History {
    let scene = Scene::granted().await;
    scene.submitted("before", vec![purge()]).await;
    put(&scene, 1, Some(policy(recorded_rules()))).await;
    let from = |key: &str, country: &str, operations| {
        let mut edge = Edge::default();
        edge.say("country", Fact::Known(Value::Text(country.to_owned())));
        ledger::command::SubmitApply {
            edge,
            ..submit(&scene.token, key, operations)
        }
    };
    let run = async |command| scene.execute(agent(&scene.token), command).await.unwrap();
    let runs = run(from("runs", "DE", vec![dns_create("a.example.com")])).await;
    assert!(runs.accepted().unwrap().apply.authorised);
    let asked = run(from("asked", "FR", vec![purge()])).await;
    let asked = asked.accepted().unwrap();
    scene.decided(&asked, Decision::Approve).await;
    scene.continued(&asked).await.unwrap();
    let denied = run(from("denied", "KP", vec![purge()])).await;
    denied.accepted().unwrap_err();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn the_same_policy_changes_nothing_of_what_it_decided_and_twice_gives_equal_bytes() {
    let history = told().await;
    let again = || {
        let mut same = candidate(policy(recorded_rules()));
        same.from = history.first("policy.changed");
        tried(&history, same)
    };
    let backtest = again();
    assert_eq!(backtest.changes, []);
    let counts = ChangeCounts {
        same: 3,
        ..ChangeCounts::default()
    };
    assert_eq!(backtest.counts, counts);
    assert_eq!(backtest.recorded[0].version, 1);
    assert_eq!(backtest.recorded[0].digest, Some(backtest.candidate.digest));
    assert_eq!(backtest.canonical().unwrap(), again().canonical().unwrap());
}

#[tokio::test]
async fn a_document_without_rules_is_what_held_before_there_was_one() {
    let history = told().await;
    let mut none = candidate(policy([]));
    none.to = Some(history.first("policy.changed"));
    let backtest = tried(&history, none);
    assert_eq!(backtest.changes, []);
    assert_eq!(backtest.counts.same, 1);
    assert_eq!(backtest.recorded[0].digest, None);
    let to = history.first("policy.changed");
    assert_eq!(
        (backtest.to, backtest.root),
        (to, history.frontier(to).root())
    );
}

fn classes(backtest: &Backtest) -> Vec<ChangeClass> {
    backtest.changes.iter().map(|change| change.class).collect()
}

#[tokio::test]
async fn what_is_laxer_stricter_or_asks_for_something_else_is_told_apart() {
    let history = told().await;
    let allows = tried_as(&history, [rule("all", RuleAction::Allow, always())]);
    assert_eq!(classes(&allows), [Looser, NotComparable]);
    let looser = &allows.changes[0];
    assert_eq!(looser.was, Some(RuleAction::Ask));
    assert_eq!(looser.would, Some(RuleAction::Allow));
    assert_eq!(looser.rules[0].as_str(), "all");
    assert_eq!(looser.position, history.all("apply.accepted")[2]);
    // What a refusal was about is not recorded.
    let refused = &allows.changes[1];
    assert_eq!((refused.was, refused.would), (Some(RuleAction::Deny), None));

    let denies = tried_as(&history, [rule("none", RuleAction::Deny, always())]);
    assert_eq!(classes(&denies), [Tighter, Tighter, Tighter, NotComparable]);

    let with = |change: fn(&mut Rule)| {
        let [foreign, mut asks] = recorded_rules();
        change(&mut asks);
        let mut candidate = candidate(policy([foreign, asks]));
        candidate.from = history.all("apply.accepted")[2];
        candidate.to = Some(candidate.from + 1);
        let mut changes = tried(&history, candidate).changes;
        assert_eq!(changes.len(), 1);
        let change = changes.remove(0);
        (change.class, change.why.unwrap())
    };
    let two = with(|rule| rule.needs[0].n = 2);
    assert_eq!(two, (OtherRequirement, "needs".to_owned()));
    let longer = with(|rule| rule.ttl += 1);
    assert_eq!(longer, (Looser, "ttl".to_owned()));
    let others = with(|rule| {
        rule.needs = vec![Need {
            group: NeedGroup::Group("018f0000-0000-7000-8000-000000000001".parse().unwrap()),
            n: 1,
            ..rule.needs[0]
        }];
    });
    assert_eq!(others, (Looser, "needs".to_owned()));
}

#[tokio::test]
async fn a_fact_that_was_not_recorded_is_not_guessed() {
    let history = told().await;
    let only = |rules: Vec<Rule>| {
        let mut candidate = candidate(policy(rules));
        candidate.from = history.all("apply.accepted")[1];
        candidate.to = Some(candidate.from + 1);
        tried(&history, candidate)
    };
    let asn = || is("asn", "x");
    let denies = only(vec![rule("asn", RuleAction::Deny, asn())]);
    assert_eq!(classes(&denies), [NotComparable]);
    let change = &denies.changes[0];
    assert_eq!(change.why.as_deref(), Some("not recorded: asn"));
    assert_eq!((change.was, change.would), (Some(RuleAction::Allow), None));
    // Where it decides nothing, it is not missed: below what surely matches, and where all are allowed anyway.
    let below = Rule {
        priority: 300,
        ..rule("all", RuleAction::Allow, always())
    };
    let hidden = only(vec![rule("asn", RuleAction::Deny, asn()), below]);
    assert_eq!(hidden.counts.same, 1);
    let allows = only(vec![rule("asn", RuleAction::Allow, asn())]);
    assert_eq!(allows.counts.same, 1);
    // Counts and what was read before are recorded only where a rule read them.
    let counts = Expr::Compare(
        Comparison::Less,
        Box::new(Expr::Fact("counts.asked_1h".to_owned())),
        Box::new(Expr::Literal(Value::Int(5))),
    );
    let counted = only(vec![rule("busy", RuleAction::Deny, counts)]);
    assert_eq!(counted.counts.not_comparable, 1);
    let read = only(vec![rule("home", RuleAction::Deny, is("country", "DE"))]);
    assert_eq!(classes(&read), [Tighter]);
}

#[tokio::test]
async fn what_other_events_say_of_an_apply_is_known() {
    let history = told().await;
    for fact in [
        is("agent.name", "ci-bot"),
        is("task.name", "rotate the records"),
        is("subject", "spiffe://agents/ci-bot"),
        Expr::Fact("window.office".to_owned()),
    ] {
        let denies = tried_as(&history, [rule("no", RuleAction::Deny, fact.clone())]);
        // The refusal alone is not.
        assert_eq!(denies.counts.not_comparable, 1, "{fact:?}");
    }
}

#[tokio::test]
async fn a_fact_that_is_left_out_counts_as_unknown() {
    let history = told().await;
    let mut blind = candidate(policy(recorded_rules()));
    blind.without.insert("country".to_owned());
    blind.from = history.first("policy.changed");
    let backtest = tried(&history, blind);
    assert_eq!(classes(&backtest), [Tighter, Tighter, NotComparable]);
    assert_eq!(backtest.changes[0].rules[0].as_str(), "foreign");
    let text = String::from_utf8(backtest.canonical().unwrap()).unwrap();
    assert!(text.contains(r#""without":["country"]"#), "{text}");
}

#[tokio::test]
async fn a_range_whose_beginning_is_not_there_says_so() {
    let history = told().await;
    let from = history.first("policy.changed") + 1;
    let frontier = history.frontier(from).subtrees().to_vec();
    let bundle = history.bundle_from(from, frontier, &[history.sign()]);
    let options = VerifyOptions {
        backtest: Some(candidate(policy([]))),
        ..trusting()
    };
    let report = ledger::audit::verify_bundle(bundle.as_slice(), &options).unwrap();
    assert_eq!(report.findings, []);
    let backtest = report.backtest.unwrap();
    assert_eq!(backtest.from, from);
    assert_eq!(backtest.counts.not_comparable, 3);
}
