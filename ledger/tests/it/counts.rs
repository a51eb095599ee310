//! Facts of what an agent did lately, of where it asks from, and of what allows cover.

use crate::ruled::{always, operator, policy, put, rule};
use crate::scene::{Scene, end, start, succeeded};
use fixtures::commands::{AGENT, agent, deploy, dns_create, submit};
use fixtures::history::History;
use ledger::aggregate::AdmissionKind;
use ledger::command::{SetAdmission, SubmitApply, Submitted};
use ledger::event::{ClientTarget, Network};
use ledger::policy::{Comparison, Edge, Expr, Fact, Policy, Rule, RuleAction, Value};
use ledger::{AgentName, Decision, Rejection};
use std::net::IpAddr;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn at_least(fact: &str, count: i64) -> Expr {
    let fact = Box::new(Expr::Fact(fact.to_owned()));
    let count = Box::new(Expr::Literal(Value::Int(count)));
    Expr::Compare(Comparison::GreaterOrEqual, fact, count)
}

fn deny(id: &str, when: Expr) -> Rule {
    Rule {
        priority: 900,
        ..rule(id, RuleAction::Deny, when)
    }
}

fn asks_unless(denies: Rule) -> Policy {
    let mut asks = policy([denies, rule("ask", RuleAction::Ask, always())]);
    asks.limits.per_agent = 0;
    asks
}

/// Asks about a Worker with a text of its own, so that each is a question of its own.
async fn ask(scene: &Scene, key: &str) -> Result<Submitted, Rejection> {
    ask_from(scene, key, None).await
}

async fn ask_from(scene: &Scene, key: &str, address: Option<&str>) -> Result<Submitted, Rejection> {
    let script = format!("export default {{ key: {key:?} }};");
    let mut edge = Edge::default();
    if let Some(address) = address {
        address.parse::<IpAddr>().unwrap();
        edge.say("address", Fact::Known(Value::Text(address.to_owned())));
    }
    let command = SubmitApply {
        edge,
        ..submit(&scene.token, key, vec![deploy("site", &script)])
    };
    let ruling = scene.execute(agent(&scene.token), command).await.unwrap();
    ruling.accepted()
}

pub(crate) async fn restarted(scene: Scene) -> Scene {
    let Scene {
        ledger,
        alice,
        token,
    } = scene;
    let ledger = ledger.restart().await;
    Scene {
        ledger,
        alice,
        token,
    }
}

async fn audited(scene: Scene) {
    let closed = scene.ledger.close().await;
    History::read(closed.path()).assert_verified();
}

#[tokio::test]
async fn operations_that_were_started_count_for_an_hour_and_after_a_restart() {
    let scene = Scene::granted().await;
    let limited = deny("busy", at_least("counts.executed_1h", 2));
    put(&scene, 1, Some(policy([limited]))).await;
    for name in ["a", "b"] {
        let operation = dns_create(&format!("{name}.example.com"));
        let apply = scene.submitted(name, vec![operation]).await.apply;
        scene.run(start(apply.id, 0)).await.unwrap();
        scene.run(end(apply.id, 0, succeeded())).await.unwrap();
    }
    let submit = async |scene: &Scene| {
        let operation = dns_create("c.example.com");
        scene
            .submit(&scene.token, "c", vec![operation])
            .await
            .unwrap()
    };
    let refused = submit(&scene).await.unwrap_err();
    assert_eq!(refused.code(), "denied_by_policy");
    let scene = restarted(scene).await;
    assert!(submit(&scene).await.is_err());
    scene.ledger.clock.advance(HOUR);
    let token = scene.ledger.task().await;
    let scene = Scene { token, ..scene };
    assert!(submit(&scene).await.is_ok());
    audited(scene).await;
}

#[tokio::test]
async fn questions_of_one_batch_count_for_those_behind_them() {
    let scene = Scene::new().await;
    let denies = deny("many", at_least("counts.asked_1h", 10));
    put(&scene, 1, Some(asks_unless(denies))).await;
    let keys: Vec<String> = (0..64).map(|number| format!("k{number}")).collect();
    let asking = keys.iter().map(|key| ask(&scene, key));
    let answers = futures_util::future::join_all(asking).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    audited(scene).await;
}

#[tokio::test]
async fn what_was_before_a_document_counts_once_it_is_in_force() {
    let scene = Scene::new().await;
    let first = ask(&scene, "k1").await.unwrap();
    scene.decided(&first, Decision::Deny).await;
    let second = ask(&scene, "k2").await.unwrap();
    let denies = deny("denied", at_least("counts.denied_24h", 2));
    put(&scene, 1, Some(asks_unless(denies.clone()))).await;
    ask(&scene, "k3").await.unwrap();
    scene.decided(&second, Decision::Deny).await;
    assert!(ask(&scene, "k4").await.is_err());
    let scene = restarted(scene).await;
    assert!(ask(&scene, "k4").await.is_err());
    audited(scene).await;
}

#[tokio::test]
async fn an_apply_that_goes_on_does_not_count_against_itself() {
    let scene = Scene::new().await;
    let denies = deny("one", at_least("counts.asked_1h", 1));
    put(&scene, 1, Some(asks_unless(denies))).await;
    let asked = ask(&scene, "k1").await.unwrap();
    assert!(ask(&scene, "k2").await.is_err());
    scene.decided(&asked, Decision::Approve).await;
    assert!(scene.continued(&asked).await.unwrap().apply.authorised);
    audited(scene).await;
}

#[tokio::test]
async fn a_deny_can_leave_out_what_an_allow_covers() {
    let scene = Scene::granted().await;
    let not_allowed = Expr::Not(Box::new(Expr::Fact("allowed".to_owned())));
    put(&scene, 1, Some(policy([deny("strangers", not_allowed)]))).await;
    let from = async |key: &str, address: Option<&str>| {
        let asked = ask_from(&scene, key, address).await;
        asked.map(drop).map_err(|refused| refused.code())
    };
    assert_eq!(from("k1", Some("192.0.2.1")).await, Err("denied_by_policy"));
    let set = |target| SetAdmission {
        kind: AdmissionKind::Allow,
        target,
        reason: None,
        duration: None,
    };
    let network = ClientTarget::Address(Network::parse("192.0.2.0/24").unwrap());
    scene.execute(operator(), set(network)).await.unwrap();
    assert_eq!(from("k1", Some("192.0.2.1")).await, Ok(()));
    assert_eq!(
        from("k2", Some("198.51.100.1")).await,
        Err("denied_by_policy")
    );
    assert_eq!(from("k3", None).await, Err("denied_by_policy"));
    let name = AgentName::unchecked(AGENT);
    let all = scene.ledger.ledger.agent(&name).await.unwrap().unwrap();
    let set = set(ClientTarget::Agent(all.id));
    scene.execute(operator(), set).await.unwrap();
    assert_eq!(from("k3", None).await, Ok(()));
    audited(scene).await;
}

#[tokio::test]
async fn questions_are_limited_for_an_address_also_after_a_restart() {
    let scene = Scene::new().await;
    let mut limited = policy([]);
    limited.limits.per_address = 1;
    put(&scene, 1, Some(limited)).await;
    let too_many = Rejection::TooManyQuestions {
        limit: "per_address",
        most: 1,
    };
    let asked = async |scene: &Scene, key: &str, address: Option<&str>| {
        ask_from(scene, key, address).await.map(drop)
    };
    assert_eq!(asked(&scene, "k1", Some("192.0.2.1")).await, Ok(()));
    assert_eq!(asked(&scene, "k2", Some("192.0.2.2")).await, Ok(()));
    assert_eq!(asked(&scene, "k3", Some("2001:db8::1")).await, Ok(()));
    assert_eq!(asked(&scene, "k4", None).await, Ok(()));
    let scene = restarted(scene).await;
    for address in [Some("192.0.2.1"), Some("2001:db8::2"), None] {
        let refused = asked(&scene, "k5", address).await;
        assert_eq!(refused, Err(too_many.clone()), "{address:?}");
    }
    assert_eq!(asked(&scene, "k5", Some("2001:db8:0:1::1")).await, Ok(()));
    audited(scene).await;
}
