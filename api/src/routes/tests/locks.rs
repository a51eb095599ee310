//! Locks, as those meet them who set, lift and are stopped by them.

use super::agent_keys::Keyed;
use super::{dns, ssl};
use crate::testing::{AGENT, Answer};
use serde_json::{Value, json};
use std::time::Duration;

fn refusal(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.code())
}

async fn lock(keyed: &Keyed, target: Value) -> Answer {
    let body = json!({"target": target, "reason": "key leaked"});
    keyed.ask("POST", "/v1/locks", &body).await
}

async fn locks(keyed: &Keyed) -> Vec<Value> {
    let listed = keyed.ask("GET", "/v1/locks", &Value::Null).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    listed.body["locks"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_locked_agent_is_refused_reads_nothing_and_its_key_counts_again_once_that_is_lifted() {
    let keyed = Keyed::new().await;
    let (_, key) = keyed.key().await;
    let task = keyed.opened(&key).await;
    let set = lock(&keyed, json!({"kind": "agent", "id": AGENT})).await;
    assert_eq!(set.status, 201, "{set:?}");
    assert_eq!(set.body["target"], json!({"kind": "agent", "id": AGENT}));
    assert_eq!(set.body["reason"], "key leaked");
    assert_eq!(set.body["lifted_at"], Value::Null);
    assert_eq!(set.body["in_flight"], json!([]));
    assert_eq!(locks(&keyed).await, std::slice::from_ref(&set.body));

    let locked = (403, "locked");
    let applied = keyed.apply(&key, &task, "k1", dns("a.example.com")).await;
    assert_eq!(refusal(&applied), locked);
    assert_eq!(refusal(&keyed.open(&key).await), locked);
    for path in [format!("/v1/tasks/{task}"), "/v1/me".to_owned()] {
        let read = keyed.with(&key, "GET", &path, &[], &Value::Null).await;
        assert_eq!(refusal(&read), locked, "{path}");
    }
    let path = format!("/v1/agents/{AGENT}/keys");
    assert_eq!(
        refusal(&keyed.ask("POST", &path, &Value::Null).await),
        locked
    );

    let path = format!("/v1/locks/{}", set.body["id"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(keyed.ask("DELETE", &path, &Value::Null).await.status, 204);
    }
    let listed = locks(&keyed).await;
    assert!(listed[0]["lifted_at"].is_string(), "{listed:?}");
    // What is of the lock's own moment counts as before it. The idempotency key that was refused is free.
    keyed.stage.clock.advance(Duration::from_secs(1));
    let applied = keyed.apply(&key, &task, "k1", dns("a.example.com")).await;
    assert_eq!(applied.status, 200, "{applied:?}");
}

#[tokio::test]
async fn the_link_of_a_question_that_is_locked_is_refused_before_anything_is_recorded_of_it() {
    let keyed = Keyed::new().await;
    let (_, key) = keyed.key().await;
    let task = keyed.opened(&key).await;
    let asked = keyed.apply(&key, &task, "k1", ssl()).await;
    let url = asked.body["approval_url"].as_str().unwrap();
    let path = url.strip_prefix("http://localhost:8080").unwrap();
    let open = async |accept| {
        let headers = [("accept", accept)];
        keyed.with("", "GET", path, &headers, &Value::Null).await
    };
    assert_eq!(open("text/html").await.status, 200);
    let set = lock(&keyed, json!({"kind": "task", "id": task})).await;
    assert_eq!(open("text/html").await.status, 409);
    assert_eq!(refusal(&open("application/json").await), (409, "locked"));
    let lock = format!("/v1/locks/{}", set.body["id"].as_str().unwrap());
    assert_eq!(keyed.ask("DELETE", &lock, &Value::Null).await.status, 204);
    let dead = open("application/json").await;
    assert_eq!(refusal(&dead), (410, "approval_cancelled"));
}

#[tokio::test]
async fn a_key_that_is_revoked_with_its_lock_proves_nothing_any_more() {
    let keyed = Keyed::new().await;
    let (id, key) = keyed.key().await;
    let set = lock(&keyed, json!({"kind": "agent", "id": AGENT})).await;
    let path = format!("/v1/locks/{}", set.body["id"].as_str().unwrap());
    let unknown = format!("{path}?revoke=tokens");
    assert_eq!(
        keyed.ask("DELETE", &unknown, &Value::Null).await.status,
        400
    );
    let path = format!("{path}?revoke=keys");
    let lifted = keyed.ask("DELETE", &path, &Value::Null).await;
    assert_eq!(lifted.status, 204);
    keyed.stage.clock.advance(Duration::from_secs(1));
    assert_eq!(keyed.open(&key).await.status, 401, "{id}");
}

#[tokio::test]
async fn the_service_token_stops_everything_and_does_not_let_it_go() {
    let keyed = Keyed::new().await;
    let (_, key) = keyed.key().await;
    let all = lock(&keyed, json!({"kind": "all"})).await;
    assert_eq!(all.status, 201, "{all:?}");
    assert_eq!(refusal(&keyed.open(&key).await), (403, "locked"));
    let path = format!("/v1/locks/{}", all.body["id"].as_str().unwrap());
    let lifted = keyed.ask("DELETE", &path, &Value::Null).await;
    assert_eq!(refusal(&lifted), (403, "person_required"));
    assert_eq!(refusal(&keyed.open(&key).await), (403, "locked"));
}

#[tokio::test]
async fn a_request_that_waits_ends_when_its_agent_is_locked() {
    let keyed = Keyed::new().await;
    let (_, key) = keyed.key().await;
    let task = keyed.opened(&key).await;
    let asked = keyed.apply(&key, &task, "k1", ssl()).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let path = format!("/v1/tasks/{task}/approval-status");
    let headers = [("prefer", "wait=50")];
    let waiting = keyed.with(&key, "GET", &path, &headers, &Value::Null);
    let locking = async {
        tokio::task::yield_now().await;
        lock(&keyed, json!({"kind": "task", "id": task})).await
    };
    let both = async { tokio::join!(waiting, locking) };
    let (waited, set) = tokio::time::timeout(Duration::from_secs(40), both)
        .await
        .expect("a lock ends what waits");
    assert_eq!(set.status, 201, "{set:?}");
    assert_eq!(refusal(&waited), (403, "locked"));
}

#[tokio::test]
async fn a_lock_that_names_nothing_or_says_nothing_is_refused() {
    let keyed = Keyed::new().await;
    let unknown = "00000000-0000-0000-0000-000000000000";
    for (target, refused) in [
        (json!({"kind": "zone", "id": "z1"}), (400, "bad_request")),
        (json!({"kind": "all", "id": "x"}), (400, "bad_request")),
        (json!({"kind": "agent"}), (400, "bad_request")),
        (
            json!({"kind": "operation", "id": "dns.record.burn"}),
            (400, "bad_request"),
        ),
        (
            json!({"kind": "agent", "id": "nobody"}),
            (404, "agent_not_found"),
        ),
        (
            json!({"kind": "task", "id": unknown}),
            (404, "task_not_found"),
        ),
        (
            json!({"kind": "key", "id": unknown}),
            (404, "key_not_found"),
        ),
        (
            json!({"kind": "user", "id": "zoe"}),
            (404, "user_not_found"),
        ),
        (
            json!({"kind": "owner", "id": unknown}),
            (404, "user_not_found"),
        ),
        (
            json!({"kind": "credential", "id": "AQID"}),
            (404, "credential_not_found"),
        ),
    ] {
        let answer = lock(&keyed, target.clone()).await;
        assert_eq!(refusal(&answer), refused, "{target}: {answer:?}");
    }
    for (member, value) in [
        ("reason", json!("")),
        ("duration", json!("1 hour")),
        ("duration", json!(0)),
        ("until", json!("2027-01-01T00:00:00Z")),
    ] {
        let mut body = json!({"target": {"kind": "all"}, "reason": "drill"});
        body[member] = value;
        let answer = keyed.ask("POST", "/v1/locks", &body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
    }
    assert_eq!(locks(&keyed).await, [] as [Value; 0]);
    let path = format!("/v1/locks/{unknown}");
    let lifted = keyed.ask("DELETE", &path, &Value::Null).await;
    assert_eq!(refusal(&lifted), (404, "lock_not_found"));
}
