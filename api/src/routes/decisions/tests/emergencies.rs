//! An approval in an emergency, from the page to the review that it owes.

use super::Asked;
use super::votes::{call, member, purge};
use crate::testing::Stage;
use ledger::TaskId;
use serde_json::{Value, json};

const REASON: &str = "the site is down and nobody else answers";

/// A policy by which two of `security` approve, and one on call may in an emergency.
async fn with_glass(stage: &Stage, oncall: &str, security: [&str; 2]) {
    for (name, members) in [("oncall", &[oncall][..]), ("security", &security[..])] {
        let group = json!({"name": name, "members": members});
        let made = call(stage, "POST", "/v1/groups", &group).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let policy = json!({
        "engine": "lpp-cel/1",
        "break_glass": {"group": "oncall", "review": [{"group": "security"}]},
        "rule": [{
            "id": "two", "priority": 1, "action": "ask", "pre_state": "shown", "retention": ["once"],
            "needs": [{"group": "security", "n": 2}],
        }],
    });
    let saved = call(stage, "PUT", "/v1/policy", &policy).await;
    assert_eq!(saved.status, 200, "{saved:?}");
}

#[tokio::test]
async fn one_on_call_approves_alone_and_others_review_it() {
    let stage = Stage::new().await;
    let (ann_id, mut ann) = member(&stage, "ann").await;
    let (bob_id, mut bob) = member(&stage, "bob").await;
    let (eve_id, _) = member(&stage, "eve").await;
    let security = [bob_id.to_string(), eve_id.to_string()];
    with_glass(&stage, &ann_id.to_string(), [&security[0], &security[1]]).await;
    let asked = stage.question_about(vec![purge()]).await;
    let (_, html) = stage.look(&asked.path).await;
    assert!(html.contains("Emergency: approve alone"), "{html}");

    let options = format!("{}/options", asked.path);
    for (words, code) in [
        (json!({"break_glass": true}), "break_glass_not_allowed"),
        (
            json!({"break_glass": true, "reason": "down"}),
            "break_glass_not_allowed",
        ),
        (
            json!({"break_glass": true, "reason": REASON, "decision": "deny"}),
            "break_glass_not_allowed",
        ),
    ] {
        let refused = stage.post(&options, &words).await;
        assert_eq!((refused.status, refused.code()), (400, code), "{words}");
    }
    let words = json!({"break_glass": true, "reason": REASON});
    let told = stage.post(&options, &words).await;
    assert_eq!(told.status, 200, "{told:?}");
    let statement = told.body["statement"].clone();
    assert!(
        statement.as_str().unwrap().contains("\"break_glass\":true"),
        "{statement}"
    );
    let means = told.body["means"].as_str().unwrap();
    assert!(means.contains("In an emergency, alone"), "{means}");
    let allowed = told.body["allow_credentials"].as_array().unwrap();
    assert_eq!(allowed.len(), 1, "{allowed:?}");
    let answer = ann.answer(
        &told.body,
        &json!({"reason": REASON, "statement": statement}),
    );
    let decided = stage.post(&format!("{}/verify", asked.path), &answer).await;
    assert_eq!(decided.body["status"], "approved", "{decided:?}");
    let path = format!("/v1/approvals/{}", asked.approval_id);
    let read = call(&stage, "GET", &path, &Value::Null).await;
    assert_eq!(read.body["break_glass"], true);
    let (_, html) = stage.look(&asked.path).await;
    assert!(html.contains("In an emergency"), "{html}");

    let listed = call(&stage, "GET", "/v1/approvals?state=pending", &Value::Null).await;
    let review = &listed.body["approvals"][0];
    assert_eq!(review["kind"], "review", "{listed:?}");
    let approval_id = review["approval_id"].as_str().unwrap().parse().unwrap();
    let review = Asked {
        approval_id,
        task_id: TaskId::from_bytes([0; 16]),
        path: format!(
            "/a/{}",
            stage.state.app.keys.short_link.seal(approval_id).reveal()
        ),
    };
    let (page, html) = stage.look(&review.path).await;
    assert_eq!(page.status, 200);
    for part in ["Review an approval", REASON, "everything", "ann"] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let reviewed = bob.decide(&stage, &review, &json!({})).await;
    assert_eq!(reviewed.body["status"], "approved", "{reviewed:?}");
    let history = call(&stage, "GET", "/v1/history", &Value::Null).await;
    let rows = history.body["history"].as_array().unwrap();
    assert_eq!(
        (&rows[0]["kind"], &rows[1]["break_glass"]),
        (&json!("review"), &json!(true))
    );
}
