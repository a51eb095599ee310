//! `continue` that waits for the decision.

use super::{Scene, ssl};
use crate::testing::Answer;
use futures_util::future::{Either, select};
use ledger::command::ExpireApproval;
use ledger::{Decision, Event, Origin};
use serde_json::{Value, json};
use std::time::Duration;

/// A scene with an apply that waits for a human, and its resume token.
async fn asked() -> (Scene, Value) {
    let scene = Scene::new().await;
    let waiting = scene.apply("k1", &[ssl()]).await;
    assert_eq!(waiting.status, 202, "{waiting:?}");
    let token = waiting.body["resume_token"].clone();
    (scene, token)
}

async fn waiting(scene: &Scene, key: &str, resume_token: &Value) -> Answer {
    let headers = [("idempotency-key", key), ("prefer", "wait=50")];
    let body = json!({"resume_token": resume_token});
    let path = scene.path("/apply/continue");
    scene
        .stage
        .send_with("POST", &path, &scene.token, &headers, &body)
        .await
}

#[tokio::test]
async fn continue_waits_for_the_decision_and_then_executes() {
    let (scene, token) = asked().await;
    let decide = scene.decide(Decision::Approve, None);
    let (answer, ()) = tokio::join!(waiting(&scene, "k1", &token), decide);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["status"], "completed");
    assert_eq!(scene.started().await, 1);
}

#[tokio::test]
async fn continue_that_waits_is_told_of_a_denial() {
    let (scene, token) = asked().await;
    let decide = scene.decide(Decision::Deny, Some("not on a Friday"));
    let (answer, ()) = tokio::join!(waiting(&scene, "k1", &token), decide);
    assert_eq!((answer.status, answer.code()), (409, "approval_denied"));
    assert_eq!(scene.started().await, 0);
}

#[tokio::test]
async fn continue_that_waits_is_told_that_the_task_was_closed() {
    let (scene, token) = asked().await;
    let closed = scene.post("/close", &Value::Null);
    let (answer, closed) = tokio::join!(waiting(&scene, "k1", &token), closed);
    assert_eq!(closed.status, 200, "{closed:?}");
    assert_eq!((answer.status, answer.code()), (410, "approval_cancelled"));
    assert_eq!(scene.started().await, 0);
}

#[tokio::test]
async fn continue_that_waits_is_told_that_time_ran_out() {
    let (mut scene, token) = asked().await;
    // The task's token lives five minutes, the question ten.
    scene.stage.clock.advance(Duration::from_secs(599));
    let renewed = scene.post("/token", &Value::Null).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    scene.token = renewed.body["capability_token"].as_str().unwrap().into();
    let expire = async {
        let approval_id = scene.approval().await.id;
        scene.stage.clock.advance(Duration::from_secs(1));
        let ledger = &scene.stage.state.app.ledger;
        // Whoever of the two sees it first records it.
        let expire = ExpireApproval { approval_id };
        drop(ledger.execute(Origin::system("test"), expire).await);
    };
    let (answer, ()) = tokio::join!(waiting(&scene, "k1", &token), expire);
    assert_eq!((answer.status, answer.code()), (410, "approval_expired"));
    assert_eq!(scene.started().await, 0);
}

#[tokio::test]
async fn whoever_waits_to_continue_there_is_one_execution() {
    let (scene, token) = asked().await;
    let decide = scene.decide(Decision::Approve, None);
    let (one, again, other, ()) = tokio::join!(
        waiting(&scene, "k1", &token),
        waiting(&scene, "k1", &token),
        waiting(&scene, "k2", &token),
        decide
    );
    assert_eq!((one.status, &one.body), (again.status, &again.body));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
    assert_eq!(scene.started().await, 1);
    let consumed = scene
        .events(|event| matches!(event, Event::ApprovalConsumed(_)))
        .await;
    assert_eq!(consumed, 1);
}

/// Nobody executes for a client that is gone; the approval is there for its next request.
#[tokio::test]
async fn a_client_that_hangs_up_while_it_waits_has_not_used_the_approval() {
    let (scene, token) = asked().await;
    let gone = Box::pin(waiting(&scene, "k1", &token));
    let other = Box::pin(scene.get("/approval-status"));
    match select(gone, other).await {
        Either::Left((answer, _)) => panic!("{answer:?}"),
        Either::Right((_, gone)) => drop(gone),
    }
    scene.decide(Decision::Approve, None).await;
    assert_eq!(scene.started().await, 0);
    let answer = waiting(&scene, "k1", &token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(scene.started().await, 1);
}
