//! Operations against a stand-in for Cloudflare.

mod answering;
mod end_state;
mod judging;
mod pre_state;
mod reconciling;
mod sending;

use fixtures::upstream::{FakeUpstream, UPSTREAM_TOKEN};
use ledger::operation::Operation;
use providers::cloudflare::Cloudflare;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use workers::upstream::{UpstreamClient, UpstreamConfig};

pub(crate) const ZONE: &str = "z1";
const ACCOUNT: &str = "a1";
const CUSTOM: &str = "http_request_firewall_custom";

fn config(base_url: impl Into<String>) -> UpstreamConfig {
    UpstreamConfig {
        read_back_delays: vec![Duration::from_millis(5)],
        most_answer_bytes: 1024 * 1024,
        ..UpstreamConfig::new(
            Arc::new(Cloudflare),
            base_url,
            SecretString::from(UPSTREAM_TOKEN),
        )
    }
}

pub(crate) fn client(upstream: &FakeUpstream) -> UpstreamClient {
    UpstreamClient::new(config(upstream.base_url())).unwrap()
}

/// A client that gives up on an answer quickly.
fn hasty_client(upstream: &FakeUpstream) -> UpstreamClient {
    UpstreamClient::new(UpstreamConfig {
        total_timeout: Duration::from_millis(150),
        upload_timeout: Duration::from_millis(150),
        ..config(upstream.base_url())
    })
    .unwrap()
}

pub(crate) fn operation(operation_id: &str, params: Value) -> Operation {
    let (scope_type, scope) = if operation_id.starts_with("workers.") {
        ("account", ACCOUNT)
    } else {
        ("zone", ZONE)
    };
    providers::all()
        .parse(operation_id, scope_type, scope, &params)
        .unwrap()
}

pub(crate) fn create(name: &str) -> Operation {
    operation(
        "dns.record.write",
        json!({"type": "A", "name": name, "content": "192.0.2.1"}),
    )
}

/// One operation of every kind that can be read back, with what upstream must have for it.
pub(crate) fn readable_mutations(upstream: &FakeUpstream) -> Vec<Operation> {
    let record = |name: &str| {
        upstream.put_record(
            ZONE,
            &json!({"type": "A", "name": name, "content": "192.0.2.9"}),
        )
    };
    let ruleset_id = upstream.put_ruleset(ZONE, CUSTOM);
    let script = "export default { fetch() { return new Response('hi') } }";
    vec![
        create("create.example.com"),
        operation(
            "dns.record.write",
            json!({"action": "update", "record_id": record("update"), "type": "AAAA",
                "name": "update", "content": "2001:db8::1", "proxied": true, "ttl": 300,
                "comment": "new", "tags": ["b:2", "a:1"]}),
        ),
        operation(
            "dns.record.write",
            json!({"action": "edit", "record_id": record("edit"), "proxied": true}),
        ),
        operation(
            "dns.record.write",
            json!({"action": "delete", "record_id": record("delete")}),
        ),
        operation(
            "dns.record.write",
            json!({"type": "SRV", "name": "_sip._tcp", "data":
                {"priority": 1, "weight": 2, "port": 5060, "target": "sip.example.com"}}),
        ),
        operation(
            "dns.record.write",
            json!({"type": "TXT", "name": "@", "content": "v=spf1 -all"}),
        ),
        operation(
            "workers.deploy.write",
            json!({"script_name": "site", "script": script}),
        ),
        operation(
            "workers.deploy.write",
            json!({"script_name": "old", "script": "addEventListener('fetch', f)"}),
        ),
        operation(
            "waf.rules.write",
            json!({"action": "add_rule", "ruleset_id": ruleset_id,
                "rule": {"action": "block", "expression": "http.host eq \"a\""}}),
        ),
        operation(
            "waf.rules.write",
            json!({"action": "replace_phase", "phase": "http_ratelimit", "rules": [{
                "action": "block", "expression": "true", "ratelimit": {
                    "characteristics": ["cf.colo.id", "ip.src"], "period": 60,
                    "requests_per_period": 100, "mitigation_timeout": 600}}]}),
        ),
        operation("ssl.mode.write", json!({"value": "strict"})),
    ]
}
