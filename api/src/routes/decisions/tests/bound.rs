//! Questions that are bound to the state upstream, and denials that block what asked.

use super::votes::{call, purge};
use super::{Asked, Person};
use crate::testing::{Answer, Stage};
use ledger::Origin;
use ledger::command::RecordPreState;
use ledger::event::PreState;
use serde_json::{Value, json};

async fn bound(stage: &Stage) -> Asked {
    let policy = json!({
        "engine": "lpp-cel/1",
        "rule": [{"id": "bound", "priority": 1, "action": "ask", "pre_state": "bind"}],
    });
    let saved = call(stage, "PUT", "/v1/policy", &policy).await;
    assert_eq!(saved.status, 200, "{saved:?}");
    stage.question().await
}

async fn read(stage: &Stage, asked: &Asked) {
    let read = RecordPreState {
        approval_id: asked.approval_id,
        operations: vec![PreState::Found(
            json!({"ssl": {"value": "strict"}}).to_string(),
        )],
        zones: Vec::new(),
    };
    let ledger = &stage.state.app.ledger;
    ledger.execute(Origin::system("test"), read).await.unwrap();
}

async fn decide(stage: &Stage, person: &mut Person, asked: &Asked, words: &Value) -> Answer {
    let options = stage.post(&format!("{}/options", asked.path), words).await;
    assert_eq!(options.status, 200, "{options:?}");
    let mut said = json!({"statement": options.body["statement"]});
    if let Some(decision) = words.get("decision") {
        said["decision"] = decision.clone();
    }
    let body = person.answer(&options.body, &said);
    stage.post(&format!("{}/verify", asked.path), &body).await
}

#[tokio::test]
async fn an_approval_waits_for_the_state_that_it_is_bound_to_and_signs_it() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let asked = bound(&stage).await;
    let (_, html) = stage.look(&asked.path).await;
    assert!(html.contains("data-bound-to=\"\""), "{html}");
    assert!(html.contains("Good only for the state"), "{html}");
    let options = format!("{}/options", asked.path);
    let early = stage.post(&options, &json!({})).await;
    assert_eq!((early.status, early.code()), (503, "pre_state_pending"));
    assert!(early.headers.contains_key("retry-after"));
    let denial = stage.post(&options, &json!({"decision": "deny"})).await;
    assert_eq!(denial.status, 200, "{denial:?}");

    read(&stage, &asked).await;
    let path = format!("/v1/approvals/{}", asked.approval_id);
    let shown = call(&stage, "GET", &path, &Value::Null).await;
    let state = &shown.body["pre_state"];
    assert_eq!(state["bound"], true);
    assert_eq!(state["operations"][0]["found"]["ssl"]["value"], "strict");
    assert_eq!(shown.body["replaces"], Value::Null);
    // The policy of this test reads nothing of it.
    let unread = json!({"subject": null, "fingerprint": null});
    let client = json!({
        "address": null, "country": null, "city": null, "asn": null, "isp": null, "tls": unread,
    });
    assert_eq!(shown.body["client"], client);
    let digest = state["digest"].as_str().unwrap();
    let (_, html) = stage.look(&asked.path).await;
    assert!(
        html.contains(&format!("data-bound-to=\"{digest}\"")),
        "{html}"
    );
    // Without the statement nothing says what it is bound to.
    let unsaid = person.decide(&stage, &asked, &json!({})).await;
    assert_eq!((unsaid.status, unsaid.code()), (409, "question_changed"));
    let options = stage.post(&options, &json!({})).await;
    let said: Value = serde_json::from_str(options.body["statement"].as_str().unwrap()).unwrap();
    assert_eq!(said["pre_state_digest"], digest);
    let done = decide(&stage, &mut person, &asked, &json!({})).await;
    assert_eq!(
        (done.status, &done.body["status"]),
        (200, &json!("approved")),
        "{done:?}"
    );
}

#[tokio::test]
async fn a_denial_blocks_what_asked_and_says_so_before_it_is_signed() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let asked = stage.question().await;
    let options = format!("{}/options", asked.path);
    for (words, code) in [
        (json!({"block": {"kind": "agent"}}), "bad_request"),
        (
            json!({"decision": "deny", "block": {"kind": "zone"}}),
            "bad_request",
        ),
        (
            json!({"decision": "deny", "block": {"kind": "asn"}}),
            "bad_request",
        ),
        (
            json!({"decision": "deny", "block": {"kind": "agent", "duration": "soon"}}),
            "bad_request",
        ),
    ] {
        let refused = stage.post(&options, &words).await;
        assert_eq!((refused.status, refused.code()), (400, code), "{words}");
    }
    let words = json!({"decision": "deny", "block": {"kind": "agent", "duration": "1h"}});
    let allow = json!({"kind": "agent", "value": crate::testing::AGENT});
    let allowed = call(&stage, "POST", "/v1/allows", &allow).await;
    assert_eq!(allowed.status, 201, "{allowed:?}");
    let refused = stage.post(&options, &words).await;
    assert_eq!((refused.status, refused.code()), (409, "allowed"));
    let path = format!("/v1/allows/{}", allowed.body["id"].as_str().unwrap());
    call(&stage, "DELETE", &path, &Value::Null).await;

    let options = stage.post(&options, &words).await;
    let means = options.body["means"].as_str().unwrap();
    assert!(means.contains("Everything else that agent"), "{means}");
    let done = decide(&stage, &mut person, &asked, &words).await;
    assert_eq!(
        (done.status, &done.body["status"]),
        (200, &json!("denied")),
        "{done:?}"
    );
    let blocks = call(&stage, "GET", "/v1/blocks", &Value::Null).await;
    let block = &blocks.body["blocks"][0];
    assert_eq!(block["kind"], "agent");
    assert_eq!(block["value"], crate::testing::AGENT);
    assert_eq!(block["approval_id"], asked.approval_id.to_string());
    let history = call(&stage, "GET", "/v1/history", &Value::Null).await;
    assert_eq!(history.body["history"][0]["block"]["kind"], "agent");
}

#[tokio::test]
async fn a_list_for_a_credential_leaves_out_what_it_may_not_answer() {
    let stage = Stage::new().await;
    let person = stage.enrol("default").await;
    let asked = stage.question().await;
    let of = |credential: &str| format!("/v1/approvals?state=pending&credential={credential}");
    let own = call(&stage, "GET", &of(&person.credential_id), &Value::Null).await;
    assert_eq!(
        own.body["approvals"][0]["approval_id"],
        asked.approval_id.to_string()
    );
    let none = call(&stage, "GET", &of("AAAA"), &Value::Null).await;
    assert_eq!(none.body["approvals"], json!([]));
    let wrong = call(&stage, "GET", &of("!"), &Value::Null).await;
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn a_question_tells_the_earlier_answers_to_the_same() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let (issued, _) = stage.task(crate::testing::AGENT).await;
    let ask = async |key: &str| stage.question_in(&issued.task, key, vec![purge()]).await;
    let first = ask("key-1").await;
    let words = json!({"decision": "deny", "reason": "Not today"});
    let denied = person.decide(&stage, &first, &words).await;
    assert_eq!(denied.status, 200, "{denied:?}");
    // Of another task, which is another question.
    stage.question_about(vec![purge()]).await;

    let second = ask("key-2").await;
    let path = format!("/v1/approvals/{}", second.approval_id);
    let shown = call(&stage, "GET", &path, &Value::Null).await;
    let before = shown.body["history"].as_array().unwrap();
    assert_eq!(before.len(), 1, "{before:?}");
    assert_eq!(before[0]["approval_id"], first.approval_id.to_string());
    assert_eq!(before[0]["action"], "DENIED");
    assert_eq!(before[0]["reason"], "Not today");
    let path = format!("/v1/approvals/{}", first.approval_id);
    let shown = call(&stage, "GET", &path, &Value::Null).await;
    assert_eq!(shown.body["history"], json!([]));
}
