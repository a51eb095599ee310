//! Writes, as a port: what carries a write out that may have to wait for people, once.

use crate::bodies::Content;
use crate::caller::CountedFor;
use crate::live::{Handed, Live};
use crate::refusal::Refusal;
use axum::body::{Body, Bytes};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, select};
use http::{Extensions, HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use ledger::event::UploadTokenDigest;
use ledger::operation::Scope;
use ledger::{AgentId, AgentName, Level, OperationId, RequestId, Risk, TaskId, UpstreamName};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What a client is taken to wait for, where it does not say it.
const DECLARED: Duration = Duration::from_secs(60);
/// The same for wrangler, which does not say it.
const DECLARED_WRANGLER: Duration = Duration::from_secs(300);
/// The longest that a client is believed.
const MOST_DECLARED: Duration = Duration::from_secs(3600);
/// What is left of a client's time when a held call is answered.
const LEFT: Duration = Duration::from_secs(15);

/// The upload of the files that a write names, by a token in its body.
#[derive(Clone, PartialEq, Eq)]
pub struct BroughtUpload {
    /// Where the token stands, as a secret does.
    pub place: String,
    pub script: String,
    pub token: UploadTokenDigest,
}

/// A write that was judged and parsed, in the form in which it goes up.
pub struct Write {
    /// The agent that asks, by a key of its own, by the one that all agents have, or by a task's token.
    pub agent: (AgentId, AgentName),
    /// The task of the token.
    pub task: Option<TaskId>,
    /// The credential, which says the key or the token.
    pub counted_for: CountedFor,
    pub request_id: Option<RequestId>,
    /// What the surface knows of the request.
    pub seen: Extensions,
    pub upstream: UpstreamName,
    /// As the catalog names it.
    pub operation: OperationId,
    /// The least level of a grant for it.
    pub level: Level,
    pub risk: Risk,
    pub scope: Scope,
    /// What people call it, where a route says so.
    pub title: Option<String>,
    pub method: Method,
    /// The upstream's base, without a slash at its end.
    pub base_url: String,
    /// Path and query below the upstream's base, as they were sent.
    pub target: String,
    /// Those that go on, without a credential.
    pub headers: HeaderMap,
    /// As it goes up: JSON as it was sent, a form newly encoded.
    pub body: Bytes,
    /// Where the body holds secrets: JSON pointers (RFC 6901) into a body of JSON.
    pub secrets: Vec<String>,
    /// The upload of the files that it names.
    pub upload: Option<BroughtUpload>,
    /// How long the call can be held.
    pub patience: Duration,
    /// The client says of itself that it repeats a call whose answer it did not get.
    pub is_retry: bool,
}

impl Write {
    /// Whether something in its body is not recorded.
    #[must_use]
    pub const fn hides_something(&self) -> bool {
        !self.secrets.is_empty() || self.upload.is_some()
    }

    fn places(&self) -> Vec<String> {
        let upload = self.upload.iter().map(|upload| &upload.place);
        self.secrets.iter().chain(upload).cloned().collect()
    }

    /// The headers and the body with something else in the places of the secrets and of the token of an upload, as
    /// `hide` says for each place and value.
    ///
    /// # Errors
    /// [`crate::Word::Malformed`] where no text stands there.
    pub fn without_secrets(
        &self,
        hide: impl FnMut(&str, &str) -> String,
    ) -> Result<(HeaderMap, Bytes), Refusal> {
        replaced((&self.headers, &self.body), &self.places(), hide)
    }
}

/// Secrets by their places.
pub type Secrets = BTreeMap<String, SecretString>;

/// Headers and body with secrets in their places, as [`Write::without_secrets`] has taken them out. Of the headers the
/// content type of a form alone is another one.
///
/// # Errors
/// [`crate::Word::Malformed`] where no text stands there.
pub fn with_secrets(
    request: (&HeaderMap, &Bytes),
    secrets: &Secrets,
) -> Result<(HeaderMap, Bytes), Refusal> {
    let places: Vec<String> = secrets.keys().cloned().collect();
    replaced(request, &places, |place, there| {
        let secret = secrets.get(place);
        secret.map_or_else(|| there.to_owned(), |text| text.expose_secret().to_owned())
    })
}

/// Headers and body with other texts in some places of the body.
fn replaced(
    (headers, body): (&HeaderMap, &Bytes),
    places: &[String],
    mut other: impl FnMut(&str, &str) -> String,
) -> Result<(HeaderMap, Bytes), Refusal> {
    let no_text = || Refusal::malformed("a secret in the body is no text");
    let mut put = |value: &mut Value, pointer: &str, place: &str| {
        let found = value.pointer_mut(pointer).ok_or_else(no_text)?;
        let text = other(place, found.as_str().ok_or_else(no_text)?);
        *found = Value::String(text);
        Ok::<_, Refusal>(())
    };
    let content = Content::read(headers, body)?;
    let mut headers = headers.clone();
    let body = match content {
        Content::Nothing => body.clone(),
        Content::Json(mut value) => {
            for place in places {
                put(&mut value, place, place)?;
            }
            value.to_string().into()
        }
        Content::Form(mut form) => {
            for place in places {
                let rest = place.strip_prefix('/').unwrap_or(place);
                let (name, _) = rest.split_once('/').unwrap_or((rest, ""));
                let pointer = rest.get(name.len()..).unwrap_or_default();
                let mut parts = form.parts.iter_mut();
                let part = parts.find(|part| part.name == name).ok_or_else(no_text)?;
                let mut value: Value =
                    serde_json::from_slice(&part.content).map_err(|_| no_text())?;
                put(&mut value, pointer, place)?;
                part.content = value.to_string().into();
            }
            let (content_type, body) = form.write();
            let content_type = HeaderValue::from_str(&content_type)
                .map_err(|_| Refusal::malformed("the form cannot be sent on"))?;
            headers.insert(header::CONTENT_TYPE, content_type);
            body
        }
    };
    Ok((headers, body))
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("agent", &self.agent)
            .field("operation", &self.operation)
            .field("scope", &self.scope)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// How long a call can be held, by what its client says of itself.
#[must_use]
pub fn patience(headers: &HeaderMap) -> Duration {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Python writes 20.0.
    let seconds = |name: &str| {
        let seconds = text(name)?.parse::<f64>().ok();
        let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        let declared = seconds?.min(MOST_DECLARED.as_secs_f64());
        Some(Duration::from_secs_f64(declared))
    };
    let is_wrangler = text("user-agent").is_some_and(|agent| agent.starts_with("wrangler/"));
    let declared = seconds("x-stainless-read-timeout")
        .or_else(|| seconds("x-stainless-timeout"))
        .unwrap_or(match is_wrangler {
            true => DECLARED_WRANGLER,
            false => DECLARED,
        })
        .min(MOST_DECLARED);
    declared.saturating_sub(LEFT).max(declared / 2)
}

/// Whether a client says that it repeats a call.
#[must_use]
pub(crate) fn is_retry(headers: &HeaderMap) -> bool {
    let count = headers.get("x-stainless-retry-count");
    let count = count.and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    count.is_some_and(|count| count > 0)
}

/// An answer of upstream, to be given as it is.
pub struct Answer {
    pub status: StatusCode,
    /// Those that go back.
    pub headers: HeaderMap,
    pub body: Live,
    /// Is told when the connection has taken the whole of it. An answer that goes without that is owed to the
    /// next call that is the same.
    pub taken: Option<Box<dyn FnOnce() + Send>>,
    /// Becomes ready when what it answers is stopped, and it is not to be read on.
    pub stopped: Option<BoxFuture<'static, Refusal>>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// The response, which tells when it was taken, and is broken off where the caller's credential ends or what it answers
    /// is stopped. `held` goes with it.
    pub(crate) fn into_response(
        self,
        ended: BoxFuture<'static, Refusal>,
        held: Box<dyn Send>,
    ) -> Response<Body> {
        let ended = match self.stopped {
            Some(stopped) => select(ended, stopped)
                .map(|first| first.factor_first().0)
                .boxed(),
            None => ended,
        };
        let handed = Handed::new(self.body, self.taken, ended, held);
        let mut response = Response::new(Body::new(handed));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// Carries writes out: at once where that is granted, else when people have approved it, and never twice.
pub trait Writes: Send + Sync + 'static {
    /// To drop this says that the client went.
    ///
    /// # Errors
    /// Why it was not carried out, or why nobody can tell.
    fn carry_out(&self, write: Write) -> BoxFuture<'_, Result<Answer, Refusal>>;

    /// Holds a request that is sent without being held for people to the denials that are kept of it.
    ///
    /// # Errors
    /// [`crate::Word::Denied`].
    fn not_denied(&self, write: Write) -> BoxFuture<'_, Result<(), Refusal>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(content_type: &'static str, body: &'static str, secrets: &[&str]) -> Write {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert("x-tenant", HeaderValue::from_static("test"));
        Write {
            agent: (AgentId::from_bytes([1; 16]), AgentName::unchecked("ci")),
            task: None,
            counted_for: CountedFor::Agent(AgentId::from_bytes([1; 16])),
            request_id: None,
            seen: Extensions::new(),
            upstream: UpstreamName::cloudflare(),
            operation: OperationId::of("workers.secret.write"),
            level: Level::Write,
            risk: Risk::Sensitive,
            scope: Scope {
                scope_type: ledger::ScopeType::of("account"),
                id: ledger::operation::ScopeId::parse("a1").unwrap(),
            },
            title: None,
            method: Method::PUT,
            base_url: "https://api.example.com".to_owned(),
            target: "/secrets".to_owned(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
            secrets: secrets.iter().map(|place| (*place).to_owned()).collect(),
            patience: Duration::ZERO,
            is_retry: false,
            upload: None,
        }
    }

    #[test]
    fn secrets_go_back_to_where_they_were_taken_from_and_nothing_else_changes() {
        const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\nContent-Type: \
            application/json\r\n\r\n{\"bindings\":[{\"text\":\"s3cret\"}],\"main\":\"a\"}\r\n--b--\r\n";
        for (content_type, body, place) in [
            (
                "application/json",
                "{\"name\":\"A\",\"text\":\"s3cret\"}",
                "/text",
            ),
            (
                "multipart/form-data; boundary=b",
                FORM,
                "/metadata/bindings/0/text",
            ),
        ] {
            let write = write(content_type, body, &[place]);
            let mut secrets = Secrets::new();
            let hidden = write.without_secrets(|place, text| {
                secrets.insert(place.to_owned(), text.into());
                "(hidden)".to_owned()
            });
            let (headers, hidden) = hidden.unwrap();
            assert!(!String::from_utf8_lossy(&hidden).contains("s3cret"));
            assert_eq!(headers["x-tenant"], "test");
            let (headers, whole) = with_secrets((&headers, &hidden), &secrets).unwrap();
            assert_eq!(headers["x-tenant"], "test");
            let whole = Content::read(&headers, &whole).unwrap();
            assert_eq!(whole, Content::read(&write.headers, &write.body).unwrap());
        }
    }

    #[test]
    fn a_call_is_held_within_what_its_client_waits() {
        let held = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            patience(&headers).as_secs()
        };
        assert_eq!(held(&[]), 45);
        assert_eq!(held(&[("user-agent", "wrangler/4.164.0")]), 285);
        assert_eq!(held(&[("x-stainless-timeout", "60")]), 45);
        assert_eq!(held(&[("x-stainless-timeout", "20")]), 10);
        assert_eq!(held(&[("x-stainless-timeout", "20.0")]), 10);
        assert_eq!(held(&[("x-stainless-timeout", "4.5")]), 2);
        for unread in ["soon", "-1", "NaN", "inf"] {
            assert_eq!(held(&[("x-stainless-timeout", unread)]), 45, "{unread}");
        }
        let both = [
            ("x-stainless-timeout", "60"),
            ("x-stainless-read-timeout", "30"),
        ];
        assert_eq!(held(&both), 15);
        assert_eq!(held(&[("x-stainless-timeout", "99999999")]), 3585);
    }
}
