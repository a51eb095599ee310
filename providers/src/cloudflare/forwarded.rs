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
    use crate::cloudflare::WORKERS_DEPLOY;
    use ledger::operation::{
        Before, ForwardedRequest, MatchDigest, Operation, ScopeId, UploadedFile,
    };
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
            base_url: Some("https://api.example.com/v4".to_owned()),
            target: target.to_owned(),
            headers: headers.into_iter().collect(),
            body: body.map_or_else(Vec::new, |body| body.to_string().into_bytes()),
            secrets: Vec::new(),
            uploads: Vec::new(),
            upload: None,
            also_allowed: Vec::new(),
            follows: None,
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
            let is_raw = operation.to_json()["params"].get("url").is_some();
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
            let url = format!("https://api.example.com/v4{target}");
            assert_eq!(shown["params"]["url"], url, "{method}");
            assert!(operation.summary().contains(target));
        }
    }

    const UPLOAD: &str = "/accounts/a1/workers/scripts/s";

    /// An upload of a Worker by a form with these parts (head behind its disposition, content).
    fn upload(boundary: &str, parts: &[(&str, &str)], uploads: Vec<UploadedFile>) -> Operation {
        let mut body = String::new();
        for (head, content) in parts {
            let head = format!("Content-Disposition: form-data; {head}");
            body.push_str(&format!("--{boundary}\r\n{head}\r\n\r\n{content}\r\n"));
        }
        body.push_str(&format!("--{boundary}--\r\n"));
        let media_type = format!("multipart/form-data; boundary={boundary}");
        let request = ForwardedRequest {
            upstream: UpstreamName::cloudflare(),
            title: None,
            level: WORKERS_DEPLOY.level,
            risk: WORKERS_DEPLOY.risk,
            method: Method::Put,
            base_url: Some("https://api.example.com/v4".to_owned()),
            target: UPLOAD.to_owned(),
            headers: [("content-type".to_owned(), media_type)].into(),
            body: body.into_bytes(),
            secrets: Vec::new(),
            uploads,
            upload: None,
            also_allowed: Vec::new(),
            follows: None,
        };
        let scope = Scope {
            scope_type: ScopeType::of("account"),
            id: ScopeId::parse("a1").unwrap(),
        };
        let operation = crate::all().forward(WORKERS_DEPLOY.id, scope, request);
        let operation = operation.unwrap();
        let read = crate::all().read_recorded(&operation.to_json()).unwrap();
        assert_eq!(read, operation);
        operation
    }

    const METADATA: &str = "name=\"metadata\"";
    const MODULE: &str =
        "name=\"a.js\"; filename=\"a.js\"\r\nContent-Type: application/javascript+module";

    fn matched(operation: &Operation) -> MatchDigest {
        operation.forwarded().unwrap().match_digest().unwrap()
    }

    #[test]
    fn the_same_form_is_the_same_request_in_any_order_and_with_any_boundary() {
        let metadata = "{\"main_module\": \"a.js\", \"bindings\": []}";
        let spelled = "{\"bindings\":[],\"main_module\":\"a.js\"}";
        let one = upload(
            "x",
            &[(METADATA, metadata), (MODULE, "export default {}")],
            vec![],
        );
        let same = upload(
            "y",
            &[(MODULE, "export default {}"), (METADATA, spelled)],
            vec![],
        );
        assert_eq!(matched(&one), matched(&same));
        assert_ne!(
            one, same,
            "what is approved is one of the two, byte for byte"
        );
        let asset = |sha256: Option<&str>| UploadedFile {
            path: "/index.html".to_owned(),
            hash: "0a".to_owned(),
            bytes: 4,
            sha256: sha256.map(str::to_owned),
        };
        let others = [
            upload(
                "x",
                &[(METADATA, metadata), (MODULE, "export default { }")],
                vec![],
            ),
            upload(
                "x",
                &[(METADATA, "{}"), (MODULE, "export default {}")],
                vec![],
            ),
            upload("x", &[(METADATA, metadata)], vec![]),
            upload(
                "x",
                &[
                    (METADATA, metadata),
                    (
                        &MODULE.replace("=\"a.js\"\r", "=\"b.js\"\r"),
                        "export default {}",
                    ),
                ],
                vec![],
            ),
            upload(
                "x",
                &[(METADATA, metadata), (MODULE, "export default {}")],
                vec![asset(None)],
            ),
            upload(
                "x",
                &[(METADATA, metadata), (MODULE, "export default {}")],
                vec![asset(Some("00"))],
            ),
        ];
        let mut digests: Vec<_> = others.iter().map(matched).collect();
        digests.push(matched(&one));
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 7);
    }

    #[test]
    fn the_parts_of_a_form_are_shown_each_by_itself() {
        let binary = "name=\"b.wasm\"; filename=\"b.wasm\"\r\nContent-Type: application/wasm";
        let long = "// line\n".repeat(10_000);
        let parts = [(METADATA, "{\"a\":1}"), (MODULE, &long), (binary, "\0asm")];
        let operation = upload("x", &parts, vec![]);
        let params = &operation.to_json()["params"];
        assert_eq!(params["url"], format!("https://api.example.com/v4{UPLOAD}"));
        assert_eq!(params["parts"][0]["json"], json!({"a": 1}));
        assert_eq!(params["parts"][1]["bytes"], long.len());
        assert!(
            params["parts"][1].get("text").is_none(),
            "it stands in the body once"
        );
        assert_eq!(
            params["parts"][1]["media_type"],
            "application/javascript+module"
        );
        let files = operation.files(&Before::default()).unwrap();
        let texts: Vec<_> = files
            .files
            .iter()
            .map(|file| file.text.as_deref())
            .collect();
        assert_eq!(
            operation.place(Some(Ok("Shop \"Ltd\""))).unwrap(),
            "account \"Shop 'Ltd'\" (id a1)"
        );
        assert_eq!(texts[0], Some("{\n  \"a\": 1\n}"));
        assert_eq!(texts[1], Some(long.as_str()));
        assert_eq!(files.files[2].file_name, Some("b.wasm"));
    }

    #[test]
    fn what_was_recorded_without_its_base_reads_and_matches_as_it_did() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n";
        let sha256 = "e05e69043ab96a5ba5690344e41a4e52822a0953f1dc44e0e67f37496bc6664e";
        let recorded = json!({
            "operation_id": "workers.deploy.write", "scope_type": "account", "scope_id": "a1",
            "params": {
                "method": "PUT", "target": UPLOAD, "media_type": "multipart/form-data",
                "body_bytes": body.len(), "body_sha256": sha256, "body_text": body,
            },
            "forward": {
                "upstream": "cloudflare", "level": "write", "risk": "sensitive", "method": "PUT",
                "target": UPLOAD, "headers": {"content-type": "multipart/form-data; boundary=x"},
                "body": body,
            },
        });
        let read = crate::all().read_recorded(&recorded).unwrap();
        assert_eq!(
            matched(&read).to_string(),
            "4277ac46c371a7ec662e38713d8bd41f932fff150917158598a3f2dcc4cbc61a"
        );
        assert_eq!(read.summary(), format!("PUT {UPLOAD} at cloudflare"));
    }
}
