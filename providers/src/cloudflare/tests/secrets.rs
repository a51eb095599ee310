//! Secrets are refused where they would be recorded; what is in the ledger is read all the same.

use super::{accepted, parse};
use serde_json::{Value, json};

fn refused_as_secret(operation_id: &str, params: Value, path: &str) {
    let operation = accepted(operation_id, params.clone());
    let error = operation
        .check_asked()
        .expect_err(&format!("taken: {params}"));
    assert_eq!(error.path, path, "{params}: {error}");
    assert!(error.problem.contains("recorded for good"), "{error}");
    // What was recorded is read.
    assert_eq!(crate::all().read(&operation.to_json()), Ok(operation));
}

#[test]
fn what_looks_like_a_secret_is_refused_by_name() {
    let bindings = |binding: Value| json!({"script_name": "s", "script": "export default {}", "bindings": [binding]});
    for (field, value) in [
        ("apiToken", json!("a")),
        ("client_secret", json!({"v": "a"})),
        ("text", json!("a")),
        ("key_base64", json!("a")),
        ("key", json!("a")),
        ("value", json!("a")),
    ] {
        refused_as_secret(
            "workers.deploy.write",
            bindings(json!({"type": "newest", "name": "A", field: value})),
            &format!("params.bindings[0].{field}"),
        );
    }
    refused_as_secret(
        "workers.deploy.write",
        bindings(json!({"type": "secret_json", "name": "A", "j": 1})),
        "params.bindings[0].type",
    );
    refused_as_secret(
        "workers.deploy.write",
        json!({"script_name": "s", "script": "export default {}", "vault": {"a": [{"db-Password": "x"}]}}),
        "params.vault.a[0].db-Password",
    );
    let pem = "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----";
    refused_as_secret(
        "workers.deploy.write",
        bindings(json!({"type": "plain_text", "name": "A", "text": pem})),
        "params.bindings[0].text",
    );
    refused_as_secret(
        "cache.purge.execute",
        json!({"files": [{"url": "https://a.example/", "headers": {"Authorization": "Bearer x"}}]}),
        "params.files[0].headers.Authorization",
    );
    refused_as_secret(
        "cache.purge.execute",
        json!({"files": [{"url": "https://a.example/", "headers": {"Cookie": "sid=1"}}]}),
        "params.files[0].headers.Cookie",
    );
    let rewrite = json!({"action": "add_rule", "ruleset_id": "r1", "rule": {
        "action": "rewrite", "expression": "true",
        "action_parameters": {"headers": {"X-Api-Key": {"operation": "set", "value": "v"}}}}});
    refused_as_secret(
        "waf.rules.write",
        rewrite,
        "params.rule.action_parameters.headers.X-Api-Key",
    );
    refused_as_secret(
        "dns.record.write",
        json!({"type": "A", "name": "a", "content": "192.0.2.1", "auth_token": "x"}),
        "params.auth_token",
    );
}

#[test]
fn what_only_sounds_like_one_is_taken() {
    for (operation_id, params) in [
        (
            "workers.deploy.write",
            json!({"script_name": "s", "script": "export default {} // password",
                "bindings": [
                    {"type": "secrets_store_secret", "name": "A", "store_id": "s",
                        "secret_name": "n"},
                    {"type": "inherit", "name": "API_TOKEN"}],
                "keep_bindings": ["secret_text"], "tokens_per_second": 5, "has_secret": false}),
        ),
        (
            "cache.purge.execute",
            json!({"files": [{"url": "https://a.example/?token=x", "headers": {"Origin": "a"}}]}),
        ),
        (
            "dns.record.write",
            json!({"type": "TXT", "name": "a", "content": "secret=1", "comment": "the token's"}),
        ),
    ] {
        assert_eq!(
            parse(operation_id, &params).unwrap().check_asked(),
            Ok(()),
            "{params}"
        );
    }
}

#[test]
fn a_plain_text_with_the_name_of_a_secret_is_warned_of() {
    let deploy = |name: &str| {
        accepted(
            "workers.deploy.write",
            json!({"script_name": "s", "script": "export default {}",
                "bindings": [{"type": "plain_text", "name": name, "text": "x"}]}),
        )
    };
    assert!(super::codes(&deploy("API_TOKEN")).contains(&"plain_text_secret"));
    assert!(!super::codes(&deploy("COLOUR")).contains(&"plain_text_secret"));
}
