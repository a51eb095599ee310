//! What is there now, is not named, and is gone afterwards.

use super::{accepted, codes_given};
use ledger::operation::Before;
use serde_json::{Value, json};

fn lost(operation_id: &str, params: Value, state: &Value) -> Value {
    Value::Object(accepted(operation_id, params).lost(&given(state)))
}

fn given(state: &Value) -> Before<'_> {
    Before {
        state: Some(state),
        name: None,
    }
}

#[test]
fn an_upload_names_what_it_drops_and_not_what_stays() {
    let state = json!({"script": {
        "bindings": [
            {"type": "kv_namespace", "name": "KV", "namespace_id": "k"},
            {"type": "secret_text", "name": "KEY"},
            {"type": "d1", "name": "DB", "id": "d"},
            {"type": "assets", "name": "ASSETS"},
        ],
        "limits": {"cpu_ms": 50}, "tail_consumers": [{"service": "t"}], "logpush": false,
        "placement": {}, "tags": [], "usage_model": "standard", "compatibility_date": "2026-01-01",
    }});
    let deploy = |change: Value| {
        let mut params = json!({"script_name": "s", "script": "export default {}"});
        params
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        params
    };
    let change = json!({
        "bindings": [{"type": "kv_namespace", "name": "KV", "namespace_id": "k2"}],
        "keep_bindings": ["secret_text"], "compatibility_date": "2026-02-01",
    });
    assert_eq!(
        lost("workers.deploy.write", deploy(change), &state),
        json!({
            "assets": "all static files",
            "bindings.ASSETS": {"type": "assets", "name": "ASSETS"},
            "bindings.DB": {"type": "d1", "name": "DB", "id": "d"},
            "limits": {"cpu_ms": 50},
            "tail_consumers": [{"service": "t"}],
        })
    );
    let change = json!({"keep_bindings": ["kv_namespace", "secret_text", "d1", "assets"],
        "keep_assets": true, "limits": {"cpu_ms": 10}, "tail_consumers": [],
        "compatibility_date": "2026-02-01"});
    assert_eq!(
        lost("workers.deploy.write", deploy(change), &state),
        json!({})
    );
    let bare = accepted("workers.deploy.write", deploy(json!({})));
    assert_eq!(
        codes_given(&bare, &given(&state)),
        ["replaces_code", "loses_settings"]
    );
    // A script that is not there yet loses nothing.
    let none = json!({"script": null});
    assert_eq!(codes_given(&bare, &given(&none)), ["new_script"]);
}

#[test]
fn a_replaced_record_names_what_it_drops() {
    let state = json!({"record": {"type": "A", "name": "www.example.com", "content": "192.0.2.1",
        "comment": "who to ask", "tags": ["team:web"], "settings": {"ipv4_only": false}}});
    let update = |action: &str| {
        json!({"action": action, "record_id": "r", "type": "A", "name": "www",
            "content": "192.0.2.2", "tags": []})
    };
    assert_eq!(
        lost("dns.record.write", update("update"), &state),
        json!({"comment": "who to ask"})
    );
    assert_eq!(lost("dns.record.write", update("edit"), &state), json!({}));
}

#[test]
fn replaced_rules_name_what_they_drop() {
    let rule = |id: &str, expression: &str| {
        json!({"id": id, "ref": id, "version": "1", "action": "block",
            "expression": expression, "description": "d"})
    };
    let state = json!({"ruleset": {"rules": [rule("a", "1"), rule("b", "2"), rule("c", "3")]}});
    let replace = json!({"action": "replace_phase", "phase": "http_request_firewall_custom",
        "rules": [{"id": "a", "action": "log", "expression": "9"},
            {"action": "block", "expression": "3"}]});
    assert_eq!(
        lost("waf.rules.write", replace, &state),
        json!({"rules[1]": rule("b", "2")})
    );
    let update = json!({"action": "update_rule", "ruleset_id": "r", "rule_id": "b",
        "rule": {"action": "block", "expression": "2"}});
    assert_eq!(
        lost("waf.rules.write", update, &state),
        json!({"description": "d"})
    );
}
