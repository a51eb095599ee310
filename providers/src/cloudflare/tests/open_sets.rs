//! What is not known here is passed on, shown and named.

use super::{accepted, unchecked};
use serde_json::{Value, json};

/// Params as they are sent, without the fields that a default filled in.
fn sent(operation_id: &str, params: Value) -> (Value, Vec<String>) {
    let operation = accepted(operation_id, params);
    let places = unchecked(&operation);
    let places = places.into_iter().map(str::to_owned).collect();
    (operation.to_json()["params"].clone(), places)
}

/// The params are sent as they are, and exactly these places are named.
fn passes(operation_id: &str, params: Value, expected: &[&str]) {
    let (written, places) = sent(operation_id, params.clone());
    assert_eq!(written, params);
    assert_eq!(places, expected, "{params}");
}

#[test]
fn records_are_taken_as_upstream_knows_them() {
    let record = |change: Value| {
        let mut params = json!({"action": "create", "type": "A", "name": "www",
            "content": "192.0.2.1", "ttl": 1, "proxied": true});
        params
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        params
    };
    let write = "dns.record.write";
    passes(write, record(json!({"settings": {"ipv4_only": true}})), &[]);
    passes(
        write,
        record(json!({"settings": {"flatten_cname": false, "x": [1]}})),
        &["settings.x"],
    );
    passes(
        write,
        record(json!({"private_routing": true})),
        &["private_routing"],
    );
    passes(
        write,
        record(json!({"type": "NEWTYPE", "proxied": true})),
        &["content", "type"],
    );
    passes(
        write,
        json!({"action": "create", "type": "SVCB2", "name": "a", "ttl": 1, "data": {"a": 1}}),
        &["data", "data.a", "type"],
    );
    passes(
        write,
        json!({"action": "create", "type": "CAA", "name": "@", "ttl": 1,
            "data": {"flags": 0, "tag": "newtag", "value": "v"}}),
        &["data.tag"],
    );
    // A record as upstream shows it, sent back whole: the content follows from the data.
    let shown = json!({"action": "update", "record_id": "r1", "id": "r1", "type": "SRV",
        "name": "_sip._tcp.example.com", "content": "10 5 5060 sip.example.com", "ttl": 1,
        "priority": 10, "proxiable": false, "proxied": false, "created_on": "2026-01-01T00:00:00Z",
        "modified_on": "2026-01-01T00:00:00Z", "meta": {"auto_added": false}, "tags": [],
        "settings": {}, "comment": null,
        "data": {"priority": 10, "weight": 5, "port": 5060, "target": "sip.example.com",
            "service": "_sip", "proto": "_tcp", "name": "example.com"}});
    let (written, places) = sent(write, shown.clone());
    assert_eq!(written["data"], shown["data"]);
    assert_eq!(written["modified_on"], shown["modified_on"]);
    assert_eq!(written.get("content"), None);
    assert_eq!(
        places,
        [
            "created_on",
            "data.name",
            "data.proto",
            "data.service",
            "id",
            "meta",
            "modified_on",
            "priority",
            "proxiable"
        ]
    );
    // Upstream is moving priorities into the data.
    passes(
        write,
        json!({"action": "create", "type": "MX", "name": "@", "ttl": 1,
            "data": {"priority": 10, "target": "mx.example.com"}}),
        &["data", "data.priority", "data.target"],
    );
}

#[test]
fn filters_of_reads_are_taken_as_upstream_knows_them() {
    let read = accepted(
        "dns.record.read",
        json!({"name.contains": "www", "proxied": true, "page": 2, "type": "a"}),
    );
    assert_eq!(unchecked(&read), ["name.contains", "proxied"]);
    assert_eq!(
        read.request(None).path_and_query(),
        "/zones/z1/dns_records?type=A&page=2&name.contains=www&proxied=true"
    );
    let list = accepted("waf.rules.read", json!({"per_page": 5, "cursor": "a&b"}));
    assert_eq!(
        list.request(None).path_and_query(),
        "/zones/z1/rulesets?cursor=a%26b&per_page=5"
    );
    super::refused(
        "dns.record.read",
        &[
            ("params.a b", json!({"a b": 1})),
            ("params.a", json!({"a": {"b": 1}})),
            ("params.tag", json!({"record_id": "r1", "tag": "a"})),
        ],
    );
}

#[test]
fn purges_are_taken_as_upstream_knows_them() {
    let purge = "cache.purge.execute";
    passes(purge, json!({"tags": vec!["a"; 100]}), &[]);
    passes(purge, json!({"tags": vec!["a"; 500]}), &["tags"]);
    passes(
        purge,
        json!({"prefixes": ["www.bücher.example/新闻"]}),
        &["prefixes[0]"],
    );
    passes(
        purge,
        json!({"hosts": ["a.example", "bücher.example"]}),
        &["hosts[1]"],
    );
    passes(
        purge,
        json!({"purge_everything": true, "method": "soft"}),
        &["method"],
    );
    passes(
        purge,
        json!({"files": [{"url": "https://a.example/", "device": "mobile"}]}),
        &["files[0].device"],
    );
}

#[test]
fn rules_are_taken_as_upstream_shows_them() {
    let write = "waf.rules.write";
    let phase = |rule: Value| {
        json!({"action": "replace_phase", "phase": "http_request_firewall_custom",
            "rules": [rule]})
    };
    let skip = json!({"id": "a1", "version": "3", "last_updated": "2026-01-01T00:00:00.1Z",
        "ref": "a1", "action": "skip", "enabled": true, "expression": "true",
        "action_parameters": {"ruleset": "current", "phases": ["http_ratelimit"],
            "products": ["bic"]},
        "logging": {"enabled": true},
        "exposed_credential_check": {
            "username_expression": "url_decode(http.request.body.form[\"u\"][0])",
            "password_expression": "url_decode(http.request.body.form[\"p\"][0])"}});
    passes(write, phase(skip), &[]);
    let unknown = json!({"action": "skip", "enabled": true, "expression": "true",
        "action_parameters": {"phases": ["http_new"], "products": ["newest"], "x": {"y": 1}},
        "categories": ["a"]});
    passes(
        write,
        phase(unknown),
        &[
            "rules[0].action_parameters.phases[0]",
            "rules[0].action_parameters.products[0]",
            "rules[0].action_parameters.x",
            "rules[0].categories",
        ],
    );
    let add = |rule: Value| json!({"action": "add_rule", "ruleset_id": "r1", "rule": rule});
    passes(
        write,
        add(
            json!({"action": "score", "enabled": true, "expression": "true",
            "action_parameters": {"increment": 5}, "id": "a1"}),
        ),
        &[
            "rule.action",
            "rule.action_parameters",
            "rule.action_parameters.increment",
            "rule.id",
        ],
    );
    passes(
        write,
        add(
            json!({"action": "block", "enabled": true, "expression": "true",
            "ratelimit": {"characteristics": ["ip.src"], "period": 15,
                "requests_per_period": 1, "score_per_period": 2}}),
        ),
        &[],
    );
    passes(
        write,
        json!({"action": "replace_phase", "phase": "http_request_sbfm", "rules": [],
            "description": "d"}),
        &["description", "phase"],
    );
}

#[test]
fn the_first_rule_of_an_empty_phase_replaces_nothing() {
    let params = json!({"action": "add_rule", "phase": "http_ratelimit", "rule": {
        "action": "block", "enabled": true, "expression": "true",
        "ratelimit": {"characteristics": ["ip.src"], "period": 10, "requests_per_period": 1}}});
    passes("waf.rules.write", params.clone(), &[]);
    let add = accepted("waf.rules.write", params.clone());
    let request = add.request(None);
    assert_eq!(request.method.as_str(), "POST");
    assert_eq!(request.path, "/zones/z1/rulesets");
    let ledger::operation::UpstreamBody::Json(body) = request.body else {
        panic!("no JSON")
    };
    assert_eq!(
        body,
        json!({"name": "default", "kind": "zone", "phase": "http_ratelimit",
            "rules": [params["rule"]]})
    );
    assert_eq!(
        add.summary(),
        "Add the first rule (block: true) to phase http_ratelimit in zone z1"
    );
    let neither = super::parse(
        "waf.rules.write",
        &json!({"action": "add_rule", "rule": params["rule"]}),
    );
    let neither = neither.unwrap_err();
    assert!(neither.problem.contains("give phase instead"), "{neither}");
}

#[test]
fn deploys_are_taken_as_upstream_knows_them() {
    let deploy = |change: Value| {
        let mut params = json!({"script_name": "s", "main_module": "a.js", "modules": [
            {"name": "a.js", "type": "application/javascript+module", "content": "export default {}"}]});
        params
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        params
    };
    let passes = |change: Value, expected: &[&str]| {
        passes("workers.deploy.write", deploy(change), expected);
    };
    let binding = |binding: Value| json!({"bindings": [binding]});
    passes(
        binding(json!({"type": "d1", "name": "DB", "database_id": "d"})),
        &[],
    );
    passes(binding(json!({"type": "d1", "name": "DB", "id": "d"})), &[]);
    passes(
        binding(
            json!({"type": "ratelimit", "name": "R", "namespace_id": "1",
            "simple": {"limit": 10, "period": 60}}),
        ),
        &[],
    );
    passes(
        binding(json!({"type": "pipelines", "name": "P", "pipeline": "p"})),
        &["bindings[0].pipeline", "bindings[0].type"],
    );
    passes(
        binding(json!({"type": "r2_bucket", "name": "R-2", "bucket_name": "b", "ro": true})),
        &["bindings[0].name", "bindings[0].ro"],
    );
    passes(
        json!({"tail_consumers": [{"service": "t", "environment": "e"}],
            "limits": {"cpu_ms": 50}, "keep_assets": true,
            "assets": {"jwt": "eyJ.e.s", "config": {"html_handling": "none"}}}),
        &["assets.config.html_handling"],
    );
    passes(
        json!({"placement": {"mode": "targeted", "region": "aws:us-east-1"}}),
        &["placement.mode", "placement.region"],
    );
    passes(
        json!({"observability": {"enabled": true, "logs": {"enabled": true}},
            "usage_model": "standard", "annotations": {"workers/message": "m"},
            "keep_bindings": ["secret_text", "secret_new"]}),
        &[
            "annotations",
            "keep_bindings[1]",
            "observability.logs",
            "usage_model",
        ],
    );
    let many: Vec<_> = (0..300)
        .map(|index| {
            json!({"name": format!("pages/[slug]/{index}.js"),
                "type": "application/javascript+module", "content": "1"})
        })
        .collect();
    passes(
        json!({"main_module": "pages/[slug]/0.js", "modules": many}),
        &[],
    );
    passes(
        json!({"modules": [
            {"name": "a.js", "type": "application/javascript+module", "content": "1"},
            {"name": "requirements.txt", "type": "text/x-python-requirement", "content": "a"}]}),
        &["modules[1].type"],
    );
}

#[test]
fn the_short_form_can_say_what_it_is() {
    let deploy = |field: &str| {
        accepted(
            "workers.deploy.write",
            json!({"script_name": "s", field: "w.js",
                "script": "if (a) {} /'/.test(b); export default {}"}),
        )
    };
    let module = deploy("main_module").to_json();
    assert_eq!(module["params"]["main_module"], "w.js");
    assert_eq!(
        module["params"]["modules"][0]["type"],
        "application/javascript+module"
    );
    let script = deploy("body_part").to_json();
    assert_eq!(script["params"]["body_part"], "w.js");
    assert_eq!(
        script["params"]["modules"][0]["type"],
        "application/javascript"
    );
}

#[test]
fn what_nobody_could_read_is_not_passed_on() {
    let record = |fields: usize| {
        let mut params = json!({"type": "A", "name": "a", "content": "192.0.2.1"});
        for index in 0..fields {
            params[format!("x{index}")] = json!(1);
        }
        params
    };
    accepted("dns.record.write", record(1000));
    super::refused("dns.record.write", &[("params", record(1001))]);
    super::refused(
        "dns.record.write",
        &[
            (
                "params.a‹U+202E›",
                json!({"type": "A", "name": "a", "content": "192.0.2.1", "a\u{202e}": 1}),
            ),
            (
                "params.(a name of 129 characters)",
                json!({"type": "A", "name": "a", "content": "192.0.2.1", "a".repeat(129): 1}),
            ),
        ],
    );
}
