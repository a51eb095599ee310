//! The exact request of each operation.

use super::{CUSTOM, ZONE, client, create, operation, readable_mutations};
use fixtures::upstream::{FakeUpstream, RecordedRequest, UPSTREAM_TOKEN};
use ledger::event::PreState;
use ledger::operation::Operation;
use ledger::provider::Outcome;
use providers::cloudflare::Cloudflare;
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use workers::upstream::{UpstreamClient, UpstreamConfig, UpstreamSetupError, simulate};

/// Sends it, expects success, and returns the result and the request as it came.
async fn carried_out(upstream: &FakeUpstream, operation: &Operation) -> (Value, RecordedRequest) {
    match client(upstream).send(operation, None).await {
        Outcome::Succeeded {
            http_status,
            request_id,
            result,
            ..
        } => {
            assert_eq!(http_status, 200);
            assert!(request_id.unwrap().ends_with("-TST"));
            let request = upstream.requests().pop().unwrap();
            assert_eq!(
                request.header("authorization"),
                format!("Bearer {UPSTREAM_TOKEN}")
            );
            (result, request)
        }
        other => panic!("{operation:?} was not carried out: {other:?}"),
    }
}

fn line(request: &RecordedRequest) -> String {
    let query = if request.query.is_empty() {
        String::new()
    } else {
        format!("?{}", request.query)
    };
    format!("{} {}{query}", request.method, request.path)
}

#[tokio::test]
async fn records_are_created_replaced_edited_and_deleted() {
    let upstream = FakeUpstream::start().await.unwrap();
    let older_names = operation(
        "dns.record.write",
        json!({"record_type": "A", "name": "www", "content": "192.0.2.1", "ttl": 60.0}),
    );
    let (record, request) = carried_out(&upstream, &older_names).await;
    assert_eq!(line(&request), "POST /zones/z1/dns_records");
    assert_eq!(
        request.json(),
        json!({"type": "A", "name": "www", "content": "192.0.2.1", "ttl": 60, "proxied": false})
    );
    let id = record["id"].as_str().unwrap().to_owned();

    let replace = operation(
        "dns.record.write",
        json!({"action": "update", "record_id": id, "type": "CNAME", "name": "www",
            "content": "example.net", "proxied": true, "comment": "moved"}),
    );
    let (_, request) = carried_out(&upstream, &replace).await;
    assert_eq!(line(&request), format!("PUT /zones/z1/dns_records/{id}"));
    assert_eq!(
        request.json(),
        json!({"type": "CNAME", "name": "www", "content": "example.net", "ttl": 1,
            "proxied": true, "comment": "moved"})
    );

    let edit = operation(
        "dns.record.write",
        json!({"action": "edit", "record_id": id, "ttl": 120}),
    );
    let (_, request) = carried_out(&upstream, &edit).await;
    assert_eq!(line(&request), format!("PATCH /zones/z1/dns_records/{id}"));
    assert_eq!(request.json(), json!({"ttl": 120}));

    let delete = operation(
        "dns.record.write",
        json!({"action": "delete", "record_id": id}),
    );
    let (_, request) = carried_out(&upstream, &delete).await;
    assert_eq!(line(&request), format!("DELETE /zones/z1/dns_records/{id}"));
    assert!(request.body.is_empty());
    assert!(upstream.records(ZONE).is_empty());
}

#[tokio::test]
async fn records_are_read_by_id_and_by_filter() {
    let upstream = FakeUpstream::start().await.unwrap();
    let id = upstream.put_record(
        ZONE,
        &json!({"type": "MX", "name": "@", "content": "mx.a", "priority": 5}),
    );
    let one = operation("dns.record.read", json!({"record_id": id}));
    let (record, request) = carried_out(&upstream, &one).await;
    assert_eq!(line(&request), format!("GET /zones/z1/dns_records/{id}"));
    assert_eq!(record["priority"], 5);

    let filter = json!({"name": "example.com", "type": "MX", "page": 1, "per_page": 10});
    let (records, request) = carried_out(&upstream, &operation("dns.record.read", filter)).await;
    assert_eq!(
        line(&request),
        "GET /zones/z1/dns_records?name=example.com&type=MX&page=1&per_page=10"
    );
    assert_eq!(records.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn each_kind_of_purge_is_sent_as_it_is() {
    let upstream = FakeUpstream::start().await.unwrap();
    for params in [
        json!({"purge_everything": true}),
        json!({"files": ["https://example.com/a", {"url": "https://example.com/b",
            "headers": {"Accept-Language": "de"}}]}),
        json!({"tags": ["t"]}),
        json!({"hosts": ["www.example.com"]}),
        json!({"prefixes": ["www.example.com/news"]}),
    ] {
        let purge = operation("cache.purge.execute", params.clone());
        let (_, request) = carried_out(&upstream, &purge).await;
        assert_eq!(line(&request), "POST /zones/z1/purge_cache");
        assert_eq!(request.json(), params);
    }
}

#[tokio::test]
async fn scripts_are_uploaded_as_forms() {
    let upstream = FakeUpstream::start().await.unwrap();
    let full = operation(
        "workers.deploy.write",
        json!({"script_name": "site", "main_module": "index.js", "modules": [
                {"name": "index.js", "content": "export default {}"},
                {"name": "lib/a.wasm", "content_base64": "AGFzbQEAAAD/"}],
            "compatibility_date": "2026-01-31", "compatibility_flags": ["nodejs_compat"],
            "bindings": [{"type": "plain_text", "name": "GREETING", "text": "hi"}]}),
    );
    let (_, request) = carried_out(&upstream, &full).await;
    assert_eq!(line(&request), "PUT /accounts/a1/workers/scripts/site");
    assert!(
        request
            .header("content-type")
            .starts_with("multipart/form-data; boundary=")
    );

    let inherit = operation(
        "workers.deploy.write",
        json!({"script_name": "site", "script": "export default {}",
            "bindings": [{"type": "inherit", "name": "GREETING"}]}),
    );
    let (_, request) = carried_out(&upstream, &inherit).await;
    assert_eq!(
        line(&request),
        "PUT /accounts/a1/workers/scripts/site?bindings_inherit=strict"
    );

    let nothing_to_inherit = operation(
        "workers.deploy.write",
        json!({"script_name": "other", "script": "addEventListener('fetch', f)",
            "bindings": [{"type": "inherit", "name": "GREETING"}]}),
    );
    let outcome = client(&upstream).send(&nothing_to_inherit, None).await;
    assert!(
        matches!(
            outcome,
            Outcome::Failed {
                http_status: Some(400),
                ..
            }
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn rules_are_added_changed_moved_deleted_and_replaced() {
    let upstream = FakeUpstream::start().await.unwrap();
    let set = upstream.put_ruleset(ZONE, CUSTOM);
    let rule = |text: &str| json!({"action": "block", "expression": text});
    let write = |params: Value| operation("waf.rules.write", params);
    let rules = format!("/zones/z1/rulesets/{set}/rules");

    let mut ids = Vec::new();
    for text in ["http.host eq \"a\"", "http.host eq \"b\""] {
        let add = write(json!({"action": "add_rule", "ruleset_id": set, "rule": rule(text)}));
        let (ruleset, request) = carried_out(&upstream, &add).await;
        assert_eq!(line(&request), format!("POST {rules}"));
        let sent = json!({"action": "block", "expression": text, "enabled": true});
        assert_eq!(request.json(), sent);
        let added = ruleset["rules"].as_array().unwrap().last().unwrap();
        ids.push(added["id"].as_str().unwrap().to_owned());
    }

    let change = write(
        json!({"action": "update_rule", "ruleset_id": set, "rule_id": ids[0],
        "rule": {"action": "log", "expression": "true", "enabled": false}}),
    );
    let (_, request) = carried_out(&upstream, &change).await;
    assert_eq!(line(&request), format!("PATCH {rules}/{}", ids[0]));

    let shift = write(
        json!({"action": "update_rule", "ruleset_id": set, "rule_id": ids[0],
        "rule": {"position": {"after": ids[1]}}}),
    );
    let (ruleset, request) = carried_out(&upstream, &shift).await;
    assert_eq!(request.json(), json!({"position": {"after": ids[1]}}));
    assert_eq!(ruleset["rules"][1]["id"], ids[0]);

    let delete = write(json!({"action": "delete_rule", "ruleset_id": set, "rule_id": ids[1]}));
    let (_, request) = carried_out(&upstream, &delete).await;
    assert_eq!(line(&request), format!("DELETE {rules}/{}", ids[1]));

    let replace = write(json!({"action": "replace_phase", "phase": CUSTOM,
        "rules": [{"action": "skip", "expression": "ip.src eq 192.0.2.1",
            "action_parameters": {"ruleset": "current"}, "logging": {"enabled": true}}]}));
    let (ruleset, request) = carried_out(&upstream, &replace).await;
    assert_eq!(
        line(&request),
        format!("PUT /zones/z1/rulesets/phases/{CUSTOM}/entrypoint")
    );
    assert_eq!(ruleset["rules"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_first_rule_of_a_phase_makes_its_ruleset_and_replaces_none() {
    let upstream = FakeUpstream::start().await.unwrap();
    let rule = json!({"action": "block", "expression": "true", "enabled": true});
    let first = operation(
        "waf.rules.write",
        json!({"action": "add_rule", "phase": CUSTOM, "rule": rule}),
    );
    let reader = client(&upstream);
    let zone = reader.name_of(&first.scope).await.unwrap().unwrap();
    let absent = reader.read_pre_state(&first, Ok(&zone)).await;
    assert_eq!(
        absent,
        PreState::Found(json!({"ruleset": null}).to_string())
    );
    let (ruleset, request) = carried_out(&upstream, &first).await;
    assert_eq!(line(&request), "POST /zones/z1/rulesets");
    assert_eq!(request.json()["rules"], json!([rule]));
    assert_eq!(ruleset["rules"][0]["expression"], "true");
    // A rule as it is shown can be sent back.
    let replace = operation(
        "waf.rules.write",
        json!({"action": "replace_phase", "phase": CUSTOM, "rules": ruleset["rules"]}),
    );
    carried_out(&upstream, &replace).await;
    match client(&upstream).send(&first, None).await {
        Outcome::Failed { .. } => {}
        other => panic!("a phase was replaced: {other:?}"),
    }
}

#[tokio::test]
async fn rules_and_the_ssl_mode_are_read_and_set() {
    let upstream = FakeUpstream::start().await.unwrap();
    let set = upstream.put_ruleset(ZONE, CUSTOM);
    for (params, path) in [
        (json!({}), "/zones/z1/rulesets".to_owned()),
        (
            json!({"ruleset_id": set}),
            format!("/zones/z1/rulesets/{set}"),
        ),
        (
            json!({"phase": CUSTOM}),
            format!("/zones/z1/rulesets/phases/{CUSTOM}/entrypoint"),
        ),
    ] {
        let (_, request) = carried_out(&upstream, &operation("waf.rules.read", params)).await;
        assert_eq!(line(&request), format!("GET {path}"));
    }
    let strict = operation("ssl.mode.write", json!({"value": "strict"}));
    let (_, request) = carried_out(&upstream, &strict).await;
    assert_eq!(line(&request), "PATCH /zones/z1/settings/ssl");
    assert_eq!(request.json(), json!({"value": "strict"}));
    assert_eq!(upstream.ssl_mode(ZONE), "strict");
}

#[tokio::test]
async fn the_description_is_of_the_bytes_that_are_sent() {
    let upstream = FakeUpstream::start().await.unwrap();
    for operation in readable_mutations(&upstream) {
        let described = operation.request(None).description();
        let (_, request) = carried_out(&upstream, &operation).await;
        assert_eq!(
            line(&request),
            format!("{} {}", described.method, described.path)
        );
        let sent = (!request.body.is_empty()).then(|| Sha256::digest(&request.body).into());
        assert_eq!(described.body_sha256, sent, "{operation:?}");
    }
}

#[test]
fn bases_and_tokens_that_cannot_be_used_are_refused() {
    let with = |base: &str, token: &str| {
        UpstreamClient::new(UpstreamConfig::new(
            Arc::new(Cloudflare),
            base,
            SecretString::from(token),
        ))
        .map(|client| format!("{client:?}"))
    };
    for base in [
        "",
        "api.cloudflare.com",
        "ftp://a/",
        "https://u:p@a/",
        "https://a/?b",
        "https://a/#b",
    ] {
        assert!(
            matches!(with(base, "t"), Err(UpstreamSetupError::BaseUrl(_))),
            "{base}"
        );
    }
    for base in [
        "http://api.cloudflare.com/client/v4",
        "http://192.0.2.1/",
        "http://localhost.a/",
    ] {
        assert!(
            matches!(with(base, "t"), Err(UpstreamSetupError::PlainText(_))),
            "{base}"
        );
    }
    for token in ["", "a b", "a\n", "ä"] {
        assert!(matches!(
            with("http://localhost/", token),
            Err(UpstreamSetupError::Token(_))
        ));
    }
    for base in [
        "http://localhost:1/client/v4/",
        "http://[::1]:1",
        "http://127.0.0.1:1",
    ] {
        let shown = with(base, "secret-token").unwrap();
        assert!(!shown.contains("secret-token"), "{shown}");
    }
}

#[test]
fn without_a_token_every_result_says_that_it_is_simulated() {
    let result = simulate(&create("www"));
    assert_eq!(result["simulated"], true);
    assert_eq!(result["request"]["method"], "POST");
    assert_eq!(result["request"]["path"], "/zones/z1/dns_records");
    assert_eq!(result["request"]["body"]["content"], "192.0.2.1");
}
