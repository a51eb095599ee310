//! What a caller who means harm learns and gets; SECURITY.md names these.

use super::*;
use crate::testing::CLIENT;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, Method};
use ledger::TaskId;
use tower::ServiceExt;

/// Status and problem of an answer, without what names the request.
fn told(answer: &Answer) -> (u16, Value) {
    let mut body = answer.body.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (answer.status, body)
}

#[tokio::test]
async fn a_path_of_another_task_answers_as_one_of_a_task_that_is_not_there() {
    let scene = Scene::granted().await;
    let (other, token) = scene.stage.task(AGENT).await;
    let applied = scene.apply("k", &[dns("a.example.com")]).await;
    let apply = applied.body["apply_id"].as_str().unwrap();
    let missing = TaskId::from_bytes([7; 16]).to_string();
    for (method, rest) in [
        ("GET", String::new()),
        ("GET", "/applies".to_owned()),
        ("GET", format!("/applies/{apply}")),
        ("GET", "/approval-status".to_owned()),
        ("GET", "/approve/discord-message".to_owned()),
        ("GET", "/deliveries".to_owned()),
        ("POST", "/plan".to_owned()),
        ("POST", "/apply".to_owned()),
        ("POST", "/apply/continue".to_owned()),
        ("POST", "/approve".to_owned()),
        ("POST", "/token".to_owned()),
        ("POST", "/close".to_owned()),
        ("POST", "/dns/create".to_owned()),
        ("POST", "/cache/purge".to_owned()),
        ("POST", "/workers/deploy".to_owned()),
    ] {
        let ask = async |task: &str| {
            let path = format!("/v1/tasks/{task}{rest}");
            let answer = scene.stage.send(method, &path, &token, &json!({})).await;
            told(&answer)
        };
        let theirs = ask(&scene.task.task.id.to_string()).await;
        assert_eq!(theirs.0, 403, "{method} {rest}: {theirs:?}");
        assert_eq!(theirs, ask(&missing).await, "{method} {rest}");
    }
    // Nor does one's own path tell of an apply that is another's.
    let own = async |apply: &str| {
        let path = format!("/v1/tasks/{}/applies/{apply}", other.task.id);
        told(&scene.stage.send("GET", &path, &token, &Value::Null).await)
    };
    assert_eq!(own(apply).await, own(&missing).await);
}

/// The answer's head.
async fn head(scene: &Scene, request: http::request::Builder, body: Body) -> (u16, HeaderMap) {
    let router = scene.stage.router.clone();
    let answer: Response = router.oneshot(request.body(body).unwrap()).await.unwrap();
    (answer.status().as_u16(), answer.headers().clone())
}

#[tokio::test]
async fn a_browser_carries_nothing_that_another_site_could_use() {
    let scene = Scene::new().await;
    let waiting = scene.apply("k", &[ssl()]).await;
    let page = waiting.body["approval_url"].as_str().unwrap();
    let page = format!("/v1/approve/{}", page.rsplit('/').next().unwrap());
    for (method, path) in [
        (Method::GET, page.clone()),
        (Method::GET, format!("{page}/state")),
        (Method::POST, format!("{page}/options")),
        (Method::POST, format!("{page}/verify")),
        (Method::OPTIONS, format!("{page}/verify")),
        (Method::GET, "/v1/approve/forged".to_owned()),
        (Method::GET, "/v1/enrol/forged".to_owned()),
        (Method::GET, "/docs/".to_owned()),
        (Method::GET, "/v1/operations".to_owned()),
        (Method::GET, scene.path("")),
        (Method::OPTIONS, scene.path("/apply")),
    ] {
        let request = http::Request::builder()
            .method(&method)
            .uri(&path)
            .header("origin", "https://attacker.example")
            .header("access-control-request-method", "POST")
            .header("cookie", "session=stolen");
        let (status, headers) = head(&scene, request, Body::empty()).await;
        assert!(status < 500, "{method} {path}: {status}");
        // No cookie is ever set, so there is none to ride on; and no other site may read an answer.
        for name in headers.keys() {
            let name = name.as_str();
            assert!(
                name != "set-cookie" && !name.starts_with("access-control-"),
                "{method} {path}: {name}"
            );
        }
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        if method == Method::OPTIONS {
            assert_eq!(status, 204, "{path}");
        }
    }
}

#[tokio::test]
async fn no_header_of_a_request_ends_up_in_a_link() {
    let scene = Scene::new().await;
    let base = scene.stage.state.config.base_url.to_string();
    let headers = [
        ("idempotency-key", "k"),
        ("host", "attacker.example"),
        ("x-forwarded-host", "attacker.example"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "host=attacker.example;proto=http"),
        ("x-original-url", "/attacker"),
    ];
    let body = json!({"operations": [ssl()]});
    let waiting = scene
        .stage
        .send_with("POST", &scene.path("/apply"), &scene.token, &headers, &body)
        .await;
    assert_eq!(waiting.status, 202, "{waiting:?}");
    for link in ["approval_url", "approval_status_url"] {
        let link = waiting.body[link].as_str().unwrap();
        assert!(link.starts_with(&base), "{link}");
    }
    assert!(!waiting.body.to_string().contains("attacker"));
}

#[tokio::test]
async fn a_body_is_not_unpacked() {
    let scene = Scene::new().await;
    // The beginning of a gzip stream (RFC 1952).
    let packed = Body::from(vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0xae, 5, 0]);
    let request = scene
        .stage
        .signed("POST", &scene.path("/plan"), CLIENT)
        .header("authorization", format!("Bearer {}", scene.token))
        .header("content-encoding", "gzip");
    let (status, _) = head(&scene, request, packed).await;
    assert_eq!(status, 415);
}

#[tokio::test]
async fn a_task_is_of_the_agent_and_client_that_the_token_names_and_of_no_other() {
    let stage = Stage::new().await;
    let bootstrap = stage.bootstrap(|claims| claims["sub"] = json!("agent:mallory"));
    let task = json!({
        "task_name": "t",
        "operations": [{"operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": "z1"}],
    });
    for field in [
        "agent",
        "agent_id",
        "subject",
        "bindings",
        "perms_rev",
        "task_id",
    ] {
        let mut task = task.clone();
        task[field] = json!("victim");
        let refused = stage.send("POST", "/v1/tasks", &bootstrap, &task).await;
        assert_eq!((refused.status, refused.code()), (400, "bad_request"));
        assert!(refused.body["detail"].as_str().unwrap().contains(field));
    }
    let made = stage.send("POST", "/v1/tasks", &bootstrap, &task).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id: TaskId = made.body["task_id"].as_str().unwrap().parse().unwrap();
    let ledger = &stage.state.app.ledger;
    let task = ledger
        .load::<ledger::aggregate::Task>(id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&*task.agent, &*task.subject), ("mallory", CLIENT));
}
