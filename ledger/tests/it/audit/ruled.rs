//! What the policy said of applies: a record that comes to something else than the policy is found.

use super::{altered, is_found};
use crate::ruled::{always, policy, put, rule};
use crate::scene::Scene;
use fixtures::commands::{agent, purge, submit};
use fixtures::history::History;
use ledger::Decision;
use ledger::audit::Check;
use ledger::event::{ApplyAccepted, ApplyAskedAnew, ApprovalRequested, Event};
use ledger::policy::{Assurance, Comparison, Expr, Need, NeedGroup, Rule, RuleAction, Value};

/// One apply that a rule asks about and that is approved and continued, and one that is denied.
async fn told() -> History {
    let scene = Scene::granted().await;
    put(
        &scene,
        1,
        Some(policy([rule("ask", RuleAction::Ask, always())])),
    )
    .await;
    let asked = scene.submitted("k1", vec![purge()]).await;
    scene.decided(&asked, Decision::Approve).await;
    scene.continued(&asked).await.unwrap();
    let unsure = Expr::Fact("window.office".to_owned());
    put(
        &scene,
        2,
        Some(policy([rule("no", RuleAction::Deny, unsure)])),
    )
    .await;
    let denied = submit(&scene.token, "k2", vec![purge()]);
    let ruling = scene.execute(agent(&scene.token), denied).await.unwrap();
    ruling.accepted().unwrap_err();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[track_caller]
fn accepted_otherwise(history: &History, change: impl FnOnce(&mut ApplyAccepted)) {
    let at = history.first("apply.accepted");
    let report = altered(history, |history| {
        history.alter(at, |event| {
            if let Event::ApplyAccepted(accepted) = event {
                change(accepted);
            }
        });
    });
    is_found(&report, Check::Policy, at);
}

#[track_caller]
fn asked_otherwise(history: &History, change: impl FnOnce(&mut ApprovalRequested)) {
    let (at, accepted) = (
        history.first("approval.requested"),
        history.first("apply.accepted"),
    );
    let report = altered(history, |history| {
        history.alter(at, |event| {
            if let Event::ApprovalRequested(asked) = event {
                change(asked);
            }
        });
    });
    is_found(&report, Check::Policy, accepted);
}

#[tokio::test]
async fn an_evaluation_that_is_not_what_the_policy_says_is_found() {
    let history = told().await;
    history.assert_verified();
    accepted_otherwise(&history, |accepted| {
        accepted.evaluation.as_mut().unwrap().outcome = RuleAction::Allow;
    });
    accepted_otherwise(&history, |accepted| {
        accepted.evaluation.as_mut().unwrap().rules.clear();
    });
    accepted_otherwise(&history, |accepted| {
        accepted.evaluation.as_mut().unwrap().operations[0].trace = Some(vec![0]);
    });
    accepted_otherwise(&history, |accepted| {
        accepted.evaluation.as_mut().unwrap().version = 2;
    });
    accepted_otherwise(&history, |accepted| accepted.evaluation = None);
    asked_otherwise(&history, |asked| asked.policy = None);
    asked_otherwise(&history, |asked| {
        asked.policy.as_mut().unwrap().rules.clear();
    });
}

#[tokio::test]
async fn a_question_that_came_from_elsewhere_than_the_policy_read_is_found() {
    let scene = Scene::granted().await;
    let from_there = Expr::Compare(
        Comparison::Equal,
        Box::new(Expr::Fact("address".to_owned())),
        Box::new(Expr::Literal(Value::Text("192.0.2.7".to_owned()))),
    );
    let asks = policy([rule("ask", RuleAction::Ask, from_there)]);
    put(&scene, 1, Some(asks)).await;
    scene.asked_from("k1", "CN=ci").await;
    let closed = scene.ledger.close().await;
    let history = History::read(closed.path());
    assert_eq!(history.verify().findings, []);
    asked_otherwise(&history, |asked| {
        asked.from.as_mut().unwrap().address = Some("198.51.100.7".to_owned());
    });
    asked_otherwise(&history, |asked| {
        asked.from.as_mut().unwrap().address = None;
    });
}

#[tokio::test]
async fn a_refusal_by_a_policy_that_does_not_deny_is_found() {
    let history = told().await;
    let at = history.first("apply.refused");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::ApplyRefused(refused) = event {
                refused.evaluation.as_mut().unwrap().outcome = RuleAction::Ask;
            }
        });
    });
    is_found(&report, Check::Policy, at);
}

/// One apply that was approved, and asked about anew under another policy.
async fn told_anew() -> History {
    let scene = Scene::granted().await;
    let asks = rule("ask", RuleAction::Ask, always());
    put(&scene, 1, Some(policy([asks.clone()]))).await;
    let asked = scene.submitted("k1", vec![purge()]).await;
    scene.decided(&asked, Decision::Approve).await;
    let stricter = Rule {
        id: "passkey".parse().unwrap(),
        needs: vec![Need {
            group: NeedGroup::Default,
            n: 1,
            assurance: Assurance::Passkey,
        }],
        ..asks
    };
    put(&scene, 2, Some(policy([stricter]))).await;
    let anew = scene.continued(&asked).await.unwrap();
    assert!(anew.apply.replaces.is_some());
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[track_caller]
fn anew_otherwise(history: &History, check: Check, change: impl FnOnce(&mut ApplyAskedAnew)) {
    let at = history.first("apply.asked_anew");
    let report = altered(history, |history| {
        history.alter(at, |event| {
            if let Event::ApplyAskedAnew(anew) = event {
                change(anew);
            }
        });
    });
    is_found(&report, check, at);
}

#[tokio::test]
async fn a_question_asked_anew_is_held_to_the_policy_and_to_what_it_replaces() {
    let history = told_anew().await;
    history.assert_verified();
    anew_otherwise(&history, Check::Policy, |anew| anew.evaluation.version = 1);
    anew_otherwise(&history, Check::Policy, |anew| {
        anew.evaluation.outcome = RuleAction::Allow;
    });
    anew_otherwise(&history, Check::Policy, |anew| {
        anew.evaluation.rules = vec!["ask".parse().unwrap()];
    });
    anew_otherwise(&history, Check::ApprovalState, |anew| {
        anew.replaces = anew.approval_id;
    });
    anew_otherwise(&history, Check::ApprovalState, |anew| {
        anew.approval_id = anew.replaces;
    });
}
