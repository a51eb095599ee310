//! A change of the policy that people decide about, from the request to the version that is in force by it.

use super::votes::{call, member};
use super::{Asked, Person};
use crate::testing::{Answer, SERVICE_TOKEN, Stage};
use axum::body::Body;
use http::Request;
use ledger::{ApprovalId, Role, TaskId};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// Its text would break out of a page that shows it as it is.
const DENYING: &str =
    "# nothing runs <img src=x onerror=alert(1)>\nengine = \"lpp-cel/1\"\ndefault = \"deny\"\n";

async fn change(stage: &Stage, (method, path): (&str, &str), follows: u64, body: &str) -> Answer {
    let kind = match method {
        "PUT" => "application/toml",
        _ => "application/json",
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {SERVICE_TOKEN}"))
        .header("content-type", kind)
        .header("if-match", format!("\"{follows}\""))
        .body(Body::from(body.to_owned()))
        .unwrap();
    Answer::of(stage.router.clone().oneshot(request).await.unwrap()).await
}

async fn put(stage: &Stage, follows: u64, body: &str) -> Answer {
    change(stage, ("PUT", "/v1/policy"), follows, body).await
}

/// A policy by which the given group approves a change.
async fn changes_need(stage: &Stage, members: &[&str], n: usize) {
    let group = json!({"name": "security", "members": members});
    let made = call(stage, "POST", "/v1/groups", &group).await;
    assert_eq!(made.status, 201, "{made:?}");
    let policy = format!(
        "engine = \"lpp-cel/1\"\npolicy_change = {{ needs = [{{ group = \"security\", n = {n} }}] }}\n"
    );
    let saved = put(stage, 0, &policy).await;
    assert_eq!(saved.status, 200, "{saved:?}");
}

/// The question that an answer with 202 leads to.
fn asked_by(answer: &Answer) -> Asked {
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.body["status"], "requires_approval");
    let approval_id: ApprovalId = answer.body["approval_id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let url = answer.body["approval_url"].as_str().unwrap();
    let at = url.find("/a/").unwrap();
    Asked {
        approval_id,
        task_id: TaskId::from_bytes([0; 16]),
        path: url[at..].to_owned(),
    }
}

async fn version(stage: &Stage) -> Value {
    let read = call(stage, "GET", "/v1/policy", &Value::Null).await;
    read.body["version"].clone()
}

async fn security(stage: &Stage) -> (Person, Person) {
    let (ann_id, ann) = member(stage, "ann").await;
    let (bob_id, bob) = member(stage, "bob").await;
    changes_need(stage, &[&ann_id.to_string(), &bob_id.to_string()], 2).await;
    (ann, bob)
}

#[tokio::test]
async fn a_change_is_shown_in_full_voted_on_and_then_in_force() {
    let stage = Stage::new().await;
    let (mut ann, mut bob) = security(&stage).await;
    let asked = asked_by(&put(&stage, 1, DENYING).await);
    assert_eq!(version(&stage).await, 1);
    let (page, html) = stage.look(&asked.path).await;
    assert_eq!(page.status, 200);
    for part in [
        "Change the policy to version 2",
        "~ default: &quot;catalog&quot; -&gt; &quot;deny&quot;",
        "# nothing runs",
        "0 of 2 so far",
        "holder of the service token",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("<img"), "{html}");
    let path = format!("/v1/approvals/{}", asked.approval_id);
    let read = call(&stage, "GET", &path, &Value::Null).await;
    assert_eq!(read.status, 200, "{read:?}");
    assert_eq!(read.body["kind"], "policy_change");
    assert_eq!(read.body["task_id"], Value::Null);
    assert_eq!(read.body["subject"]["source"], DENYING);
    assert_eq!(read.body["subject"]["follows"], 1);
    let changes = read.body["subject"]["changes"].as_array().unwrap();
    let places: Vec<_> = changes.iter().map(|one| &one["place"]).collect();
    assert!(places.contains(&&json!("default")), "{places:?}");

    let options = format!("{}/options", asked.path);
    let options = stage.post(&options, &json!({"decision": "approve"})).await;
    let statement = options.body["statement"].as_str().unwrap();
    assert!(
        statement.contains("\"kind\":\"policy_change\""),
        "{statement}"
    );
    assert!(statement.contains("\"task_id\":null"), "{statement}");
    let voted = ann.decide(&stage, &asked, &json!({})).await;
    assert_eq!(voted.body["status"], "voted", "{voted:?}");
    assert_eq!(version(&stage).await, 1);
    let decided = bob.decide(&stage, &asked, &json!({})).await;
    assert_eq!(decided.body["status"], "approved", "{decided:?}");
    assert_eq!(decided.body["task_id"], Value::Null);
    assert_eq!(version(&stage).await, 2);
    let (gone, html) = stage.look(&asked.path).await;
    assert_eq!(gone.status, 410);
    assert!(html.contains("Approved, and in effect"), "{html}");
    assert_eq!(
        stage.standing(&asked).await,
        json!(["approved", false, "in_effect"])
    );
}

#[tokio::test]
async fn a_rollback_asks_too_and_one_that_gets_in_withdraws_the_other() {
    let stage = Stage::new().await;
    let (mut ann, mut bob) = security(&stage).await;
    let path = ("POST", "/v1/policy/rollback");
    let back = asked_by(&change(&stage, path, 1, "{\"version\": 0}").await);
    let other = asked_by(&put(&stage, 1, DENYING).await);
    let late = put(&stage, 0, DENYING).await;
    assert_eq!((late.status, late.code()), (412, "version_mismatch"));
    ann.decide(&stage, &back, &json!({})).await;
    bob.decide(&stage, &back, &json!({})).await;
    assert_eq!(version(&stage).await, 2);
    let (gone, html) = stage.look(&other.path).await;
    assert_eq!(gone.status, 410);
    assert!(html.contains("The policy has changed since"), "{html}");
    // Without a document nobody decides about the next one.
    assert_eq!(put(&stage, 2, DENYING).await.status, 200);
}

#[tokio::test]
async fn what_is_asked_besides_applies_stands_in_the_lists() {
    let stage = Stage::new().await;
    let (mut ann, _) = security(&stage).await;
    let asked = asked_by(&put(&stage, 1, DENYING).await);
    let listed = call(&stage, "GET", "/v1/approvals?state=pending", &Value::Null).await;
    let row = &listed.body["approvals"][0];
    assert_eq!(
        (&row["kind"], &row["agent"], &row["task_id"]),
        (&json!("policy_change"), &Value::Null, &Value::Null)
    );
    let session = stage.session_of(Role::Viewer).await;
    let inbox = Request::builder()
        .uri("/inbox")
        .header("host", "localhost:8080")
        .header("accept", "text/html,*/*")
        .header("cookie", format!("__Host-lpp={}", session.cookie))
        .body(Body::empty())
        .unwrap();
    let inbox = stage.router.clone().oneshot(inbox).await.unwrap();
    let inbox = axum::body::to_bytes(inbox.into_body(), usize::MAX).await;
    let inbox = String::from_utf8(inbox.unwrap().to_vec()).unwrap();
    assert!(inbox.contains("Change the policy to version 2"), "{inbox}");

    let denied = ann
        .decide(&stage, &asked, &json!({"decision": "deny"}))
        .await;
    assert_eq!(denied.body["status"], "denied", "{denied:?}");
    let history = call(&stage, "GET", "/v1/history", &Value::Null).await;
    let row = &history.body["history"][0];
    assert_eq!(
        (&row["kind"], &row["action"], &row["agent"]),
        (&json!("policy_change"), &json!("DENIED"), &Value::Null)
    );
    assert_eq!(version(&stage).await, 1);
}

#[tokio::test]
async fn a_decision_about_a_change_is_not_kept_and_has_no_files() {
    let stage = Stage::new().await;
    security(&stage).await;
    let asked = asked_by(&put(&stage, 1, DENYING).await);
    let kept = json!({"decision": "approve", "retention": {"mode": "cache", "duration": "1h"}});
    let refused = stage.post(&format!("{}/options", asked.path), &kept).await;
    assert_eq!(
        (refused.status, refused.code()),
        (400, "retention_not_allowed")
    );
    let file = format!("{}/files/request.json", asked.path);
    let (none, _) = stage.ask("GET", &file, "*/*", &Value::Null).await;
    assert_eq!(none.status, 404);
}
