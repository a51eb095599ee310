//! Risks and summaries.

use super::{accepted, codes, codes_given};
use ledger::operation::Before;
use serde_json::{Value, json};

#[test]
fn every_risk_is_said() {
    let dns = |params: Value| codes(&accepted("dns.record.write", params));
    assert_eq!(
        dns(json!({"action": "delete", "record_id": "r"})),
        ["deletes_record"]
    );
    assert_eq!(
        dns(
            json!({"action": "update", "record_id": "r", "type": "A", "name": "*.a.b",
            "content": "192.0.2.1"})
        ),
        ["replaces_record", "wildcard_record", "exposes_origin"]
    );
    assert_eq!(
        dns(json!({"action": "edit", "record_id": "r", "proxied": false})),
        ["exposes_origin"]
    );
    assert_eq!(
        dns(
            json!({"type": "A", "name": "www.example.com", "content": "192.0.2.1", "ttl": 60,
            "proxied": true})
        ),
        ["ttl_without_effect"]
    );
    for (record, code) in [
        (
            json!({"type": "NS", "content": "ns.a"}),
            "nameserver_record",
        ),
        (
            json!({"type": "MX", "content": "mx.a", "priority": 1}),
            "mail_record",
        ),
        (
            json!({"type": "CAA", "data": {"flags": 0, "tag": "issue", "value": "a"}}),
            "caa_record",
        ),
        (
            json!({"type": "DS", "data": {"key_tag": 1, "algorithm": 1, "digest_type": 1,
            "digest": "ab"}}),
            "ds_record",
        ),
    ] {
        let mut params = record;
        params["name"] = json!("@");
        assert_eq!(dns(params), [code, "apex_record"]);
    }
    let all = accepted("cache.purge.execute", json!({"purge_everything": true}));
    assert_eq!(codes(&all), ["purges_everything"]);
    for (value, expected) in [
        ("off", vec!["ssl_downgrade"]),
        ("flexible", vec!["ssl_downgrade"]),
        ("full", vec!["ssl_origin_unverified"]),
        ("strict", vec![]),
    ] {
        assert_eq!(
            codes(&accepted("ssl.mode.write", json!({ "value": value }))),
            expected
        );
    }
    let replace = accepted(
        "waf.rules.write",
        json!({"action": "replace_phase", "phase": "http_request_firewall_custom", "rules": [
            {"action": "skip", "expression": "a", "action_parameters": {"products": ["waf"]}},
            {"action": "block", "expression": "(true)"},
            {"action": "log", "expression": "a", "enabled": false}]}),
    );
    assert_eq!(
        codes(&replace),
        [
            "replaces_all_rules",
            "skips_protection",
            "matches_every_request",
            "disabled_rule"
        ]
    );
    let deploy = accepted(
        "workers.deploy.write",
        json!({"script_name": "s", "script": "1", "bindings": [],
            "migrations": {"new_tag": "v2", "deleted_classes": ["A"]}}),
    );
    assert_eq!(
        codes(&deploy),
        [
            "replaces_code",
            "changes_bindings",
            "migrates_durable_objects",
            "deletes_durable_objects"
        ]
    );
}

#[test]
fn one_line_says_what_happens() {
    for (id, params, line) in [
        (
            "dns.record.write",
            json!({"type": "A", "name": "www.example.com", "content": "192.0.2.1", "proxied": true}),
            "Create A record www.example.com → 192.0.2.1 in zone z1 (proxied, TTL automatic)",
        ),
        (
            "dns.record.write",
            json!({"type": "TXT", "name": "a", "content": "x\u{202e}y", "ttl": 60}),
            "Create TXT record a → x\\u{202e}y in zone z1 (TTL 60 s)",
        ),
        (
            "dns.record.write",
            json!({"action": "delete", "record_id": "r1"}),
            "Delete record r1 in zone z1",
        ),
        (
            "ssl.mode.write",
            json!({"value": "off"}),
            "Set SSL mode to off in zone z1",
        ),
        (
            "cache.purge.execute",
            json!({"purge_everything": true}),
            "Purge everything from the cache of zone z1",
        ),
        ("waf.rules.read", json!({}), "List rulesets in zone z1"),
    ] {
        assert_eq!(accepted(id, params).summary(), line);
    }
}

fn zone(state: &Value) -> Before<'_> {
    Before {
        state: Some(state),
        name: Some("example.co.uk"),
    }
}

#[test]
fn what_was_read_decides_what_is_warned_of() {
    let delete = accepted(
        "dns.record.write",
        json!({"action": "delete", "record_id": "r"}),
    );
    let mx = json!({"record": {"type": "MX", "name": "example.co.uk", "content": "mx.a"}});
    assert_eq!(
        codes_given(&delete, &zone(&mx)),
        ["deletes_record", "mail_record", "apex_record"]
    );
    let dkim = json!({"record": {"type": "TXT", "name": "sel._domainkey.example.co.uk"}});
    assert_eq!(codes_given(&delete, &zone(&dkim)), ["deletes_record"]);
    let wildcard = json!({"record": {"type": "A", "name": "*.example.co.uk"}});
    assert_eq!(
        codes_given(&delete, &zone(&wildcard)),
        ["deletes_record", "wildcard_record"]
    );
    // Names are not counted: two labels may be below the zone, and more may be the zone.
    let create = |name: &str| json!({"type": "A", "name": name, "content": "192.0.2.1"});
    let none = json!({"records": []});
    for (name, expected) in [
        ("sel._domainkey", vec![]),
        ("example.co", vec![]),
        ("Example.co.uk.", vec!["apex_record"]),
        ("www.example.co.uk", vec![]),
        ("@", vec!["apex_record"]),
    ] {
        let create = accepted("dns.record.write", create(name));
        assert_eq!(codes_given(&create, &zone(&none)), expected, "{name}");
    }
    let edit = accepted(
        "dns.record.write",
        json!({"action": "edit", "record_id": "r", "proxied": false}),
    );
    for (proxied, expected) in [(true, vec!["exposes_origin"]), (false, vec![])] {
        let record = json!({"record": {"type": "A", "name": "www", "proxied": proxied}});
        assert_eq!(codes_given(&edit, &zone(&record)), expected);
    }
}

#[test]
fn leaving_a_stricter_ssl_mode_is_said() {
    let mode = |value: &str| accepted("ssl.mode.write", json!({ "value": value }));
    for (now, next, expected) in [
        ("origin_pull", "strict", vec!["ssl_weakened"]),
        (
            "origin_pull",
            "full",
            vec!["ssl_origin_unverified", "ssl_weakened"],
        ),
        ("strict", "origin_pull", vec![]),
        ("full", "strict", vec![]),
        ("strict", "flexible", vec!["ssl_downgrade", "ssl_weakened"]),
        ("quantum", "strict", vec!["leaves_unknown_mode"]),
    ] {
        let state = json!({"ssl": {"id": "ssl", "value": now}});
        let before = Before {
            state: Some(&state),
            name: None,
        };
        assert_eq!(codes_given(&mode(next), &before), expected, "{now} {next}");
    }
    assert!(codes(&mode("origin_pull")).is_empty());
}
