//! The params of each operation in its accepted form, for conditions of policies.

use ledger::OperationId;
use ledger::provider::{Param, ParamType};

const TEXTS: ParamType = ParamType::List(&ParamType::Text);
const VALUES: ParamType = ParamType::List(&ParamType::Any);

const DNS_RECORD_READ: &[Param] = &[
    Param::new("record_id", ParamType::Text),
    Param::new("name", ParamType::Text),
    Param::new("type", ParamType::Text),
    Param::new("content", ParamType::Text),
    Param::new("page", ParamType::Int),
    Param::new("per_page", ParamType::Int),
];

const DNS_RECORD_WRITE: &[Param] = &[
    Param::new("action", ParamType::Text),
    Param::new("record_id", ParamType::Text),
    Param::new("type", ParamType::Text),
    Param::new("name", ParamType::Text),
    Param::new("content", ParamType::Text),
    // Each type of record has parts of its own.
    Param::new("data", ParamType::Any),
    Param::new("ttl", ParamType::Int),
    Param::new("proxied", ParamType::Bool),
    Param::new("priority", ParamType::Int),
    Param::new("comment", ParamType::Text),
    Param::new("tags", TEXTS),
    Param::new(
        "settings",
        ParamType::Object(&[
            Param::new("ipv4_only", ParamType::Bool),
            Param::new("ipv6_only", ParamType::Bool),
            Param::new("flatten_cname", ParamType::Bool),
        ]),
    ),
];

const CACHE_PURGE: &[Param] = &[
    Param::new("purge_everything", ParamType::Bool),
    // URLs, or objects with headers.
    Param::new("files", VALUES),
    Param::new("tags", TEXTS),
    Param::new("hosts", TEXTS),
    Param::new("prefixes", TEXTS),
];

const WORKERS_DEPLOY: &[Param] = &[
    Param::new("script_name", ParamType::Text),
    Param::new("main_module", ParamType::Text),
    Param::new("body_part", ParamType::Text),
    Param::new("modules", VALUES),
    Param::new("compatibility_date", ParamType::Text),
    Param::new("compatibility_flags", TEXTS),
    Param::new("bindings", VALUES),
    Param::new("keep_bindings", TEXTS),
    Param::new("bindings_inherit", ParamType::Text),
    Param::new("migrations", ParamType::Any),
    Param::new("logpush", ParamType::Bool),
    Param::new("placement", ParamType::Any),
    Param::new("observability", ParamType::Any),
    Param::new("tags", TEXTS),
    Param::new("limits", ParamType::Any),
    Param::new("tail_consumers", VALUES),
    Param::new("assets", ParamType::Any),
    Param::new("keep_assets", ParamType::Bool),
];

const WAF_RULES_READ: &[Param] = &[
    Param::new("ruleset_id", ParamType::Text),
    Param::new("phase", ParamType::Text),
];

/// A rule as it is added or changed; a change names what changes only.
const WAF_RULE: ParamType = ParamType::Object(&[
    Param::new("action", ParamType::Text),
    Param::new("expression", ParamType::Text),
    Param::new("action_parameters", ParamType::Any),
    Param::new("description", ParamType::Text),
    Param::new("enabled", ParamType::Bool),
    Param::new("ref", ParamType::Text),
    Param::new("logging", ParamType::Any),
    Param::new("ratelimit", ParamType::Any),
    Param::new("exposed_credential_check", ParamType::Any),
    Param::new("position", ParamType::Any),
    Param::new("id", ParamType::Text),
]);

const WAF_RULES_WRITE: &[Param] = &[
    Param::new("action", ParamType::Text),
    Param::new("ruleset_id", ParamType::Text),
    Param::new("rule_id", ParamType::Text),
    Param::new("phase", ParamType::Text),
    Param::new("rule", WAF_RULE),
    Param::new("rules", ParamType::List(&WAF_RULE)),
];

const SSL_MODE: &[Param] = &[Param::new("value", ParamType::Text)];

/// The params of an operation.
pub(super) fn params_of(operation: OperationId) -> &'static [Param] {
    match operation.as_str() {
        "dns.record.read" => DNS_RECORD_READ,
        "dns.record.write" => DNS_RECORD_WRITE,
        "cache.purge.execute" => CACHE_PURGE,
        "workers.deploy.write" => WORKERS_DEPLOY,
        "waf.rules.read" => WAF_RULES_READ,
        "waf.rules.write" => WAF_RULES_WRITE,
        "ssl.mode.write" => SSL_MODE,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn is_of(value: &Value, param_type: &ParamType) -> bool {
        match param_type {
            ParamType::Bool => value.is_boolean(),
            ParamType::Int => value.is_i64(),
            ParamType::Text => value.is_string(),
            ParamType::List(of) => value
                .as_array()
                .is_some_and(|items| items.iter().all(|item| is_of(item, of))),
            ParamType::Object(params) => value.as_object().is_some_and(|fields| {
                let known = |name: &str| params.iter().find(|param| param.name == name);
                fields.iter().all(|(name, value)| {
                    known(name).is_none_or(|param| is_of(value, &param.param_type))
                })
            }),
            ParamType::Any => true,
        }
    }

    /// Every param that this operation writes is in the table, with its type.
    #[track_caller]
    fn stands(operation: &str, params: Value) {
        let entry = crate::all().entry(operation).unwrap();
        let scope_type = entry.scope_type.as_str();
        let read = crate::all()
            .parse(operation, scope_type, "shop", &params)
            .unwrap_or_else(|error| panic!("{operation} {params}: {error}"));
        let accepted = read.effect().to_json();
        let table = params_of(entry.id);
        for (name, value) in accepted.as_object().unwrap() {
            let param = table.iter().find(|param| param.name == name);
            let param = param.unwrap_or_else(|| panic!("{operation}: {name} is not in the table"));
            assert!(
                is_of(value, &param.param_type),
                "{operation}: {name} is {value}"
            );
        }
    }

    #[test]
    fn the_table_says_what_operations_write() {
        let id = "372e67954025e0ba6aaa6d586b9e0b59";
        stands("dns.record.read", json!({"record_id": id}));
        stands(
            "dns.record.read",
            json!({"name": "a", "type": "A", "content": "192.0.2.1", "page": 1, "per_page": 5.0}),
        );
        stands(
            "dns.record.write",
            json!({"record_type": "A", "name": "a.example", "content": "192.0.2.1", "ttl": 60, "proxied": true,
                   "comment": "x", "tags": ["a:b"], "settings": {"ipv4_only": true}}),
        );
        stands(
            "dns.record.write",
            json!({"type": "MX", "name": "a.example", "content": "b.example", "priority": 10}),
        );
        stands(
            "dns.record.write",
            json!({"type": "SRV", "name": "_a._tcp.example",
                   "data": {"priority": 1, "weight": 1, "port": 1, "target": "b.example"}}),
        );
        stands(
            "dns.record.write",
            json!({"action": "delete", "record_id": id}),
        );
        stands("cache.purge.execute", json!({"purge_everything": true}));
        let file =
            json!({"url": "https://a.example/x", "headers": {"Origin": "https://b.example"}});
        stands(
            "cache.purge.execute",
            json!({"files": ["https://a.example/x", file]}),
        );
        for name in ["tags", "hosts"] {
            stands("cache.purge.execute", json!({name: ["a.example"]}));
        }
        stands("cache.purge.execute", json!({"prefixes": ["a.example/x"]}));
        stands(
            "workers.deploy.write",
            json!({"script_name": "s", "script": "export default {}", "compatibility_date": "2026-01-01",
                   "compatibility_flags": ["nodejs_compat"], "keep_bindings": ["secret_text"], "logpush": true,
                   "tags": ["a"], "bindings": [{"type": "plain_text", "name": "A", "text": "b"}]}),
        );
        stands("waf.rules.read", json!({"ruleset_id": id}));
        stands(
            "waf.rules.read",
            json!({"phase": "http_request_firewall_custom"}),
        );
        let rule =
            json!({"action": "block", "expression": "ip.src eq 192.0.2.1", "description": "x"});
        stands(
            "waf.rules.write",
            json!({"action": "add_rule", "ruleset_id": id, "rule": rule}),
        );
        stands(
            "waf.rules.write",
            json!({"action": "replace_phase", "phase": "http_request_firewall_custom", "rules": [rule]}),
        );
        stands(
            "waf.rules.write",
            json!({"action": "delete_rule", "ruleset_id": id, "rule_id": id}),
        );
        stands("ssl.mode.write", json!({"value": "strict"}));
    }

    #[test]
    fn every_operation_of_the_catalog_is_in_the_table() {
        for entry in super::super::CATALOG {
            assert!(!params_of(entry.id).is_empty(), "{}", entry.id);
        }
    }
}
