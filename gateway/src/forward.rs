//! Sends what was decided elsewhere: one request to an API, whose whole answer is given back.

use crate::Settings;
use crate::apis::Apis;
use crate::caller::Upstreams;
use crate::record::GoesUp;
use crate::refusal::{Refusal, Word};
use crate::upload::{Progress, Upload};
use crate::upstream::SetupError;
use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use ledger::{UpstreamId, UpstreamName};
use secrecy::SecretString;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The longest that one request takes, its answer included.
const LONGEST: Duration = Duration::from_secs(90);
/// The most bytes of an answer.
const MOST: usize = 16 * 1024 * 1024;

/// A request without its credential.
#[derive(Debug)]
pub struct Forward {
    pub method: Method,
    /// Path and query below the API's base.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An answer of upstream.
#[derive(Debug, Clone)]
pub struct Answered {
    pub status: StatusCode,
    /// All of them.
    pub headers: HeaderMap,
    /// Those that clients are given.
    pub passed: HeaderMap,
    pub body: AnsweredBody,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub enum AnsweredBody {
    Complete(Bytes),
    /// Larger than is taken.
    Oversized,
    /// It broke off, or did not end in time.
    Broken(String),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// No connection was made, so nothing was sent.
    NotSent(Refusal),
    /// The request may have been sent.
    MaybeSent(Refusal),
}

/// The APIs, for who sends to them. Clones share connections.
#[derive(Clone)]
pub struct Sender(Arc<Apis>);

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl Sender {
    /// # Errors
    /// [`SetupError`] when an upstream's URL cannot be used, or TLS not set up.
    pub fn new(settings: &Settings, upstreams: Arc<dyn Upstreams>) -> Result<Self, SetupError> {
        Apis::new(settings, upstreams).map(|apis| Self(Arc::new(apis)))
    }

    /// The base of an API as it is now, without a slash at its end; `None` where there is no such API.
    ///
    /// # Errors
    /// A ledger that cannot be read.
    pub async fn base_url(&self, upstream: &UpstreamName) -> Result<Option<String>, Refusal> {
        let api = self.0.find(upstream.as_str()).await?;
        Ok(api.map(|api| api.base_url().to_owned()))
    }

    /// Sends a request once, to the upstream as that description has it.
    ///
    /// # Errors
    /// [`Unanswered`], which says whether it may have arrived.
    pub async fn send(
        &self,
        (upstream, described): (&UpstreamName, Option<UpstreamId>),
        forward: Forward,
        key: &SecretString,
    ) -> Result<Answered, Unanswered> {
        let api = self.0.find(upstream.as_str()).await;
        let api = api.map_err(Unanswered::NotSent)?;
        let unknown = || {
            let text = "the API was closed after this was asked for, and nothing was sent";
            Unanswered::NotSent(Refusal::new(Word::Ended, text))
        };
        let api = api.ok_or_else(unknown)?;
        if api.described != described {
            return Err(Unanswered::NotSent(Refusal::described_anew()));
        }
        let most = u64::try_from(forward.body.len()).unwrap_or(u64::MAX);
        let has_body = !forward.body.is_empty();
        let upload = Upload::new(
            Body::from(forward.body),
            most,
            &Progress::begin(),
            GoesUp::of_no_call(),
        );
        let mut request = Request::new(upload);
        *request.method_mut() = forward.method;
        let uri = api.upstream.uri(&forward.target);
        *request.uri_mut() = uri.map_err(Unanswered::NotSent)?;
        let mut headers = forward.headers;
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        match has_body {
            true => headers.insert(header::CONTENT_LENGTH, most.into()),
            false => headers.remove(header::CONTENT_LENGTH),
        };
        api.put_key(&mut headers, key)
            .map_err(Unanswered::NotSent)?;
        *request.headers_mut() = headers;
        let late = || {
            let refusal = Refusal::new(crate::Word::Timeout, "upstream did not answer in time");
            Unanswered::MaybeSent(refusal)
        };
        let begun = tokio::time::Instant::now();
        let answer = tokio::time::timeout(LONGEST, api.upstream.attempt(request)).await;
        let answer = answer.map_err(|_| late())?;
        let (head, body) = answer?.into_parts();
        let left = LONGEST.saturating_sub(begun.elapsed());
        let body = tokio::time::timeout(left, whole(body)).await;
        let body =
            body.unwrap_or_else(|_| AnsweredBody::Broken("it did not end in time".to_owned()));
        let mut passed = api.from.of(&head.headers);
        passed.remove(header::CONTENT_LENGTH);
        Ok(Answered {
            status: head.status,
            headers: head.headers,
            passed,
            body,
        })
    }
}

async fn whole(mut body: Incoming) -> AnsweredBody {
    let mut bytes = Vec::new();
    loop {
        match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            None => return AnsweredBody::Complete(bytes.into()),
            Some(Err(error)) => return AnsweredBody::Broken(ledger::with_sources(&error)),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                if bytes.len().saturating_add(data.len()) > MOST {
                    return AnsweredBody::Oversized;
                }
                bytes.extend_from_slice(&data);
            }
        }
    }
}
