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
