//! Requests of clients that speak an upstream's own API: sent as they came, once.
//!
//! Such a request stands in a submission beside the operation that the catalog calls it, with the bytes
//! that will be sent. Where its provider knows the operation, its params are read from the request, and
//! what people are shown is what they say; they are kept only where they make the same request. Otherwise
//! people are shown the request itself.

use super::{
    Before, Entries, FileChange, Form, InvalidOperation, Method, Operation, OperationFile,
    OperationFiles, Scope, ScopeId, UpstreamBody, UpstreamRequest, Warning, form_boundary, shown,
    shown_once,
};
use crate::canonical::{canonicalise, parse_strict};
use crate::catalog::{CatalogEntry, Level, OperationId, Risk, ScopeType};
use crate::digest::digest;
use crate::event::{FileDigest, ManifestDigest};
use crate::id::ApplyId;
use crate::name::UpstreamName;
use crate::operation::fields::{Fields, Marks};
use crate::operation::matched::Forwarded;
use crate::provider::{
    Answer, Body, Depth, Effect, Following, NoAnswer, Outcome, Pending, Provider, ProviderNames,
    Providers, Snapshot, Upstream, code,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The field of an operation in a submission that holds the request.
pub(super) const FORWARD: &str = "forward";
/// What stands before the bytes of a match digest of a request whose base was not recorded.
const MATCH_PREFIX_1: &[u8] = b"llm-permission-proxy match v1";
/// What stands before the bytes of a match digest.
const MATCH_PREFIX: &[u8] = b"llm-permission-proxy match v2";
/// The media type of a form (RFC 7578).
const FORM: &str = "multipart/form-data";
/// The param that says what an approval allows besides, and the one that names the apply that a request follows.
const ALSO_ALLOWED: &str = "also_allowed";
const FOLLOWS: &str = "follows_apply";
/// The param that has the parts of a form.
const PARTS: &str = "parts";
/// The longest text of a body that stands among the params where it is not JSON.
const MOST_SHOWN: usize = 64 * 1024;

/// Headers that say how a client is made or what it reads, and not what it wants done.
const OF_CLIENTS: [&str; 6] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "content-length",
    "content-type",
    "user-agent",
];
/// The version of Cloudflare's API, which its clients send of themselves.
const API_VERSION: &str = "api-version";

digest!(
    /// SHA-256 over what makes two requests the same: upstream and its base, method, target, headers but those that
    /// only describe the client, the parsed body and its media type, and the files that were sent before it. Of a
    /// form neither the boundary nor the order of parts counts, nor how their JSON is spelled.
    MatchDigest
);

/// A file that was sent upstream before a request, and that the request makes use of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadedFile {
    /// Where upstream will serve it.
    pub path: String,
    /// The hash under which it was sent, as its client chose it.
    pub hash: String,
    /// Its length, as the request's client says.
    pub bytes: u64,
    /// SHA-256 of what was sent through this service, in lower-case hex; `None` where nothing was.
    pub sha256: Option<String>,
}

/// The body of a request, read.
#[derive(Debug, Clone, PartialEq)]
pub enum ForwardedBody {
    /// There is none.
    Nothing,
    /// It says that it is JSON.
    Json(Value),
    /// It says that it is a form.
    Form(Form),
    /// Nothing is read of it.
    Other,
}

impl ForwardedBody {
    /// The JSON that it is.
    #[must_use]
    pub const fn json(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            Self::Nothing | Self::Form(_) | Self::Other => None,
        }
    }
}

/// A secret in a body, which is not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HiddenSecret {
    /// Where it stands: a JSON pointer (RFC 6901); of a form the first token is the name of the part.
    pub place: String,
    /// Its bytes.
    pub length: usize,
    /// [`crate::MasterKeys::mac_of`] it, in hex.
    pub mac: String,
}

impl HiddenSecret {
    /// What stands in its place.
    #[must_use]
    pub fn text(&self) -> String {
        format!("(not shown: {} bytes, MAC {})", self.length, self.mac)
    }
}

impl UploadedFile {
    /// The digest of the manifest of these files, and so of their names, hashes and lengths.
    ///
    /// # Errors
    /// A number or text that canonical JSON does not hold.
    pub fn manifest(files: &[Self]) -> Result<ManifestDigest, InvalidOperation> {
        let files = files.iter().map(|file| {
            let entry = json!({"hash": file.hash, "size": file.bytes});
            (file.path.clone(), entry)
        });
        let manifest = Value::Object(files.collect());
        let bytes = canonicalise(&manifest)
            .map_err(|error| InvalidOperation::new("uploads", error.to_string()))?;
        Ok(ManifestDigest::from_bytes(Sha256::digest(bytes).into()))
    }

    /// SHA-256 of what was sent through this service.
    #[must_use]
    pub fn digest(&self) -> Option<FileDigest> {
        self.sha256.as_ref()?.parse().ok()
    }
}

/// The upload in which upstream was sent the files of a request. In its body stands a token of that upload, which is
/// another one each time; what is recorded has [`Self::text`] in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadOf {
    /// Where the token stands, as [`HiddenSecret::place`].
    pub place: String,
    /// The script whose files they are.
    pub script: String,
    /// The manifest.
    pub manifest: ManifestDigest,
}

impl UploadOf {
    /// What stands in the place of the token.
    #[must_use]
    pub fn text(&self) -> String {
        format!("(the token of an upload of manifest {})", self.manifest)
    }
}

/// Something that the approval of a request allows besides, once, shortly after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlsoAllowed {
    /// Its name among what is allowed besides.
    pub name: String,
    /// What it is, for people.
    pub text: String,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedRequest {
    /// Where to.
    pub upstream: UpstreamName,
    /// What people call it, where a route of the upstream says so.
    pub title: Option<String>,
    /// The level that a grant must have, as the catalog of the day said.
    pub level: Level,
    /// Its risk, likewise.
    pub risk: Risk,
    /// How.
    pub method: Method,
    /// The upstream's base, below which it went when it was asked for; without a slash at its end. Requests that were
    /// recorded without one are read as they were then: their forms are bytes.
    pub base_url: Option<String>,
    /// Path and query below the upstream's base, as they were sent.
    pub target: String,
    /// The headers that go with it, by name in small letters. None of them is a credential.
    pub headers: BTreeMap<String, String>,
    /// The body, as it was sent; where it holds secrets, with [`HiddenSecret::text`] in their places. Who sends it
    /// has them from the call that waits.
    pub body: Vec<u8>,
    /// The secrets that are not in it.
    pub secrets: Vec<HiddenSecret>,
    /// The files that were sent before it.
    pub uploads: Vec<UploadedFile>,
    /// The upload in which they were.
    pub upload: Option<UploadOf>,
    /// What its approval allows besides.
    pub also_allowed: Vec<AlsoAllowed>,
    /// The apply of the request that was carried out shortly before, and that it follows.
    pub follows: Option<ApplyId>,
}

/// A request beside what a provider looks at to tell which operation it is.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// How.
    pub method: Method,
    /// Path and query.
    pub target: &'a str,
    /// The body where it is JSON.
    pub body: Option<&'a Value>,
}

impl ForwardedRequest {
    /// The media type, without parameters, in small letters; empty where there is none.
    #[must_use]
    pub fn media_type(&self) -> String {
        let whole = self.headers.get("content-type").map_or("", String::as_str);
        let name = whole.split(';').next().unwrap_or_default();
        name.trim().to_ascii_lowercase()
    }

    fn is_json(&self) -> bool {
        let name = self.media_type();
        name == "application/json" || name.ends_with("+json")
    }

    /// The headers that people are shown: all but the media type where it says nothing more than
    /// [`Self::media_type`], and where it is that of a form, which is written anew.
    #[must_use]
    pub fn shown_headers(&self) -> BTreeMap<&str, &str> {
        let media_type = self.media_type();
        let says_more = |(name, value): &(&str, &str)| {
            *name != "content-type" || (*value != media_type && media_type != FORM)
        };
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        headers.filter(says_more).collect()
    }

    /// The whole address, where the base is recorded.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        let base = self.base_url.as_ref()?;
        Some(format!("{base}{}", self.target))
    }

    /// The body by what it says that it is.
    ///
    /// # Errors
    /// One that cannot be read in one way only.
    pub fn read_body(&self) -> Result<ForwardedBody, InvalidOperation> {
        let invalid = |why: String| InvalidOperation::new("body", why);
        if self.body.is_empty() {
            return Ok(ForwardedBody::Nothing);
        }
        if self.is_json() {
            let read = parse_strict(&self.body);
            return read
                .map(ForwardedBody::Json)
                .map_err(|error| invalid(error.to_string()));
        }
        let content_type = self.headers.get("content-type").map_or("", String::as_str);
        if self.base_url.is_none() || self.media_type() != FORM {
            return Ok(ForwardedBody::Other);
        }
        let boundary = form_boundary(content_type).map_err(|error| invalid(error.to_string()))?;
        let boundary = boundary.unwrap_or_default();
        let form = Form::parse(&self.body.clone().into(), &boundary);
        let form = form.map_err(|error| invalid(error.to_string()))?;
        for part in form.parts.iter().filter(|part| part.is_json()) {
            parse_strict(&part.content).map_err(|error| invalid(error.to_string()))?;
        }
        Ok(ForwardedBody::Form(form))
    }

    /// The headers that say what is wanted, beside `if-match` and the body's own.
    fn headers_of_request(&self) -> Map<String, Value> {
        let is_cloudflares = self.upstream == UpstreamName::cloudflare();
        let headers = self.headers.iter().filter(|(name, _)| {
            let name = name.as_str();
            let is_of_client =
                OF_CLIENTS.contains(&name) || (is_cloudflares && name == API_VERSION);
            name != "if-match" && !is_of_client
        });
        headers
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect()
    }

    /// Whether something of its body is not recorded, which only the call that waits has.
    #[must_use]
    pub const fn needs_its_call(&self) -> bool {
        !self.secrets.is_empty() || self.upload.is_some()
    }

    /// What another request is to it, once it was carried out and has made what upstream calls `made`.
    #[must_use]
    pub fn followed_by(
        &self,
        provider: &dyn Provider,
        made: Option<&str>,
        then: &Self,
    ) -> Following {
        if (&self.upstream, &self.base_url) != (&then.upstream, &then.base_url) {
            return Following::No;
        }
        let Ok(body) = then.read_body() else {
            return Following::Asks;
        };
        let then = Sent {
            method: then.method,
            target: &then.target,
            body: body.json(),
        };
        provider.following(self.without_body(), made, then)
    }

    /// The request, for who does not look at its body.
    #[must_use]
    pub fn without_body(&self) -> Sent<'_> {
        Sent {
            method: self.method,
            target: &self.target,
            body: None,
        }
    }

    /// What the same request has in common, however its client wrote it.
    ///
    /// # Errors
    /// As for [`Self::json`].
    pub fn match_digest(&self) -> Result<MatchDigest, InvalidOperation> {
        let body = match self.read_body()? {
            ForwardedBody::Json(body) => body,
            ForwardedBody::Form(form) => {
                let parts = form.parts.iter();
                let parts: BTreeMap<_, _> = parts
                    .map(|part| (part.name.as_str(), part.matched()))
                    .collect();
                json!({ "form": parts.into_values().collect::<Value>() })
            }
            ForwardedBody::Nothing | ForwardedBody::Other => {
                json!({"sha256": hex::encode(Sha256::digest(&self.body))})
            }
        };
        let media_type = match &self.base_url {
            // It is the type of nothing.
            Some(_) if self.body.is_empty() => String::new(),
            _ => self.media_type(),
        };
        let mut parts = json!({
            "upstream": self.upstream,
            "method": self.method.as_str(),
            "target": self.target,
            "media_type": media_type,
            "if_match": self.headers.get("if-match"),
            "body": body,
        });
        let mut prefix = MATCH_PREFIX_1;
        if let (Some(base), Some(parts)) = (&self.base_url, parts.as_object_mut()) {
            prefix = MATCH_PREFIX;
            parts.insert("base_url".to_owned(), json!(base));
            parts.insert("uploads".to_owned(), json!(self.uploads));
            let headers = self.headers_of_request();
            if !headers.is_empty() {
                parts.insert("headers".to_owned(), Value::Object(headers));
            }
        }
        let bytes = canonicalise(&parts)
            .map_err(|error| InvalidOperation::new("body", error.to_string()))?;
        let digest = Sha256::new().chain_update(prefix).chain_update(bytes);
        Ok(MatchDigest::from_bytes(digest.finalize().into()))
    }

    /// The request, byte for byte.
    #[must_use]
    pub fn request(&self) -> UpstreamRequest {
        UpstreamRequest {
            method: self.method,
            path: self.target.clone(),
            query: Vec::new(),
            body: match self.body.is_empty() {
                true => UpstreamBody::None,
                false => UpstreamBody::Raw(self.body.clone()),
            },
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| {
            fields.insert(name.to_owned(), value);
        };
        put("upstream", json!(self.upstream));
        if let Some(title) = &self.title {
            put("title", json!(title));
        }
        put("level", json!(self.level.as_str()));
        put("risk", json!(self.risk.as_str()));
        put("method", json!(self.method.as_str()));
        if let Some(base) = &self.base_url {
            put("base_url", json!(base));
        }
        put("target", json!(self.target));
        put("headers", json!(self.headers));
        match std::str::from_utf8(&self.body) {
            Ok("") => {}
            Ok(text) => put("body", json!(text)),
            Err(_) => put("body_base64", json!(STANDARD.encode(&self.body))),
        }
        if !self.secrets.is_empty() {
            let secrets = self.secrets.iter().map(
                |secret| json!({"place": secret.place, "length": secret.length, "mac": secret.mac}),
            );
            put("secrets", secrets.collect());
        }
        if !self.uploads.is_empty() {
            put("uploads", json!(self.uploads));
        }
        if let Some(upload) = &self.upload {
            put("upload", json!(upload));
        }
        if !self.also_allowed.is_empty() {
            put("also_allowed", json!(self.also_allowed));
        }
        if let Some(first) = self.follows {
            put("follows", json!(first.to_string()));
        }
        Value::Object(fields)
    }

    fn read(value: &Value) -> Result<Self, InvalidOperation> {
        let invalid = |name: &str| InvalidOperation::new(format!("{FORWARD}.{name}"), "is wrong");
        let text = |name: &str| {
            let found = value.get(name).and_then(Value::as_str);
            found.ok_or_else(|| invalid(name))
        };
        let headers = value.get("headers").and_then(Value::as_object);
        let headers = headers.into_iter().flatten();
        let headers = headers.map(|(name, value)| {
            let text = value.as_str().ok_or_else(|| invalid("headers"))?;
            Ok((name.clone(), text.to_owned()))
        });
        let body = match value.get("body_base64") {
            Some(coded) => {
                let bytes = coded.as_str().and_then(|text| STANDARD.decode(text).ok());
                bytes.ok_or_else(|| invalid("body_base64"))?
            }
            None => text("body").map_or_else(|_| Vec::new(), |text| text.as_bytes().to_vec()),
        };
        let secrets = value.get("secrets").and_then(Value::as_array);
        let secrets = secrets.into_iter().flatten().map(|secret| {
            let text = |name: &str| {
                let found = secret.get(name).and_then(Value::as_str);
                found.map(str::to_owned).ok_or_else(|| invalid("secrets"))
            };
            let length = secret.get("length").and_then(Value::as_u64);
            let length = length.and_then(|length| usize::try_from(length).ok());
            Ok(HiddenSecret {
                place: text("place")?,
                length: length.ok_or_else(|| invalid("secrets"))?,
                mac: text("mac")?,
            })
        });
        let read = Self {
            upstream: UpstreamName::unchecked(text("upstream")?),
            title: text("title").ok().map(str::to_owned),
            level: text("level")?.parse().map_err(|_| invalid("level"))?,
            risk: text("risk")?.parse().map_err(|_| invalid("risk"))?,
            method: Method::of_write(text("method")?).ok_or_else(|| invalid("method"))?,
            base_url: text("base_url").ok().map(str::to_owned),
            target: text("target")?.to_owned(),
            headers: headers.collect::<Result<_, _>>()?,
            body,
            secrets: secrets.collect::<Result<_, _>>()?,
            uploads: match value.get("uploads") {
                Some(files) => Deserialize::deserialize(files).map_err(|_| invalid("uploads"))?,
                None => Vec::new(),
            },
            upload: match value.get("upload") {
                Some(upload) => {
                    Some(Deserialize::deserialize(upload).map_err(|_| invalid("upload"))?)
                }
                None => None,
            },
            also_allowed: match value.get("also_allowed") {
                Some(allowed) => {
                    Deserialize::deserialize(allowed).map_err(|_| invalid("also_allowed"))?
                }
                None => Vec::new(),
            },
            follows: match value.get("follows") {
                Some(_) => Some(text("follows")?.parse().map_err(|_| invalid("follows"))?),
                None => None,
            },
        };
        // Written again, so that no other field and no other spelling passes.
        match read.to_json() == *value {
            true => Ok(read),
            false => Err(InvalidOperation::new(FORWARD, "holds something else")),
        }
    }
}

/// The match digest of the request that an operation in a submission forwards; `None` where it forwards none that can be
/// read.
pub(crate) fn match_digest_of(operation: &Value) -> Option<MatchDigest> {
    let request = ForwardedRequest::read(operation.get(FORWARD)?).ok()?;
    request.match_digest().ok()
}

impl Providers {
    /// A request of a client as an operation on a scope, as a catalog calls it.
    ///
    /// # Errors
    /// A body that says it is JSON and cannot be read in one way only; a scope of another type than the
    /// operation's.
    pub fn forward(
        &self,
        operation: OperationId,
        scope: Scope,
        request: ForwardedRequest,
    ) -> Result<Operation, InvalidOperation> {
        self.forward_as(operation, scope, request, true)
    }

    /// Where `reads` is false, the request is shown as it came even where an operation makes the same one: what was
    /// recorded before its provider knew it.
    fn forward_as(
        &self,
        operation: OperationId,
        scope: Scope,
        request: ForwardedRequest,
        reads: bool,
    ) -> Result<Operation, InvalidOperation> {
        let found = self.find(operation.as_str());
        let provider = match found {
            Some((provider, _)) => Arc::clone(provider),
            None => {
                let is_its = |provider: &&Arc<dyn Provider>| {
                    let title = provider.names().title;
                    title.eq_ignore_ascii_case(request.upstream.as_str())
                };
                let known = self.iter().find(is_its);
                known.map_or_else(|| Arc::new(AnyApi) as _, Arc::clone)
            }
        };
        let entry = match found {
            Some((_, entry)) => *entry,
            None => CatalogEntry {
                id: operation,
                level: request.level,
                risk: request.risk,
                scope_type: scope.scope_type,
                uploads: false,
                summary: "A request that is sent as it came.",
            },
        };
        if entry.scope_type != scope.scope_type {
            return Err(InvalidOperation::new(
                "scope_type",
                format!("{operation} acts on {}", entry.scope_type),
            ));
        }
        let body = request.read_body()?;
        let request = Arc::new(request);
        let sent = Sent {
            method: request.method,
            target: &request.target,
            body: body.json(),
        };
        // A body that is not read is none that is known.
        let is_read = matches!(body, ForwardedBody::Json(_) | ForwardedBody::Nothing);
        let described = (is_read && reads)
            .then(|| describe(&*provider, &entry, &scope, sent))
            .flatten();
        let (effect, unchecked) = described.unwrap_or_else(|| {
            // What was recorded without its base is shown as it was then.
            let has_base = request.base_url.is_some();
            let described = has_base
                .then(|| provider.description_of(&entry, &scope, &request, &body))
                .flatten();
            let effect: Arc<dyn Effect> = Arc::new(AsItCame {
                request: Arc::clone(&request),
                body,
                described,
            });
            (effect, Marks::default())
        });
        Ok(Operation {
            entry,
            scope,
            provider,
            effect,
            unchecked: unchecked.into_places(),
            forwarded: Some(Forwarded::new(request)),
        })
    }

    /// Reads an operation that was recorded: what [`Operation::to_json`] wrote, forwarded requests too.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn read_recorded(&self, operation: &Value) -> Result<Operation, InvalidOperation> {
        let Some(forward) = operation.get(FORWARD) else {
            return self.read(operation);
        };
        let text = |name: &str| {
            let found = operation.get(name).and_then(Value::as_str);
            found.ok_or_else(|| InvalidOperation::new(name, "is required, a string"))
        };
        let name = |name: &str| InvalidOperation::new(name, "is no name");
        let id: OperationId = text("operation_id")?
            .parse()
            .map_err(|_| name("operation_id"))?;
        let scope_type: ScopeType = text("scope_type")?
            .parse()
            .map_err(|_| name("scope_type"))?;
        let scope = Scope {
            scope_type,
            id: ScopeId::of_route(text("scope_id")?).ok_or_else(|| name("scope_id"))?,
        };
        let read = self.forward(id, scope.clone(), ForwardedRequest::read(forward)?)?;
        if read.to_json() == *operation {
            return Ok(read);
        }
        let read = self.forward_as(id, scope, ForwardedRequest::read(forward)?, false)?;
        match read.to_json() == *operation {
            true => Ok(read),
            false => Err(InvalidOperation::new(
                "params",
                "are not those of the request that is forwarded",
            )),
        }
    }
}

/// The effect of a request, where its provider knows it and makes the same request of it.
fn describe(
    provider: &dyn Provider,
    entry: &CatalogEntry,
    scope: &Scope,
    sent: Sent<'_>,
) -> Option<(Arc<dyn Effect>, Marks)> {
    let params = provider.params_of(entry, scope, sent)?;
    let marks = Marks::default();
    let effect = provider
        .parse(entry, Fields::params(&params, &marks).ok()?)
        .ok()?;
    let made = effect.request(scope, None);
    let same_place = made.method == sent.method && made.path_and_query() == sent.target;
    let same_body = match (&made.body, sent.body) {
        (UpstreamBody::None, None) => true,
        (UpstreamBody::Json(made), Some(sent)) => says_the_same(made, sent, &effect.defaults()),
        _ => false,
    };
    (same_place && same_body && !effect.asks_by_name()).then_some((effect, marks))
}

/// True when a body says what was sent, and beside it only what upstream takes where it is left out.
fn says_the_same(made: &Value, sent: &Value, defaults: &[&str]) -> bool {
    if let (Some(made), Some(sent)) = (made.as_array(), sent.as_array()) {
        let mut pairs = made.iter().zip(sent);
        return made.len() == sent.len()
            && pairs.all(|(made, sent)| says_the_same(made, sent, defaults));
    }
    let (Some(made), Some(sent)) = (made.as_object(), sent.as_object()) else {
        return made == sent;
    };
    let is_there = |(name, value): (&String, &Value)| match made.get(name) {
        // Below a list each entry may leave something out.
        Some(made) if made.is_array() => says_the_same(made, value, defaults),
        made => made == Some(value),
    };
    // Defaults are named as params, of which a body may be a part: `rule.enabled`.
    let is_default = |name: &&String| {
        let mut named = defaults.iter().map(|path| path.rsplit('.').next());
        sent.contains_key(*name) || named.any(|last| last == Some(name.as_str()))
    };
    sent.iter().all(is_there) && made.keys().all(|name| is_default(&name))
}

/// A request that is shown itself.
#[derive(Debug)]
struct AsItCame {
    request: Arc<ForwardedRequest>,
    body: ForwardedBody,
    /// What its provider says that it does, for people.
    described: Option<Arc<dyn Effect>>,
}

impl AsItCame {
    /// The address as it is shown.
    fn address(&self) -> (&'static str, Cow<'_, str>) {
        match self.request.url() {
            Some(url) => ("url", Cow::Owned(url)),
            None => ("target", Cow::Borrowed(&self.request.target)),
        }
    }
}

impl AsItCame {
    fn as_one_file(&self) -> OperationFiles<'_> {
        let content = self.request.body.as_slice();
        let file = OperationFile {
            name: "body",
            file_name: None,
            media_type: "",
            content,
            change: FileChange::Unknown,
            text: None,
        };
        OperationFiles {
            files: vec![file],
            uploads: &self.request.uploads,
            ..OperationFiles::default()
        }
    }
}

/// The parts of a form, each with what it is called and the digest of its bytes; as far as there is room for it also
/// with its text.
fn parts_of(form: &Form) -> Value {
    let mut room = MOST_SHOWN;
    let parts = form.parts.iter().map(|part| {
        let mut fields = part.described();
        if let Some(left) = room.checked_sub(part.content.len()) {
            let text = || std::str::from_utf8(&part.content).ok();
            let shown = match part.json() {
                Some(value) => Some(("json", value)),
                None => text().map(|text| ("text", json!(text))),
            };
            if let Some((name, value)) = shown {
                room = left;
                fields.insert(name.to_owned(), value);
            }
        }
        Value::Object(fields)
    });
    parts.collect()
}

impl Effect for AsItCame {
    fn to_json(&self) -> Value {
        let request = &*self.request;
        let mut fields = Map::new();
        fields.insert("method".to_owned(), json!(request.method.as_str()));
        let (name, address) = self.address();
        fields.insert(name.to_owned(), json!(address));
        let media_type = request.media_type();
        if !media_type.is_empty() {
            fields.insert("media_type".to_owned(), json!(media_type));
        }
        if request.base_url.is_some() {
            let headers = request.shown_headers();
            if !headers.is_empty() {
                fields.insert("headers".to_owned(), json!(headers));
            }
        }
        match &self.body {
            ForwardedBody::Nothing => {}
            ForwardedBody::Json(body) => {
                fields.insert("body".to_owned(), body.clone());
            }
            ForwardedBody::Form(form) => {
                fields.insert(PARTS.to_owned(), parts_of(form));
            }
            ForwardedBody::Other => {
                fields.insert("body_bytes".to_owned(), json!(request.body.len()));
                let digest = hex::encode(Sha256::digest(&request.body));
                fields.insert("body_sha256".to_owned(), json!(digest));
                let text = std::str::from_utf8(&request.body).ok();
                if let Some(text) = text.filter(|text| text.len() <= MOST_SHOWN) {
                    fields.insert("body_text".to_owned(), json!(text));
                }
            }
        }
        if !request.also_allowed.is_empty() {
            let texts = request.also_allowed.iter().map(|allowed| &allowed.text);
            let texts: Vec<&String> = texts.collect();
            fields.insert(ALSO_ALLOWED.to_owned(), json!(texts));
        }
        if let Some(first) = request.follows {
            fields.insert(FOLLOWS.to_owned(), json!(first.to_string()));
        }
        Value::Object(fields)
    }

    fn summary(&self, scope: &Scope) -> String {
        let request = &*self.request;
        let line = match request.url() {
            Some(url) => format!("{} {url}", request.method),
            None => format!(
                "{} {} at {}",
                request.method, request.target, request.upstream
            ),
        };
        match (&self.described, &request.title) {
            (Some(described), _) => {
                let line = shown(&line, 300);
                shown_once(&format!("{}: {line}", described.summary(scope)), 300)
            }
            (None, Some(title)) => shown(&format!("{title}: {line}"), 300),
            (None, None) => shown(&line, 300),
        }
    }

    /// The address, which may be long, stands below.
    fn act(&self, scope: &Scope, before: &Before<'_>) -> Option<String> {
        if let Some(described) = &self.described {
            let act = described.act(scope, before);
            return Some(act.unwrap_or_else(|| described.summary(scope)));
        }
        let title = self.request.title.as_ref()?;
        Some(shown(title, 160))
    }

    fn place(&self, scope: &Scope, name: Option<Result<&str, &str>>) -> Option<String> {
        let described = self.described.as_ref();
        if let Some(place) = described.and_then(|described| described.place(scope, name)) {
            return Some(place);
        }
        let (of, id) = (scope.scope_type, &scope.id);
        name.map(|name| match name {
            // Its owner wrote it: in quotes, and without any of its own.
            Ok(name) => {
                let name = shown(name, 120).replace('"', "'");
                format!("{of} \"{name}\" (id {id})")
            }
            Err(why) => {
                let why = shown(why, 120);
                format!("{of} {id}, whose name cannot be read ({why})")
            }
        })
    }

    fn request(&self, _: &Scope, _: Option<&str>) -> UpstreamRequest {
        self.request.request()
    }

    fn reconcilable(&self) -> bool {
        false
    }

    fn reads_state(&self) -> bool {
        let described = self.described.as_ref();
        described.is_some_and(|described| described.reads_state())
    }

    fn read_state<'a>(
        &'a self,
        scope: &'a Scope,
        name: Result<&'a str, &'a str>,
        depth: Depth,
        upstream: &'a dyn Upstream,
    ) -> Pending<'a, Result<Option<Snapshot>, String>> {
        match &self.described {
            Some(described) => described.read_state(scope, name, depth, upstream),
            None => Box::pin(std::future::ready(Ok(None))),
        }
    }

    fn lost(&self, before: &Before<'_>) -> Map<String, Value> {
        let described = self.described.as_ref();
        described.map_or_else(Map::new, |described| described.lost(before))
    }

    fn unchanged(&self, before: &Before<'_>) -> Vec<String> {
        let described = self.described.iter();
        let names = described.flat_map(|described| described.unchanged(before));
        names.map(|name| format!("body.{name}")).collect()
    }

    fn entries(&self, before: &Before<'_>) -> Option<Entries> {
        let mut entries = self.described.as_ref()?.entries(before)?;
        if entries.param == "rules" {
            entries.param = "body.rules";
        }
        Some(entries)
    }

    fn not_sent(&self) -> &'static [&'static str] {
        &[ALSO_ALLOWED, FOLLOWS]
    }

    fn warnings(&self, before: &Before<'_>) -> Vec<Warning> {
        let mut warnings = match (&self.described, &self.request.title) {
            (Some(described), _) => described.warnings(before),
            (None, Some(_)) => vec![Warning::new(
                "not_described",
                "its heading is all that this service knows of it: read method, address and body",
            )],
            (None, None) => vec![Warning::new(
                "not_described",
                "this service does not know what the request does: read method, address and body",
            )],
        };
        if let Some(first) = self.request.follows {
            let text =
                format!("it follows a request that was carried out shortly before (apply {first})");
            warnings.push(Warning::new("follows_another", text));
        }
        let allowed = &self.request.also_allowed;
        if !allowed.is_empty() {
            let texts: Vec<&str> = allowed.iter().map(|it| it.text.as_str()).collect();
            let texts = texts.join("; ");
            let text = format!("also allowed, once each, within 10 minutes after it: {texts}");
            warnings.push(Warning::new("also_allowed", text));
        }
        warnings
    }

    fn read_by_field(&self) -> &'static [&'static str] {
        match &self.body {
            ForwardedBody::Json(Value::Object(_)) => &["headers", "body"],
            _ => &["headers"],
        }
    }

    fn reading_order(&self) -> &'static [&'static str] {
        &[
            "method",
            "url",
            "target",
            "media_type",
            ALSO_ALLOWED,
            FOLLOWS,
            "body",
            "body_text",
        ]
    }

    fn files(&self, before: &Before<'_>) -> Option<OperationFiles<'_>> {
        let described = self.described.as_ref();
        let mut known = described.and_then(|described| described.files(before));
        let mut change_of = |name: &str| {
            let mut files = known.iter_mut().flat_map(|known| known.files.iter_mut());
            let found = files.find(|file| file.name == name);
            found.map_or(FileChange::Unknown, |file| {
                std::mem::replace(&mut file.change, FileChange::Unknown)
            })
        };
        let parts = match &self.body {
            ForwardedBody::Form(form) => form.parts.as_slice(),
            // What is not read can be had as it is.
            ForwardedBody::Other => {
                let mut files = self.as_one_file();
                for file in &mut files.files {
                    file.change = change_of(file.name);
                }
                return Some(beside_running(files, known));
            }
            _ if self.request.uploads.is_empty() => return None,
            _ => &[],
        };
        let files = parts.iter().map(|part| OperationFile {
            name: &part.name,
            file_name: part.file_name.as_deref(),
            media_type: part.content_type.as_deref().unwrap_or_default(),
            content: &part.content,
            change: change_of(&part.name),
            text: part.text(),
        });
        let files = OperationFiles {
            param: PARTS,
            files: files.collect(),
            are_parts: true,
            uploads: &self.request.uploads,
            ..OperationFiles::default()
        };
        Some(beside_running(files, known))
    }

    fn check_asked(&self, _: &[super::Unchecked]) -> Result<(), InvalidOperation> {
        Ok(())
    }
}

/// Files with what is known of those that run.
fn beside_running<'a>(
    files: OperationFiles<'a>,
    known: Option<OperationFiles<'a>>,
) -> OperationFiles<'a> {
    let Some(known) = known else {
        return files;
    };
    OperationFiles {
        gone: known.gone,
        known_hosts: known.known_hosts,
        unread: known.unread,
        recorded_as: known.recorded_as,
        ..files
    }
}

/// An API of which nothing but its requests is known.
#[derive(Debug)]
struct AnyApi;

impl Provider for AnyApi {
    fn names(&self) -> &'static ProviderNames {
        const NAMES: ProviderNames = ProviderNames {
            title: "another API",
            base_setting: "base_url",
            base: "https://api.example.com",
            token_setting: "key",
            request_id_header: "x-request-id",
        };
        &NAMES
    }

    fn catalog(&self) -> &'static [CatalogEntry] {
        &[]
    }

    fn parse(&self, _: &CatalogEntry, _: Fields<'_>) -> Result<Arc<dyn Effect>, InvalidOperation> {
        Err(InvalidOperation::new("operation_id", "is only forwarded"))
    }

    fn outcome(&self, answer: Result<Answer, NoAnswer>, is_read: bool) -> Outcome {
        outcome_by_status(answer, is_read)
    }
}

/// The outcome of a request of whose answer nothing but the status is read. Where `ends_with_its_answer`, any answer is its
/// end; without one it is lost all the same.
#[must_use]
pub fn outcome_by_status(answer: Result<Answer, NoAnswer>, ends_with_its_answer: bool) -> Outcome {
    let failed = |http_status, request_id, code, message| Outcome::Failed {
        http_status,
        request_id,
        code,
        message,
        errors: json!([]),
        messages: None,
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(NoAnswer::NotSent(why)) => return failed(None, None, code::UNREACHABLE, why),
        Err(NoAnswer::MaybeSent(why)) => {
            return Outcome::Lost {
                http_status: None,
                request_id: None,
                why,
                errors: None,
            };
        }
    };
    let (status, request_id) = (answer.status, answer.request_id);
    match (status, &answer.body) {
        (200..=299, Body::Complete(_) | Body::Oversized) => Outcome::Succeeded {
            http_status: status,
            request_id,
            result: Value::Null,
            result_info: None,
            messages: None,
        },
        (400..=499, _) => {
            let code = match status {
                401 | 403 => code::UNAUTHORIZED,
                404 => code::NOT_FOUND,
                429 => code::RATE_LIMITED,
                _ => code::REFUSED,
            };
            let message = format!("upstream answered with status {status}");
            failed(Some(status), request_id, code, message)
        }
        _ if ends_with_its_answer => {
            let message = format!("upstream answered with status {status}, or not to the end");
            failed(Some(status), request_id, code::ERROR, message)
        }
        _ => Outcome::Lost {
            http_status: Some(status),
            request_id,
            why: format!("upstream answered with status {status}, or not to the end"),
            errors: None,
        },
    }
}
