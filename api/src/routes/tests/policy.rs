//! The policy, as those meet it who read and change it.

use crate::testing::{Answer, SERVICE_TOKEN, Stage};
use axum::body::Body;
use http::Request;
use ledger::Role;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const DENYING: &str = "# nothing runs\nengine = \"lpp-cel/1\"\ndefault = \"deny\"\n";

fn refusal(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.code())
}

/// Asks with the service token, and gives the entity tag beside the answer.
async fn ask(
    stage: &Stage,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> (Answer, Option<String>) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {SERVICE_TOKEN}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = stage.router.clone().oneshot(request).await.unwrap();
    let tag = response.headers().get("etag");
    let tag = tag.map(|tag| tag.to_str().unwrap().to_owned());
    (Answer::of(response).await, tag)
}

const TOML: (&str, &str) = ("content-type", "application/toml");
const JSON: (&str, &str) = ("content-type", "application/json");

async fn put(stage: &Stage, follows: &str, body: &str) -> (Answer, Option<String>) {
    ask(
        stage,
        ("PUT", "/v1/policy"),
        &[TOML, ("if-match", follows)],
        body,
    )
    .await
}

async fn get(stage: &Stage, path: &str) -> (Answer, Option<String>) {
    ask(stage, ("GET", path), &[], "").await
}

#[tokio::test]
async fn a_policy_is_saved_read_back_to_the_byte_and_rolled_back() {
    let stage = Stage::new().await;
    let (none, tag) = get(&stage, "/v1/policy").await;
    assert_eq!((none.status, tag.as_deref()), (200, Some("\"0\"")));
    assert_eq!(none.body["version"], 0);
    assert_eq!(none.body["source"], Value::Null);

    let (saved, tag) = put(&stage, "\"0\"", DENYING).await;
    assert_eq!(
        (saved.status, tag.as_deref()),
        (200, Some("\"1\"")),
        "{saved:?}"
    );
    assert_eq!(saved.body["source"], DENYING);
    assert_eq!(saved.body["format"], "toml");
    assert_eq!(saved.body["engine"], "lpp-cel/1");
    assert_eq!(saved.body["tree"]["default"], "deny");
    assert_eq!(saved.body["tree"]["limits"]["open"], 1000);
    assert_eq!(saved.body["author"], "the service token");
    assert_eq!(saved.body["warnings"], json!([]));
    let (read, tag) = get(&stage, "/v1/policy").await;
    assert_eq!((&read.body, tag.as_deref()), (&saved.body, Some("\"1\"")));

    let body = "{\"engine\": \"lpp-cel/1\", \"default\": \"deny\"}";
    let json_put = [JSON, ("if-match", "\"1\"")];
    let (same, _) = ask(&stage, ("PUT", "/v1/policy"), &json_put, body).await;
    assert_eq!(same.body["digest"], saved.body["digest"], "{same:?}");
    assert_eq!(same.body["format"], "json");

    let back = [JSON, ("if-match", "\"2\"")];
    let path = ("POST", "/v1/policy/rollback");
    let (none, tag) = ask(&stage, path, &back, "{\"version\": 0}").await;
    assert_eq!(
        (none.status, tag.as_deref()),
        (200, Some("\"3\"")),
        "{none:?}"
    );
    assert_eq!(none.body["source"], Value::Null);
    let back = [JSON, ("if-match", "\"3\"")];
    let (first, _) = ask(&stage, path, &back, "{\"version\": 1}").await;
    assert_eq!(first.body["source"], DENYING);
    assert_eq!(first.body["restores"], 1);

    let (listed, _) = get(&stage, "/v1/policy/versions?limit=3").await;
    assert_eq!(
        listed.body["as_of"],
        *stage.state.app.ledger.size().borrow(),
        "{listed:?}"
    );
    let versions = listed.body["versions"].as_array().unwrap();
    let numbers: Vec<_> = versions
        .iter()
        .map(|one| one["version"].as_u64().unwrap())
        .collect();
    assert_eq!(
        (numbers, &listed.body["next"]),
        (vec![4, 3, 2], &json!("2"))
    );
    let (listed, _) = get(&stage, "/v1/policy/versions?after=2").await;
    assert_eq!(listed.body["versions"][0]["version"], 1);
    assert_eq!(listed.body["next"], Value::Null);
    let (one, tag) = get(&stage, "/v1/policy/versions/2").await;
    assert_eq!(
        (one.body["format"].as_str(), tag.as_deref()),
        (Some("json"), Some("\"2\""))
    );
    assert_eq!(
        get(&stage, "/v1/policy/versions/0").await.0.body["version"],
        0
    );
    let (unknown, _) = get(&stage, "/v1/policy/versions/5").await;
    assert_eq!(refusal(&unknown), (404, "policy_version_not_found"));
}

#[tokio::test]
async fn a_change_names_the_version_that_it_follows() {
    let stage = Stage::new().await;
    let (unsaid, _) = ask(&stage, ("PUT", "/v1/policy"), &[TOML], DENYING).await;
    assert_eq!(refusal(&unsaid), (428, "precondition_required"));
    for wrong in ["0", "*", "W/\"0\"", "\"0\", \"1\"", "\"\"", "\"-1\""] {
        let (refused, _) = put(&stage, wrong, DENYING).await;
        assert_eq!(refusal(&refused), (400, "bad_request"), "{wrong}");
    }
    assert_eq!(put(&stage, "\"0\"", DENYING).await.0.status, 200);
    let (late, _) = put(&stage, "\"0\"", DENYING).await;
    assert_eq!(refusal(&late), (412, "version_mismatch"));
    let rollback = [JSON, ("if-match", "\"0\"")];
    let path = ("POST", "/v1/policy/rollback");
    let (late, _) = ask(&stage, path, &rollback, "{\"version\": 0}").await;
    assert_eq!(refusal(&late), (412, "version_mismatch"));
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_policy_is_told_at_once() {
    let stage = Stage::new().await;
    let wrong = "engine = \"lpp-cel/1\"\ndefautl = \"deny\"\n\
        [break_glass]\ngroup = \"nobody\"\nreview = []\n";
    let (refused, _) = put(&stage, "\"0\"", wrong).await;
    assert_eq!(refusal(&refused), (400, "policy_invalid"), "{refused:?}");
    let errors = refused.body["errors"].as_array().unwrap();
    assert!(errors.len() > 1, "{errors:?}");
    let unknown = errors
        .iter()
        .find(|error| error["code"] == "unknown_key")
        .unwrap();
    assert_eq!(unknown["line"], 2);

    let check = ("POST", "/v1/policy/check");
    let (checked, _) = ask(&stage, check, &[TOML], wrong).await;
    assert_eq!(checked.status, 200, "{checked:?}");
    assert_eq!(checked.body["valid"], false);
    let (checked, _) = ask(&stage, check, &[TOML], DENYING).await;
    assert_eq!(checked.body["valid"], true);
    assert!(checked.body["digest"].is_string());
    assert_eq!(get(&stage, "/v1/policy").await.0.body["version"], 0);
}

#[tokio::test]
async fn a_policy_that_is_too_long_or_of_another_kind_is_refused() {
    let stage = Stage::new().await;
    let long = "#".repeat(64 * 1024 + 1);
    assert_eq!(
        refusal(&put(&stage, "\"0\"", &long).await.0),
        (413, "payload_too_large")
    );
    for headers in [
        &[("content-type", "text/plain"), ("if-match", "\"0\"")][..],
        &[("if-match", "\"0\"")],
        &[TOML, ("content-encoding", "gzip"), ("if-match", "\"0\"")],
    ] {
        let (refused, _) = ask(&stage, ("PUT", "/v1/policy"), headers, DENYING).await;
        assert_eq!(refusal(&refused), (415, "unsupported_media_type"));
    }
    let full = format!("{DENYING}{}", "#".repeat(64 * 1024 - DENYING.len()));
    assert_eq!(put(&stage, "\"0\"", &full).await.0.status, 200);
}

#[tokio::test]
async fn operators_read_and_try_policies_and_do_not_change_them() {
    let stage = Stage::new().await;
    let session = stage.session_of(Role::Operator).await;
    let with = |method: &str, path: &str| {
        stage
            .signed(method, path, "client-a")
            .header("authorization", format!("Bearer {}", session.bearer))
            .header("if-match", "\"0\"")
    };
    let request = with("PUT", "/v1/policy").body(Body::from("{}")).unwrap();
    let refused = stage.router.clone().oneshot(request).await.unwrap();
    assert_eq!(refusal(&Answer::of(refused).await), (403, "role_required"));
    for (method, path) in [("GET", "/v1/policy"), ("POST", "/v1/policy/check")] {
        let request = with(method, path).body(Body::from("{}")).unwrap();
        let answer = stage.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn cases_are_tried_on_a_document_and_on_what_is_in_force() {
    let stage = Stage::new().await;
    let case = |outcome: &str| {
        json!({
            "name": "a record", "at": "2026-01-05T10:00:00Z",
            "operations": [{
                "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "z",
                "params": {"type": "A", "name": "www.example.com", "content": "192.0.2.1", "ttl": 300},
            }],
            "expect": {"outcome": outcome},
        })
    };
    let test = ("POST", "/v1/policy/test");
    let given = json!({"policy": DENYING, "cases": [case("deny"), case("allow")]}).to_string();
    let (tried, _) = ask(&stage, test, &[JSON], &given).await;
    assert_eq!(tried.status, 200, "{tried:?}");
    assert_eq!(
        (&tried.body["passed"], &tried.body["failed"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(tried.body["results"][1]["outcome"], "deny");
    let in_force = json!({"cases": [case("deny")]}).to_string();
    let (before, _) = ask(&stage, test, &[JSON], &in_force).await;
    assert_eq!(before.body["failed"], 1, "{before:?}");
    assert_eq!(put(&stage, "\"0\"", DENYING).await.0.status, 200);
    let (after, _) = ask(&stage, test, &[JSON], &in_force).await;
    assert_eq!(after.body["passed"], 1, "{after:?}");
    for wrong in [
        json!({"policy": 7, "cases": []}),
        json!({"policy": "x = 1", "cases": []}),
    ] {
        let (refused, _) = ask(&stage, test, &[JSON], &wrong.to_string()).await;
        assert_eq!(refused.status, 400, "{wrong}");
    }
}
