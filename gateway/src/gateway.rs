//! One request, from its head to its answer.

use crate::anthropic::{self, Call};
use crate::caller::{Caller, Callers, Keys, Owner, Usages};
use crate::credentials;
use crate::headers::{Passing, accept_encoding, is_event_stream, judge_framing};
use crate::links;
use crate::path::judge;
use crate::places::Places;
use crate::refusal::{Envelope, Refusal, Word};
use crate::relay::{Meter, Relayed};
use crate::upload::{Progress, Upload};
use crate::upstream::{Limits, SetupError, Upstream};
use crate::usage::Reader;
use axum::body::{Body, Bytes};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use ipnet::IpNet;
use ledger::RequestId;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// The path below which Anthropic's API is.
const ANTHROPIC: &str = "/proxy/anthropic";
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Keeps a proxy before us from holding events back.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Settings of the gateway, already parsed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// BASE_URL, where clients reach us.
    pub base_url: Url,
    /// ANTHROPIC_API_BASE
    pub anthropic_base: Url,
    /// UPSTREAM_ALLOWED_NETS
    pub allowed_nets: Vec<IpNet>,
    /// PROXY_CALLS
    pub calls: usize,
    /// PROXY_CALLS_PER_KEY
    pub calls_per_key: usize,
    /// PROXY_IDLE_SECONDS
    pub idle: Duration,
    /// PROXY_CONNECT_SECONDS
    pub connect: Duration,
    /// PROXY_FILES
    pub files: bool,
}

/// The proxies. Clones are one.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

struct Shared {
    settings: Settings,
    anthropic: Upstream,
    callers: Arc<dyn Callers>,
    keys: Arc<dyn Keys>,
    usages: Arc<dyn Usages>,
    places: Arc<Places>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// # Errors
    /// [`SetupError`] when the upstream's URL cannot be used, or TLS not set up.
    pub fn new(
        settings: Settings,
        callers: Arc<dyn Callers>,
        keys: Arc<dyn Keys>,
        usages: Arc<dyn Usages>,
    ) -> Result<Self, SetupError> {
        let limits = Limits {
            connect: settings.connect,
            allowed_nets: settings.allowed_nets.clone(),
        };
        let base = &settings.anthropic_base;
        let anthropic = Upstream::new("ANTHROPIC_API_BASE", base, &limits)?;
        let places = Places::new(settings.calls, settings.calls_per_key);
        Ok(Self(Arc::new(Shared {
            settings,
            anthropic,
            callers,
            keys,
            usages,
            places,
        })))
    }

    /// Calls that are open.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.0.places.open()
    }

    /// Answers a request below `/proxy/`, whose path is as it was sent.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let id = request.extensions().get::<RequestId>().copied();
        let path = request.uri().path();
        let Some(rest) = path.strip_prefix(ANTHROPIC) else {
            return no_such_proxy().answer(Envelope::Problem, id);
        };
        let path = match rest {
            "" => "/".to_owned(),
            rest if rest.starts_with('/') => rest.to_owned(),
            _ => return no_such_proxy().answer(Envelope::Problem, id),
        };
        match self.0.anthropic(request, &path).await {
            Ok(response) => response,
            Err(refused) => refused.answer(Envelope::Anthropic, id),
        }
    }
}

fn no_such_proxy() -> Refusal {
    Refusal::new(Word::NotFound, "there is no proxy of this name")
}

impl Shared {
    async fn anthropic(
        &self,
        request: Request<Body>,
        path: &str,
    ) -> Result<Response<Body>, Refusal> {
        let (parts, body) = request.into_parts();
        judge(path)?;
        judge_framing(&parts.headers)?;
        if let Some(status) = anthropic::answered_here(&parts.method, path) {
            return Ok(response(status, HeaderMap::new(), Body::empty()));
        }
        let credential = credentials::of(&parts.headers, credentials::ANTHROPIC)?;
        let caller = self.callers.identify(credential).await?;
        let call = anthropic::route(&parts.method, path, self.settings.files)?;
        call.refuse_unrecorded()?;
        let key = self.key_of(&caller.owner, anthropic::UPSTREAM).await?;
        let place = self.places.take(caller.counted_for)?;
        refuse_long(&parts, call)?;

        let progress = Progress::begin();
        let upload = Upload::new(body, call.most, &progress);
        let request = self.to_anthropic(&parts, (path, call), &key, upload)?;
        let Caller {
            owner, mut ended, ..
        } = caller;
        let answer = tokio::select! {
            biased;
            refused = &mut ended => return Err(refused),
            answer = self.answer_of(request, call, &progress) => answer?,
        };
        let headers = answer.headers();
        let mut passed = Passing::FROM_ANTHROPIC.of(headers);
        if is_event_stream(headers) {
            passed.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
        }
        let (parts, body) = answer.into_parts();
        let idle = self.settings.idle;
        if call.has_links && parts.status.is_success() {
            let body = tokio::select! {
                biased;
                refused = &mut ended => return Err(refused),
                body = self.led_here(&parts.headers, body) => body?,
            };
            passed.insert(header::CONTENT_LENGTH, body.len().into());
            return Ok(response(parts.status, passed, Body::from(body)));
        }
        let reader = match call.is_metered {
            true => Reader::of(parts.status, &parts.headers),
            false => None,
        };
        let meter = reader.map(|reader| Meter::new(reader, owner, Arc::clone(&self.usages)));
        let relayed = Relayed::new(body, &parts.headers, ended, idle, meter, place);
        Ok(response(parts.status, passed, Body::new(relayed)))
    }

    /// The whole body of an answer, with its links leading here.
    async fn led_here(&self, headers: &HeaderMap, body: Incoming) -> Result<Bytes, Refusal> {
        let coding = headers.get(header::CONTENT_ENCODING);
        if coding.is_some_and(|coding| coding != "identity") {
            return Err(links::unreadable());
        }
        let json = links::whole(body, self.settings.idle).await?;
        let base = self.settings.base_url.as_str().trim_end_matches('/');
        let here = format!("{base}{ANTHROPIC}");
        links::led_here(&json, &here, &self.settings.anthropic_base)
    }

    async fn key_of(&self, owner: &Owner, upstream: &'static str) -> Result<SecretString, Refusal> {
        let key = self.keys.key_of(owner, upstream).await?;
        key.ok_or_else(|| {
            Refusal::unauthorized(match owner {
                Owner::Agent(_, name) => format!(
                    "no {upstream} key is stored for agent {name}: an admin stores one with \
                     PUT /v1/agents/{name}/upstream-keys/{upstream}, or on the agent's page"
                ),
                Owner::User(_) => format!(
                    "no {upstream} key of yours is stored: store it at /me/proxy, or with \
                     PUT /v1/me/{upstream}-key"
                ),
            })
        })
    }

    fn to_anthropic(
        &self,
        parts: &Parts,
        (path, call): (&str, Call),
        key: &SecretString,
        upload: Upload,
    ) -> Result<Request<Upload>, Refusal> {
        let target = match parts.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let mut request = Request::new(upload);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = self.anthropic.uri(&target)?;
        let mut headers = Passing::TO_ANTHROPIC.of(&parts.headers);
        // An answer whose links are to lead here is read here.
        let coding = match call.has_links {
            true => HeaderValue::from_static("identity"),
            false => accept_encoding(&parts.headers),
        };
        headers.insert(header::ACCEPT_ENCODING, coding);
        let mut key = HeaderValue::from_str(key.expose_secret())
            .map_err(|_| Refusal::new(Word::Internal, "the stored key cannot be sent"))?;
        key.set_sensitive(true);
        headers.insert(X_API_KEY, key);
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The head of the answer, while upstream or the client moves.
    async fn answer_of(
        &self,
        request: Request<Upload>,
        call: Call,
        progress: &Progress,
    ) -> Result<Response<Incoming>, Refusal> {
        let begun = Instant::now();
        let sent = tokio::select! {
            sent = self.anthropic.send(request) => sent,
            () = silence(progress, self.settings.idle) => Err(silent()),
            () = until(call.patience.map(|patience| begun + patience)) => Err(silent()),
        };
        // What was too long is a fault of the request, however upstream took it.
        if progress.is_too_large() {
            return Err(too_large(call.most));
        }
        if progress.is_cut() {
            return Err(Refusal::malformed("the body did not come to its end"));
        }
        let answer = sent?;
        if answer.status().is_redirection() && answer.status() != StatusCode::NOT_MODIFIED {
            return Err(Refusal::new(
                Word::Unreachable,
                "upstream answered with a redirect, which is never followed or handed on",
            ));
        }
        Ok(answer)
    }
}

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Refuses a body that says itself that it is too long, before anything goes up.
fn refuse_long(parts: &Parts, call: Call) -> Result<(), Refusal> {
    let Some(length) = parts.headers.get(header::CONTENT_LENGTH) else {
        return Ok(());
    };
    let length = length
        .to_str()
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    match length {
        Some(length) if length <= call.most => Ok(()),
        Some(_) => Err(too_large(call.most)),
        None => Err(Refusal::malformed("the length of the body is no number")),
    }
}

fn too_large(most: u64) -> Refusal {
    let most = most / (1024 * 1024);
    Refusal::new(
        Word::TooLarge,
        format!("the request body is longer than {most} MiB"),
    )
}

fn silent() -> Refusal {
    Refusal::new(Word::Timeout, "upstream did not answer in time")
}

/// Waits until nothing has moved for so long.
async fn silence(progress: &Progress, longest: Duration) {
    loop {
        let due = progress.moved() + longest;
        if due <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(due).await;
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
