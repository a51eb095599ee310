//! The routes of Cloudflare's API, as its clients ask for them below `/proxy/cloudflare/client/v4`.

use crate::assets::digest_of_token;
use crate::bodies::{Content, json};
use crate::call::{Access, Call, Routed};
use crate::caller::{Asked, CountedFor, Reach};
use crate::refusal::{Refusal, Word};
use crate::write::BroughtUpload;
use axum::body::Body;
use http::{HeaderValue, Method, Response, header};
use ledger::operation::{Scope, ScopeId};
use ledger::{CatalogEntry, Level};
use providers::cloudflare::{
    ACCOUNT_READ, CACHE_PURGE, DNS_RECORD_READ, DNS_RECORD_WRITE, SSL_MODE, WAF_RULES_READ,
    WAF_RULES_WRITE, WORKERS_DEPLOY, WORKERS_READ, WORKERS_ROUTE, WORKERS_SCRIPT_DELETE,
    WORKERS_SECRET, WORKERS_TRIGGER, ZONE_READ,
};
use serde_json::Value;
use std::borrow::Cow;

/// The most bytes of a body.
pub(crate) const LONGEST: u64 = 10 * MIB;
const MIB: u64 = 1024 * 1024;

/// The template of a path and its operations, by method.
type Found = (&'static str, &'static [(Method, CatalogEntry)]);

/// The route that opens an upload of files. It changes nothing that anybody sees.
const ASSETS_UPLOAD_SESSION: &str =
    "/accounts/{account}/workers/scripts/{script}/assets-upload-session";

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// The call that a request makes.
///
/// # Errors
/// The refusal of what is closed, unknown, or asked with another method.
pub(crate) fn route(method: &Method, path: &str) -> Result<Routed, Refusal> {
    let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    let segments = segments.as_slice();
    let is_own = matches!(
        segments,
        ["user", "tokens", "verify"] | ["accounts", _, "tokens", "verify"]
    );
    if is_own && *method == Method::GET {
        return Ok(Routed::OwnCredential);
    }
    refuse_closed(method, segments)?;
    let (id, (template, by_method)) = of_zones(segments)
        .or_else(|| of_accounts(segments))
        .ok_or_else(unknown)?;
    let found = by_method.iter().find(|(other, _)| other == method);
    let Some((_, entry)) = found else {
        let methods: Vec<&str> = by_method.iter().map(|(other, _)| other.as_str()).collect();
        return Err(other_method(&methods.join(", ")));
    };
    let reach = match id {
        None => Reach::Every(entry.scope_type),
        Some(id) => Reach::One(Scope {
            scope_type: entry.scope_type,
            id: ScopeId::parse(id).ok_or_else(|| {
                Refusal::malformed(format!("the path names no {}", entry.scope_type))
            })?,
        }),
    };
    let asked = Asked {
        operation: entry.id,
        level: entry.level,
        risk: entry.risk,
        reach,
    };
    let access = match entry.level {
        Level::Read => Access::Read(asked),
        Level::Write | Level::Admin => Access::Write(asked),
    };
    let opens_upload = *method == POST && template == ASSETS_UPLOAD_SESSION;
    let template = Cow::Borrowed(template);
    let call = Call::of(entry.id, template, access, LONGEST);
    Ok(Routed::Call(call.opening_upload(opens_upload)))
}

fn of_zones<'a>(segments: &[&'a str]) -> Option<(Option<&'a str>, Found)> {
    const READ: &[(Method, CatalogEntry)] = &[(GET, ZONE_READ)];
    let ["zones", rest @ ..] = segments else {
        return None;
    };
    let [zone, rest @ ..] = rest else {
        return Some((None, ("/zones", READ)));
    };
    let found: Found = match rest {
        [] => ("/zones/{zone}", READ),
        ["settings"] => ("/zones/{zone}/settings", READ),
        ["settings", "ssl"] => (
            "/zones/{zone}/settings/ssl",
            &[(GET, ZONE_READ), (PATCH, SSL_MODE)],
        ),
        ["settings", _] => ("/zones/{zone}/settings/{setting}", READ),
        ["workers", "routes"] => (
            "/zones/{zone}/workers/routes",
            &[(GET, ZONE_READ), (POST, WORKERS_ROUTE)],
        ),
        ["workers", "routes", _] => (
            "/zones/{zone}/workers/routes/{route}",
            &[
                (GET, ZONE_READ),
                (PUT, WORKERS_ROUTE),
                (DELETE, WORKERS_ROUTE),
            ],
        ),
        ["dns_records"] => (
            "/zones/{zone}/dns_records",
            &[(GET, DNS_RECORD_READ), (POST, DNS_RECORD_WRITE)],
        ),
        ["dns_records", _] => (
            "/zones/{zone}/dns_records/{record}",
            &[
                (GET, DNS_RECORD_READ),
                (PUT, DNS_RECORD_WRITE),
                (PATCH, DNS_RECORD_WRITE),
                (DELETE, DNS_RECORD_WRITE),
            ],
        ),
        ["purge_cache"] => ("/zones/{zone}/purge_cache", &[(POST, CACHE_PURGE)]),
        ["rulesets"] => ("/zones/{zone}/rulesets", &[(GET, WAF_RULES_READ)]),
        ["rulesets", _] => ("/zones/{zone}/rulesets/{set}", &[(GET, WAF_RULES_READ)]),
        ["rulesets", "phases", _, "entrypoint"] => (
            "/zones/{zone}/rulesets/phases/{phase}/entrypoint",
            &[(GET, WAF_RULES_READ), (PUT, WAF_RULES_WRITE)],
        ),
        ["rulesets", _, "rules"] => (
            "/zones/{zone}/rulesets/{set}/rules",
            &[(POST, WAF_RULES_WRITE)],
        ),
        ["rulesets", _, "rules", _] => (
            "/zones/{zone}/rulesets/{set}/rules/{rule}",
            &[(PATCH, WAF_RULES_WRITE), (DELETE, WAF_RULES_WRITE)],
        ),
        _ => return None,
    };
    Some((Some(zone), found))
}

fn of_accounts<'a>(segments: &[&'a str]) -> Option<(Option<&'a str>, Found)> {
    const READ: &[(Method, CatalogEntry)] = &[(GET, ACCOUNT_READ)];
    let (account, rest) = match segments {
        ["accounts"] => return Some((None, ("/accounts", READ))),
        ["memberships"] => return Some((None, ("/memberships", READ))),
        ["user"] => return Some((None, ("/user", READ))),
        ["accounts", account, rest @ ..] => (account, rest),
        _ => return None,
    };
    let found: Found = match rest {
        [] => ("/accounts/{account}", READ),
        ["workers", "scripts", _, rest @ ..] => of_script(rest),
        ["workers", "domains"] => (
            "/accounts/{account}/workers/domains",
            &[(GET, WORKERS_READ), (PUT, WORKERS_TRIGGER)],
        ),
        ["workers", _, ..] => ("/accounts/{account}/workers/…", &[(GET, WORKERS_READ)]),
        ["queues", _, "consumers"] => (
            "/accounts/{account}/queues/{queue}/consumers",
            &[(GET, WORKERS_READ), (POST, WORKERS_TRIGGER)],
        ),
        ["queues", _, "consumers", _] => (
            "/accounts/{account}/queues/{queue}/consumers/{consumer}",
            &[(GET, WORKERS_READ), (PUT, WORKERS_TRIGGER)],
        ),
        ["workflows", _] => (
            "/accounts/{account}/workflows/{workflow}",
            &[(GET, WORKERS_READ), (PUT, WORKERS_TRIGGER)],
        ),
        ["queues", ..] => ("/accounts/{account}/queues/…", &[(GET, WORKERS_READ)]),
        ["workflows", ..] => ("/accounts/{account}/workflows/…", &[(GET, WORKERS_READ)]),
        _ => return None,
    };
    Some((Some(account), found))
}

/// The routes below a script.
fn of_script(rest: &[&str]) -> Found {
    const DEPLOYED: &[(Method, CatalogEntry)] = &[(GET, WORKERS_READ), (POST, WORKERS_DEPLOY)];
    const SET: &[(Method, CatalogEntry)] = &[(GET, WORKERS_READ), (PATCH, WORKERS_DEPLOY)];
    const CALLED: &[(Method, CatalogEntry)] = &[(GET, WORKERS_READ), (PUT, WORKERS_TRIGGER)];
    match rest {
        [] => (
            "/accounts/{account}/workers/scripts/{script}",
            &[
                (GET, WORKERS_READ),
                (PUT, WORKERS_DEPLOY),
                (DELETE, WORKERS_SCRIPT_DELETE),
            ],
        ),
        ["content"] => (
            "/accounts/{account}/workers/scripts/{script}/content",
            &[(GET, WORKERS_READ), (PUT, WORKERS_DEPLOY)],
        ),
        ["versions"] => (
            "/accounts/{account}/workers/scripts/{script}/versions",
            DEPLOYED,
        ),
        ["deployments"] => (
            "/accounts/{account}/workers/scripts/{script}/deployments",
            DEPLOYED,
        ),
        ["subdomain"] => (
            "/accounts/{account}/workers/scripts/{script}/subdomain",
            DEPLOYED,
        ),
        ["settings"] => ("/accounts/{account}/workers/scripts/{script}/settings", SET),
        ["script-settings"] => (
            "/accounts/{account}/workers/scripts/{script}/script-settings",
            SET,
        ),
        ["secrets"] => (
            "/accounts/{account}/workers/scripts/{script}/secrets",
            &[(GET, WORKERS_READ), (PUT, WORKERS_SECRET)],
        ),
        ["secrets", _] => (
            "/accounts/{account}/workers/scripts/{script}/secrets/{secret}",
            &[(GET, WORKERS_READ), (DELETE, WORKERS_SECRET)],
        ),
        ["assets-upload-session"] => (
            ASSETS_UPLOAD_SESSION,
            &[(GET, WORKERS_READ), (POST, WORKERS_READ)],
        ),
        ["routes"] => (
            "/accounts/{account}/workers/scripts/{script}/routes",
            CALLED,
        ),
        ["schedules"] => (
            "/accounts/{account}/workers/scripts/{script}/schedules",
            CALLED,
        ),
        _ => (
            "/accounts/{account}/workers/scripts/{script}/…",
            &[(GET, WORKERS_READ)],
        ),
    }
}

/// Refuses what makes tokens or changes members: it would take rights that nobody gave.
fn refuse_closed(method: &Method, segments: &[&str]) -> Result<(), Refusal> {
    let closed = |why| Err(Refusal::new(Word::Forbidden, why));
    match segments {
        ["user" | "memberships", "tokens", ..] | ["accounts", _, "tokens", ..] => {
            closed("tokens of Cloudflare are neither made nor read through this proxy")
        }
        ["user" | "memberships", ..] if *method != Method::GET => {
            closed("the user and memberships are not changed through this proxy")
        }
        [.., "logs", "audit"] => closed("audit logs are not read through this proxy"),
        _ => Ok(()),
    }
}

fn unknown() -> Refusal {
    Refusal::new(
        Word::NotFound,
        "this proxy does not open that route: DNS records, cache, rulesets, zones, accounts and Workers are open",
    )
}

fn other_method(methods: &str) -> Refusal {
    let what = format!("through this proxy the route takes {methods}");
    Refusal::new(Word::MethodNotAllowed, what)
}

/// Judges the body of a write, and says where it has secrets.
///
/// # Errors
/// [`Word::Malformed`] for a body that the route does not take.
pub(crate) fn judge_write(
    method: &Method,
    path: &str,
    content: &Content,
) -> Result<Vec<String>, Refusal> {
    let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    let below = match segments.as_slice() {
        ["accounts", _, "workers", "scripts", _, rest @ ..] => rest,
        _ => return only_json(content).map(|()| Vec::new()),
    };
    match (method, below) {
        (&Method::PUT, [] | ["content"]) | (&Method::POST, ["versions"]) => {
            let metadata = part_of(content, "metadata")?;
            Ok(secrets_of(&metadata, "/metadata"))
        }
        (&Method::PATCH, ["settings"]) => match content {
            Content::Json(settings) => Ok(secrets_of(settings, "")),
            _ => Ok(secrets_of(&part_of(content, "settings")?, "/settings")),
        },
        (&Method::PUT, ["secrets"]) => {
            only_json(content)?;
            let found = ["/text", "/key_base64", "/key_jwk"].into_iter();
            let Content::Json(secret) = content else {
                return Err(Refusal::malformed("a secret has a body of JSON"));
            };
            let found = found.filter(|pointer| secret.pointer(pointer).is_some());
            Ok(found.map(str::to_owned).collect())
        }
        _ => only_json(content).map(|()| Vec::new()),
    }
}

/// The upload of the files that a script names, by the token in its metadata.
pub(crate) fn upload_of(method: &Method, path: &str, content: &Content) -> Option<BroughtUpload> {
    let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    let ["accounts", _, "workers", "scripts", script, below @ ..] = segments.as_slice() else {
        return None;
    };
    let is_upload = matches!(
        (method, below),
        (&Method::PUT, [] | ["content"]) | (&Method::POST, ["versions"])
    );
    let metadata = part_of(content, "metadata").ok().filter(|_| is_upload)?;
    let token = metadata.pointer("/assets/jwt")?.as_str()?;
    Some(BroughtUpload {
        place: "/metadata/assets/jwt".to_owned(),
        script: (*script).to_owned(),
        token: digest_of_token(token),
    })
}

fn only_json(content: &Content) -> Result<(), Refusal> {
    match content {
        Content::Nothing | Content::Json(_) => Ok(()),
        Content::Form(_) => Err(Refusal::malformed("this route takes JSON, and no form")),
    }
}

/// The JSON of a part that a form must have.
fn part_of(content: &Content, name: &str) -> Result<Value, Refusal> {
    let part = match content {
        Content::Form(form) => form.part(name),
        Content::Nothing | Content::Json(_) => None,
    };
    let part = part
        .ok_or_else(|| Refusal::malformed(format!("this route takes a form with a part {name}")))?;
    json(&part.content)
}

/// The values of bindings that are secrets.
fn secrets_of(settings: &Value, at: &str) -> Vec<String> {
    const KINDS: [&str; 2] = ["secret_text", "secret_key"];
    const VALUES: [&str; 3] = ["text", "key_base64", "key_jwk"];
    let bindings = settings.get("bindings").and_then(Value::as_array);
    let mut found = Vec::new();
    for (index, binding) in bindings.into_iter().flatten().enumerate() {
        let kind = binding.get("type").and_then(Value::as_str);
        if !kind.is_some_and(|kind| KINDS.contains(&kind)) {
            continue;
        }
        let values = VALUES.iter().filter(|name| binding.get(**name).is_some());
        found.extend(values.map(|name| format!("{at}/bindings/{index}/{name}")));
    }
    found
}

/// What Cloudflare answers about a token that counts, for a credential of this service that does.
pub(crate) fn verified(of: CountedFor) -> Response<Body> {
    let id = match of {
        CountedFor::Agent(id) => id.to_string(),
        CountedFor::AgentKey(id) => id.to_string(),
        CountedFor::Session(id) => id.to_string(),
        CountedFor::Token(id) => id.to_string(),
    };
    let id = id.replace('-', "");
    let message = serde_json::json!({"code": 10000, "message": "This API Token is valid and active", "type": null});
    let body = serde_json::json!({
        "result": {"id": id, "status": "active"}, "success": true, "errors": [], "messages": [message],
    });
    let mut response = Response::new(Body::from(body.to_string()));
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    let none = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, none);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::KeyId;
    use ledger::operation::Form;

    /// `operation level scope`, or the word of the refusal.
    fn routed(line: &str) -> String {
        let (method, path) = line.split_once(' ').unwrap();
        let call = match route(&method.parse().unwrap(), path) {
            Ok(Routed::Call(call)) => call,
            Ok(Routed::OwnCredential) => return "own".to_owned(),
            Err(refused) => return refused.word().code().to_owned(),
        };
        let (how, asked) = match call.access {
            Access::Read(asked) => ("read", asked),
            Access::Write(asked) => ("write", asked),
            Access::Key => panic!("{line} needs no grant"),
        };
        assert_eq!(how == "read", asked.level == Level::Read, "{line}");
        let opens_upload = call.opens_upload;
        assert_eq!(how == "read", method == "GET" || opens_upload, "{line}");
        match asked.reach {
            Reach::One(scope) => format!("{} {scope}", asked.operation),
            Reach::Every(of) => format!("{} {of} *", asked.operation),
        }
    }

    #[test]
    fn each_route_of_zones_is_one_operation_on_that_zone() {
        for (line, expected) in [
            ("GET /zones", "zone.read zone *"),
            ("GET /zones/z1", "zone.read zone z1"),
            ("GET /zones/z1/settings", "zone.read zone z1"),
            ("GET /zones/z1/settings/ssl", "zone.read zone z1"),
            (
                "GET /zones/z1/settings/min_tls_version",
                "zone.read zone z1",
            ),
            ("PATCH /zones/z1/settings/ssl", "ssl.mode.write zone z1"),
            ("GET /zones/z1/workers/routes", "zone.read zone z1"),
            (
                "POST /zones/z1/workers/routes",
                "workers.route.write zone z1",
            ),
            (
                "PUT /zones/z1/workers/routes/r",
                "workers.route.write zone z1",
            ),
            (
                "DELETE /zones/z1/workers/routes/r",
                "workers.route.write zone z1",
            ),
            ("GET /zones/z1/dns_records", "dns.record.read zone z1"),
            ("GET /zones/z1/dns_records/r", "dns.record.read zone z1"),
            ("POST /zones/z1/dns_records", "dns.record.write zone z1"),
            ("PUT /zones/z1/dns_records/r", "dns.record.write zone z1"),
            ("PATCH /zones/z1/dns_records/r", "dns.record.write zone z1"),
            ("DELETE /zones/z1/dns_records/r", "dns.record.write zone z1"),
            ("POST /zones/z1/purge_cache", "cache.purge.execute zone z1"),
            ("GET /zones/z1/rulesets", "waf.rules.read zone z1"),
            ("GET /zones/z1/rulesets/s", "waf.rules.read zone z1"),
            (
                "GET /zones/z1/rulesets/phases/p/entrypoint",
                "waf.rules.read zone z1",
            ),
            (
                "PUT /zones/z1/rulesets/phases/p/entrypoint",
                "waf.rules.write zone z1",
            ),
            ("POST /zones/z1/rulesets/s/rules", "waf.rules.write zone z1"),
            (
                "PATCH /zones/z1/rulesets/s/rules/r",
                "waf.rules.write zone z1",
            ),
            (
                "DELETE /zones/z1/rulesets/s/rules/r",
                "waf.rules.write zone z1",
            ),
        ] {
            assert_eq!(routed(line), expected, "{line}");
        }
    }

    #[test]
    fn each_route_of_accounts_is_one_operation_on_that_account() {
        let script = "/accounts/a1/workers/scripts/s";
        for (line, expected) in [
            ("GET /accounts", "account.read account *"),
            ("GET /memberships", "account.read account *"),
            ("GET /user", "account.read account *"),
            ("GET /accounts/a1", "account.read account a1"),
            (
                "GET /accounts/a1/workers/scripts",
                "workers.read account a1",
            ),
            (
                "GET /accounts/a1/workers/subdomain",
                "workers.read account a1",
            ),
            (
                "GET /accounts/a1/workers/services/s",
                "workers.read account a1",
            ),
            ("GET /accounts/a1/queues", "workers.read account a1"),
            (
                "GET /accounts/a1/queues/q/consumers",
                "workers.read account a1",
            ),
            (
                "GET /accounts/a1/workflows/w/versions",
                "workers.read account a1",
            ),
            ("GET S/settings", "workers.read account a1"),
            ("GET S/secrets", "workers.read account a1"),
            ("PUT S", "workers.deploy.write account a1"),
            ("PUT S/content", "workers.deploy.write account a1"),
            ("POST S/versions", "workers.deploy.write account a1"),
            ("POST S/deployments", "workers.deploy.write account a1"),
            ("POST S/subdomain", "workers.deploy.write account a1"),
            ("PATCH S/settings", "workers.deploy.write account a1"),
            ("PATCH S/script-settings", "workers.deploy.write account a1"),
            ("PUT S/secrets", "workers.secret.write account a1"),
            ("DELETE S/secrets/k", "workers.secret.write account a1"),
            ("POST S/assets-upload-session", "workers.read account a1"),
            ("PUT S/routes", "workers.trigger.write account a1"),
            ("PUT S/schedules", "workers.trigger.write account a1"),
            (
                "PUT /accounts/a1/workers/domains",
                "workers.trigger.write account a1",
            ),
            (
                "POST /accounts/a1/queues/q/consumers",
                "workers.trigger.write account a1",
            ),
            (
                "PUT /accounts/a1/queues/q/consumers/c",
                "workers.trigger.write account a1",
            ),
            (
                "PUT /accounts/a1/workflows/w",
                "workers.trigger.write account a1",
            ),
            ("DELETE S", "workers.script.delete account a1"),
        ] {
            let line = line.replace(" S", &format!(" {script}"));
            assert_eq!(routed(&line), expected, "{line}");
        }
    }

    #[test]
    fn rights_are_closed_and_the_rest_is_unknown() {
        for (line, expected) in [
            ("GET /user/tokens/verify", "own"),
            ("GET /accounts/a1/tokens/verify", "own"),
            ("POST /user/tokens/verify", "forbidden"),
            ("POST /accounts/a1/tokens/verify", "forbidden"),
            ("GET /user/tokens", "forbidden"),
            ("POST /user/tokens", "forbidden"),
            ("PUT /user/tokens/t/value", "forbidden"),
            ("GET /accounts/a1/tokens", "forbidden"),
            ("POST /accounts/a1/tokens", "forbidden"),
            ("PATCH /user", "forbidden"),
            ("PUT /memberships/m", "forbidden"),
            ("DELETE /memberships/m", "forbidden"),
            ("GET /accounts/a1/logs/audit", "forbidden"),
            ("GET /user/logs/audit", "forbidden"),
            ("GET /", "not_found"),
            ("GET /accounts/a1/members", "not_found"),
            ("GET /accounts/a1/workers", "not_found"),
            ("GET /zones/z1/firewall/rules", "not_found"),
            ("POST /zones", "method_not_allowed"),
            ("DELETE /zones/z1", "method_not_allowed"),
            (
                "PATCH /zones/z1/settings/min_tls_version",
                "method_not_allowed",
            ),
            ("POST /accounts/a1/queues", "method_not_allowed"),
            ("HEAD /zones/z1", "method_not_allowed"),
            ("GET /zones/z.1/dns_records", "malformed"),
            ("GET /zones/%2a/dns_records", "malformed"),
        ] {
            assert_eq!(routed(line), expected, "{line}");
        }
    }

    #[tokio::test]
    async fn a_credential_that_counts_is_verified_with_the_id_of_its_key() {
        let answer = verified(CountedFor::AgentKey(KeyId::from_bytes([171; 16])));
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
        let body: serde_json::Value = serde_json::from_slice(&body.unwrap()).unwrap();
        assert_eq!(body["success"], true);
        assert_eq!(body["result"]["id"], "ab".repeat(16));
        assert_eq!(body["result"]["status"], "active");
    }

    fn judged(line: &str, content: &Content) -> Result<Vec<String>, Refusal> {
        let (method, path) = line.split_once(' ').unwrap();
        judge_write(&method.parse().unwrap(), path, content)
    }

    fn form(name: &str, content: &str) -> Content {
        let head = format!("Content-Disposition: form-data; name=\"{name}\"");
        let text = format!("--x\r\n{head}\r\n\r\n{content}\r\n--x--\r\n");
        Content::Form(Form::parse(&text.into(), "x").unwrap())
    }

    #[test]
    fn an_upload_is_a_form_with_metadata_and_the_rest_is_json() {
        let metadata = form("metadata", "{\"main_module\":\"a.js\"}");
        let other = form("a.js", "export default {}");
        let json = Content::Json(serde_json::json!({}));
        let script = "/accounts/a1/workers/scripts/s";
        for line in ["PUT S", "PUT S/content", "POST S/versions"] {
            let line = line.replace(" S", &format!(" {script}"));
            assert!(judged(&line, &metadata).is_ok(), "{line}");
            assert!(judged(&line, &other).is_err(), "{line}");
            assert!(judged(&line, &json).is_err(), "{line}");
        }
        for line in [
            "POST S/deployments",
            "PUT S/schedules",
            "POST /zones/z1/dns_records",
        ] {
            let line = line.replace(" S", &format!(" {script}"));
            assert!(judged(&line, &json).is_ok(), "{line}");
            assert!(judged(&line, &metadata).is_err(), "{line}");
        }
    }

    #[test]
    fn secrets_are_named_where_they_stand_and_nothing_else_is() {
        let bindings = r#"{"bindings":[
            {"type":"plain_text","name":"A","text":"open"},
            {"type":"secret_text","name":"B","text":"hidden"},
            {"type":"secret_key","name":"C","key_base64":"aGlkZGVu"},
            {"type":"inherit","name":"D"}]}"#;
        let script = "/accounts/a1/workers/scripts/s";
        let metadata = form("metadata", bindings);
        let found = judged(&format!("POST {script}/versions"), &metadata);
        let expected = [
            "/metadata/bindings/1/text",
            "/metadata/bindings/2/key_base64",
        ];
        assert_eq!(found.unwrap(), expected);
        let settings = Content::Json(serde_json::from_str(bindings).unwrap());
        let found = judged(&format!("PATCH {script}/settings"), &settings);
        assert_eq!(
            found.unwrap(),
            ["/bindings/1/text", "/bindings/2/key_base64"]
        );
        let secret = serde_json::json!({"name": "B", "type": "secret_text", "text": "hidden"});
        let found = judged(&format!("PUT {script}/secrets"), &Content::Json(secret));
        assert_eq!(found.unwrap(), ["/text"]);
    }
}
