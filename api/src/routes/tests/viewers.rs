//! Viewer tokens: they read one task, for as long as whoever made them may.

use crate::testing::{AGENT, Answer, CLIENT, OpenedSession, SERVICE_TOKEN, Stage};
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fixtures::people;
use http::Request;
use ledger::command::CloseTask;
use ledger::{Origin, Role, TaskId};
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

async fn ask(stage: &Stage, method: &str, path: &str, token: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", format!("Bearer {token}"));
    let request = request.body(Body::empty()).unwrap();
    Answer::of(stage.router.clone().oneshot(request).await.unwrap()).await
}

async fn mint(stage: &Stage, task: TaskId, minter: &str) -> Answer {
    let path = format!("/v1/tasks/{task}/viewer-token");
    ask(stage, "POST", &path, minter).await
}

pub(super) async fn minted(stage: &Stage, task: TaskId, minter: &str) -> String {
    let made = mint(stage, task, minter).await;
    assert_eq!(made.status, 201, "{made:?}");
    made.body["token"].as_str().unwrap().to_owned()
}

pub(super) async fn close(stage: &Stage, task_id: TaskId) {
    let close = CloseTask {
        task_id,
        token: None,
        reason: None,
    };
    let ledger = &stage.state.app.ledger;
    ledger.execute(Origin::system("test"), close).await.unwrap();
}

/// Status and code of a read of the task.
async fn read(stage: &Stage, task: TaskId, token: &str) -> (u16, String) {
    let answer = ask(stage, "GET", &format!("/v1/tasks/{task}"), token).await;
    (answer.status, answer.code().to_owned())
}

fn refused(code: &str) -> (u16, String) {
    (401, code.to_owned())
}

async fn operator(stage: &Stage) -> OpenedSession {
    stage.session_of(Role::Operator).await
}

#[tokio::test]
async fn it_says_what_it_is_for_and_leads_to_a_page_by_its_fragment() {
    let stage = Stage::new().await;
    let (issued, _) = stage.task(AGENT).await;
    let made = mint(&stage, issued.task.id, SERVICE_TOKEN).await;
    let token = made.body["token"].as_str().unwrap();
    let url = format!("http://localhost:8080/watch#{token}");
    assert_eq!(made.body["watch_url"], url);
    let expires = made.body["expires_at"].as_str().unwrap();
    assert_eq!(expires, "2027-01-15T08:05:00Z");
    let claims = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let task = issued.task.id.to_string();
    let ledger = stage.state.app.ledger.id().to_string();
    let expected = json!({
        "iss": "llm-permission-proxy", "aud": "llm-proxy-viewer", "purpose": "viewer",
        "task_id": task, "ledger_id": ledger, "exp": 1_800_000_300,
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn it_reads_its_task_and_nothing_else() {
    let stage = Stage::new().await;
    let (issued, capability) = stage.task(AGENT).await;
    let (other, _) = stage.task(AGENT).await;
    let (task, other) = (issued.task.id, other.task.id);
    let ssl = json!({"operations": [{
        "operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": "z1",
        "params": {"value": "strict"},
    }]});
    let key = [("idempotency-key", "k1")];
    let path = format!("/v1/tasks/{task}/apply");
    let waiting = stage
        .send_with("POST", &path, &capability, &key, &ssl)
        .await;
    let apply = waiting.body["apply_id"].as_str().unwrap();
    let token = minted(&stage, task, SERVICE_TOKEN).await;
    for path in [
        format!("/v1/tasks/{task}"),
        format!("/v1/tasks/{task}/applies"),
        format!("/v1/tasks/{task}/applies/{apply}"),
        format!("/v1/tasks/{task}/approval-status"),
        format!("/v1/timeline?topic=task:{task}"),
        "/v1/timeline".to_owned(),
    ] {
        let answer = ask(&stage, "GET", &path, &token).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let text = answer.body.to_string();
        let has_link = ["/v1/approve/", "/a/"].map(|link| text.contains(link));
        assert_eq!(has_link, [false; 2], "{path}: a link");
        assert!(!text.contains(&other.to_string()), "{path}: another task");
    }
    let me = ask(&stage, "GET", "/v1/me", &token).await;
    assert_eq!(me.body["kind"], "viewer");
    for path in [
        format!("/v1/tasks/{other}"),
        format!("/v1/tasks/{other}/applies"),
        format!("/v1/timeline?topic=task:{other}"),
        format!("/v1/timeline?topic=agent:{AGENT}"),
    ] {
        let answer = ask(&stage, "GET", &path, &token).await;
        assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{path}");
    }
    for (method, path) in [
        ("GET", "/v1/tasks".to_owned()),
        ("GET", "/v1/approvals".to_owned()),
        ("GET", format!("/v1/tasks/{task}/approve/discord-message")),
        ("GET", format!("/v1/tasks/{task}/deliveries")),
        ("POST", format!("/v1/tasks/{task}/approve")),
        ("POST", format!("/v1/tasks/{task}/close")),
        ("POST", format!("/v1/tasks/{task}/viewer-token")),
    ] {
        let answer = ask(&stage, method, &path, &token).await;
        let refused = (answer.status, answer.code());
        assert_eq!(refused, (403, "wrong_identity"), "{method} {path}");
    }
}

#[tokio::test]
async fn viewers_make_none_and_a_closed_task_has_none() {
    let stage = Stage::new().await;
    let (issued, _) = stage.task(AGENT).await;
    let task = issued.task.id;
    let viewer = stage.session_of(Role::Viewer).await;
    let refused = mint(&stage, task, &viewer.bearer).await;
    assert_eq!((refused.status, refused.code()), (403, "role_required"));
    close(&stage, task).await;
    let refused = mint(&stage, task, SERVICE_TOKEN).await;
    assert_eq!((refused.status, refused.code()), (409, "task_closed"));
    let nothing = TaskId::from_bytes([9; 16]);
    let refused = mint(&stage, nothing, SERVICE_TOKEN).await;
    assert_eq!((refused.status, refused.code()), (404, "task_not_found"));
}

#[tokio::test]
async fn it_dies_with_its_time_its_task_and_the_session_of_whoever_made_it() {
    let stage = Stage::new().await;
    let (issued, _) = stage.task(AGENT).await;
    let task = issued.task.id;
    let ledger = &stage.state.app.ledger;
    let [leaving, demoted] = [operator(&stage).await, operator(&stage).await];
    let by_leaving = minted(&stage, task, &leaving.bearer).await;
    let by_demoted = minted(&stage, task, &demoted.bearer).await;
    let by_service = minted(&stage, task, SERVICE_TOKEN).await;
    for token in [&by_leaving, &by_demoted, &by_service] {
        assert_eq!(read(&stage, task, token).await.0, 200);
    }
    stage.log_out(&leaving).await;
    assert_eq!(
        read(&stage, task, &by_leaving).await,
        refused("token_revoked")
    );
    let mut demote = people::change_user(demoted.user);
    demote.role = Some(Role::Viewer);
    ledger
        .execute(Origin::system("test"), demote)
        .await
        .unwrap();
    assert_eq!(
        read(&stage, task, &by_demoted).await,
        refused("token_revoked")
    );
    assert_eq!(read(&stage, task, &by_service).await.0, 200);
    stage.clock.advance(Duration::from_secs(299));
    assert_eq!(read(&stage, task, &by_service).await.0, 200);
    let newer = minted(&stage, task, SERVICE_TOKEN).await;
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(
        read(&stage, task, &by_service).await,
        refused("token_expired")
    );
    assert_eq!(read(&stage, task, &newer).await.0, 200);
    close(&stage, task).await;
    assert_eq!(read(&stage, task, &newer).await, refused("token_revoked"));
}

#[tokio::test]
async fn a_request_that_waits_ends_when_its_identity_is_taken_away() {
    let stage = Stage::new().await;
    let (issued, capability) = stage.task(AGENT).await;
    let task = issued.task.id;
    let ssl = json!({"operations": [{
        "operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": "z1",
        "params": {"value": "strict"},
    }]});
    let key = [("idempotency-key", "k1")];
    let path = format!("/v1/tasks/{task}/apply");
    stage
        .send_with("POST", &path, &capability, &key, &ssl)
        .await;
    let minter = operator(&stage).await;
    let viewer = minted(&stage, task, &minter.bearer).await;
    let by_service = minted(&stage, task, SERVICE_TOKEN).await;
    let wait = async |token: &str| {
        let path = format!("/v1/tasks/{task}/approval-status");
        let request = stage.signed("GET", &path, CLIENT);
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.header("prefer", "wait=50").body(Body::empty());
        let waiting = stage.router.clone().oneshot(request.unwrap());
        let answer = Answer::of(waiting.await.unwrap()).await;
        (answer.status, answer.code().to_owned())
    };
    let begun = std::time::Instant::now();
    let log_out = async {
        // Both wait by now: each is polled before this goes on.
        tokio::task::yield_now().await;
        stage.log_out(&minter).await;
    };
    let (by_session, by_viewer, ()) = tokio::join!(wait(&minter.bearer), wait(&viewer), log_out);
    assert_eq!(by_session, refused("session_ended"));
    assert_eq!(by_viewer, refused("token_revoked"));
    // A task that is closed is not told of to who reads it by a token that ends with it.
    let another = minted(&stage, task, &operator(&stage).await.bearer).await;
    let closing = async {
        tokio::task::yield_now().await;
        close(&stage, task).await;
    };
    let (one, other, ()) = tokio::join!(wait(&by_service), wait(&another), closing);
    assert_eq!(
        (one, other),
        (refused("token_revoked"), refused("token_revoked"))
    );
    assert!(
        begun.elapsed() < Duration::from_secs(25),
        "they did not wait"
    );
}

#[tokio::test]
async fn the_page_that_watches_is_the_same_for_everybody_and_holds_no_secret() {
    let stage = Stage::new().await;
    let mut pages = Vec::new();
    for path in ["/watch", "/watch?anything=1"] {
        let request = Request::get(path).header("accept", "text/html");
        let request = request.body(Body::empty()).unwrap();
        let page = stage.router.clone().oneshot(request).await.unwrap();
        assert_eq!(page.status(), 200);
        assert_eq!(page.headers()["cache-control"], "no-store");
        assert_eq!(page.headers()["referrer-policy"], "no-referrer");
        let page = axum::body::to_bytes(page.into_body(), usize::MAX).await;
        pages.push(String::from_utf8(page.unwrap().to_vec()).unwrap());
    }
    assert_eq!(pages[0], pages[1]);
    let script = pages[0].split("src=\"").nth(1).unwrap();
    let script = script.split('"').next().unwrap();
    assert!(
        script.starts_with("assets/") && script.ends_with("/watch.js"),
        "{script}"
    );
    let request = Request::get(format!("/{script}")).body(Body::empty());
    let script = stage.router.clone().oneshot(request.unwrap()).await;
    assert_eq!(script.unwrap().status(), 200);
}
