//! Static files of Workers, which clients upload before the script that names them: the request that opens an upload,
//! and those that bring the files, each with a token that upstream gave for that upload alone.
//!
//! What is recorded of it says which bytes stand behind a script that people are asked about. Clients choose the hashes
//! of files, so a hash stands for the first bytes that went up under it.

use crate::api::Api;
use crate::bodies::{Content, Whole, form_of_files};
use crate::call::{Access, Call};
use crate::caller::{Asked, Caller, CountedFor, Owner, Reach};
use crate::credentials::Credential;
use crate::gateway::{Shared, refuse_long, subject, target};
use crate::links;
use crate::record::{Given, Recording};
use crate::refusal::Refusal;
use crate::upload::{Progress, Upload};
use axum::body::{Body, Bytes};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use ledger::event::{CallRuling, FileDigest, SentFile, UploadTokenDigest};
use ledger::operation::{Scope, ScopeId, UploadedFile};
use ledger::{OperationId, TaskId, Timestamp};
use providers::cloudflare::{WORKERS_DEPLOY, WORKERS_READ};
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a request that brings files.
pub(crate) const LONGEST: u64 = 50 * 1024 * 1024;
/// The most files of one upload.
const MOST_FILES: usize = 100_000;
/// The longest path of a file, and the longest hash.
const LONGEST_PATH: usize = 1024;
const LONGEST_HASH: usize = 64;
/// As calls that bring files are named in the ledger.
const OPERATION: OperationId = WORKERS_DEPLOY.id;
/// How long a token counts that does not say it.
const UNSAID: Duration = Duration::from_secs(3600);

/// An upload that upstream has opened.
#[derive(Debug)]
pub struct OpenedUpload {
    pub owner: Owner,
    pub counted_for: CountedFor,
    pub task: Option<TaskId>,
    /// The credential itself, to be proven anew with each request of the upload. It stays in memory.
    pub credential: Credential,
    pub account: ScopeId,
    pub script: String,
    /// The manifest, in the order of its paths.
    pub files: Vec<UploadedFile>,
    pub token: UploadTokenDigest,
    /// As the token says itself.
    pub expires_at: Option<Timestamp>,
    /// Upstream has all files already.
    pub is_complete: bool,
}

/// An upload by its token.
#[derive(Debug)]
pub struct Uploading {
    /// What it was opened with.
    pub credential: Credential,
    pub account: ScopeId,
    /// The lengths of the files, by their hashes.
    pub sizes: Arc<HashMap<String, u64>>,
}

/// Keeps what becomes of uploads.
pub trait AssetUploads: Send + Sync + 'static {
    /// The upload that a token was given for.
    ///
    /// # Errors
    /// [`crate::Word::Unauthorized`] for a token that was not seen, or is over.
    fn by_token(&self, token: UploadTokenDigest) -> Result<Uploading, Refusal>;

    /// Records an upload that upstream has opened, before its client is told.
    ///
    /// # Errors
    /// When it cannot be recorded.
    fn opened(&self, opened: OpenedUpload) -> BoxFuture<'_, Result<(), Refusal>>;

    /// Records files before they leave.
    ///
    /// # Errors
    /// [`crate::Word::Malformed`] for other bytes than went up under a hash before.
    fn sends(
        &self,
        token: UploadTokenDigest,
        files: Vec<SentFile>,
    ) -> BoxFuture<'_, Result<(), Refusal>>;

    /// Records that upstream has all files, before the client is told.
    ///
    /// # Errors
    /// When it cannot be recorded.
    fn completed(
        &self,
        token: UploadTokenDigest,
        completion: UploadTokenDigest,
        expires_at: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), Refusal>>;
}

/// SHA-256 of a token.
#[must_use]
pub fn digest_of_token(token: &str) -> UploadTokenDigest {
    UploadTokenDigest::from_bytes(Sha256::digest(token).into())
}

/// When a token ends, as it says itself (RFC 7519, `exp`).
fn end_of(token: &str) -> Option<Timestamp> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("exp")?.as_i64().map(Timestamp::from_seconds)
}

/// How long a token counts from now on that does not say it.
#[must_use]
pub const fn unsaid_end() -> Duration {
    UNSAID
}

/// The files of the body that opens an upload: `{"manifest": {path: {hash, size}}}`.
fn manifest_of(content: &Content) -> Result<Vec<UploadedFile>, Refusal> {
    let wrong =
        || Refusal::malformed("an upload is opened with a manifest of paths, hashes and sizes");
    let Content::Json(Value::Object(body)) = content else {
        return Err(wrong());
    };
    let manifest = body.get("manifest").and_then(Value::as_object);
    let manifest = manifest.filter(|manifest| body.len() == 1 && manifest.len() <= MOST_FILES);
    let mut sizes: HashMap<&str, u64> = HashMap::new();
    let mut files = Vec::new();
    for (path, file) in manifest.ok_or_else(wrong)? {
        let file = file.as_object().filter(|file| file.len() == 2);
        let file = file.ok_or_else(wrong)?;
        let hash = file.get("hash").and_then(Value::as_str);
        let hash = hash.filter(|hash| is_hash(hash)).ok_or_else(wrong)?;
        let size = file.get("size").and_then(Value::as_u64).ok_or_else(wrong)?;
        if path.len() > LONGEST_PATH || *sizes.entry(hash).or_insert(size) != size {
            return Err(wrong());
        }
        files.push(UploadedFile {
            path: path.clone(),
            hash: hash.to_owned(),
            bytes: size,
            sha256: None,
        });
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn is_hash(text: &str) -> bool {
    (1..=LONGEST_HASH).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What upstream says to who opens an upload, or brings files: a token, and whether files are still to come.
struct Said {
    token: Option<String>,
    is_complete: bool,
}

fn said(status: StatusCode, body: &[u8]) -> Option<Said> {
    if !status.is_success() {
        return None;
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let result = body.get("result")?;
    let buckets = result.get("buckets").and_then(Value::as_array);
    let is_left = |bucket: &Value| bucket.as_array().is_none_or(|files| !files.is_empty());
    Some(Said {
        token: result.get("jwt").and_then(Value::as_str).map(str::to_owned),
        is_complete: !buckets.into_iter().flatten().any(is_left),
    })
}

/// A request that brings files.
pub(crate) struct BringsFiles<'a> {
    account: &'a str,
    /// The hash of the one file that is its body, where it stands in the path.
    hash: Option<&'a str>,
}

/// The request, where it is one that brings files.
pub(crate) fn brings_files<'a>(method: &Method, path: &'a str) -> Option<BringsFiles<'a>> {
    let rest = path.strip_prefix("/accounts/")?;
    let (account, rest) = rest.split_once('/')?;
    let rest = rest.strip_prefix("workers/assets/upload")?;
    let hash = match rest {
        "" => None,
        rest => Some(rest.strip_prefix('/').filter(|hash| is_hash(hash))?),
    };
    (*method == Method::POST).then_some(BringsFiles { account, hash })
}

impl BringsFiles<'_> {
    /// Whether the query is the one that is known: a form has its files in base64.
    fn judge_query(&self, query: Option<&str>) -> Result<(), Refusal> {
        match (self.hash, query) {
            (None, Some("base64=true")) | (Some(_), None) => Ok(()),
            _ => Err(Refusal::malformed(
                "files are uploaded as a form with ?base64=true, or one by one without a query",
            )),
        }
    }

    /// The files, and the body as it goes up.
    fn files(
        &self,
        headers: &HeaderMap,
        whole: &Whole,
        sizes: &HashMap<String, u64>,
    ) -> Result<(Vec<SentFile>, Option<HeaderValue>, Bytes), Refusal> {
        let file = |hash: &str, bytes: &[u8]| {
            let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            match sizes.get(hash) {
                Some(said) if *said == size => Ok(SentFile {
                    hash: hash.to_owned(),
                    size,
                    digest: FileDigest::from_bytes(Sha256::digest(bytes).into()),
                }),
                Some(said) => Err(Refusal::malformed(format!(
                    "the manifest says that the file {hash} has {said} bytes, and it has {size}"
                ))),
                None => Err(Refusal::malformed(format!(
                    "the manifest of this upload names no file {hash}"
                ))),
            }
        };
        if let Some(hash) = self.hash {
            let content_type = headers.get(header::CONTENT_TYPE).cloned();
            return Ok((
                vec![file(hash, &whole.bytes)?],
                content_type,
                whole.bytes.clone(),
            ));
        }
        let form = form_of_files(headers, &whole.bytes)?;
        let mut files = Vec::with_capacity(form.parts.len());
        for part in &form.parts {
            let bytes = STANDARD.decode(&part.content).map_err(|_| {
                Refusal::malformed(format!("the file {} is not in base64", part.name))
            })?;
            files.push(file(&part.name, &bytes)?);
        }
        let (content_type, body) = form.write();
        let content_type = HeaderValue::from_str(&content_type)
            .map_err(|_| Refusal::malformed("the form cannot be sent on"))?;
        Ok((files, Some(content_type), body))
    }
}

/// The account and the script of a request that opens an upload.
fn script_of(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/accounts/")?;
    let (account, rest) = rest.split_once('/')?;
    let script = rest.strip_prefix("workers/scripts/")?;
    Some((account, script.strip_suffix("/assets-upload-session")?))
}

impl Shared {
    /// Sends a request that opens an upload, and records what upstream answers before that goes back.
    pub(crate) async fn open_upload(
        &self,
        api: &Api,
        parts: &Parts,
        body: Body,
        (path, call, key): (&str, &Call, &SecretString),
        (mut caller, credential, ruling): (Caller, Credential, Option<CallRuling>),
    ) -> Result<Response<Body>, Refusal> {
        let found = script_of(path).and_then(|(account, script)| {
            Some((ScopeId::parse(account)?, ScopeId::parse(script)?))
        });
        let (account, script) =
            found.ok_or_else(|| Refusal::malformed("the path names no script"))?;
        let whole = self.whole_of(body, call, &mut caller).await?;
        let content = Content::read(&parts.headers, &whole.bytes)?;
        let files = manifest_of(&content)?;
        let headers = api.to.of(&parts.headers);
        let sent = Sent {
            headers,
            body: whole.bytes.clone(),
            key,
        };
        let owner = caller.owner.clone();
        let (counted_for, task) = (caller.counted_for, caller.task);
        let mut answered = self
            .relayed_whole(api, parts, (path, call), sent, (caller, ruling))
            .await?;
        let said = said(answered.status, &answered.body);
        if let Some(Said {
            token: Some(token),
            is_complete,
        }) = said
        {
            let opened = OpenedUpload {
                owner,
                counted_for,
                task,
                credential,
                account,
                script: script.to_string(),
                files,
                token: digest_of_token(&token),
                expires_at: end_of(&token),
                is_complete,
            };
            let opened = self.ports.uploads.opened(opened).await;
            opened.inspect_err(|refused| answered.recording.refused(refused))?;
        }
        Ok(answered.response())
    }

    /// Sends files with the token that upstream gave for them, and never with a stored key.
    pub(crate) async fn send_files(
        &self,
        api: &Api,
        parts: &Parts,
        body: Body,
        (path, brings): (&str, BringsFiles<'_>),
        credential: Credential,
    ) -> Result<Response<Body>, Refusal> {
        let token = digest_of_token(credential.reveal());
        let Uploading {
            credential: opener,
            account,
            sizes,
        } = self.ports.uploads.by_token(token)?;
        let caller = self.ports.callers.identify(opener).await?;
        if *account != *brings.account {
            return Err(Refusal::unauthorized(
                "this token is of an upload to another account",
            ));
        }
        let _place = self.places.take(&caller)?;
        brings.judge_query(parts.uri.query())?;
        let asked = Asked {
            operation: WORKERS_READ.id,
            level: WORKERS_READ.level,
            risk: WORKERS_READ.risk,
            reach: Reach::One(Scope {
                scope_type: WORKERS_READ.scope_type,
                id: account,
            }),
        };
        let route = Cow::Borrowed("/accounts/{account}/workers/assets/upload");
        let read = Access::Read(asked.clone());
        let call = Call::of(OPERATION, route, read, LONGEST);
        let (mut caller, _) = self.watched(api, caller, &call, &parts.extensions);
        let mut ruling = None;
        if let Owner::Agent(id, _) = &caller.owner {
            let permits = &self.ports.permits;
            let may = permits.may_read((*id, caller.task), &asked, &parts.extensions);
            ruling = may.await?;
        }
        refuse_long(parts, &call)?;
        let whole = self.whole_of(body, &call, &mut caller).await?;
        let (files, content_type, body) = brings.files(&parts.headers, &whole, &sizes)?;
        self.ports.uploads.sends(token, files).await?;
        let mut headers = api.to.of(&parts.headers);
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        let key = SecretString::from(credential.reveal());
        let sent = Sent {
            headers,
            body,
            key: &key,
        };
        let mut answered = self
            .relayed_whole(api, parts, (path, &call), sent, (caller, ruling))
            .await?;
        if let Some(Said {
            token: Some(completion),
            ..
        }) = said(answered.status, &answered.body)
        {
            let (digest, end) = (digest_of_token(&completion), end_of(&completion));
            let completed = self.ports.uploads.completed(token, digest, end).await;
            completed.inspect_err(|refused| answered.recording.refused(refused))?;
        }
        Ok(answered.response())
    }

    /// Sends a body that was read, and reads the whole answer.
    async fn relayed_whole(
        &self,
        api: &Api,
        parts: &Parts,
        (path, call): (&str, &Call),
        sent: Sent<'_>,
        (caller, ruling): (Caller, Option<CallRuling>),
    ) -> Result<AnsweredWhole, Refusal> {
        let subject = subject(api, parts, call, &caller);
        let mut ended = caller.ended;
        let begun = Recording::begin(&self.ports.records, subject, path, ruling);
        let mut recording = begun.await?;
        let progress = Progress::begin();
        let length = sent.body.len();
        let upload = Upload::new(
            Body::from(sent.body),
            u64::try_from(length).unwrap_or(u64::MAX),
            &progress,
            recording.goes_up(),
        );
        let mut headers = sent.headers;
        headers.insert(header::CONTENT_LENGTH, length.into());
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        let made = request_of(api, parts, path, (headers, sent.key, upload));
        let request = made.inspect_err(|refused| recording.refused(refused))?;
        let answer = tokio::select! {
            biased;
            refused = &mut ended => Err(refused),
            answer = self.answer_of(api, request, call, &progress) => answer,
        };
        let answer = recording.heard(answer)?;
        let (head, body) = answer.into_parts();
        let mut passed = api.from.of(&head.headers);
        let body = tokio::select! {
            biased;
            refused = &mut ended => Err(refused),
            body = links::whole(body, self.settings.idle) => body,
        };
        let body = Bytes::from(body.inspect_err(|refused| recording.refused(refused))?);
        passed.insert(header::CONTENT_LENGTH, body.len().into());
        Ok(AnsweredWhole {
            status: head.status,
            headers: passed,
            body,
            recording,
        })
    }
}

fn request_of(
    api: &Api,
    parts: &Parts,
    path: &str,
    (mut headers, key, upload): (HeaderMap, &SecretString, Upload),
) -> Result<Request<Upload>, Refusal> {
    let mut request = Request::new(upload);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = api.upstream.uri(&target(parts, path))?;
    api.put_key(&mut headers, key)?;
    *request.headers_mut() = headers;
    Ok(request)
}

struct Sent<'a> {
    headers: HeaderMap,
    body: Bytes,
    key: &'a SecretString,
}

/// An answer that was read as a whole.
struct AnsweredWhole {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    recording: Recording,
}

impl AnsweredWhole {
    fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::new(Given::new(self.body, self.recording)));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_are_brought_by_two_forms_of_requests() {
        let found = |line: &str| {
            let (method, path) = line.split_once(' ').unwrap();
            let found = brings_files(&method.parse().unwrap(), path)?;
            Some((found.account.to_owned(), found.hash.map(str::to_owned)))
        };
        let form = found("POST /accounts/a1/workers/assets/upload");
        assert_eq!(form, Some(("a1".to_owned(), None)));
        let one = found("POST /accounts/a1/workers/assets/upload/0af");
        assert_eq!(one, Some(("a1".to_owned(), Some("0af".to_owned()))));
        for line in [
            "GET /accounts/a1/workers/assets/upload",
            "POST /accounts/a1/workers/assets/uploads",
            "POST /accounts/a1/workers/assets/upload/a/b",
            "POST /zones/a1/workers/assets/upload",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }

    #[test]
    fn a_manifest_says_one_length_of_a_hash_and_nothing_else() {
        let read = |manifest: Value| manifest_of(&Content::Json(manifest));
        let files = read(json!({"manifest": {
            "/b.html": {"hash": "0b", "size": 2}, "/a.html": {"hash": "0a", "size": 1},
        }}));
        let files = files.unwrap();
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["/a.html", "/b.html"]);
        for wrong in [
            json!({}),
            json!({"manifest": []}),
            json!({"manifest": {}, "more": 1}),
            json!({"manifest": {"/a": {"hash": "0a"}}}),
            json!({"manifest": {"/a": {"hash": "0/a", "size": 1}}}),
            json!({"manifest": {"/a": {"hash": "0a", "size": -1}}}),
            json!({"manifest": {"/a": {"hash": "0a", "size": 1}, "/b": {"hash": "0a", "size": 2}}}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_says_when_it_ends_and_an_answer_whether_files_are_missing() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":1900000000}"#);
        let end = end_of(&format!("h.{claims}.s"));
        assert_eq!(end, Some(Timestamp::from_seconds(1_900_000_000)));
        assert_eq!(end_of("opaque"), None);
        let told = |result: Value| {
            let body = json!({"result": result}).to_string();
            let said = said(StatusCode::OK, body.as_bytes()).unwrap();
            (said.token.is_some(), said.is_complete)
        };
        assert_eq!(
            told(json!({"jwt": "a", "buckets": [["0a"]]})),
            (true, false)
        );
        assert_eq!(told(json!({"jwt": "a", "buckets": []})), (true, true));
        assert_eq!(told(json!({"jwt": "a", "buckets": [[]]})), (true, true));
        assert_eq!(told(json!({"jwt": null})), (false, true));
        assert!(said(StatusCode::BAD_REQUEST, b"{}").is_none());
    }
}
