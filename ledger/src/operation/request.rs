//! An operation as the one request that carries it out.
//!
//! The request follows from the operation's canonical form alone, and for a read by name from the name of
//! the zone, which stands in the log beside it, so that an auditor can make it anew and
//! hold it against what the log says was sent. It is therefore frozen for each form that was ever accepted:
//! an operation of today makes the same bytes for good.

use super::multipart::{self, Form};
use super::{
    DnsRecordRead, DnsRecordWrite, Operation, Params, WafRulesRead, WafRulesWrite, WorkersDeploy,
    ZoneName,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt;
use url::form_urlencoded;

/// The method of a request (RFC 9110, and RFC 5789 for PATCH).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl Method {
    /// As it stands in the request line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request below the API's base URL (`…/client/v4`).
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamRequest {
    /// How.
    pub method: Method,
    /// `/zones/…`; every segment that comes from params is made of `[A-Za-z0-9_-]`.
    pub path: String,
    /// Query parameters, unescaped.
    pub query: Vec<(Cow<'static, str>, String)>,
    /// What is sent.
    pub body: UpstreamBody,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum UpstreamBody {
    /// None.
    None,
    /// `application/json`
    Json(Value),
    /// `multipart/form-data`, ready to be sent.
    Multipart {
        /// The media type with the boundary.
        content_type: String,
        /// The form.
        bytes: Vec<u8>,
    },
}

/// What the log says of a request before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestDescription {
    /// The HTTP method.
    pub method: String,
    /// Path and query below the API's base URL.
    pub path: String,
    /// SHA-256 of the body's bytes exactly as they are sent; `None` without a body.
    pub body_sha256: Option<[u8; 32]>,
}

impl UpstreamBody {
    /// Media type and bytes as they are sent; the same each time.
    #[must_use]
    pub fn encoded(&self) -> Option<(&str, Vec<u8>)> {
        match self {
            Self::None => None,
            Self::Json(value) => Some(("application/json", value.to_string().into_bytes())),
            Self::Multipart {
                content_type,
                bytes,
            } => Some((content_type, bytes.clone())),
        }
    }
}

impl UpstreamRequest {
    /// The request that carries the operation out, while the name of its zone is not known.
    #[must_use]
    pub fn of(operation: &Operation) -> Self {
        Self::in_zone(operation, None)
    }

    /// The request that carries the operation out in a zone of this name.
    #[must_use]
    pub fn in_zone(operation: &Operation, zone: Option<&ZoneName>) -> Self {
        let scope = operation.scope.id.as_str();
        match &operation.params {
            Params::DnsRecordRead(read) => dns_record_read(scope, read, zone),
            Params::DnsRecordWrite(write) => dns_record_write(scope, write),
            Params::CachePurge(purge) => Self::json(
                Method::Post,
                format!("/zones/{scope}/purge_cache"),
                purge.body(),
            ),
            Params::WorkersDeploy(deploy) => workers_deploy(scope, deploy),
            Params::WafRulesRead(read) => waf_rules_read(scope, read),
            Params::WafRulesWrite(write) => waf_rules_write(scope, write),
            Params::SslMode(mode) => Self::json(
                Method::Patch,
                format!("/zones/{scope}/settings/ssl"),
                mode.body(),
            ),
        }
    }

    /// What the log says of it.
    #[must_use]
    pub fn description(&self) -> RequestDescription {
        RequestDescription {
            method: self.method.to_string(),
            path: self.path_and_query(),
            body_sha256: self
                .body
                .encoded()
                .map(|(_, bytes)| Sha256::digest(bytes).into()),
        }
    }

    /// Path and query as they stand in the request.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        if self.query.is_empty() {
            return self.path.clone();
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(
                self.query
                    .iter()
                    .map(|(name, value)| (name.as_ref(), value.as_str())),
            )
            .finish();
        format!("{}?{query}", self.path)
    }

    /// Whether sending it twice is as good as sending it once.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        matches!(self.method, Method::Get)
    }

    /// A read of what stands at a path.
    #[must_use]
    pub const fn get(path: String) -> Self {
        Self {
            method: Method::Get,
            path,
            query: Vec::new(),
            body: UpstreamBody::None,
        }
    }

    /// The same request with query parameters.
    #[must_use]
    pub fn with_query<N: Into<Cow<'static, str>>>(mut self, query: Vec<(N, String)>) -> Self {
        let query = query.into_iter();
        self.query = query.map(|(name, value)| (name.into(), value)).collect();
        self
    }

    fn delete(path: String) -> Self {
        Self {
            method: Method::Delete,
            path,
            query: Vec::new(),
            body: UpstreamBody::None,
        }
    }

    fn json(method: Method, path: String, body: Value) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            body: UpstreamBody::Json(body),
        }
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
        let operation = Operation::parse(operation, scope_type, scope, params).ok()?;
        Some(UpstreamRequest::of(&operation).path)
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
