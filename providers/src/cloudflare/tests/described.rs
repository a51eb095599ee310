//! Requests of clients that are not the one that an operation makes: what people are told of them.

use crate::cloudflare::{
    DNS_RECORD_WRITE, WAF_RULES_WRITE, WORKERS_DEPLOY, WORKERS_ROUTE, WORKERS_SCRIPT_DELETE,
    WORKERS_SECRET, WORKERS_TRIGGER,
};
use ledger::CatalogEntry;
use ledger::UpstreamName;
use ledger::operation::{
    Before, FileChange, ForwardedRequest, Method, Operation, Scope, ScopeId, WarningLevel,
};
use serde_json::{Value, json};

fn sent(
    entry: &CatalogEntry,
    (method, target): (Method, &str),
    media_type: &str,
    body: &str,
) -> Operation {
    let headers = [("content-type".to_owned(), media_type.to_owned())];
    let request = ForwardedRequest {
        upstream: UpstreamName::cloudflare(),
        title: Some("A title".to_owned()),
        level: entry.level,
        risk: entry.risk,
        method,
        base_url: Some("https://api.example.com/v4".to_owned()),
        target: target.to_owned(),
        headers: headers.into(),
        body: body.as_bytes().to_vec(),
        secrets: Vec::new(),
        uploads: Vec::new(),
        upload: None,
        also_allowed: Vec::new(),
        follows: None,
    };
    let scope = Scope {
        scope_type: entry.scope_type,
        id: ScopeId::parse("z1").unwrap(),
    };
    let operation = crate::all().forward(entry.id, scope, request).unwrap();
    let read = crate::all().read_recorded(&operation.to_json()).unwrap();
    assert_eq!(read, operation);
    let request = operation.request(None);
    let bytes = request.body.encoded();
    let bytes = bytes.map_or_else(Vec::new, |(_, bytes)| bytes);
    assert_eq!(bytes, body.as_bytes(), "it is sent as it came");
    operation
}

fn of_json(entry: &CatalogEntry, line: (Method, &str), body: &Value) -> Operation {
    sent(entry, line, "application/json", &body.to_string())
}

fn dangers(operation: &Operation, before: &Before<'_>) -> Vec<&'static str> {
    let warnings = operation.warnings(before).into_iter();
    let dangers = warnings.filter(|warning| warning.level == WarningLevel::Danger);
    dangers.map(|warning| warning.code).collect()
}

fn before(state: &Value) -> Before<'_> {
    Before {
        state: Some(state),
        name: Some("example.com"),
    }
}

#[test]
fn a_record_that_is_changed_in_part_is_told_by_name_and_with_its_dangers() {
    let record = json!({"record": {"type": "A", "name": "www.example.com", "content": "192.0.2.1",
        "proxied": true, "ttl": 1}});
    let line = (Method::Patch, "/zones/z1/dns_records/r1");
    let body = json!({"content": "192.0.2.66", "proxied": false});
    let operation = of_json(&DNS_RECORD_WRITE, line, &body);
    assert!(operation.reads_state());
    let told = operation.act(&before(&record));
    assert_eq!(
        told,
        "www.example.com A: 192.0.2.1 → 192.0.2.66, proxying off"
    );
    assert_eq!(dangers(&operation, &before(&record)), ["exposes_origin"]);
    // What is recorded and approved is the request itself.
    assert_eq!(operation.to_json()["params"]["body"], body);
    let unknown = operation.warnings(&Before::default());
    assert!(
        unknown
            .iter()
            .all(|warning| warning.code != "not_described")
    );
    // A field of the catalog's own that upstream does not know says nothing of the record.
    let line = (Method::Post, "/zones/z1/dns_records");
    let body = json!({"record_type": "CNAME", "name": "www", "content": "a.example"});
    let told = of_json(&DNS_RECORD_WRITE, line, &body);
    assert!(!told.act(&Before::default()).contains("CNAME"));
}

#[test]
fn a_rule_is_as_strong_without_what_upstream_lets_out() {
    let line = (
        Method::Put,
        "/zones/z1/rulesets/phases/http_request_firewall_custom/entrypoint",
    );
    let skip = json!({"action": "skip", "expression": "true", "action_parameters": {"ruleset": "current"}});
    let operation = of_json(&WAF_RULES_WRITE, line, &json!({"rules": [skip]}));
    assert_eq!(
        dangers(&operation, &Before::default())[0],
        "skips_everything"
    );
    assert!(operation.entries(&Before::default()).is_some());
    assert_eq!(operation.to_json()["params"]["action"], "replace_phase");
    // What was recorded as it came before that reads as it did.
    let mut recorded = operation.to_json();
    recorded["params"] = json!({
        "method": "PUT", "url": format!("https://api.example.com/v4{}", line.1),
        "media_type": "application/json", "body": {"rules": [skip]},
    });
    let read = crate::all().read_recorded(&recorded).unwrap();
    assert_eq!(read.to_json(), recorded);
    recorded["params"]["body"] = json!({"rules": []});
    assert!(crate::all().read_recorded(&recorded).is_err());
    // One that is not read in full is not taken for a harmless one.
    let odd = json!({"rules": [{"action": "skip", "expression": "true", "action_parameters": 7}]});
    let operation = of_json(&WAF_RULES_WRITE, line, &odd);
    assert_eq!(
        dangers(&operation, &Before::default()),
        ["skips_everything", "replaces_all_rules"]
    );
    let line = (Method::Patch, "/zones/z1/rulesets/s1/rules/r1");
    let operation = of_json(&WAF_RULES_WRITE, line, &json!({"enabled": false}));
    let found = json!({"ruleset": {"rules": [{"id": "r1", "description": "Block bots"}]}});
    assert_eq!(
        operation.act(&before(&found)),
        "Change firewall rule \"Block bots\" of example.com: switched off"
    );
    assert_eq!(dangers(&operation, &before(&found)), ["disables_rule"]);
}

#[test]
fn each_write_to_a_worker_says_what_it_does_and_what_it_costs() {
    let script = "/accounts/z1/workers/scripts/shop";
    let version = json!({"versions": [{"version_id": "v1", "percentage": 100}]});
    for (entry, method, path, body, line, danger) in [
        (
            &WORKERS_SCRIPT_DELETE,
            Method::Delete,
            "",
            json!({}),
            "Delete the Worker shop",
            Some("deletes_worker"),
        ),
        (
            &WORKERS_SECRET,
            Method::Put,
            "/secrets",
            json!({"name": "TOKEN", "text": "x", "type": "secret_text"}),
            "Store the secret TOKEN of the Worker shop",
            None,
        ),
        (
            &WORKERS_SECRET,
            Method::Delete,
            "/secrets/TOKEN",
            json!({}),
            "Delete the secret TOKEN of the Worker shop",
            Some("deletes_secret"),
        ),
        (
            &WORKERS_TRIGGER,
            Method::Put,
            "/schedules",
            json!([{"cron": "*/5 * * * *"}]),
            "Set the schedules of the Worker shop: */5 * * * *",
            None,
        ),
        (
            &WORKERS_DEPLOY,
            Method::Post,
            "/deployments",
            version,
            "Put versions of the Worker shop into use: v1 (100 %)",
            Some("puts_into_use"),
        ),
        (
            &WORKERS_DEPLOY,
            Method::Post,
            "/subdomain",
            json!({"enabled": true, "previews_enabled": true}),
            "Publish the Worker shop at its address on workers.dev, and its previews at theirs",
            None,
        ),
        (
            &WORKERS_DEPLOY,
            Method::Patch,
            "/settings",
            json!({"bindings": []}),
            "Change settings of the Worker shop: bindings",
            Some("changes_bindings"),
        ),
    ] {
        let operation = of_json(entry, (method, &format!("{script}{path}")), &body);
        assert_eq!(operation.act(&Before::default()), line);
        assert_eq!(
            dangers(&operation, &Before::default()),
            Vec::from_iter(danger),
            "{line}"
        );
        let warnings = operation.warnings(&Before::default());
        assert!(
            warnings
                .iter()
                .all(|warning| warning.code != "not_described"),
            "{line}"
        );
        assert!(
            operation.summary().starts_with(line),
            "{}",
            operation.summary()
        );
    }
    let line = (Method::Post, "/zones/z1/workers/routes");
    let route = json!({"pattern": "shop.example/*", "script": "shop"});
    let operation = of_json(&WORKERS_ROUTE, line, &route);
    assert_eq!(
        operation.act(&Before::default()),
        "Send the requests of shop.example/* to the Worker shop"
    );
    // Of what has a title alone, nothing contradicts the title.
    let line = (Method::Put, "/accounts/z1/workflows/w");
    let operation = of_json(&WORKERS_TRIGGER, line, &json!({}));
    assert_eq!(operation.act(&Before::default()), "A title");
    assert!(
        !operation.warnings(&Before::default())[0]
            .text
            .contains("does not know")
    );
}

#[test]
fn a_held_upload_stands_beside_what_runs() {
    let metadata = json!({"main_module": "shop.js", "compatibility_date": "2026-11-01",
        "bindings": [{"type": "kv_namespace", "name": "CART", "namespace_id": "k"}]});
    let code = "export default { fetch() { return fetch(\"https://new.example/\") } }";
    let head = "Content-Disposition: form-data; ";
    let form = format!(
        "--x\r\n{head}name=\"metadata\"\r\nContent-Type: application/json\r\n\r\n{metadata}\r\n\
         --x\r\n{head}name=\"shop.js\"; filename=\"shop.js\"\r\n\
         Content-Type: application/javascript+module\r\n\r\n{code}\r\n--x--\r\n"
    );
    let state = json!({"script": {
        "bindings": [{"type": "d1", "name": "DB", "id": "d"}],
        "logpush": true,
        "code": {"modules": [{"name": "shop.js", "bytes": 3, "sha256": "00", "becomes": "shop.js",
            "hunks": [{"at": 0, "sent": 1, "gone": ["old"], "left_out": 0}]}], "hosts": []},
    }});
    for (method, path, act, lost) in [
        (
            Method::Put,
            "?excludeScript=true",
            "Replace the running Worker shop",
            vec!["bindings.DB", "logpush"],
        ),
        (
            Method::Post,
            "/versions",
            "Upload a version of the Worker shop",
            vec!["bindings.DB"],
        ),
        (
            Method::Put,
            "/content",
            "Replace the code of the Worker shop",
            vec![],
        ),
    ] {
        let target = format!("/accounts/z1/workers/scripts/shop{path}");
        let media_type = "multipart/form-data; boundary=x";
        let operation = sent(&WORKERS_DEPLOY, (method, &target), media_type, &form);
        let before = before(&state);
        assert!(operation.reads_state());
        let told = operation.act(&before);
        assert!(told.starts_with(act), "{told}");
        let names: Vec<_> = operation
            .lost(&before)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, lost, "{path}");
        let files = operation.files(&before).unwrap();
        assert!(
            matches!(files.files[1].change, FileChange::Changed(Some(_))),
            "{path}"
        );
        assert_eq!(files.known_hosts.as_deref(), Some(&[][..]));
        let warnings = operation.warnings(&before);
        let has = |code: &str| warnings.iter().any(|warning| warning.code == code);
        assert!(
            has("replaces_code") && has("new_hosts"),
            "{path}: {warnings:?}"
        );
        assert_eq!(has("loses_settings"), !lost.is_empty(), "{path}");
        let bindings = operation.entries(&before).unwrap();
        assert_eq!(bindings.noun, "binding");
    }
}
