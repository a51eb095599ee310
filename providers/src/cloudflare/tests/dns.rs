//! DNS records that are accepted and refused.

use super::{accepted, refused};
use serde_json::{Value, json};

#[test]
fn defaults_are_filled_in_and_older_names_translated() {
    let older = accepted(
        "dns.record.write",
        json!({"record_type": "A", "name": "www.", "content": "192.0.2.1", "ttl": 60.0,
            "proxied": null}),
    );
    assert_eq!(
        older.to_json()["params"],
        json!({"action": "create", "type": "A", "name": "www", "content": "192.0.2.1", "ttl": 60,
            "proxied": false})
    );
    let mail = accepted(
        "dns.record.write",
        json!({"type": "MX", "name": "@", "content": "mx.a.", "priority": 5, "proxied": false}),
    );
    assert_eq!(
        mail.to_json()["params"],
        json!({"action": "create", "type": "MX", "name": "@", "content": "mx.a", "ttl": 1,
            "priority": 5})
    );
    let address = json!({"type": "AAAA", "name": "a", "content": "2001:DB8:0::1"});
    let address = accepted("dns.record.write", address);
    assert_eq!(address.to_json()["params"]["content"], "2001:db8::1");
}

#[test]
fn records_that_upstream_would_refuse_are_refused() {
    let with = |change: Value| {
        let mut params = json!({"type": "A", "name": "www", "content": "192.0.2.1"});
        params
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        params
    };
    refused(
        "dns.record.write",
        &[
            ("params.type", with(json!({"type": null}))),
            ("params.type", with(json!({"type": "A/B"}))),
            ("params.type", with(json!({"type": "1A"}))),
            ("params.type", with(json!({"type": "ABCDEFGHIJKLMNOPQ"}))),
            ("params.type", with(json!({"type": 1}))),
            ("params.record_type", with(json!({"record_type": "A"}))),
            ("params.name", with(json!({"name": null}))),
            ("params.name", with(json!({"name": ""}))),
            ("params.name", with(json!({"name": "a b"}))),
            ("params.content", with(json!({"content": null}))),
            ("params.content", with(json!({"content": "192.0.2.256"}))),
            ("params.content", with(json!({"content": "192.0.2.01"}))),
            ("params.content", with(json!({"content": "2001:db8::1"}))),
            ("params.content", with(json!({"type": "AAAA"}))),
            ("params.content", with(json!({"type": "CNAME"}))),
            (
                "params.content",
                with(json!({"type": "CNAME", "content": "https://a.b"})),
            ),
            (
                "params.content",
                with(json!({"type": "TXT", "content": ""})),
            ),
            (
                "params.content",
                with(json!({"type": "TXT", "content": "a\nb"})),
            ),
            (
                "params.content",
                with(json!({"type": "TXT", "content": "a".repeat(4097)})),
            ),
            (
                "params.priority",
                with(json!({"type": "MX", "content": "mx.a"})),
            ),
            (
                "params.priority",
                with(json!({"type": "MX", "content": "mx.a", "priority": 65_536})),
            ),
            ("params.ttl", with(json!({"ttl": 0}))),
            ("params.ttl", with(json!({"ttl": 2}))),
            ("params.ttl", with(json!({"ttl": 29}))),
            ("params.ttl", with(json!({"ttl": 60.5}))),
            ("params.ttl", with(json!({"ttl": 86_401}))),
            ("params.ttl", with(json!({"ttl": "60"}))),
            (
                "params.proxied",
                with(json!({"type": "TXT", "proxied": true})),
            ),
            ("params.proxied", with(json!({"proxied": "true"}))),
            ("params.comment", with(json!({"comment": "a".repeat(501)}))),
            ("params.comment", with(json!({"comment": "a\nb"}))),
            ("params.tags[1]", with(json!({"tags": ["a:b", "ä:b"]}))),
            ("params.tags", with(json!({"tags": vec!["a:b"; 21]}))),
            ("params.action", with(json!({"action": "drop"}))),
            ("params.record_id", with(json!({"record_id": "r1"}))),
            ("params.record_id", with(json!({"action": "update"}))),
            (
                "params.record_id",
                with(json!({"action": "update", "record_id": "../r1"})),
            ),
            (
                "params.name",
                json!({"action": "delete", "record_id": "r1", "name": "www"}),
            ),
            ("params", json!({"action": "edit", "record_id": "r1"})),
            (
                "params.type",
                json!({"action": "edit", "record_id": "r1", "content": "192.0.2.1"}),
            ),
        ],
    );
    for ttl in [1, 30, 60, 86_400] {
        accepted("dns.record.write", with(json!({ "ttl": ttl })));
    }
}

#[test]
fn the_parts_of_a_record_are_checked_one_by_one() {
    let srv = |data: Value| json!({"type": "SRV", "name": "_sip._tcp", "data": data});
    let caa = |data: Value| json!({"type": "CAA", "name": "@", "data": data});
    refused(
        "dns.record.write",
        &[
            ("params.data", json!({"type": "SRV", "name": "_sip._tcp"})),
            (
                "params.settings",
                json!({"type": "A", "name": "a", "content": "192.0.2.1",
                "settings": true}),
            ),
            (
                "params.settings.ipv4_only",
                json!({"type": "A", "name": "a", "content": "192.0.2.1",
                "settings": {"ipv4_only": 1}}),
            ),
            (
                "params.data.target",
                srv(json!({"priority": 1, "weight": 1, "port": 1})),
            ),
            (
                "params.data.port",
                srv(json!({"priority": 1, "weight": 1, "port": 65_536, "target": "a"})),
            ),
            (
                "params.data.flags",
                caa(json!({"flags": 256, "tag": "issue", "value": "a"})),
            ),
            (
                "params.data.tag",
                caa(json!({"flags": 0, "tag": "Issue", "value": "a"})),
            ),
            (
                "params.data.value",
                caa(json!({"flags": 0, "tag": "issue", "value": ""})),
            ),
            (
                "params.data.digest",
                json!({"type": "DS", "name": "a", "data":
            {"key_tag": 1, "algorithm": 13, "digest_type": 2, "digest": "xyz"}}),
            ),
            (
                "params.data.lat_degrees",
                json!({"type": "LOC", "name": "a", "data":
            {"lat_degrees": 91, "lat_direction": "N", "long_direction": "E"}}),
            ),
        ],
    );
    accepted(
        "dns.record.write",
        caa(json!({"flags": 0, "tag": "issue", "value": ";"})),
    );
}
