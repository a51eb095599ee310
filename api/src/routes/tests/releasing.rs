//! What surely was not applied leaves the approval usable, within its window.

use super::executor::{failed, succeeded, unknown};
use super::{Scene, dns, ssl};
use crate::testing::{Answer, BEGIN};
use ledger::event::OperationOutcome;
use ledger::{Decision, Event};
use serde_json::{Value, json};
use std::time::Duration;

fn throttled() -> OperationOutcome {
    OperationOutcome::Failed {
        http_status: Some(429),
        request_id: None,
        code: "upstream_rate_limited".into(),
        message: "upstream refused with HTTP 429 (try again after 60 seconds)".into(),
        errors: "[]".into(),
    }
}

async fn approved(operations: &[Value]) -> (Scene, Value) {
    let scene = Scene::new().await;
    let waiting = scene.apply("k1", operations).await;
    assert_eq!(waiting.status, 202, "{waiting:?}");
    scene.decide(Decision::Approve, None).await;
    (scene, waiting.body["resume_token"].clone())
}

#[track_caller]
fn leaves_it_usable(answer: &Answer) {
    assert_eq!(answer.status, 409, "{answer:?}");
    assert_eq!(answer.body["status"], "failed", "{answer:?}");
    assert!(
        answer.body["approval_usable_until"].is_string(),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_429_does_not_use_up_what_a_human_approved() {
    let (scene, token) = approved(&[ssl()]).await;
    scene.executor.answers(|_| throttled());
    let first = scene.resume("k1", &token).await;
    leaves_it_usable(&first);
    assert_eq!(
        scene.get("/approval-status").await.body["state"],
        "approved"
    );

    scene.executor.answers(|_| succeeded());
    let again = scene.resume("k2", &token).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(
        scene.get("/approval-status").await.body["state"],
        "consumed"
    );
    let after = scene.resume("k3", &token).await;
    assert_eq!((after.status, after.code()), (409, "approval_consumed"));

    // The old key keeps its answer, whichever way it is asked for.
    for answer in [
        scene.resume("k1", &token).await,
        scene.apply("k1", &[ssl()]).await,
    ] {
        assert_eq!((answer.status, &answer.body), (409, &first.body));
    }
    let asked = scene
        .events(|event| matches!(event, Event::ApprovalRequested(_)))
        .await;
    assert_eq!(asked, 1, "nobody was asked again");
}

#[tokio::test]
async fn a_new_key_with_the_same_operations_finds_the_approval_too() {
    let (scene, token) = approved(&[ssl()]).await;
    scene.executor.answers(|_| throttled());
    leaves_it_usable(&scene.resume("k1", &token).await);
    scene.executor.answers(|_| succeeded());
    let ready = scene.apply("k2", &[ssl()]).await;
    assert_eq!(
        (ready.status, &ready.body["status"]),
        (202, &json!("approved"))
    );
    let done = scene.resume("k2", &ready.body["resume_token"]).await;
    assert_eq!(done.status, 200, "{done:?}");
}

#[tokio::test]
async fn a_key_that_lost_the_approval_may_have_it_when_it_is_given_back() {
    let (scene, token) = approved(&[ssl()]).await;
    let other = scene.apply("k2", &[ssl()]).await;
    assert_eq!(other.body["status"], "approved");
    scene.executor.hold();
    let headers = [("idempotency-key", "k1"), ("prefer", "wait=0")];
    let body = json!({"resume_token": token});
    let path = scene.path("/apply/continue");
    let running = scene
        .stage
        .send_with("POST", &path, &scene.token, &headers, &body)
        .await;
    assert_eq!(running.body["status"], "in_progress", "{running:?}");
    let lost = scene.resume("k2", &token).await;
    assert_eq!((lost.status, lost.code()), (409, "approval_consumed"));
    scene.executor.answers(|_| throttled());
    scene.executor.release();
    leaves_it_usable(&scene.apply("k1", &[ssl()]).await);
    scene.executor.answers(|_| succeeded());
    let done = scene.resume("k2", &token).await;
    assert_eq!(done.status, 200, "{done:?}");
}

#[tokio::test]
async fn what_was_carried_out_or_may_have_been_uses_the_approval_up() {
    let outcomes: [fn(usize) -> OperationOutcome; 2] = [
        |index| if index == 0 { succeeded() } else { failed() },
        |_| unknown(),
    ];
    for outcome in outcomes {
        let (scene, token) = approved(&[ssl(), dns("a.example.com")]).await;
        scene.executor.answers(outcome);
        let ended = scene.resume("k1", &token).await;
        assert_eq!(ended.status, 409, "{ended:?}");
        assert!(
            ended.body.get("approval_usable_until").is_none(),
            "{ended:?}"
        );
        let again = scene.resume("k2", &token).await;
        assert_eq!((again.status, again.code()), (409, "approval_consumed"));
    }
}

#[tokio::test]
async fn being_given_back_does_not_make_the_window_longer() {
    let (scene, token) = approved(&[ssl()]).await;
    scene.stage.clock.advance(Duration::from_secs(200));
    scene.executor.answers(|_| throttled());
    let first = scene.resume("k1", &token).await;
    leaves_it_usable(&first);
    let window_end = BEGIN.plus(Duration::from_secs(600));
    assert_eq!(first.body["approval_usable_until"], window_end.to_string());
}
