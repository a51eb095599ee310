//! Questions that are answered and cancelled by their id, in a session.

use super::votes::{member, purge, two_are_needed};
use crate::testing::{Answer, OpenedSession, Stage};
use axum::body::Body;
use http::Request;
use ledger::Role;
use ledger::aggregate::ApprovalState;
use serde_json::{Value, json};
use tower::ServiceExt as _;

async fn send(stage: &Stage, session: &OpenedSession, path: &str, body: &Value) -> Answer {
    let request = Request::builder()
        .method("POST")
        .uri(path)
        .header("authorization", format!("Bearer {}", session.bearer))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    Answer::of(stage.router.clone().oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn a_user_decides_by_the_id_with_a_passkey_of_their_own_alone() {
    let stage = Stage::new().await;
    let mut approver = stage.enrol("default").await;
    let (user, mut ann) = member(&stage, "ann").await;
    two_are_needed(&stage, user).await;
    let asked = stage.question_about(vec![purge()]).await;
    let path = |last: &str| format!("/v1/approvals/{}/{last}", asked.approval_id);

    let other = stage.session_of(Role::Admin).await;
    let refused = send(&stage, &other, &path("options"), &json!({})).await;
    assert_eq!((refused.status, refused.code()), (403, "not_eligible"));

    let own = stage.log_in(user).await;
    let options = send(&stage, &own, &path("options"), &json!({})).await;
    assert_eq!(options.status, 200, "{options:?}");
    let allowed = options.body["allow_credentials"].as_array().unwrap();
    assert_eq!(allowed.len(), 1, "{allowed:?}");
    assert_eq!(allowed[0]["id"], ann.credential_id);

    // A passkey that may answer the question, and is another person's.
    let mut others = options.body.clone();
    others["allow_credentials"] = json!([{"id": approver.credential_id, "kind": "public-key"}]);
    let body = approver.answer(&others, &json!({}));
    let refused = send(&stage, &own, &path("verify"), &body).await;
    assert_eq!((refused.status, refused.code()), (403, "not_eligible"));

    let body = ann.answer(&options.body, &json!({}));
    let voted = send(&stage, &own, &path("verify"), &body).await;
    assert_eq!(
        (voted.status, &voted.body["status"]),
        (200, &json!("voted")),
        "{voted:?}"
    );
    let decided = approver.decide(&stage, &asked, &json!({})).await;
    assert_eq!(decided.body["status"], "approved", "{decided:?}");
    for last in ["options", "verify"] {
        let late = send(&stage, &own, &path(last), &body_for(last, &body)).await;
        assert_eq!((late.status, late.code()), (409, "already_decided"));
    }
}

fn body_for(last: &str, answer: &Value) -> Value {
    match last {
        "verify" => answer.clone(),
        _ => json!({}),
    }
}

#[tokio::test]
async fn an_operator_cancels_a_question_once_and_nobody_decides_it_any_more() {
    let stage = Stage::new().await;
    stage.enrol("default").await;
    let asked = stage.question_about(vec![purge()]).await;
    let path = format!("/v1/approvals/{}/cancel", asked.approval_id);
    let reason = json!({"reason": "the release was called off"});

    let viewer = stage.session_of(Role::Viewer).await;
    let refused = send(&stage, &viewer, &path, &reason).await;
    assert_eq!((refused.status, refused.code()), (403, "role_required"));
    let operator = stage.session_of(Role::Operator).await;
    let long = json!({"reason": "x".repeat(1001)});
    let refused = send(&stage, &operator, &path, &long).await;
    assert_eq!((refused.status, refused.code()), (400, "invalid_reason"));
    assert_eq!(stage.approval(&asked).await.state, ApprovalState::Pending);

    let size = || *stage.state.app.ledger.size().borrow();
    let cancelled = send(&stage, &operator, &path, &reason).await;
    assert_eq!(
        (cancelled.status, &cancelled.body["state"]),
        (200, &json!("cancelled")),
        "{cancelled:?}"
    );
    let before = size();
    let again = send(&stage, &operator, &path, &json!({})).await;
    assert_eq!((again.status, size()), (200, before), "{again:?}");

    let late = stage
        .post(&format!("{}/options", asked.path), &json!({}))
        .await;
    assert_eq!((late.status, late.code()), (410, "approval_cancelled"));
    let (page, html) = stage.look(&asked.path).await;
    assert_eq!(page.status, 410);
    assert!(html.contains("An operator cancelled it"), "{html}");
}

#[tokio::test]
async fn what_is_decided_is_not_cancelled_and_what_is_approved_and_unused_is() {
    let stage = Stage::new().await;
    let mut approver = stage.enrol("default").await;
    let operator = stage.session_of(Role::Operator).await;
    let denied = stage.question_about(vec![purge()]).await;
    let answer = approver
        .decide(&stage, &denied, &json!({"decision": "deny"}))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let path = format!("/v1/approvals/{}/cancel", denied.approval_id);
    let refused = send(&stage, &operator, &path, &json!({})).await;
    assert_eq!((refused.status, refused.code()), (409, "already_decided"));

    let approved = stage.question_about(vec![purge()]).await;
    let answer = approver.decide(&stage, &approved, &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let path = format!("/v1/approvals/{}/cancel", approved.approval_id);
    let cancelled = send(&stage, &operator, &path, &json!({})).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    let state = stage.approval(&approved).await.state;
    assert_eq!(state, ApprovalState::Cancelled);

    let unknown = format!("/v1/approvals/{}/cancel", denied.task_id);
    let refused = send(&stage, &operator, &unknown, &json!({})).await;
    assert_eq!(
        (refused.status, refused.code()),
        (404, "approval_not_found")
    );
}
