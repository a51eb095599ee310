//! Decisions that are kept: what is signed, what it means in words, and what answers from then on.

use super::votes::{call, member};
use super::{Asked, Person};
use crate::testing::{AGENT, Answer, SERVICE_TOKEN, Stage};
use axum::body::Body;
use http::Request;
use ledger::operation::Operation;
use ledger::policy::{Edge, Fact, Value as FactValue};
use serde_json::{Value, json};
use tower::ServiceExt as _;

fn purge() -> Operation {
    let zone = "023e105f4ecef8ad9ca31a8372d0c353";
    let params = json!({"purge_everything": true});
    let purge = providers::all().parse("cache.purge.execute", "zone", zone, &params);
    purge.unwrap()
}

/// A decision that is kept as `words` say.
async fn keep(stage: &Stage, person: &mut Person, asked: &Asked, words: &Value) -> (Value, Answer) {
    let options = stage.post(&format!("{}/options", asked.path), words).await;
    assert_eq!(options.status, 200, "{options:?}");
    let mut said = json!({"statement": options.body["statement"]});
    for word in ["decision", "reason"] {
        if let Some(value) = words.get(word) {
            said[word] = value.clone();
        }
    }
    let body = person.answer(&options.body, &said);
    let verify = format!("{}/verify", asked.path);
    (options.body, stage.post(&verify, &body).await)
}

async fn clearances(stage: &Stage, method: &str, path: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {SERVICE_TOKEN}"))
        .body(Body::empty())
        .unwrap();
    Answer::of(stage.router.clone().oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn what_is_kept_is_said_in_words_signed_listed_and_ended() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let asked = stage.question_about(vec![purge()]).await;
    let (_, html) = stage.look(&asked.path).await;
    assert!(html.contains("Keep this decision") && html.contains("For 7 days"));
    let words = json!({"retention": {"mode": "cache", "duration": "7d", "breadth": "scope"}});
    let (options, done) = keep(&stage, &mut person, &asked, &words).await;
    assert_eq!(done.status, 200, "{done:?}");
    let means = options["means"].as_str().unwrap();
    assert!(
        means.contains(
            "cache.purge.execute on zone 023e105f4ecef8ad9ca31a8372d0c353 with any params"
        ) && means.contains("for 7 days, in any task of the agent"),
        "{means}"
    );
    let statement: Value = serde_json::from_str(options["statement"].as_str().unwrap()).unwrap();
    assert_eq!(statement["v"], 2);
    assert_eq!(statement["retention"]["breadth"], "scope");
    assert_eq!(statement["retention"]["binding"], "agent");
    let (_, html) = stage.look(&asked.path).await;
    assert!(
        html.contains("for 7 days, in any task of the agent"),
        "{html}"
    );

    let listed = clearances(&stage, "GET", "/v1/clearances").await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let kept = &listed.body["clearances"][0];
    assert_eq!(kept["decision"], "approve");
    assert_eq!(kept["approval_id"], asked.approval_id.to_string());
    assert_eq!(kept["operations"][0]["operation_id"], "cache.purge.execute");
    assert_eq!(
        (&kept["uses"], &kept["ended_at"]),
        (&json!(0), &Value::Null)
    );
    let path = format!("/v1/clearances/{}", kept["id"].as_str().unwrap());
    assert_eq!(&clearances(&stage, "GET", &path).await.body, kept);
    for _ in 0..2 {
        assert_eq!(clearances(&stage, "DELETE", &path).await.status, 204);
    }
    let ended = clearances(&stage, "GET", &path).await.body;
    assert_eq!(ended["end_reason"], "ended");
    let none = "/v1/clearances/0193a1f2-7c1e-7d43-9a55-3f1f5b0c9e11";
    for method in ["GET", "DELETE"] {
        let missing = clearances(&stage, method, none).await;
        assert_eq!(
            (missing.status, missing.code()),
            (404, "clearance_not_found")
        );
    }
}

#[tokio::test]
async fn a_decision_for_once_is_signed_as_it_always_was_and_needs_no_statement() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let asked = stage.question_about(vec![purge()]).await;
    let options = format!("{}/options", asked.path);
    let options = stage
        .post(&options, &json!({"retention": {"mode": "once"}}))
        .await;
    let statement: Value =
        serde_json::from_str(options.body["statement"].as_str().unwrap()).unwrap();
    assert_eq!(statement["v"], 1);
    assert!(options.body["means"].as_str().unwrap().ends_with(", once."));
    let done = person.decide(&stage, &asked, &json!({})).await;
    assert_eq!(done.status, 200, "{done:?}");
    let listed = clearances(&stage, "GET", "/v1/clearances").await;
    assert_eq!(listed.body["clearances"], json!([]));
}

#[tokio::test]
async fn a_statement_of_another_question_is_refused() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let asked = stage.question_about(vec![purge()]).await;
    let words = json!({"retention": {"mode": "cache", "duration": "1h"}});
    let options = stage.post(&format!("{}/options", asked.path), &words).await;
    let statement = options.body["statement"].as_str().unwrap();
    let longer = statement.replace("\"binding\":\"task\"", "\"binding\":\"agent\"");
    let foreign = statement.replace(
        &asked.approval_id.to_string(),
        "0193a1f2-7c1e-7d43-9a55-3f1f5b0c9e11",
    );
    let verify = format!("{}/verify", asked.path);
    for (statement, refusal) in [
        (foreign.as_str(), (409, "question_changed")),
        ("not one", (409, "question_changed")),
        (longer.as_str(), (401, "assertion_invalid")),
    ] {
        let body = person.answer(&options.body, &json!({"statement": statement}));
        let refused = stage.post(&verify, &body).await;
        assert_eq!((refused.status, refused.code()), refusal, "{statement}");
    }
}

#[tokio::test]
async fn of_what_is_sensitive_a_denial_alone_is_kept_and_the_page_offers_nothing_else() {
    let stage = Stage::new().await;
    stage.enrol("default").await;
    let asked = stage.question().await;
    let (_, html) = stage.look(&asked.path).await;
    let (either, denial) = offered(&html);
    assert!(!either.contains("For 1 hour"), "{either}");
    for words in ["For 1 hour, in this task", "Until the task closes"] {
        assert!(denial.contains(words), "{denial}");
    }
    let options = format!("{}/options", asked.path);
    for (retention, code) in [
        (json!({"mode": "cache"}), "retention_not_allowed"),
        (json!({"mode": "permanent"}), "retention_not_allowed"),
        (json!({"mode": "always"}), "bad_request"),
        (json!({"mode": "cache", "duration": "soon"}), "bad_request"),
        (json!({"mode": "once", "breadth": "scope"}), "bad_request"),
    ] {
        let refused = stage.post(&options, &json!({"retention": retention})).await;
        assert_eq!((refused.status, refused.code()), (400, code), "{retention}");
    }
}

/// The times that the page offers for either decision, and for a denial alone.
fn offered(html: &str) -> (&str, &str) {
    let (_, choices) = html.split_once(r#"<select id="keep-for""#).unwrap();
    let (choices, _) = choices.split_once("</select>").unwrap();
    choices
        .split_once("Only when you deny")
        .unwrap_or((choices, ""))
}

#[tokio::test]
async fn the_page_offers_what_the_rule_offers_to_the_people_whom_it_needs() {
    let stage = Stage::new().await;
    let (user, mut ann) = member(&stage, "ann").await;
    let group = json!({"name": "ops", "members": [user.to_string()]});
    assert_eq!(call(&stage, "POST", "/v1/groups", &group).await.status, 201);
    let policy = json!({"engine": "lpp-cel/1", "rule": [{
        "id": "kept", "priority": 1, "action": "ask", "pre_state": "shown", "max_duration": "10m",
        "retention": ["once", "cache", "permanent"], "needs": [{"group": "ops"}],
    }]});
    let saved = call(&stage, "PUT", "/v1/policy", &policy).await;
    assert_eq!(saved.status, 200, "{saved:?}");
    let (issued, _) = stage.task(AGENT).await;
    let asked = stage
        .question_in(&issued.task, "key-1", vec![purge()])
        .await;
    let (_, html) = stage.look(&asked.path).await;
    let (either, denial) = offered(&html);
    for words in [
        "For 10 minutes, in this task",
        "Without an end, in any task of this agent",
    ] {
        assert!(either.contains(words), "{either}");
    }
    for words in ["For 1 hour, in this task", "Until the task closes"] {
        assert!(denial.contains(words), "{denial}");
    }
    let words = json!({"retention": {"mode": "cache", "duration": "600"}});
    let (_, done) = keep(&stage, &mut ann, &asked, &words).await;
    assert_eq!(done.status, 200, "{done:?}");
    let listed = clearances(&stage, "GET", "/v1/clearances").await;
    let kept = &listed.body["clearances"][0];
    assert_eq!(kept["decision"], "approve");
    assert!(kept["subject"].is_string(), "{kept}");
    assert_eq!(
        (&kept["rules"], &kept["active"]),
        (&json!(["kept"]), &json!([]))
    );
    let answered = stage
        .submitted_from(Edge::default(), &issued.task, "key-2", vec![purge()])
        .await;
    let path = format!("/v1/clearances/{}", kept["id"].as_str().unwrap());
    let active = clearances(&stage, "GET", &path).await.body["active"].clone();
    let (apply_id, task_id) = (answered.apply.id.to_string(), issued.task.id.to_string());
    assert_eq!(active, json!([{"apply_id": apply_id, "task_id": task_id}]));
    // The deciding vote is told with the others.
    let path = format!("/v1/approvals/{}", asked.approval_id);
    let votes = call(&stage, "GET", &path, &Value::Null).await.body["votes"].clone();
    assert_eq!(votes.as_array().unwrap().len(), 1);
    assert_eq!(votes[0]["user"]["name"], "ann");
    assert_eq!(votes[0]["retention"]["mode"], "cache");
}

#[tokio::test]
async fn once_with_a_duration_says_within_which_time() {
    let stage = Stage::new().await;
    stage.enrol("default").await;
    let asked = stage.question_about(vec![purge()]).await;
    let options = format!("{}/options", asked.path);
    let words = json!({"retention": {"mode": "once", "duration": "1m"}});
    let options = stage.post(&options, &words).await;
    let means = options.body["means"].as_str().unwrap();
    assert!(means.ends_with(", once, within 1 minute."), "{means}");
    let statement: Value =
        serde_json::from_str(options.body["statement"].as_str().unwrap()).unwrap();
    assert_eq!(statement["retention"]["mode"], "once");
    assert!(statement["retention"]["until"].is_string());
}

#[tokio::test]
async fn those_who_answer_are_told_from_where_it_was_asked_and_can_block_that() {
    let stage = Stage::new().await;
    stage.enrol("default").await;
    let mut edge = Edge::default();
    let text = |text: &str| Fact::Known(FactValue::Text(text.to_owned()));
    edge.say("address", text("198.51.100.77"));
    edge.say("country", text("US"));
    edge.say("asn", Fact::Known(FactValue::Int(64497)));
    let (issued, _) = stage.task(AGENT).await;
    let asked = stage
        .question_from(edge, &issued.task, "key-1", vec![purge()])
        .await;
    let (_, html) = stage.look(&asked.path).await;
    assert!(html.contains("198.51.100.77, US, AS64497"), "{html}");
    let path = format!("/v1/approvals/{}", asked.approval_id);
    let client = call(&stage, "GET", &path, &Value::Null).await.body["client"].clone();
    assert_eq!(
        (&client["address"], &client["country"], &client["asn"]),
        (&json!("198.51.100.77"), &json!("US"), &json!(64497))
    );
    let options = format!("{}/options", asked.path);
    for (kind, value) in [("address", "198.51.100.77/32"), ("asn", "64497")] {
        let words = json!({"decision": "deny", "block": {"kind": kind}});
        let options = stage.post(&options, &words).await;
        assert_eq!(options.status, 200, "{options:?}");
        let statement: Value =
            serde_json::from_str(options.body["statement"].as_str().unwrap()).unwrap();
        assert_eq!(statement["block"]["value"], value);
    }
}
