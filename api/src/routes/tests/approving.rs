//! Applies that wait for a human.

use super::{Scene, dns, ssl};
use crate::testing::AGENT;
use ledger::{Decision, Event};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn what_needs_a_human_waits_and_says_for_whom() {
    let scene = Scene::new().await;
    let answer = scene.apply("k1", &[ssl()]).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let body = &answer.body;
    assert_eq!(body["status"], "requires_approval");
    assert_eq!(body["apply_state"], "waiting_approval");
    assert_eq!(body["idempotency_key"], "k1");
    assert_eq!(
        answer.headers["retry-after"],
        body["retry_after_seconds"].to_string()
    );
    let url = body["approval_url"].as_str().unwrap();
    let link = url.strip_prefix("http://localhost:8080/a/").unwrap();
    assert_eq!(link.len(), 22, "{url}");
    let status_url = format!("http://localhost:8080{}", scene.path("/approval-status"));
    assert_eq!(body["approval_status_url"], status_url);
    assert_eq!(
        body["permission_check"]["missing"][0]["operation_id"],
        "ssl.mode.write"
    );
    let missing = &body["permission_check"]["missing"][0];
    assert_eq!(missing["needed"], "admin", "{missing}");
    assert_eq!(missing.get("granted"), Some(&Value::Null), "{missing}");

    scene.stage.clock.advance(Duration::from_secs(1));
    let again = scene.apply("k1", &[ssl()]).await;
    assert_eq!(again.body["approval_id"], body["approval_id"]);
    assert_ne!(
        again.body["resume_token"], body["resume_token"],
        "a fresh one"
    );

    let path = format!("/applies/{}", body["apply_id"].as_str().unwrap());
    let (detail, list) = (scene.get(&path).await, scene.get("/applies").await);
    for word in ["status", "apply_state"] {
        assert_eq!(detail.body[word], body[word]);
        assert_eq!(list.body["applies"][0][word], body[word]);
    }
    assert_eq!(detail.body["results"][0]["outcome"], "waiting");

    let status = scene.get("/approval-status").await;
    assert_eq!(
        (status.status, &status.body["state"]),
        (200, &json!("pending"))
    );
    assert_eq!(status.body["approval_id"], body["approval_id"]);
    assert!(status.body.get("approved_at").is_none());
    let message = scene.get("/approve/discord-message").await;
    assert_eq!(message.status, 200, "{message:?}");
    assert_eq!(message.body["expires_in_seconds"], 599);
    let summary = message.body["approver_summary"].as_str().unwrap();
    assert!(summary.contains("\n- zone "), "{summary}");
    assert_eq!(message.body["approve_url"], body["approval_url"]);
}

/// Discord counts up to 2,000 characters, and the link stands in the same message.
#[tokio::test]
async fn a_chat_message_of_many_operations_is_one_that_discord_takes() {
    let scene = Scene::new().await;
    let records: Vec<Value> = (0..20)
        .map(|number| {
            let mut record = dns(&format!("host{number}.example.com"));
            record["params"]["type"] = json!("TXT");
            record["params"]["content"] = json!("v".repeat(60));
            record
        })
        .collect();
    assert_eq!(scene.apply("k1", &records).await.status, 202);
    let message = scene.get("/approve/discord-message").await;
    assert_eq!(message.status, 200, "{message:?}");
    let text = |field: &str| message.body[field].as_str().unwrap();
    let (summary, link) = (text("approver_summary"), text("approve_url"));
    let sent = format!("{summary}\n\n{link}");
    assert!(sent.encode_utf16().count() <= 2_000, "{sent}");
    let shown = summary.matches("\n- ").count();
    assert!((5..20).contains(&shown), "{summary}");
    let rest = format!("\n… and {} more", records.len() - shown);
    assert!(summary.ends_with(&rest), "{summary}");
}

#[tokio::test]
async fn approved_is_carried_out_by_continue_and_only_once() {
    let scene = Scene::new().await;
    let waiting = scene.apply("k1", &[ssl()]).await;
    let token = &waiting.body["resume_token"];
    assert_eq!(
        scene.resume("k1", token).await.status,
        202,
        "nobody has decided"
    );
    scene.decide(Decision::Approve, None).await;

    let approved = scene.apply("k1", &[ssl()]).await;
    assert_eq!(
        (approved.status, &approved.body["status"]),
        (202, &json!("approved"))
    );
    assert_eq!(approved.body["apply_state"], "ready");
    assert_eq!(scene.started().await, 0, "asking again executes nothing");
    assert!(scene.get("/approval-status").await.body["approved_at"].is_string());
    assert_eq!(scene.get("/approve/discord-message").await.status, 404);
    assert_eq!(scene.post("/approve", &Value::Null).await.status, 409);

    let asks = (0..6).map(|_| scene.resume("k1", token));
    let answers = futures_util::future::join_all(asks).await;
    let stored = scene.resume("k1", &approved.body["resume_token"]).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (200, &stored.body));
    }
    assert_eq!(scene.apply("k1", &[ssl()]).await.body, stored.body);
    assert_eq!(scene.started().await, 1);
    assert_eq!(
        scene.get("/approval-status").await.body["state"],
        "consumed"
    );
}

#[tokio::test]
async fn two_keys_share_one_approval_and_one_of_them_gets_it() {
    let scene = Scene::new().await;
    let first = scene.apply("k1", &[ssl()]).await;
    let second = scene.apply("k2", &[ssl()]).await;
    assert_eq!(first.body["approval_id"], second.body["approval_id"]);
    scene.decide(Decision::Approve, None).await;
    let one = scene.resume("k1", &first.body["resume_token"]);
    let two = scene.resume("k2", &second.body["resume_token"]);
    let (one, two) = tokio::join!(one, two);
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{one:?} {two:?}");
    let loser = if one.status == 409 { one } else { two };
    assert_eq!(loser.code(), "approval_consumed");
    assert_eq!(scene.started().await, 1);
}

#[tokio::test]
async fn denied_is_a_409_with_the_reason() {
    let scene = Scene::new().await;
    let waiting = scene.apply("k1", &[ssl()]).await;
    scene.decide(Decision::Deny, Some("not on a Friday")).await;
    let token = &waiting.body["resume_token"];
    for answer in [
        scene.apply("k1", &[ssl()]).await,
        scene.resume("k1", token).await,
    ] {
        assert_eq!((answer.status, answer.code()), (409, "approval_denied"));
        assert!(
            answer.body["detail"]
                .as_str()
                .unwrap()
                .contains("not on a Friday")
        );
    }
    let status = scene.get("/approval-status").await.body;
    assert_eq!(status["state"], "denied");
    assert_eq!(status["denied_reason"], "not on a Friday");
    assert!(status.get("approved_at").is_none());
}

#[tokio::test]
async fn a_deadline_binds_on_the_second_whoever_has_recorded_it() {
    let scene = Scene::new().await;
    let waiting = scene.apply("k1", &[ssl()]).await;
    let token = waiting.body["resume_token"].clone();
    // The token of the task lives five minutes, the question ten: renew in between.
    scene.stage.clock.advance(Duration::from_secs(599));
    let renewed = scene
        .stage
        .send("POST", &scene.path("/token"), &scene.token, &Value::Null)
        .await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    let scene = Scene {
        token: renewed.body["capability_token"].as_str().unwrap().into(),
        ..scene
    };
    assert_eq!(scene.apply("k1", &[ssl()]).await.status, 202);
    scene.stage.clock.advance(Duration::from_secs(1));
    assert_eq!(scene.get("/approval-status").await.body["state"], "expired");
    for answer in [
        scene.apply("k1", &[ssl()]).await,
        scene.resume("k1", &token).await,
    ] {
        assert_eq!((answer.status, answer.code()), (410, "approval_expired"));
    }
    let expired = scene
        .events(|event| matches!(event, Event::ApprovalExpired(_)))
        .await;
    assert_eq!(expired, 1);
    assert_eq!(
        scene.apply("k2", &[ssl()]).await.status,
        202,
        "a new key asks anew"
    );
}

#[tokio::test]
async fn the_link_narrows_who_decides_and_never_widens_it() {
    let scene = Scene::new().await;
    let none = scene.post("/approve", &Value::Null).await;
    assert_eq!((none.status, none.code()), (409, "nothing_pending"));
    scene.apply("k1", &[ssl()]).await;
    let link = scene.post("/approve", &Value::Null).await;
    assert_eq!(link.status, 201, "{link:?}");
    for field in [
        "task_id",
        "approval_id",
        "approval_url",
        "approval_status_url",
        "expires_at",
    ] {
        assert!(link.body[field].is_string(), "{field}");
    }
    let narrow = |principal: &str| {
        let body = json!({"approver_principal": principal});
        let scene = &scene;
        async move { scene.post("/approve", &body).await }
    };
    let stranger = narrow("mallory").await;
    assert_eq!(
        (stranger.status, stranger.code()),
        (403, "approver_not_eligible")
    );
    assert_eq!(narrow("security").await.status, 201);
    assert_eq!(
        scene.approval().await.approvers,
        ["security"].map(ledger::ApproverName::unchecked)
    );
    assert_eq!(narrow("default").await.status, 403, "not back again");
}

#[tokio::test]
async fn waiting_ends_when_somebody_decides() {
    let scene = Scene::new().await;
    scene.apply("k1", &[ssl()]).await;
    let path = scene.path("/approval-status");
    let prefer = [("prefer", "wait=60")];
    let status = scene
        .stage
        .send_with("GET", &path, &scene.token, &prefer, &Value::Null);
    let headers = [("idempotency-key", "k1"), ("prefer", "wait=60")];
    let body = json!({"operations": [ssl()]});
    let path = scene.path("/apply");
    let apply = scene
        .stage
        .send_with("POST", &path, &scene.token, &headers, &body);
    let decide = scene.decide(Decision::Approve, None);
    let (status, apply, ()) = tokio::join!(status, apply, decide);
    assert_eq!(status.body["state"], "approved");
    assert_eq!(apply.body["status"], "approved");
}

#[tokio::test]
async fn closing_cancels_what_waits() {
    let scene = Scene::new().await;
    assert_eq!(scene.get("/approval-status").await.status, 404);
    scene.apply("k1", &[ssl()]).await;
    let closed = scene.post("/close", &Value::Null).await;
    assert_eq!(
        (closed.status, &closed.body["status"]),
        (200, &json!("closed"))
    );
    assert_eq!(
        scene.approval().await.state,
        ledger::aggregate::ApprovalState::Cancelled
    );
    let after = scene.apply("k2", &[dns("a.example.com")]).await;
    assert_eq!((after.status, after.code()), (401, "token_revoked"));
    let bootstrap = scene.stage.bootstrap(|_| ());
    let again = scene
        .stage
        .send("POST", &scene.path("/close"), &bootstrap, &Value::Null)
        .await;
    assert_eq!(again.status, 200, "closing twice is one closing");
}

#[tokio::test]
async fn what_is_missing_says_what_is_needed_and_what_is_granted() {
    let scene = Scene::granted().await;
    let below = json!({
        "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*",
        "granted_level": "read",
    });
    let path = format!("/v1/agents/{AGENT}/permissions");
    let bootstrap = scene.stage.bootstrap(|_| ());
    let permissions = json!({"permissions": [below]});
    let changed = scene
        .stage
        .send("PATCH", &path, &bootstrap, &permissions)
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let (task, token) = scene.stage.task(AGENT).await;
    let scene = Scene {
        task,
        token,
        ..scene
    };
    let operations = json!({"operations": [dns("a.example.com")]});
    let plan = scene.post("/plan", &operations).await;
    let waiting = scene.apply("k1", &[dns("a.example.com")]).await;
    let again = scene.apply("k1", &[dns("a.example.com")]).await;
    let continued = scene.resume("k1", &waiting.body["resume_token"]).await;
    let path = format!("/applies/{}", waiting.body["apply_id"].as_str().unwrap());
    let detail = scene.get(&path).await;
    for answer in [plan, waiting, again, continued, detail] {
        let missing = &answer.body["permission_check"]["missing"][0];
        assert_eq!(missing["needed"], "write", "{answer:?}");
        assert_eq!(missing["granted"], "read", "{answer:?}");
        assert_eq!(missing["required_level"], "write", "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_to_be_carried_out_at_once_needs_no_agent_after_the_approval() {
    let scene = Scene::new().await;
    let body = json!({"operations": [ssl()], "on_approval": "execute"});
    let asked = scene.keyed("/apply", "k1", &body).await;
    assert_eq!(asked.body["status"], "requires_approval", "{asked:?}");
    let headers = [("idempotency-key", "k1"), ("prefer", "wait=60")];
    let path = scene.path("/apply");
    let waiting = scene
        .stage
        .send_with("POST", &path, &scene.token, &headers, &body);
    let decide = scene.decide(Decision::Approve, None);
    let (ended, ()) = tokio::join!(waiting, decide);
    assert_eq!(
        (ended.status, &ended.body["status"]),
        (200, &json!("completed"))
    );
    // A later continue, and a repetition, get the stored answer.
    let continued = scene.resume("k1", &asked.body["resume_token"]).await;
    assert_eq!(continued.body, ended.body);
    assert_eq!(scene.keyed("/apply", "k1", &body).await.body, ended.body);
    assert_eq!(scene.started().await, 1);
    let path = format!("/applies/{}", asked.body["apply_id"].as_str().unwrap());
    assert_eq!(scene.get(&path).await.body["on_approval"], "execute");
    let other = scene.apply("k1", &[ssl()]).await;
    assert_eq!(
        (other.status, other.code()),
        (409, "idempotency_key_reused")
    );
}

#[tokio::test]
async fn a_question_that_was_asked_to_wait_stays_so() {
    let scene = Scene::new().await;
    scene.apply("k1", &[ssl()]).await;
    let body = json!({"operations": [ssl()], "on_approval": "execute"});
    let refused = scene.keyed("/apply", "k2", &body).await;
    assert_eq!(
        (refused.status, refused.code()),
        (409, "approval_asked_to_wait")
    );
    let waits = json!({"operations": [ssl()], "on_approval": "wait"});
    assert_eq!(scene.keyed("/apply", "k1", &waits).await.status, 202);
}
