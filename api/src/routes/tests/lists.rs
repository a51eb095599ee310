//! Lists say what single reads say, page by page, with the size that they are as of.

use super::{AGENT, Answer, Scene, dns, ssl};
use crate::testing::SERVICE_TOKEN;
use ledger::Decision;
use serde_json::{Value, json};

async fn list(scene: &Scene, path: &str) -> Answer {
    let path = format!("/v1/{path}");
    let answer = scene.stage.send("GET", &path, SERVICE_TOKEN, &Value::Null);
    answer.await
}

async fn listed(scene: &Scene, path: &str) -> Vec<Value> {
    let answer = list(scene, path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    let head = *scene.stage.state.app.ledger.size().borrow();
    assert_eq!(answer.body["as_of"], head, "{path}");
    assert_eq!(answer.body["next"], Value::Null, "{path}");
    let name = path.split('?').next().unwrap();
    answer.body[name].as_array().unwrap().clone()
}

/// The row without what only lists say.
fn without(row: &Value, fields: &[&str]) -> Value {
    let mut row = row.clone();
    for field in fields {
        row.as_object_mut().unwrap().remove(*field);
    }
    row
}

#[tokio::test]
async fn a_row_is_what_a_read_of_one_answers_with_its_agent() {
    let scene = Scene::granted().await;
    scene.apply("k1", &[dns("a.example.com")]).await;
    let waiting = scene.apply("k2", &[ssl()]).await;
    let tasks = listed(
        &scene,
        &format!("tasks?agent={AGENT}&state=requires_approval"),
    )
    .await;
    assert_eq!(tasks[0]["agent"], AGENT);
    let of_list = ["agent", "act", "risk"];
    assert_eq!(without(&tasks[0], &of_list), scene.get("").await.body);
    let told = |row: &Value| (row["act"].clone(), row["risk"].clone());
    let strict = (json!("Set the TLS mode to strict"), json!("sensitive"));
    assert_eq!(told(&tasks[0]), strict);
    assert_eq!(tasks.len(), 1);

    let pending = format!("approvals?state=pending&approver=default&agent={AGENT}");
    let approvals = listed(&scene, &pending).await;
    let url = waiting.body["approval_url"].as_str().unwrap();
    assert_eq!(approvals.len(), 1);
    let of_list = ["agent", "approval_url", "kind", "act", "risk"];
    let one = scene.get("/approval-status").await.body;
    assert_eq!(without(&approvals[0], &of_list), one);
    assert_eq!(approvals[0]["kind"], "apply");
    assert_eq!(told(&approvals[0]), strict);
    assert_eq!(approvals[0]["approval_url"], url);

    scene.decide(Decision::Deny, Some("no")).await;
    assert_eq!(listed(&scene, &pending).await, Vec::<Value>::new());
    let denied = listed(&scene, "approvals?approver=default").await;
    let one = scene.get("/approval-status").await.body;
    let of_list = ["agent", "kind", "act", "risk"];
    assert_eq!(without(&denied[0], &of_list), one, "and no link");
    assert_eq!(denied[0]["denied_reason"], "no");

    let approvers = listed(&scene, "approvers").await;
    let path = "/v1/approvers/default/credentials";
    let one = scene
        .stage
        .send("GET", path, SERVICE_TOKEN, &Value::Null)
        .await;
    assert_eq!(approvers[0]["principal"], "default");
    assert_eq!(approvers[0]["user_id"], Value::Null);
    assert_eq!(approvers[0]["credentials"], one.body["credentials"]);
}

#[tokio::test]
async fn a_question_past_its_deadline_has_no_link_and_is_not_listed_as_pending() {
    let scene = Scene::new().await;
    scene.apply("k1", &[ssl()]).await;
    scene
        .stage
        .clock
        .advance(std::time::Duration::from_secs(600));
    let all = listed(&scene, "approvals").await;
    assert_eq!(all[0]["state"], "expired");
    assert_eq!(all[0].get("approval_url"), None);
    assert_eq!(listed(&scene, "approvals?state=pending").await.len(), 0);
}

#[tokio::test]
async fn pages_follow_each_other_and_end_with_null() {
    let scene = Scene::new().await;
    for _ in 0..3 {
        scene.stage.task("other").await;
    }
    let mut seen = Vec::new();
    let mut path = "tasks?limit=2".to_owned();
    loop {
        let page = list(&scene, &path).await;
        let rows = page.body["tasks"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["task_id"].clone()));
        let Some(next) = page.body["next"].as_str() else {
            break;
        };
        path = format!("tasks?limit=2&after={next}");
    }
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[3], json!(scene.task.task.id.to_string()), "the oldest");
    let all = listed(&scene, "tasks").await;
    let all: Vec<_> = all.iter().map(|row| row["task_id"].clone()).collect();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn the_timeline_is_read_by_topic() {
    let scene = Scene::new().await;
    scene.apply("k1", &[ssl()]).await;
    let task = scene.task.task.id;
    for topic in [format!("task:{task}"), format!("agent:{AGENT}")] {
        let rows = listed(&scene, &format!("timeline?topic={topic}")).await;
        assert_eq!(rows[0]["task_id"], task.to_string());
        let has = |name: &str| rows.iter().any(|row| row["event"] == name);
        assert!(has("task.created") && has("approval.requested"), "{topic}");
        let positions: Vec<_> = rows.iter().map(|row| row["position"].as_u64()).collect();
        assert!(positions.is_sorted_by(|newer, older| newer > older));
    }
    let asked = listed(&scene, "timeline?topic=approver:default").await;
    assert_eq!(asked[0]["event"], "approval.requested");
    let agent = listed(&scene, "timeline?topic=agent:nobody").await;
    assert_eq!(agent, Vec::<Value>::new());
    let all = listed(&scene, "timeline").await;
    assert_eq!(all[all.len() - 1]["event"], "ledger.created");
}

#[tokio::test]
async fn an_unknown_filter_or_value_is_refused() {
    let scene = Scene::new().await;
    for path in [
        "tasks?status=open",
        "tasks?state=spicy",
        "tasks?state=",
        "tasks?agent=",
        "tasks?limit=0",
        "tasks?limit=201",
        "tasks?limit=x",
        "tasks?after=x",
        "tasks?after=-1",
        "approvals?state=open",
        "approvals?principal=default",
        "approvals?approver=",
        "approvers?principal=default",
        "timeline?topic=task",
        "timeline?topic=task:x",
        "timeline?topic=zone:z1",
        "timeline?topic=user:alice",
        "timeline?from=1",
    ] {
        let refused = list(&scene, path).await;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "bad_request"),
            "{path}"
        );
    }
    let refused = list(&scene, "approvals?state=open").await;
    let told =
        "query: state: expected one of pending, approved, denied, expired, cancelled, consumed";
    assert_eq!(refused.body["detail"], told);
}
