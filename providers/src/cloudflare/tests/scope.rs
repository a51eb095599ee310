//! What every operation has in common, and the small ones.

use super::{accepted, parse, refused};
use serde_json::json;

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
        let error = crate::all()
            .parse(id, scope_type, scope_id, &no_params)
            .unwrap_err();
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
        assert_eq!(crate::all().read(&part).unwrap_err().path, name);
    }
    let mut more = whole;
    more["risk"] = json!("safe");
    assert_eq!(crate::all().read(&more).unwrap_err().path, "risk");
    assert_eq!(crate::all().read(&json!([])).unwrap_err().path, "operation");
}

#[test]
fn reads_take_an_id_or_filters() {
    refused(
        "dns.record.read",
        &[
            ("params.record_id", json!({"record_id": "a/b"})),
            ("params.name", json!({"record_id": "r1", "name": "a"})),
            ("params.page", json!({"page": 0})),
            ("params.per_page", json!({"per_page": 5_000_001})),
            ("params.type", json!({"type": "X/"})),
        ],
    );
    refused(
        "waf.rules.read",
        &[
            (
                "params.phase",
                json!({"ruleset_id": "r1", "phase": "http_ratelimit"}),
            ),
            ("params.phase", json!({"phase": "ddos/l7"})),
            ("params.ruleset_id", json!({"ruleset_id": ".."})),
        ],
    );
    assert!(!accepted("dns.record.read", json!({})).changes_upstream());
    assert!(!accepted("waf.rules.read", json!({})).changes_upstream());
}

#[test]
fn ssl_modes_are_upstreams_own() {
    refused(
        "ssl.mode.write",
        &[
            ("params.value", json!({})),
            ("params.value", json!({"value": "Full"})),
            ("params.value", json!({"value": "newest"})),
            ("params.id", json!({"value": "full", "id": "ssl"})),
        ],
    );
}
