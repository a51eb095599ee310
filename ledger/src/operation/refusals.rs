//! What is refused before anything is accepted: where it is said to be wrong, and in what words;
//! and what accepted operations look like when they are written, shown and warned about.

use super::Operation;
use serde_json::{Value, json};

fn parse(operation_id: &str, params: &Value) -> Result<Operation, super::InvalidOperation> {
    let scope = if operation_id.starts_with("workers.") {
        "account"
    } else {
        "zone"
    };
    Operation::parse(operation_id, scope, "z1", params)
}

fn accepted(operation_id: &str, params: Value) -> Operation {
    parse(operation_id, &params).unwrap_or_else(|error| panic!("{params}: {error}"))
}

/// Each of these params is refused with this path.
fn refused(operation_id: &str, cases: &[(&str, Value)]) {
    for (path, params) in cases {
        match parse(operation_id, params) {
            Ok(_) => panic!("accepted: {params}"),
            Err(error) => assert_eq!(error.path, *path, "{params}: {error}"),
        }
    }
}

fn codes(operation: &Operation) -> Vec<&'static str> {
    operation
        .warnings()
        .into_iter()
        .map(|warning| warning.code)
        .collect()
}

#[test]
fn operation_scope_and_params_are_checked_in_turn() {
    let no_params = json!({});
    for (id, scope_type, scope_id, path) in [
        ("dns.record.drop", "zone", "z1", "operation_id"),
        ("permissions.admin", "zone", "z1", "operation_id"),
        ("dns.record.read", "account", "z1", "scope_type"),
        ("workers.deploy.write", "zone", "z1", "scope_type"),
        ("dns.record.read", "planet", "z1", "scope_type"),
        ("dns.record.read", "zone", "", "scope_id"),
        ("dns.record.read", "zone", "*", "scope_id"),
        ("dns.record.read", "zone", "../accounts", "scope_id"),
        ("dns.record.read", "zone", "z1?x=", "scope_id"),
        ("dns.record.read", "zone", "z%2f", "scope_id"),
    ] {
        let error = Operation::parse(id, scope_type, scope_id, &no_params).unwrap_err();
        assert_eq!(error.path, path, "{id} {scope_type} {scope_id}");
    }
    for params in [json!(null), json!([]), json!("{}"), json!(1)] {
        assert_eq!(
            parse("dns.record.read", &params).unwrap_err().path,
            "params"
        );
    }
}

#[test]
fn the_written_form_takes_nothing_else() {
    let whole = accepted("ssl.mode.write", json!({"value": "full"})).to_json();
    for name in ["operation_id", "scope_type", "scope_id", "params"] {
        let mut part = whole.clone();
        part.as_object_mut().unwrap().remove(name);
        assert_eq!(Operation::from_json(&part).unwrap_err().path, name);
    }
    let mut more = whole;
    more["risk"] = json!("safe");
    assert_eq!(Operation::from_json(&more).unwrap_err().path, "risk");
    assert_eq!(
        Operation::from_json(&json!([])).unwrap_err().path,
        "operation"
    );
}

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
            ("params.type", with(json!({"type": "a"}))),
            ("params.type", with(json!({"type": "SOA"}))),
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
            ("params.content", with(json!({"type": "SRV"}))),
            ("params.data", with(json!({"data": {}}))),
            (
                "params.priority",
                with(json!({"type": "MX", "content": "mx.a"})),
            ),
            (
                "params.priority",
                with(json!({"type": "MX", "content": "mx.a", "priority": 65_536})),
            ),
            ("params.priority", with(json!({"priority": 1}))),
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
            ("params.id", with(json!({"id": "r1"}))),
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
                "params.data.target",
                srv(json!({"priority": 1, "weight": 1, "port": 1})),
            ),
            (
                "params.data.port",
                srv(json!({"priority": 1, "weight": 1, "port": 65_536, "target": "a"})),
            ),
            (
                "params.data.proto",
                srv(json!({"priority": 1, "weight": 1, "port": 1, "target": "a", "proto": "_tcp"})),
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

#[test]
fn reads_take_an_id_or_filters() {
    refused(
        "dns.record.read",
        &[
            ("params.record_id", json!({"record_id": "a/b"})),
            ("params.name", json!({"record_id": "r1", "name": "a"})),
            ("params.page", json!({"page": 0})),
            ("params.per_page", json!({"per_page": 5001})),
            ("params.type", json!({"type": "X"})),
            ("params.order", json!({"order": "name"})),
        ],
    );
    refused(
        "waf.rules.read",
        &[
            (
                "params.phase",
                json!({"ruleset_id": "r1", "phase": "http_ratelimit"}),
            ),
            ("params.phase", json!({"phase": "ddos_l7"})),
            ("params.ruleset_id", json!({"ruleset_id": ".."})),
        ],
    );
    assert!(!accepted("dns.record.read", json!({})).changes_upstream());
    assert!(!accepted("waf.rules.read", json!({})).changes_upstream());
}

#[test]
fn a_purge_is_of_exactly_one_kind() {
    let url = "https://example.com/a";
    refused(
        "cache.purge.execute",
        &[
            ("params", json!({})),
            ("params", json!({"purge_everything": false})),
            ("params", json!({"purge_everything": true, "tags": ["a"]})),
            ("params", json!({"files": [url], "hosts": ["example.com"]})),
            (
                "params.purge_everything",
                json!({"purge_everything": "true"}),
            ),
            ("params.files", json!({"files": []})),
            ("params.files", json!({"files": url})),
            ("params.files", json!({"files": vec![url; 101]})),
            ("params.files[1]", json!({"files": [url, "/a"]})),
            ("params.files[0]", json!({"files": [1]})),
            (
                "params.files[0].url",
                json!({"files": [{"url": "ftp://a/"}]}),
            ),
            (
                "params.files[0].headers",
                json!({"files": [{"url": url, "headers": {"a b": "c"}}]}),
            ),
            (
                "params.files[0].method",
                json!({"files": [{"url": url, "method": "GET"}]}),
            ),
            ("params.tags[0]", json!({"tags": ["a,b"]})),
            ("params.hosts[0]", json!({"hosts": ["https://a"]})),
            ("params.prefixes[0]", json!({"prefixes": ["https://a/b"]})),
        ],
    );
    let most = accepted("cache.purge.execute", json!({"files": vec![url; 100]}));
    assert!(!most.reconcilable());
    assert_eq!(
        most.summary(),
        "Purge by file https://example.com/a and 99 more from the cache of zone z1"
    );
}

#[test]
fn uploads_are_complete_and_hold_no_secrets() {
    let with = |change: Value| {
        let mut params = json!({"script_name": "s", "main_module": "a.js",
            "modules": [{"name": "a.js", "content": "export default {}"}]});
        params
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        params
    };
    let module = |change: Value| with(json!({"modules": [change]}));
    let binding = |change: Value| with(json!({"bindings": [change]}));
    refused(
        "workers.deploy.write",
        &[
            ("params.script_name", json!({"script": "1"})),
            ("params.script_name", with(json!({"script_name": "A"}))),
            ("params.script_name", with(json!({"script_name": "../a"}))),
            ("params.script_name", with(json!({"script_name": "-a"}))),
            ("params", json!({"script_name": "s"})),
            ("params", json!({"script_name": "s", "script": ""})),
            (
                "params",
                json!({"script_name": "s", "script": "a".repeat(10 * 1024 * 1024 + 1)}),
            ),
            (
                "params.main_module",
                json!({"script_name": "s", "script": "1", "main_module": "a.js"}),
            ),
            ("params.main_module", with(json!({"main_module": null}))),
            ("params.main_module", with(json!({"body_part": "a.js"}))),
            ("params.main_module", with(json!({"main_module": "b.js"}))),
            (
                "params.main_module",
                module(json!({"name": "a.js", "content": "1", "type": "text/plain"})),
            ),
            (
                "params.modules[0].name",
                module(json!({"name": "../a.js", "content": "1"})),
            ),
            (
                "params.modules[0].name",
                module(json!({"name": "a\".js", "content": "1"})),
            ),
            (
                "params.modules[0].name",
                module(json!({"name": "metadata", "content": "1"})),
            ),
            (
                "params.modules[0].type",
                module(json!({"name": "a", "content": "1"})),
            ),
            (
                "params.modules[0].type",
                module(json!({"name": "a", "content": "1", "type": "a/b"})),
            ),
            ("params.modules[0].content", module(json!({"name": "a.js"}))),
            (
                "params.modules[0].content_base64",
                module(json!({"name": "a.js", "content_base64": "?"})),
            ),
            (
                "params.modules[1].name",
                with(json!({"modules": [
            {"name": "a.js", "content": "1"}, {"name": "a.js", "content": "2"}]})),
            ),
            (
                "params.compatibility_date",
                with(json!({"compatibility_date": "2026-02-30"})),
            ),
            (
                "params.compatibility_flags[0]",
                with(json!({"compatibility_flags": ["a b"]})),
            ),
            (
                "params.bindings[0].type",
                binding(json!({"type": "secret_text", "name": "A", "text": "s"})),
            ),
            (
                "params.bindings[0].type",
                binding(json!({"type": "magic", "name": "A"})),
            ),
            (
                "params.bindings[0].name",
                binding(json!({"type": "ai", "name": "1a"})),
            ),
            (
                "params.bindings[0].namespace_id",
                binding(json!({"type": "kv_namespace", "name": "A"})),
            ),
            (
                "params.bindings[0].part",
                binding(json!({"type": "wasm_module", "name": "A", "part": "b"})),
            ),
            (
                "params.bindings[1].name",
                with(json!({"bindings": [
            {"type": "ai", "name": "A"}, {"type": "browser", "name": "A"}]})),
            ),
            (
                "params.keep_bindings[0]",
                with(json!({"keep_bindings": ["magic"]})),
            ),
            (
                "params.bindings_inherit",
                with(json!({"bindings_inherit": "loose"})),
            ),
            (
                "params.placement.mode",
                with(json!({"placement": {"mode": "far"}})),
            ),
            (
                "params.observability.enabled",
                with(json!({"observability": {}})),
            ),
            (
                "params.usage_model",
                with(json!({"usage_model": "bundled"})),
            ),
        ],
    );
}

#[test]
fn the_short_form_says_what_it_was_taken_for() {
    let module = accepted(
        "workers.deploy.write",
        json!({"script_name": "s", "script": "export default {}"}),
    );
    assert_eq!(
        module.to_json()["params"],
        json!({"script_name": "s", "main_module": "worker.js", "modules": [{
            "name": "worker.js", "type": "application/javascript+module",
            "content": "export default {}"}]})
    );
    let worker = accepted(
        "workers.deploy.write",
        json!({"script_name": "s", "script": "f()"}),
    );
    assert_eq!(worker.to_json()["params"]["body_part"], "worker.js");
    assert_eq!(
        worker.summary(),
        "Deploy Worker s in account z1 (service worker, 1 in 3 bytes)"
    );
    assert_eq!(codes(&worker), ["replaces_code", "drops_bindings"]);
}

#[test]
fn rules_that_upstream_would_refuse_are_refused() {
    let add = |rule: Value| json!({"action": "add_rule", "ruleset_id": "r1", "rule": rule});
    let with = |change: Value| {
        let mut rule = json!({"action": "block", "expression": "true"});
        rule.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        add(rule)
    };
    let phase = |phase: &str, rule: Value| json!({"action": "replace_phase", "phase": phase, "rules": [rule]});
    let plain = json!({"action": "block", "expression": "true"});
    refused(
        "waf.rules.write",
        &[
            ("params.action", json!({})),
            ("params.action", json!({"action": "drop"})),
            (
                "params.ruleset_id",
                json!({"action": "add_rule", "rule": plain}),
            ),
            (
                "params.rule",
                json!({"action": "add_rule", "ruleset_id": "r1"}),
            ),
            (
                "params.rule_id",
                json!({"action": "delete_rule", "ruleset_id": "r1"}),
            ),
            (
                "params.rule_id",
                json!({"action": "delete_rule", "ruleset_id": "r1", "rule_id": "a/b"}),
            ),
            (
                "params.rule",
                json!({"action": "delete_rule", "ruleset_id": "r1", "rule_id": "a",
            "rule": plain}),
            ),
            ("params.rule.action", with(json!({"action": "allow"}))),
            ("params.rule.expression", with(json!({"expression": null}))),
            ("params.rule.expression", with(json!({"expression": "(a"}))),
            (
                "params.rule.expression",
                with(json!({"expression": "a".repeat(4097)})),
            ),
            ("params.rule.enabled", with(json!({"enabled": 1}))),
            (
                "params.rule.logging",
                with(json!({"logging": {"enabled": true}})),
            ),
            (
                "params.rule.action_parameters",
                with(json!({"action": "skip"})),
            ),
            (
                "params.rule.action_parameters",
                with(json!({"action": "skip", "action_parameters": {}})),
            ),
            (
                "params.rule.action_parameters.ruleset",
                with(json!({"action": "skip",
            "action_parameters": {"ruleset": "current", "phases": ["http_ratelimit"]}})),
            ),
            (
                "params.rule.action_parameters",
                with(json!({"action": "log", "action_parameters": {}})),
            ),
            (
                "params.rule.action_parameters.response.status_code",
                with(json!({"action_parameters":
            {"response": {"status_code": 200, "content": "a", "content_type": "text/html"}}})),
            ),
            (
                "params.rule.position",
                with(json!({"position": {"index": 1, "before": "a"}})),
            ),
            (
                "params.rule.position.index",
                with(json!({"position": {"index": 0}})),
            ),
            ("params.rule.id", with(json!({"id": "a"}))),
            (
                "params.rule.ratelimit.period",
                with(json!({"ratelimit": {"characteristics": ["ip.src"],
            "period": 61, "requests_per_period": 1}})),
            ),
            (
                "params.phase",
                json!({"action": "replace_phase", "rules": []}),
            ),
            (
                "params.rules",
                json!({"action": "replace_phase", "phase": "http_ratelimit"}),
            ),
            (
                "params.rules[0].ratelimit",
                phase("http_ratelimit", plain.clone()),
            ),
            (
                "params.rules[0].action",
                phase("http_request_firewall_managed", plain.clone()),
            ),
            (
                "params.rules[0].position",
                phase(
                    "http_request_firewall_custom",
                    json!({"action": "log", "expression": "true", "position": {"index": 1}}),
                ),
            ),
        ],
    );
}

#[test]
fn ssl_modes_are_upstreams_four() {
    refused(
        "ssl.mode.write",
        &[
            ("params.value", json!({})),
            ("params.value", json!({"value": "Full"})),
            ("params.value", json!({"value": "origin_pull"})),
            ("params.id", json!({"value": "full", "id": "ssl"})),
        ],
    );
}

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
