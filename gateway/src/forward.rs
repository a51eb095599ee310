//! Sends what was decided elsewhere: one request to an API, whose whole answer is given back.

use crate::Settings;
use crate::api::Api;
use crate::apis::Apis;
use crate::caller::Upstreams;
use crate::headers::{X_ACCEL_BUFFERING, is_event_stream};
use crate::live::{Filling, Live};
use crate::record::GoesUp;
use crate::refusal::{Refusal, Word};
use crate::relay::Ending;
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
use tokio::time::Instant;

/// The longest that one request takes, its answer included, where answers do not take as long as they take.
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

/// An answer whose head has come, of an API whose clients read answers while they come.
#[derive(Debug, Clone)]
pub struct Begun {
    pub status: StatusCode,
    /// The headers that clients are given.
    pub passed: HeaderMap,
    pub body: Live,
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
pub struct Sender {
    apis: Arc<Apis>,
    /// PROXY_IDLE_SECONDS
    idle: Duration,
}

/// How long an answer may take.
#[derive(Debug, Clone, Copy)]
enum Time {
    /// Its end comes by then.
    Until(Instant),
    /// It is never silent for so long.
    Silent(Duration),
}

impl Time {
    fn due(self) -> Instant {
        match self {
            Self::Until(due) => due,
            Self::Silent(longest) => Instant::now() + longest,
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl Sender {
    /// # Errors
    /// [`SetupError`] when an upstream's URL cannot be used, or TLS not set up.
    pub fn new(settings: &Settings, upstreams: Arc<dyn Upstreams>) -> Result<Self, SetupError> {
        let apis = Arc::new(Apis::new(settings, upstreams)?);
        let idle = settings.idle;
        Ok(Self { apis, idle })
    }

    /// The base of an API as it is now, without a slash at its end; `None` where there is no such API.
    ///
    /// # Errors
    /// A ledger that cannot be read.
    pub async fn base_url(&self, upstream: &UpstreamName) -> Result<Option<String>, Refusal> {
        let api = self.apis.find(upstream.as_str()).await?;
        Ok(api.map(|api| api.base_url().to_owned()))
    }

    /// Sends a request once, to the upstream as that description has it. `begun` is told of an answer that clients read
    /// while it comes.
    ///
    /// # Errors
    /// [`Unanswered`], which says whether it may have arrived.
    pub async fn send(
        &self,
        (upstream, described): (&UpstreamName, Option<UpstreamId>),
        forward: Forward,
        key: &SecretString,
        begun: impl FnOnce(Begun) + Send,
    ) -> Result<Answered, Unanswered> {
        let api = self.apis.find(upstream.as_str()).await;
        let api = api.map_err(Unanswered::NotSent)?;
        let unknown = || {
            let text = "the API was closed after this was asked for, and nothing was sent";
            Unanswered::NotSent(Refusal::new(Word::Ended, text))
        };
        let api = api.ok_or_else(unknown)?;
        if api.described != described {
            return Err(Unanswered::NotSent(Refusal::described_anew()));
        }
        let request = request(&api, forward, key).map_err(Unanswered::NotSent)?;
        let time = match api.streams {
            true => Time::Silent(self.idle),
            false => Time::Until(Instant::now() + LONGEST),
        };
        let answer = tokio::time::timeout_at(time.due(), api.upstream.attempt(request)).await;
        let answer = answer.map_err(|_| {
            let refusal = Refusal::new(Word::Timeout, "upstream did not answer in time");
            Unanswered::MaybeSent(refusal)
        })?;
        let (head, body) = answer?.into_parts();
        let mut passed = api.from.of(&head.headers);
        passed.remove(header::CONTENT_LENGTH);
        let filling = api.streams.then(Filling::default);
        if let Some(filling) = &filling
            && Refusal::of_status(head.status).is_none()
        {
            if is_event_stream(&head.headers) {
                passed.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
            }
            begun(Begun {
                status: head.status,
                passed: passed.clone(),
                body: filling.live(),
            });
        }
        let ending = match api.streams && !body.is_end_stream() {
            true => Ending::of(&head.headers),
            false => Ending::Framed,
        };
        let body = whole(body, ending, time, filling.as_ref()).await;
        if let Some(filling) = filling {
            filling.end(matches!(body, AnsweredBody::Complete(_)));
        }
        Ok(Answered {
            status: head.status,
            headers: head.headers,
            passed,
            body,
        })
    }
}

/// The request as it goes up.
fn request(api: &Api, forward: Forward, key: &SecretString) -> Result<Request<Upload>, Refusal> {
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
    *request.uri_mut() = api.upstream.uri(&forward.target)?;
    let mut headers = forward.headers;
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    match has_body {
        true => headers.insert(header::CONTENT_LENGTH, most.into()),
        false => headers.remove(header::CONTENT_LENGTH),
    };
    api.put_key(&mut headers, key)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The body as a whole; its pieces also go to those who read it while it comes.
async fn whole(
    mut body: Incoming,
    mut ending: Ending,
    time: Time,
    filling: Option<&Filling>,
) -> AnsweredBody {
    let mut bytes = Vec::new();
    loop {
        let next = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        match tokio::time::timeout_at(time.due(), next).await {
            Err(_) => return AnsweredBody::Broken("it did not end in time".to_owned()),
            Ok(None) if !ending.is_met() => {
                return AnsweredBody::Broken("it did not say that it is whole".to_owned());
            }
            Ok(None) => return AnsweredBody::Complete(bytes.into()),
            Ok(Some(Err(error))) => return AnsweredBody::Broken(ledger::with_sources(&error)),
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                if bytes.len().saturating_add(data.len()) > MOST {
                    return AnsweredBody::Oversized;
                }
                ending.look(&data);
                bytes.extend_from_slice(&data);
                if let Some(filling) = filling {
                    filling.take(data);
                }
            }
        }
    }
}
