//! What an approval's link shows after the decision: what really came of it.

use super::executor::{failed, succeeded, unknown};
use super::{Scene, dns, ssl};
use axum::body::Body;
use http::Request;
use ledger::command::RecordPreState;
use ledger::event::PreState;
use ledger::{Decision, Event, Origin};
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

/// An apply of these operations that was approved, its link, and its resume token.
async fn approved(operations: &[Value]) -> (Scene, String, Value) {
    let scene = Scene::new().await;
    let waiting = scene.apply("k1", operations).await;
    assert_eq!(waiting.status, 202, "{waiting:?}");
    let url = waiting.body["approval_url"].as_str().unwrap();
    let path = url.strip_prefix("http://localhost:8080").unwrap();
    scene.decide(Decision::Approve, None).await;
    (scene, path.to_owned(), waiting.body["resume_token"].clone())
}

impl Scene {
    /// What the link shows.
    pub(super) async fn receipt(&self, path: &str) -> String {
        let request = Request::builder()
            .uri(path)
            .header("accept", "text/html")
            .body(Body::empty())
            .unwrap();
        let response = self.stage.router.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    async fn begun(&self, resume_token: &Value) {
        let headers = [("idempotency-key", "k1"), ("prefer", "wait=0")];
        let body = json!({"resume_token": resume_token});
        let path = self.path("/apply/continue");
        let answer = self
            .stage
            .send_with("POST", &path, &self.token, &headers, &body)
            .await;
        assert_eq!(answer.body["status"], "in_progress", "{answer:?}");
    }
}

#[track_caller]
fn shows(html: &str, texts: &[&str]) {
    for text in texts {
        assert!(html.contains(text), "{text}: {html}");
    }
}

#[tokio::test]
async fn an_approval_that_was_not_used_yet_does_not_look_carried_out() {
    let (scene, path, _) = approved(&[ssl()]).await;
    let html = scene.receipt(&path).await;
    shows(&html, &["Approved, not carried out yet", "verdict neutral"]);
}

#[tokio::test]
async fn what_was_carried_out_looks_so() {
    let (scene, path, token) = approved(&[ssl()]).await;
    assert_eq!(scene.resume("k1", &token).await.status, 200);
    let html = scene.receipt(&path).await;
    shows(
        &html,
        &[
            "Approved and carried out",
            "verdict good",
            "carried out</strong>",
        ],
    );
}

#[tokio::test]
async fn what_failed_says_so_and_why() {
    let (scene, path, token) = approved(&[ssl(), dns("a.example.com")]).await;
    scene.executor.answers(|_| failed());
    assert_eq!(scene.resume("k1", &token).await.status, 409);
    let html = scene.receipt(&path).await;
    shows(
        &html,
        &["verdict bad", "the record exists", "not tried</strong>"],
    );
    assert!(!html.contains("Approved and carried out"), "{html}");
}

#[tokio::test]
async fn what_failed_and_was_tried_again_with_success_says_so() {
    let (scene, path, token) = approved(&[ssl()]).await;
    scene.executor.answers(|_| failed());
    assert_eq!(scene.resume("k1", &token).await.status, 409);
    scene.executor.answers(|_| succeeded());
    assert_eq!(scene.resume("k2", &token).await.status, 200);
    let html = scene.receipt(&path).await;
    shows(&html, &["Approved and carried out", "verdict good"]);
}

#[tokio::test]
async fn what_was_carried_out_in_part_names_each_operation() {
    let (scene, path, token) = approved(&[ssl(), dns("a.example.com")]).await;
    scene
        .executor
        .answers(|index| if index == 0 { succeeded() } else { failed() });
    assert_eq!(scene.resume("k1", &token).await.status, 409);
    let html = scene.receipt(&path).await;
    shows(
        &html,
        &[
            "only in part",
            "verdict bad",
            "carried out</strong>",
            "failed</strong>",
        ],
    );
}

#[tokio::test]
async fn what_nobody_knows_says_so_until_a_person_settles_it() {
    let (scene, path, token) = approved(&[ssl()]).await;
    scene.executor.answers(|_| unknown());
    let ended = scene.resume("k1", &token).await;
    let html = scene.receipt(&path).await;
    shows(
        &html,
        &["outcome unknown", "verdict bad", "the connection broke"],
    );
    let settle = format!(
        "/v1/applies/{}/resolve",
        ended.body["apply_id"].as_str().unwrap()
    );
    let found = json!({"outcome": "executed", "reason": "it is there"});
    let bootstrap = scene.stage.bootstrap(|_| ());
    let settled = scene.stage.send("POST", &settle, &bootstrap, &found).await;
    assert_eq!(settled.status, 200, "{settled:?}");
    let html = scene.receipt(&path).await;
    shows(&html, &["Approved and carried out", "settled by a person"]);
}

#[tokio::test]
async fn what_a_person_found_not_to_be_carried_out_does_not_look_so() {
    let (scene, path, token) = approved(&[ssl()]).await;
    scene.executor.answers(|_| unknown());
    let ended = scene.resume("k1", &token).await;
    let settle = format!(
        "/v1/applies/{}/resolve",
        ended.body["apply_id"].as_str().unwrap()
    );
    let found = json!({"outcome": "not_executed", "reason": "it is not there"});
    let bootstrap = scene.stage.bootstrap(|_| ());
    let settled = scene.stage.send("POST", &settle, &bootstrap, &found).await;
    assert_eq!(settled.status, 200, "{settled:?}");
    let html = scene.receipt(&path).await;
    shows(
        &html,
        &["verdict bad", "not carried out, settled by a person"],
    );
}

#[tokio::test]
async fn what_was_simulated_changed_nothing_outside_and_says_so() {
    let (scene, path, token) = approved(&[ssl()]).await;
    scene.executor.simulates();
    assert_eq!(scene.resume("k1", &token).await.status, 200);
    let html = scene.receipt(&path).await;
    shows(
        &html,
        &[
            "Approved and simulated",
            "verdict neutral",
            "simulated</strong>",
        ],
    );
}

#[tokio::test]
async fn what_runs_and_what_was_stopped_say_so() {
    let (scene, path, token) = approved(&[ssl()]).await;
    scene.executor.hold();
    scene.begun(&token).await;
    let html = scene.receipt(&path).await;
    shows(&html, &["being carried out", "verdict neutral"]);
    assert_eq!(scene.post("/close", &Value::Null).await.status, 200);
    let html = scene.receipt(&path).await;
    shows(
        &html,
        &[
            "Approved, but stopped",
            "verdict neutral",
            "not tried</strong>",
        ],
    );
}

#[tokio::test]
async fn what_was_stopped_after_its_first_operation_does_not_say_that_one_failed() {
    let (scene, path, token) = approved(&[ssl(), dns("a.example.com")]).await;
    scene.executor.holds_after_one();
    scene.begun(&token).await;
    let mut size = scene.stage.state.app.ledger.size();
    let one_ended = |event: &Event| matches!(event, Event::OperationEnded(_));
    while scene.events(one_ended).await == 0 {
        size.changed().await.unwrap();
    }
    assert_eq!(scene.post("/close", &Value::Null).await.status, 200);
    scene.executor.release();
    let all_ended = |event: &Event| matches!(event, Event::ApplyEnded(_));
    while scene.events(all_ended).await == 0 {
        size.changed().await.unwrap();
    }
    let html = scene.receipt(&path).await;
    shows(
        &html,
        &[
            "only in part",
            "carried out</strong>",
            "not tried</strong>",
            "<dt>Ended</dt>",
        ],
    );
    assert!(!html.contains("one failed"), "{html}");
    assert!(!html.contains("<dt>Failed</dt>"), "{html}");
}

#[tokio::test]
async fn an_approval_that_nobody_used_says_who_approved_it_and_that_nothing_was_sent() {
    let (lapsed, at_lapsed, _) = approved(&[ssl()]).await;
    lapsed.stage.clock.advance(Duration::from_secs(3600));
    let (closed, at_closed, _) = approved(&[ssl()]).await;
    assert_eq!(closed.post("/close", &Value::Null).await.status, 200);
    for (scene, path, title) in [
        (&lapsed, &at_lapsed, "Approved, but not used in time"),
        (&closed, &at_closed, "This request was cancelled"),
    ] {
        let html = scene.receipt(path).await;
        shows(&html, &[title, "<dt>Approved by</dt>", "Nothing was sent"]);
        for wrong in ["<dt>By</dt>", "Nothing was changed", "can go on until"] {
            assert!(!html.contains(wrong), "{wrong}: {html}");
        }
        let bootstrap = scene.stage.bootstrap(|_| ());
        let told = scene
            .stage
            .send("GET", path, &bootstrap, &Value::Null)
            .await;
        let detail = told.body["detail"].as_str().unwrap();
        assert!(detail.contains(", approved by default"), "{detail}");
    }
}

/// Upstream was asked before: that nothing was sent would not be true.
#[tokio::test]
async fn an_approval_that_failed_and_lapsed_does_not_say_that_nothing_was_sent() {
    let (scene, path, token) = approved(&[ssl()]).await;
    scene.executor.answers(|_| failed());
    assert_eq!(scene.resume("k1", &token).await.status, 409);
    assert_eq!(scene.post("/close", &Value::Null).await.status, 200);
    let html = scene.receipt(&path).await;
    shows(
        &html,
        &["This request was cancelled", "Nothing was changed"],
    );
    assert!(!html.contains("Nothing was sent"), "{html}");
}

/// Several applies may wait for one approval: the receipt is about the one that used it.
#[tokio::test]
async fn the_receipt_is_about_the_apply_that_used_the_approval() {
    let scene = Scene::new().await;
    let first = scene.apply("k1", &[ssl()]).await;
    let second = scene.apply("k2", &[ssl()]).await;
    let url = first.body["approval_url"].as_str().unwrap();
    let path = url.strip_prefix("http://localhost:8080").unwrap();
    scene.decide(Decision::Approve, None).await;
    scene.executor.answers(|_| unknown());
    let token = &second.body["resume_token"];
    assert_eq!(scene.resume("k2", token).await.status, 409);
    shows(&scene.receipt(path).await, &["outcome unknown"]);
}

#[tokio::test]
async fn a_record_that_was_read_is_named_in_question_and_receipt() {
    let delete = json!({
        "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "z1",
        "params": {"action": "delete", "record_id": "2c0fc9fa937b11eaa1b71c4d701ab86e"},
    });
    let scene = Scene::new().await;
    let waiting = scene.apply("k1", &[delete]).await;
    let url = waiting.body["approval_url"].as_str().unwrap();
    let path = url.strip_prefix("http://localhost:8080").unwrap();
    let record = json!({"record": {
        "type": "A", "name": "www.example.com", "content": "192.0.2.1",
    }});
    let read = RecordPreState {
        approval_id: scene.approval().await.id,
        operations: vec![PreState::Found(record.to_string())],
        zones: Vec::new(),
    };
    let ledger = &scene.stage.state.app.ledger;
    ledger.execute(Origin::system("test"), read).await.unwrap();
    let named = "Delete www.example.com A → 192.0.2.1";
    shows(&scene.receipt(path).await, &[named, "class=\"actions\""]);
    scene.decide(Decision::Approve, None).await;
    shows(&scene.receipt(path).await, &[named, "not carried out yet"]);
}
