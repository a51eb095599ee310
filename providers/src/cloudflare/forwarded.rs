//! Which operation a client's own request is. What is read here is held to the request that the operation makes
//! of it, so that a mistake costs the description and changes nothing of what is sent.

use super::{CACHE_PURGE, DNS_RECORD_WRITE, SSL_MODE, WAF_RULES_WRITE};
use ledger::CatalogEntry;
use ledger::operation::{Method, Scope, Sent};
use serde_json::{Map, Value, json};

/// The params of the operation, as the request says them.
pub(super) fn params_of(entry: &CatalogEntry, scope: &Scope, sent: Sent<'_>) -> Option<Value> {
    let zone = format!("/zones/{}/", scope.id);
    let path: Vec<&str> = sent.target.strip_prefix(&zone)?.split('/').collect();
    let body = || sent.body.and_then(Value::as_object).cloned();
    if entry.id == DNS_RECORD_WRITE.id {
        return match (sent.method, path.as_slice()) {
            (Method::Post, ["dns_records"]) => with(body()?, &[("action", "create")]),
            (Method::Put, ["dns_records", id]) => {
                with(body()?, &[("action", "update"), ("record_id", id)])
            }
            (Method::Patch, ["dns_records", id]) => {
                with(body()?, &[("action", "edit"), ("record_id", id)])
            }
            (Method::Delete, ["dns_records", id]) => {
                with(Map::new(), &[("action", "delete"), ("record_id", id)])
            }
            _ => None,
        };
    }
    if entry.id == CACHE_PURGE.id {
        return body().map(Value::Object);
    }
    if entry.id == SSL_MODE.id {
        return body().map(Value::Object);
    }
    if entry.id == WAF_RULES_WRITE.id {
        let rule = || sent.body.map(|rule| ("rule".to_owned(), rule.clone()));
        return match (sent.method, path.as_slice()) {
            (Method::Post, ["rulesets", id, "rules"]) => with(
                Map::from_iter(rule()),
                &[("action", "add_rule"), ("ruleset_id", id)],
            ),
            (Method::Patch, ["rulesets", id, "rules", rule_id]) => with(
                Map::from_iter(rule()),
                &[
                    ("action", "update_rule"),
                    ("ruleset_id", id),
                    ("rule_id", rule_id),
                ],
            ),
            (Method::Delete, ["rulesets", id, "rules", rule_id]) => with(
                Map::new(),
                &[
                    ("action", "delete_rule"),
                    ("ruleset_id", id),
                    ("rule_id", rule_id),
                ],
            ),
            (Method::Put, ["rulesets", "phases", phase, "entrypoint"]) => {
                with(body()?, &[("action", "replace_phase"), ("phase", phase)])
            }
            _ => None,
        };
    }
    None
}

/// A request's body with what its path says; `None` where the body says that itself, which is then something else.
fn with(mut params: Map<String, Value>, said: &[(&str, &str)]) -> Option<Value> {
    for (name, value) in said {
        if params.insert((*name).to_owned(), json!(value)).is_some() {
            return None;
        }
    }
    Some(Value::Object(params))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::operation::{ForwardedRequest, Operation, ScopeId};
    use ledger::{ScopeType, UpstreamName};

    fn forwarded(
        entry: &CatalogEntry,
        method: Method,
        target: &str,
        body: Option<Value>,
    ) -> Operation {
        let media_type = body.as_ref().map(|_| "application/json");
        let headers = media_type.map(|value| ("content-type".to_owned(), value.to_owned()));
        let request = ForwardedRequest {
            upstream: UpstreamName::cloudflare(),
            title: None,
            level: entry.level,
            risk: entry.risk,
            method,
            target: target.to_owned(),
            headers: headers.into_iter().collect(),
            body: body.map_or_else(Vec::new, |body| body.to_string().into_bytes()),
            secrets: Vec::new(),
        };
        let scope = Scope {
            scope_type: ScopeType::of("zone"),
            id: ScopeId::parse("z1").unwrap(),
        };
        let operation = crate::all().forward(entry.id, scope, request).unwrap();
        // What is recorded reads back as the same.
        let read = crate::all().read_recorded(&operation.to_json()).unwrap();
        assert_eq!(read, operation);
        assert!(crate::all().read(&operation.to_json()).is_err());
        operation
    }

    #[test]
    fn a_request_that_is_known_is_described_and_sent_as_it_came() {
        let record =
            json!({"type": "A", "name": "www.example.com", "content": "192.0.2.1", "ttl": 300});
        let rule = json!({"action": "block", "expression": "ip.src eq 192.0.2.1"});
        for (entry, method, target, body) in [
            (
                &DNS_RECORD_WRITE,
                Method::Post,
                "/zones/z1/dns_records",
                Some(record.clone()),
            ),
            (
                &DNS_RECORD_WRITE,
                Method::Put,
                "/zones/z1/dns_records/r1",
                Some(record.clone()),
            ),
            (
                &DNS_RECORD_WRITE,
                Method::Patch,
                "/zones/z1/dns_records/r1",
                Some(json!({"proxied": true})),
            ),
            (
                &DNS_RECORD_WRITE,
                Method::Delete,
                "/zones/z1/dns_records/r1",
                None,
            ),
            (
                &CACHE_PURGE,
                Method::Post,
                "/zones/z1/purge_cache",
                Some(json!({"purge_everything": true})),
            ),
            (
                &SSL_MODE,
                Method::Patch,
                "/zones/z1/settings/ssl",
                Some(json!({"value": "off"})),
            ),
            (
                &WAF_RULES_WRITE,
                Method::Post,
                "/zones/z1/rulesets/s1/rules",
                Some(rule),
            ),
            (
                &WAF_RULES_WRITE,
                Method::Delete,
                "/zones/z1/rulesets/s1/rules/r1",
                None,
            ),
        ] {
            let operation = forwarded(entry, method, target, body.clone());
            let is_raw = operation.to_json()["params"].get("target").is_some();
            assert!(!is_raw, "{method} {target} is not described");
            let sent = operation.request(None);
            assert_eq!(
                (sent.method, sent.path_and_query()),
                (method, target.to_owned())
            );
            let bytes = sent.body.encoded().map(|(_, bytes)| bytes);
            assert_eq!(bytes, body.map(|body| body.to_string().into_bytes()));
        }
    }

    #[test]
    fn what_the_operation_would_send_otherwise_is_shown_as_it_came() {
        let record = |more: Value| {
            let mut record =
                json!({"type": "A", "name": "www.example.com", "content": "192.0.2.1"});
            for (name, value) in more.as_object().unwrap() {
                record[name] = value.clone();
            }
            Some(record)
        };
        for (method, target, body) in [
            (Method::Post, "/zones/z2/dns_records", record(json!({}))),
            (Method::Post, "/zones/z1/dns_records?x=1", record(json!({}))),
            (Method::Post, "/zones/z1/dns_records/r1", record(json!({}))),
            (
                Method::Post,
                "/zones/z1/dns_records",
                record(json!({"action": "delete", "record_id": "r"})),
            ),
            (
                Method::Post,
                "/zones/z1/dns_records",
                record(json!({"record_type": "CNAME"})),
            ),
            (
                Method::Post,
                "/zones/z1/dns_records",
                record(json!({"comment": null})),
            ),
            (Method::Put, "/zones/z1/dns_records/..", record(json!({}))),
            (
                Method::Delete,
                "/zones/z1/dns_records/r1",
                record(json!({})),
            ),
        ] {
            let operation = forwarded(&DNS_RECORD_WRITE, method, target, body);
            let shown = operation.to_json();
            assert_eq!(shown["params"]["target"], target, "{method}");
            assert!(operation.summary().contains(target));
        }
    }
}
