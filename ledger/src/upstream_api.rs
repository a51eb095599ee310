//! Another API whose clients go through this service, as an administrator describes it: where it is, how it takes a
//! key, which headers pass, and which operation each of its routes is.

use crate::catalog::{CatalogEntry, Level, OperationId, Risk, ScopeType};
use crate::operation::{Scope, ScopeId, carries_secret};
use crate::rejection::Rejection;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use url::{Host, Url};

/// The longest body that may be asked for, in bytes.
const MOST_BODY_BYTES: u64 = 10 * 1024 * 1024;
/// The same where nothing is said.
const BODY_BYTES: u64 = 1024 * 1024;
const MOST_ROUTES: usize = 500;
const MOST_HEADERS: usize = 50;
const LONGEST_PATH: usize = 512;
const LONGEST_TEXT: usize = 200;
/// What the catalog says of its operations.
const SUMMARY: &str =
    "An operation of an API that an administrator opened. Through the proxy alone.";
/// Headers that hold credentials, say who asks, make another method of one, steer browsers, are of one hop, or are
/// written by this service.
const NEVER: [&str; 36] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "accept-encoding",
    "authorization",
    "clear-site-data",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "location",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "refresh",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
    "x-api-key",
    "x-auth-email",
    "x-auth-key",
    "x-auth-user-service-key",
    "x-forwarded-for",
    "x-http-method",
    "x-http-method-override",
    "x-llm-proxy-code",
    "x-method-override",
    "x-real-ip",
];

/// The description of an API, checked. Its text is JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamApi(Box<Described>);

/// Its fields, as they stand in the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// Without a slash at its end, query and credentials.
    pub base_url: String,
    /// How it takes a key.
    pub auth: UpstreamAuth,
    /// The headers of requests that go on besides those that every API has; one with a star at its end stands for all
    /// that begin so.
    #[serde(default)]
    pub request_headers: Vec<String>,
    /// The same of answers.
    #[serde(default)]
    pub response_headers: Vec<String>,
    /// The longest body of a request.
    #[serde(default = "body_bytes")]
    pub max_body_bytes: u64,
    /// Everything that is open.
    pub routes: Vec<UpstreamRoute>,
}

const fn body_bytes() -> u64 {
    BODY_BYTES
}

/// How an API takes a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "send", rename_all = "snake_case", deny_unknown_fields)]
pub enum UpstreamAuth {
    /// As a bearer token (RFC 6750).
    Bearer {},
    /// As the password of a user (RFC 7617).
    Basic {
        /// The user.
        username: String,
    },
    /// In a header of its own.
    Header {
        /// Its name.
        name: String,
        /// What stands before the key.
        #[serde(default)]
        prefix: String,
    },
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamRoute {
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Below the base; `{name}` is one segment.
    pub path: String,
    /// Its operation.
    pub operation: OperationId,
    /// The least level of a grant.
    pub level: Level,
    /// Its risk.
    pub risk: Risk,
    /// What it concerns.
    pub scope: RouteScope,
    /// What people read, with the names of its segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where the body has secrets: pointers (RFC 6901).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seal: Vec<String>,
}

/// The object of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteScope {
    /// The type of its objects.
    #[serde(rename = "type")]
    pub scope_type: ScopeType,
    /// The object's id, with the names of segments.
    pub id: String,
}

impl fmt::Display for UpstreamApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl UpstreamApi {
    /// Checks a description. Plain http is for this machine, and for who says so.
    ///
    /// # Errors
    /// [`Rejection::Invalid`] with the place of the first thing that is wrong.
    pub fn check(described: Described, allows_plain_text: bool) -> Result<Self, Rejection> {
        let base = base_url(&described.base_url, allows_plain_text)?;
        let described = Described {
            base_url: base,
            ..described
        };
        check_auth(&described.auth)?;
        for (place, names) in [
            ("request_headers", &described.request_headers),
            ("response_headers", &described.response_headers),
        ] {
            check_headers(place, names)?;
        }
        if !(1..=MOST_BODY_BYTES).contains(&described.max_body_bytes) {
            return Err(invalid("max_body_bytes: 1 to 10485760"));
        }
        if !(1..=MOST_ROUTES).contains(&described.routes.len()) {
            return Err(invalid("routes: 1 to 500"));
        }
        for (index, route) in described.routes.iter().enumerate() {
            let at = |problem: String| invalid(format!("routes[{index}].{problem}"));
            check_route(route).map_err(at)?;
            let mut before = described.routes.iter().take(index);
            if let Some(other) = before.find(|other| is_ambiguous(route, other)) {
                return Err(at(format!(
                    "path: a request can be this route and {} {}",
                    other.method, other.path
                )));
            }
            let mut before = described.routes.iter().take(index);
            let differs = |other: &&UpstreamRoute| {
                other.operation == route.operation && entry(other) != entry(route)
            };
            if before.find(differs).is_some() {
                return Err(at(
                    "operation: another route says another level, risk or type of scope of it"
                        .to_owned(),
                ));
            }
        }
        Ok(Self(Box::new(described)))
    }

    /// Refuses what was taken before and stands in records, and is not described anew: an address with segments that lead
    /// elsewhere, headers that carry a secret, which are recorded and shown as they are, secrets in the body of what only reads,
    /// and operations by the name of one of ours.
    ///
    /// # Errors
    /// [`Rejection::Invalid`] with the place of the first of these.
    pub fn refuse_new(described: &Described, ours: &[&str]) -> Result<(), Rejection> {
        let base = described.base_url.to_ascii_lowercase();
        let is_dots = |segment: &str| matches!(segment.replace("%2e", ".").as_str(), "." | "..");
        if base.contains('\\') || base.split('/').any(is_dots) {
            return Err(invalid(
                "base_url: write the path that is meant, without . and .. and backslashes",
            ));
        }
        let mut named = described.request_headers.iter();
        if let Some(name) = named.find(|name| carries_secret(name.trim_end_matches('*'))) {
            return Err(invalid(format!(
                "request_headers: {name:?} says that it carries a secret, which would be recorded and shown to people: send \
                 it in a field of the body that seal names"
            )));
        }
        for (index, route) in described.routes.iter().enumerate() {
            let at = |problem: &str| Err(invalid(format!("routes[{index}].{problem}")));
            let first = route.operation.as_str().split('.').next();
            if first.is_some_and(|first| ours.contains(&first)) {
                return at("operation: names that begin so are of an API that is open already");
            }
            if !route.seal.is_empty() && ["GET", "HEAD"].contains(&route.method.as_str()) {
                return at("seal: what only reads has no body with secrets");
            }
        }
        Ok(())
    }

    /// Reads a text that was written before.
    ///
    /// # Errors
    /// What [`Self::check`] refuses, and what is no such text.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let described = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        Self::check(described, true)
    }

    /// As it stands in the record.
    #[must_use]
    pub fn text(&self) -> String {
        // Nothing in it can fail to be written.
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// Its fields.
    #[must_use]
    pub fn described(&self) -> &Described {
        &self.0
    }

    /// Its operations, as the catalog has them.
    #[must_use]
    pub fn catalog(&self) -> Vec<CatalogEntry> {
        let mut known = BTreeSet::new();
        let routes = self.0.routes.iter();
        routes
            .filter(|route| known.insert(route.operation))
            .map(entry)
            .collect()
    }

    /// The route of a request, by its method and its path as it was sent, and the object that it concerns. `None` where
    /// no route is that, or the path names no object.
    #[must_use]
    pub fn route(&self, method: &str, path: &str) -> Option<(&UpstreamRoute, Scope)> {
        let mut routes = self.0.routes.iter();
        routes.find_map(|route| {
            let names = (route.method == method)
                .then(|| matched(&route.path, path))
                .flatten()?;
            let id = filled(&route.scope.id, &names);
            let scope = Scope {
                scope_type: route.scope.scope_type,
                id: ScopeId::of_route(&id)?,
            };
            Some((route, scope))
        })
    }

    /// What people read of a request that a route takes.
    #[must_use]
    pub fn title(route: &UpstreamRoute, path: &str) -> Option<String> {
        let names = matched(&route.path, path)?;
        route.title.as_ref().map(|title| filled(title, &names))
    }

    /// The methods of a path that has routes.
    #[must_use]
    pub fn methods(&self, path: &str) -> Vec<&str> {
        let routes = self.0.routes.iter();
        let routes = routes.filter(|route| matched(&route.path, path).is_some());
        routes.map(|route| route.method.as_str()).collect()
    }
}

fn invalid(detail: impl Into<String>) -> Rejection {
    Rejection::Invalid {
        code: "invalid_upstream",
        detail: detail.into(),
    }
}

fn entry(route: &UpstreamRoute) -> CatalogEntry {
    CatalogEntry {
        id: route.operation,
        level: route.level,
        risk: route.risk,
        scope_type: route.scope.scope_type,
        uploads: false,
        summary: SUMMARY,
    }
}

fn base_url(text: &str, allows_plain_text: bool) -> Result<String, Rejection> {
    let wrong = || {
        invalid(
            "base_url: an https URL without credentials, query and fragment, such as https://api.example.com",
        )
    };
    let url: Url = text.parse().map_err(|_| wrong())?;
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let takes_plain = allows_plain_text || is_here;
    let is_fine = (url.scheme() == "https" || (takes_plain && url.scheme() == "http"))
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_fine || text.len() > LONGEST_PATH {
        return Err(wrong());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn check_auth(auth: &UpstreamAuth) -> Result<(), Rejection> {
    let is_text = |text: &str| {
        text.len() <= LONGEST_TEXT
            && text
                .bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_graphic())
    };
    match auth {
        UpstreamAuth::Bearer {} => Ok(()),
        UpstreamAuth::Basic { username } => {
            let is_name = !username.is_empty() && is_text(username) && !username.contains(':');
            match is_name {
                true => Ok(()),
                false => Err(invalid("auth.username: visible characters without a colon")),
            }
        }
        UpstreamAuth::Header { name, prefix } => {
            let hops = [
                "connection",
                "host",
                "content-length",
                "transfer-encoding",
                "cookie",
                "content-type",
                "expect",
                "te",
                "trailer",
                "upgrade",
                "range",
                "accept-encoding",
            ];
            if !is_header(name) || hops.contains(&name.as_str()) {
                return Err(invalid("auth.name: the name of a header in small letters"));
            }
            match is_text(prefix) {
                true => Ok(()),
                false => Err(invalid("auth.prefix: visible characters")),
            }
        }
    }
}

fn is_header(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(is_fine)
}

fn check_headers(place: &str, names: &[String]) -> Result<(), Rejection> {
    if names.len() > MOST_HEADERS {
        return Err(invalid(format!("{place}: at most {MOST_HEADERS}")));
    }
    for name in names {
        let (known, is_prefix) = match name.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (name.as_str(), false),
        };
        if !is_header(known) {
            let problem = format!("{place}: {name:?} is no name of a header in small letters");
            return Err(invalid(problem));
        }
        let lets = |other: &&&str| match is_prefix {
            true => other.starts_with(known),
            false => **other == known,
        };
        if let Some(other) = NEVER.iter().find(lets) {
            return Err(invalid(format!("{place}: {name:?} would let {other} pass")));
        }
    }
    Ok(())
}

fn check_route(route: &UpstreamRoute) -> Result<(), String> {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    if !methods.contains(&route.method.as_str()) {
        return Err(format!("method: one of {}", methods.join(", ")));
    }
    let reads = ["GET", "HEAD"].contains(&route.method.as_str());
    if route.level == Level::Read && !reads {
        return Err("level: read is for GET and HEAD alone".to_owned());
    }
    if route.level != Level::Read && reads {
        return Err("level: GET and HEAD read".to_owned());
    }
    let names = names(&route.path)?;
    for (place, text) in [
        ("scope.id", Some(&route.scope.id)),
        ("title", route.title.as_ref()),
    ] {
        let Some(text) = text else { continue };
        if text.is_empty() || text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
            return Err(format!("{place}: 1 to {LONGEST_TEXT} characters"));
        }
        if let Some(unknown) = placeholders(text).find(|name| !names.contains(name)) {
            return Err(format!("{place}: the path has no segment {{{unknown}}}"));
        }
    }
    let example = names.iter().map(|name| (*name, "x")).collect();
    if ScopeId::of_route(&filled(&route.scope.id, &example)).is_none() {
        return Err("scope.id: names of segments, and A-Z a-z 0-9 _ - . / between them".to_owned());
    }
    match route.seal.iter().all(|text| is_pointer(text)) {
        true => Ok(()),
        false => Err(
            "seal: JSON pointers (RFC 6901) to one place each, such as /encrypted_value".to_owned(),
        ),
    }
}

/// A pointer that can lead to a text: without empty names, and without a star, which stands for nothing here.
fn is_pointer(text: &str) -> bool {
    let is_escaped = |token: &str| {
        let mut after_tildes = token.split('~').skip(1);
        after_tildes.all(|after| after.starts_with(['0', '1']))
    };
    let is_token = |token: &str| !token.is_empty() && token != "*" && is_escaped(token);
    let tokens = text.strip_prefix('/');
    text.len() <= LONGEST_TEXT && tokens.is_some_and(|tokens| tokens.split('/').all(is_token))
}

/// The names of a path's segments.
fn names(path: &str) -> Result<BTreeSet<&str>, String> {
    let wrong =
        || "path: segments such as /repos/{owner}/issues, each literal or one name".to_owned();
    let rest = path.strip_prefix('/').ok_or_else(wrong)?;
    if path.len() > LONGEST_PATH {
        return Err(wrong());
    }
    let mut names = BTreeSet::new();
    for segment in rest.split('/') {
        let name = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_literal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        match name {
            Some(name) => {
                let is_new = names.insert(name);
                if name.is_empty() || !name.bytes().all(is_word) || !is_new {
                    return Err(wrong());
                }
            }
            None => {
                let is_dots = [".", ".."].contains(&segment);
                if segment.is_empty() || is_dots || !segment.bytes().all(is_literal) {
                    return Err(wrong());
                }
            }
        }
    }
    Ok(names)
}

fn is_name(segment: &str) -> bool {
    segment.starts_with('{')
}

/// Whether a request can be both routes.
fn is_ambiguous(route: &UpstreamRoute, other: &UpstreamRoute) -> bool {
    let (own, others) = (route.path.split('/'), other.path.split('/'));
    route.method == other.method
        && own.clone().count() == others.clone().count()
        && own
            .zip(others)
            .all(|(own, other)| own == other || is_name(own) || is_name(other))
}

/// The segments of a path by their names; `None` where it is another path.
fn matched<'a>(template: &'a str, path: &'a str) -> Option<BTreeMap<&'a str, &'a str>> {
    let (mut wanted, mut sent) = (template.split('/'), path.split('/'));
    let mut names = BTreeMap::new();
    loop {
        match (wanted.next(), sent.next()) {
            (None, None) => return Some(names),
            (Some(wanted), Some(sent)) => {
                let name = wanted
                    .strip_prefix('{')
                    .and_then(|rest| rest.strip_suffix('}'));
                match name {
                    Some(name) if !sent.is_empty() => drop(names.insert(name, sent)),
                    None if wanted == sent => {}
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split('{').skip(1);
    parts.map(|part| part.split_once('}').map_or(part, |(name, _)| name))
}

/// A text with the segments in the place of their names.
fn filled(text: &str, names: &BTreeMap<&str, &str>) -> String {
    let mut filled = text.to_owned();
    for (name, value) in names {
        filled = filled.replace(&format!("{{{name}}}"), value);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn github() -> Value {
        json!({
            "base_url": "https://api.github.com/",
            "auth": {"send": "bearer"},
            "request_headers": ["x-github-api-version"],
            "response_headers": ["link", "etag", "x-ratelimit-*"],
            "routes": [
                {"method": "GET", "path": "/repos/{owner}/{repo}/issues", "operation": "github.issues.read",
                 "level": "read", "risk": "safe", "scope": {"type": "repo", "id": "{owner}/{repo}"}},
                {"method": "POST", "path": "/repos/{owner}/{repo}/issues", "operation": "github.issues.write",
                 "level": "write", "risk": "elevated", "scope": {"type": "repo", "id": "{owner}/{repo}"},
                 "title": "Open an issue in {owner}/{repo}"},
            ],
        })
    }

    fn checked(described: &Value) -> Result<UpstreamApi, String> {
        let described = serde_json::from_value(described.clone());
        let described: Described = described.map_err(|error| error.to_string())?;
        UpstreamApi::check(described, false).map_err(|error| error.to_string())
    }

    #[test]
    fn a_description_is_read_back_from_its_text_and_leads_each_request_to_one_object() {
        let api = checked(&github()).unwrap();
        assert_eq!(UpstreamApi::parse(&api.text()).unwrap(), api);
        assert_eq!(api.described().base_url, "https://api.github.com");
        assert_eq!(api.described().max_body_bytes, 1024 * 1024);
        let (route, scope) = api.route("GET", "/repos/octo/hello.world/issues").unwrap();
        assert_eq!(route.operation.as_str(), "github.issues.read");
        assert_eq!(scope.to_string(), "repo octo/hello.world");
        for (method, path) in [
            ("GET", "/repos/octo/hello"),
            ("GET", "/repos/octo//issues"),
            ("GET", "/repos/octo/hello/issues/1"),
            ("GET", "/repos/octo/%2E/issues"),
            ("GET", "/repos/../x/issues"),
            ("DELETE", "/repos/octo/hello/issues"),
        ] {
            assert!(api.route(method, path).is_none(), "{method} {path}");
        }
        assert_eq!(api.methods("/repos/a/b/issues"), ["GET", "POST"]);
        let ids: Vec<_> = api
            .catalog()
            .iter()
            .map(|entry| entry.id.to_string())
            .collect();
        assert_eq!(ids, ["github.issues.read", "github.issues.write"]);
    }

    #[test]
    fn a_header_that_carries_a_secret_is_not_named_anew_and_stays_readable_where_it_was() {
        for (name, is_taken) in [
            ("x-token", false),
            ("x-hub-signature-256", false),
            ("x-shop-key", false),
            ("x-auth", false),
            ("x-token-*", false),
            ("x-tenant", true),
            ("idempotency-key", true),
            ("x-github-*", true),
        ] {
            let mut described = github();
            described["request_headers"] = json!([name]);
            let api = checked(&described).unwrap();
            let refused = UpstreamApi::refuse_new(api.described(), &[]);
            assert_eq!(refused.is_ok(), is_taken, "{name}: {refused:?}");
            assert_eq!(UpstreamApi::parse(&api.text()).unwrap(), api);
        }
    }

    #[test]
    fn what_is_unknown_ambiguous_or_would_pass_a_credential_is_refused() {
        let route = |field: &str, value: Value| {
            let mut described = github();
            described["routes"][1][field] = value;
            described
        };
        let other = |field: &str, value: Value| {
            let mut described = github();
            described[field] = value;
            described
        };
        let mut twice = github();
        let same = json!({"method": "GET", "path": "/repos/octo/{repo}/issues", "operation": "x.read",
            "level": "read", "risk": "safe", "scope": {"type": "repo", "id": "{repo}"}});
        twice["routes"].as_array_mut().unwrap().push(same);
        for (described, why) in [
            (
                other("base_url", json!("http://api.github.com")),
                "base_url",
            ),
            (
                other("base_url", json!("https://a:b@api.github.com")),
                "base_url",
            ),
            (
                other("base_url", json!("https://api.github.com?x")),
                "base_url",
            ),
            (other("auth", json!({"send": "cookie"})), "cookie"),
            (
                other("auth", json!({"send": "header", "name": "Host"})),
                "auth.name",
            ),
            (
                other("request_headers", json!(["authorization"])),
                "authorization",
            ),
            (other("request_headers", json!(["x-*"])), "would let"),
            (other("response_headers", json!(["set-*"])), "set-cookie"),
            (other("response_headers", json!(["Link"])), "small letters"),
            (other("routes", json!([])), "routes"),
            (other("more", json!(1)), "more"),
            (route("level", json!("read")), "level"),
            (route("method", json!("TRACE")), "method"),
            (route("seal", json!(["/items/*/value"])), "seal"),
            (route("seal", json!(["/"])), "seal"),
            (route("seal", json!(["/a~b"])), "seal"),
            (route("seal", json!(["a"])), "seal"),
            (route("method", json!("GET")), "GET and HEAD read"),
            (
                other("request_headers", json!(["x-http-method-override"])),
                "would let",
            ),
            (
                other("response_headers", json!(["access-control-*"])),
                "would let",
            ),
            (
                other("auth", json!({"send": "header", "name": "content-type"})),
                "auth.name",
            ),
            (route("path", json!("repos")), "path"),
            (route("path", json!("/a/{x}/{x}")), "path"),
            (
                route("scope", json!({"type": "repo", "id": "{other}"})),
                "scope.id",
            ),
            (route("title", json!("in {other}")), "title"),
            (
                route("operation", json!("github.issues.read")),
                "another level",
            ),
            (twice, "this route and GET"),
        ] {
            let refused = checked(&described).unwrap_err();
            assert!(refused.contains(why), "{why}: {refused}");
        }
    }
}
