//! Sending requests within limits of time and size.

use super::equal_requests::EqualRequests;
use super::redaction::Redaction;
use super::scope_names::ScopeNames;
use crate::callback::retry_after::retry_after_by_their_clock;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use ledger::operation::{Method, Operation, UpstreamBody, UpstreamRequest};
use ledger::provider::{
    Answer, Body, NoAnswer, Outcome, Pending, Provider, ProviderNames, Upstream,
};
use reqwest::{Client, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const USER_AGENT: &str = concat!("llm-permission-proxy/", env!("CARGO_PKG_VERSION"));
/// How often a request that was throttled is tried again by itself.
const MOST_RETRIES: u32 = 2;
/// The longest wait before that; upstream's usual penalty of five minutes is the caller's matter.
const LONGEST_RETRY_WAIT: u64 = 3;
/// How long after the end of a request upstream may still carry it out, generously.
const LANDING: Duration = Duration::from_secs(60);

/// How long a connection is kept for the next request.
const LONGEST_IDLE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct UpstreamConfig {
    /// The provider whose API it is.
    pub provider: Arc<dyn Provider>,
    /// The API's base URL with its version. Plain http is for loopback hosts only, since the token
    /// goes with every request.
    pub base_url: String,
    pub token: SecretString,
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// For a whole request, its answer read to the end.
    pub total_timeout: Duration,
    pub upload_timeout: Duration,
    /// The largest answer that is read, in bytes.
    pub most_answer_bytes: usize,
    /// How long to wait before each read-back after the first, while upstream shows the state from
    /// before a request whose answer was lost.
    pub read_back_delays: Vec<Duration>,
}

impl UpstreamConfig {
    /// 5 s to connect, 30 s in all (90 s for uploads), answers up to 16 MiB, read-backs over 7 s.
    #[must_use]
    pub fn new(
        provider: Arc<dyn Provider>,
        base_url: impl Into<String>,
        token: SecretString,
    ) -> Self {
        Self {
            provider,
            base_url: base_url.into(),
            token,
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(30),
            upload_timeout: Duration::from_secs(90),
            most_answer_bytes: 16 * 1024 * 1024,
            read_back_delays: [1, 2, 4].map(Duration::from_secs).to_vec(),
        }
    }
}

/// Why nothing can be sent upstream at all.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamSetupError {
    /// Not an absolute http(s) URL without credentials, query and fragment.
    #[error("{} must be a URL such as {}", .0.base_setting, .0.base)]
    BaseUrl(&'static ProviderNames),
    /// The token would cross a network in plain text.
    #[error("{} must be https unless its host is a loopback address", .0.base_setting)]
    PlainText(&'static ProviderNames),
    /// Empty, or with characters that no header can carry.
    #[error("{} must consist of visible ASCII characters", .0.token_setting)]
    Token(&'static ProviderNames),
    /// No usable roots of trust.
    #[error("TLS for upstream cannot be set up: it takes the system's certificates")]
    Tls(#[source] reqwest::Error),
}

/// Sends operations upstream. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct UpstreamClient {
    pub(super) provider: Arc<dyn Provider>,
    http: Client,
    base: String,
    token: SecretString,
    total_timeout: Duration,
    upload_timeout: Duration,
    most_answer_bytes: usize,
    pub(super) read_back_delays: Vec<Duration>,
    pub(super) redaction: Arc<Redaction>,
    pub(super) scope_names: Arc<ScopeNames>,
    pub(super) equal_requests: Arc<EqualRequests>,
}

impl std::fmt::Debug for UpstreamClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamClient")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl UpstreamClient {
    /// # Errors
    /// [`UpstreamSetupError`] when the base URL or the token cannot be used, or TLS not set up.
    pub fn new(config: UpstreamConfig) -> Result<Self, UpstreamSetupError> {
        let names = config.provider.names();
        let base = Url::parse(&config.base_url).map_err(|_| UpstreamSetupError::BaseUrl(names))?;
        let is_plain = base.scheme() == "http";
        let is_base = (is_plain || base.scheme() == "https")
            && base.has_host()
            && base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none();
        if !is_base {
            return Err(UpstreamSetupError::BaseUrl(names));
        }
        if is_plain && !is_loopback(&base) {
            return Err(UpstreamSetupError::PlainText(names));
        }
        let token = config.token.expose_secret();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UpstreamSetupError::Token(names));
        }
        // The HTTP client panics without a process-wide provider; whoever installs one first wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(redirect::Policy::none())
            // Whether to try again is decided here, where it is known what was applied.
            .retry(reqwest::retry::never())
            // Upstream may close a connection that idles just as a request is written to it, and that
            // request would count as lost; so none idles for long.
            .pool_idle_timeout(LONGEST_IDLE)
            .connect_timeout(config.connect_timeout);
        if is_plain {
            // A machine without certificates can still run the demo and the tests.
            builder = builder.tls_certs_only([]);
        } else {
            builder = builder.https_only(true);
        }
        let redaction = Arc::new(Redaction::of(config.token.expose_secret()));
        Ok(Self {
            provider: config.provider,
            http: builder.build().map_err(UpstreamSetupError::Tls)?,
            base: base.as_str().trim_end_matches('/').to_owned(),
            token: config.token,
            total_timeout: config.total_timeout,
            upload_timeout: config.upload_timeout,
            most_answer_bytes: config.most_answer_bytes,
            read_back_delays: config.read_back_delays,
            redaction,
            scope_names: Arc::default(),
            equal_requests: Arc::default(),
        })
    }

    /// The provider whose API it is.
    #[must_use]
    pub fn names(&self) -> &'static ProviderNames {
        self.provider.names()
    }

    /// Carries one operation out, where upstream calls its scope by this name if that is known, and says how
    /// that ended; it never fails otherwise. The caller has
    /// recorded the intent before, and records the outcome after. A caller that drops the future
    /// must treat the request as lost.
    pub async fn send(&self, operation: &Operation, name: Option<&str>) -> Outcome {
        let started = Instant::now();
        let effect = operation.effect();
        let outcome = match effect.unsent(name) {
            Some(outcome) => outcome,
            None => effect.told(self.send_request(&operation.request(name)).await, name),
        };
        let ended = match &outcome {
            Outcome::Succeeded { .. } => "succeeded",
            Outcome::Failed { .. } => "failed",
            Outcome::Lost { .. } => "lost",
        };
        metrics::histogram!(
            "upstream_request_duration_seconds",
            "operation" => operation.entry.id.to_string(),
            "outcome" => ended,
        )
        .record(started.elapsed().as_secs_f64());
        outcome
    }

    /// How long after its intent was recorded an operation may still be carried out upstream: every
    /// attempt to its timeout, the waits between them, and a minute for what is under way there.
    #[must_use]
    pub fn may_land_within(&self) -> Duration {
        let attempt = self.total_timeout.max(self.upload_timeout);
        let wait = Duration::from_secs(LONGEST_RETRY_WAIT);
        attempt
            .saturating_add(wait)
            .saturating_mul(MOST_RETRIES + 1)
            .saturating_add(LANDING)
    }

    /// Sends a request; again only where it was throttled, which means that it was not applied,
    /// and upstream asks for a short wait.
    async fn send_request(&self, request: &UpstreamRequest) -> Outcome {
        let mut retries = 0;
        loop {
            let answer = self.fetch_answer(request).await;
            if let Ok(Answer {
                status: 429,
                retry_after: Some(seconds),
                ..
            }) = answer
                && seconds <= LONGEST_RETRY_WAIT
                && retries < MOST_RETRIES
            {
                retries += 1;
                tracing::info!(attempt = retries, seconds, "upstream throttles; waiting");
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                continue;
            }
            return self
                .redaction
                .outcome(self.provider.outcome(answer, request.is_read()));
        }
    }

    async fn fetch_answer(&self, request: &UpstreamRequest) -> Result<Answer, NoAnswer> {
        let url = format!("{}{}", self.base, request.path_and_query());
        let mut builder = self
            .http
            .request(method_of(request.method), url)
            .bearer_auth(self.token.expose_secret())
            .timeout(match request.body {
                UpstreamBody::None | UpstreamBody::Json(_) => self.total_timeout,
                UpstreamBody::Multipart { .. } | UpstreamBody::Raw(_) => self.upload_timeout,
            });
        if let Some((content_type, bytes)) = request.body.encoded() {
            builder = builder.header(CONTENT_TYPE, content_type).body(bytes);
        }
        let mut response = builder.send().await.map_err(|error| {
            let why = self.redaction.text(&described(&error));
            if error.is_connect() || error.is_builder() {
                NoAnswer::NotSent(format!("no connection to upstream: {why}"))
            } else {
                NoAnswer::MaybeSent(format!("no answer from upstream: {why}"))
            }
        })?;
        let status = response.status().as_u16();
        let headers = response.headers();
        let request_id = text_of(headers, self.names().request_id_header);
        let retry_after = retry_after_by_their_clock(headers).map(|wait| wait.as_secs());
        let content_type = text_of(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
        let body = self.body_of(&mut response).await;
        Ok(Answer {
            status,
            request_id,
            retry_after,
            content_type,
            body,
        })
    }

    /// Reads the body up to the limit.
    async fn body_of(&self, response: &mut reqwest::Response) -> Body {
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() > self.most_answer_bytes => {
                    return Body::Oversized;
                }
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Body::Broken(described(&error)),
            }
        }
        Body::Complete(bytes)
    }
}

const fn method_of(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

impl Upstream for UpstreamClient {
    fn send(&self, request: UpstreamRequest) -> Pending<'_, Outcome> {
        Box::pin(async move { self.send_request(&request).await })
    }

    fn fetch(&self, request: UpstreamRequest) -> Pending<'_, Result<Answer, NoAnswer>> {
        Box::pin(async move { self.fetch_answer(&request).await })
    }

    fn redacted(&self, text: &str) -> String {
        self.redaction.text(text)
    }
}

fn is_loopback(base: &Url) -> bool {
    match base.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// The error with its causes, without the URL: that is in the intent already.
fn described(error: &reqwest::Error) -> String {
    if let Some(words) = in_words(error) {
        return words.to_owned();
    }
    let mut text = if error.is_timeout() {
        "timed out".to_owned()
    } else {
        String::new()
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text = if text.is_empty() {
                part
            } else {
                format!("{text}: {part}")
            };
        }
        cause = error.source();
    }
    if text.is_empty() {
        "the request failed".to_owned()
    } else {
        text
    }
}

/// The common reasons, as a person says them; people read them on receipts.
fn in_words(error: &reqwest::Error) -> Option<&'static str> {
    if error.is_timeout() {
        return None;
    }
    let mut cause = error.source();
    while let Some(at) = cause {
        let text = at.to_string();
        if text.contains("failed to lookup address information") {
            return Some("its name leads to no address");
        }
        if text.contains("connection closed before message completed") {
            return Some("it closed the connection before it answered");
        }
        match at.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => return Some("nothing listens there"),
            Some(
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe,
            ) => return Some("the connection broke"),
            _ => cause = at.source(),
        }
    }
    None
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
