//! Operations as requests below `…/client/v4`.

use super::multipart::{self, Form};
use super::{
    DnsRecordRead, DnsRecordWrite, Params, WafRulesRead, WafRulesWrite, WorkersDeploy, ZoneName,
};
use ledger::operation::{Method, Scope, UpstreamBody, UpstreamRequest};
use serde_json::Value;

/// The request that carries the operation out in a zone of this name.
pub(super) fn request_of(
    params: &Params,
    scope: &Scope,
    zone: Option<&ZoneName>,
) -> UpstreamRequest {
    let scope = scope.id.as_str();
    match params {
        Params::DnsRecordRead(read) => dns_record_read(scope, read, zone),
        Params::DnsRecordWrite(write) => dns_record_write(scope, write),
        Params::CachePurge(purge) => UpstreamRequest::json(
            Method::Post,
            format!("/zones/{scope}/purge_cache"),
            purge.body(),
        ),
        Params::WorkersDeploy(deploy) => workers_deploy(scope, deploy),
        Params::WafRulesRead(read) => waf_rules_read(scope, read),
        Params::WafRulesWrite(write) => waf_rules_write(scope, write),
        Params::SslMode(mode) => UpstreamRequest::json(
            Method::Patch,
            format!("/zones/{scope}/settings/ssl"),
            mode.body(),
        ),
    }
}

fn dns_record_read(
    zone: &str,
    read: &DnsRecordRead,
    zone_name: Option<&ZoneName>,
) -> UpstreamRequest {
    let records = format!("/zones/{zone}/dns_records");
    match read {
        DnsRecordRead::One(record_id) => UpstreamRequest::get(format!("{records}/{record_id}")),
        DnsRecordRead::List(filter) => {
            UpstreamRequest::get(records).with_query(filter.query(zone_name))
        }
    }
}

fn dns_record_write(zone: &str, write: &DnsRecordWrite) -> UpstreamRequest {
    let records = format!("/zones/{zone}/dns_records");
    match write {
        DnsRecordWrite::Create(record) => {
            UpstreamRequest::json(Method::Post, records, Value::Object(record.body()))
        }
        DnsRecordWrite::Update { record_id, record } => UpstreamRequest::json(
            Method::Put,
            format!("{records}/{record_id}"),
            Value::Object(record.body()),
        ),
        DnsRecordWrite::Edit { record_id, change } => UpstreamRequest::json(
            Method::Patch,
            format!("{records}/{record_id}"),
            Value::Object(change.body()),
        ),
        DnsRecordWrite::Delete { record_id } => {
            UpstreamRequest::delete(format!("{records}/{record_id}"))
        }
    }
}

fn workers_deploy(account: &str, deploy: &WorkersDeploy) -> UpstreamRequest {
    let modules = deploy.modules().iter();
    let Form {
        content_type,
        bytes,
    } = multipart::upload(
        &Value::Object(deploy.metadata()),
        modules.map(|module| {
            (
                module.name(),
                module.module_type().as_str(),
                module.content(),
            )
        }),
    );
    let query = if deploy.inherits_strictly() {
        vec![("bindings_inherit".into(), "strict".to_owned())]
    } else {
        Vec::new()
    };
    UpstreamRequest {
        method: Method::Put,
        path: format!(
            "/accounts/{account}/workers/scripts/{}",
            deploy.script_name()
        ),
        query,
        body: UpstreamBody::Multipart {
            content_type,
            bytes,
        },
    }
}

fn waf_rules_read(zone: &str, read: &WafRulesRead) -> UpstreamRequest {
    let rulesets = format!("/zones/{zone}/rulesets");
    UpstreamRequest::get(match read {
        WafRulesRead::List(_) => rulesets,
        WafRulesRead::Ruleset(ruleset_id) => format!("{rulesets}/{ruleset_id}"),
        WafRulesRead::Phase(phase) => format!("{rulesets}/phases/{phase}/entrypoint"),
    })
    .with_query(read.query())
}

fn waf_rules_write(zone: &str, write: &WafRulesWrite) -> UpstreamRequest {
    let rulesets = format!("/zones/{zone}/rulesets");
    let (method, path) = match write {
        WafRulesWrite::AddRule { ruleset_id, .. } => {
            (Method::Post, format!("{rulesets}/{ruleset_id}/rules"))
        }
        WafRulesWrite::FirstRule { .. } => (Method::Post, rulesets),
        WafRulesWrite::UpdateRule {
            ruleset_id,
            rule_id,
            ..
        } => (
            Method::Patch,
            format!("{rulesets}/{ruleset_id}/rules/{rule_id}"),
        ),
        WafRulesWrite::DeleteRule {
            ruleset_id,
            rule_id,
        } => (
            Method::Delete,
            format!("{rulesets}/{ruleset_id}/rules/{rule_id}"),
        ),
        WafRulesWrite::ReplacePhase { phase, .. } => {
            (Method::Put, format!("{rulesets}/phases/{phase}/entrypoint"))
        }
    };
    match write.body() {
        Some(body) => UpstreamRequest::json(method, path, body),
        None => UpstreamRequest::delete(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Ids with which somebody would leave the path, the query or the line that they are put into.
    const HOSTILE: [&str; 20] = [
        "",
        ".",
        "..",
        "../z2",
        "a/../../accounts/b",
        "a/b",
        "a\\b",
        "%2e%2e",
        "a%2f..",
        "a%00",
        "a?x=1",
        "a#x",
        "a;b",
        "a&b",
        "a b",
        "a\r\nhost: attacker.example",
        "a\0",
        "*",
        "\u{ff41}",
        "a\u{202e}",
    ];

    fn path(operation: &str, scope: &str, params: &Value) -> Option<String> {
        let scope_type = if operation.starts_with("workers") {
            "account"
        } else {
            "zone"
        };
        let operation = crate::all().parse(operation, scope_type, scope, params);
        Some(operation.ok()?.request(None).path)
    }

    #[test]
    fn a_request_stays_below_the_scope_that_was_allowed() {
        let rule = json!({"action": "block", "expression": "ip.src eq 192.0.2.1"});
        // Every operation that takes an id, with the fields that hold one.
        let cases = [
            (
                "dns.record.read",
                json!({"record_id": "i"}),
                "/zones/s/dns_records/i",
            ),
            (
                "dns.record.write",
                json!({"action": "delete", "record_id": "i"}),
                "/zones/s/dns_records/i",
            ),
            (
                "dns.record.write",
                json!({"action": "update", "record_id": "i", "type": "A", "name": "a", "content": "192.0.2.1"}),
                "/zones/s/dns_records/i",
            ),
            (
                "dns.record.write",
                json!({"action": "edit", "record_id": "i", "proxied": true}),
                "/zones/s/dns_records/i",
            ),
            (
                "waf.rules.read",
                json!({"ruleset_id": "i"}),
                "/zones/s/rulesets/i",
            ),
            (
                "waf.rules.write",
                json!({"action": "add_rule", "ruleset_id": "i", "rule": rule}),
                "/zones/s/rulesets/i/rules",
            ),
            (
                "waf.rules.write",
                json!({"action": "update_rule", "ruleset_id": "i", "rule_id": "i", "rule": rule}),
                "/zones/s/rulesets/i/rules/i",
            ),
            (
                "waf.rules.write",
                json!({"action": "delete_rule", "ruleset_id": "i", "rule_id": "i"}),
                "/zones/s/rulesets/i/rules/i",
            ),
            (
                "workers.deploy.write",
                json!({"script_name": "i", "script": "export default {};"}),
                "/accounts/s/workers/scripts/i",
            ),
            (
                "cache.purge.execute",
                json!({"tags": ["i"]}),
                "/zones/s/purge_cache",
            ),
            (
                "ssl.mode.write",
                json!({"value": "full"}),
                "/zones/s/settings/ssl",
            ),
        ];
        for (operation, params, expected) in cases {
            assert_eq!(path(operation, "s", &params).as_deref(), Some(expected));
            for hostile in HOSTILE {
                assert_eq!(
                    path(operation, hostile, &params),
                    None,
                    "{operation} on {hostile:?}"
                );
                for field in ["record_id", "ruleset_id", "rule_id", "script_name"] {
                    let mut params = params.clone();
                    let Some(id) = params.get_mut(field) else {
                        continue;
                    };
                    *id = json!(hostile);
                    let sent = path(operation, "s", &params);
                    assert_eq!(sent, None, "{operation} with {field} {hostile:?}");
                }
            }
        }
        for phase in HOSTILE {
            assert_eq!(
                path("waf.rules.read", "s", &json!({"phase": phase})),
                None,
                "{phase:?}"
            );
        }
    }
}
