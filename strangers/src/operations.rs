//! Operations with their params, and the bytes that people approve.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use ledger::operation::{Before, Operation, UpstreamRequest};
use ledger::{Fingerprint, LedgerId, Submission, TaskId, operations_of, parse_strict};
use serde_json::{Value, json};

/// Where requests go; no operation gets out of it.
const BASE: &str = "https://api.example/client/v4";

/// The longest line that says what an operation does, in characters.
const LONGEST_SUMMARY: usize = 2000;

/// One operation of a request: what is taken is sent as it was read, under upstream's prefix, and can
/// be shown on one line.
pub(crate) fn operation(bytes: &[u8]) {
    let Ok(value) = parse_strict(bytes) else {
        return;
    };
    let Ok(operation) = Operation::from_json(&value) else {
        return;
    };
    let written = operation.to_json();
    assert_eq!(Operation::from_json(&written).as_ref(), Ok(&operation));
    is_one_line(&operation.summary());
    for warning in operation.warnings(&Before::default()) {
        is_one_line(&format!("{warning:?}"));
    }
    for place in operation.unchecked() {
        let value = place.value(written.get("params").expect("params are written"));
        assert!(value.is_some(), "{place:?} is not in {written}");
    }
    // What was recorded is read whether or not it may be asked for today.
    let _ = operation.check_asked();
    stays_below_the_base(&operation);
    let submission = Submission {
        ledger_id: LedgerId::from_bytes([1; 16]),
        agent: "ci-bot".to_owned(),
        task_id: TaskId::from_bytes([2; 16]),
        operations: vec![written],
    };
    let canonical = submission
        .canonical_bytes()
        .expect("an operation can be signed");
    assert_eq!(Submission::read(&canonical).ok(), Some(submission));
}

fn is_one_line(text: &str) {
    assert!(text.chars().count() <= LONGEST_SUMMARY, "{text}");
    let misleads = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!text.contains(misleads), "{text:?}");
}

fn stays_below_the_base(operation: &Operation) {
    let request = UpstreamRequest::of(operation);
    let _ = request.description();
    assert_eq!(request.is_read(), !operation.changes_upstream());
    let url = format!("{BASE}{}", request.path_and_query());
    let url: url::Url = url.parse().expect("a request has a URL");
    assert_eq!(url.host_str(), Some("api.example"));
    let scope = format!(
        "/client/v4/{}s/{}/",
        operation.scope.scope_type.as_str(),
        operation.scope.id.as_str()
    );
    assert!(url.path().starts_with(&scope), "{url}");
    assert!(url.fragment().is_none(), "{url}");
}

/// Canonical bytes of a submission are taken in one spelling only.
pub(crate) fn submission(bytes: &[u8]) {
    let Ok(submission) = Submission::read(bytes) else {
        return;
    };
    let again = submission.canonical_bytes().expect("it was read");
    assert_eq!(again, bytes, "it was read from another spelling");
    assert_eq!(Fingerprint::of(&again), Fingerprint::of(bytes));
    assert_eq!(operations_of(bytes).ok(), Some(submission.operations));
}

/// Every operation in every form.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let rule = json!({"action": "block", "expression": "(ip.src eq 192.0.2.1 and not http.host in {\"a.example\" \"b.example\"})", "description": "x", "enabled": true});
    let of = |operation: &str, scope: &str, params: Value| {
        json!({"operation_id": operation, "scope_type": scope, "scope_id": "z1", "params": params})
            .to_string()
            .into_bytes()
    };
    let zone = |operation: &str, params: Value| of(operation, "zone", params);
    let mut seeds = vec![
        zone(
            "dns.record.read",
            json!({"name.contains": "a", "proxied": true}),
        ),
        zone(
            "dns.record.write",
            json!({"type": "NEW", "name": "a", "data": {"x": [1]}, "settings": {"ipv4_only": true, "y": null}}),
        ),
        zone(
            "cache.purge.execute",
            json!({"prefixes": ["bücher.example/新"], "method": "soft"}),
        ),
        zone(
            "waf.rules.write",
            json!({"action": "add_rule", "phase": "http_new", "rule": {"action": "newest", "expression": "true", "action_parameters": {"a": {"b": []}}}}),
        ),
        of(
            "workers.deploy.write",
            "account",
            json!({"script_name": "edge", "script": "if(a)/'/.test(b);export{c as default}", "bindings": [{"type": "newest", "name": "A", "f": 1}], "limits": {"cpu_ms": 5}, "assets": {"jwt": "a", "config": {"b": 1}}}),
        ),
        zone("dns.record.read", json!({})),
        zone(
            "dns.record.read",
            json!({"type": "A", "name": "a.example", "content": "192.0.2.1"}),
        ),
        zone(
            "dns.record.write",
            json!({"action": "create", "type": "A", "name": "a.example", "content": "192.0.2.1", "ttl": 60, "proxied": false}),
        ),
        zone(
            "dns.record.write",
            json!({"action": "create", "type": "MX", "name": "@", "content": "mx.example", "priority": 10, "ttl": 1, "comment": "c", "tags": ["a:b"]}),
        ),
        zone(
            "dns.record.write",
            json!({"action": "create", "type": "TXT", "name": "_acme-challenge.a.example", "content": "\"v=spf1 -all\""}),
        ),
        zone(
            "dns.record.write",
            json!({"action": "create", "type": "SRV", "name": "_s._tcp.a.example", "data": {"priority": 1, "weight": 2, "port": 3, "target": "t.example"}}),
        ),
        zone(
            "dns.record.write",
            json!({"action": "create", "type": "CAA", "name": "a.example", "data": {"flags": 0, "tag": "issue", "value": "ca.example"}}),
        ),
        zone(
            "dns.record.write",
            json!({"action": "create", "type": "AAAA", "name": "*.xn--bcher-kva.example", "content": "2001:db8::1"}),
        ),
        zone(
            "dns.record.write",
            json!({"action": "update", "record_id": "0123456789abcdef0123456789abcdef", "type": "CNAME", "name": "b.example", "content": "a.example"}),
        ),
        zone(
            "dns.record.write",
            json!({"action": "edit", "record_id": "0123456789abcdef0123456789abcdef", "type": "A", "content": "192.0.2.2"}),
        ),
        zone(
            "dns.record.write",
            json!({"action": "delete", "record_id": "0123456789abcdef0123456789abcdef"}),
        ),
        zone("cache.purge.execute", json!({"purge_everything": true})),
        zone(
            "cache.purge.execute",
            json!({"files": ["https://a.example/x", {"url": "https://a.example/y", "headers": {"Origin": "https://b.example"}}]}),
        ),
        zone("cache.purge.execute", json!({"tags": ["t"]})),
        zone("cache.purge.execute", json!({"prefixes": ["a.example/p"]})),
        zone("waf.rules.read", json!({})),
        zone(
            "waf.rules.read",
            json!({"phase": "http_request_firewall_custom"}),
        ),
        zone(
            "waf.rules.write",
            json!({"action": "add_rule", "ruleset_id": "0123456789abcdef0123456789abcdef", "rule": rule}),
        ),
        zone(
            "waf.rules.write",
            json!({"action": "update_rule", "ruleset_id": "0123456789abcdef0123456789abcdef", "rule_id": "0123456789abcdef0123456789abcdef", "rule": rule}),
        ),
        zone(
            "waf.rules.write",
            json!({"action": "delete_rule", "ruleset_id": "0123456789abcdef0123456789abcdef", "rule_id": "0123456789abcdef0123456789abcdef"}),
        ),
        zone(
            "waf.rules.write",
            json!({"action": "replace_phase", "phase": "http_request_firewall_custom", "rules": [rule]}),
        ),
        zone("ssl.mode.write", json!({"value": "strict"})),
        of(
            "workers.deploy.write",
            "account",
            json!({"script_name": "edge", "script": "export default {fetch() { return new Response('`${1}`') }} // x"}),
        ),
        of(
            "workers.deploy.write",
            "account",
            json!({"script_name": "edge", "modules": [{"name": "a.js", "type": "application/javascript+module", "content": "export default {}"}], "main_module": "a.js", "compatibility_date": "2026-01-01", "bindings": [{"type": "plain_text", "name": "A", "text": "b"}]}),
        ),
    ];
    seeds.extend(submission_operations());
    seeds
}

fn golden() -> Vec<Value> {
    serde_json::from_str(include_str!("../../fixtures/data/fingerprint.json"))
        .expect("golden data is JSON")
}

fn submission_operations() -> Vec<Vec<u8>> {
    let golden = golden();
    let operations = golden
        .iter()
        .filter_map(|case| case.get("operations")?.as_array());
    operations
        .flatten()
        .filter(|operation| operation.get("operation_id").is_some())
        .map(|operation| operation.to_string().into_bytes())
        .collect()
}

/// The golden submissions.
pub(crate) fn submission_seeds() -> Vec<Vec<u8>> {
    let golden = golden();
    let texts = golden
        .iter()
        .filter_map(|case| case.get("canonical")?.as_str());
    texts.map(|text| text.as_bytes().to_vec()).collect()
}
