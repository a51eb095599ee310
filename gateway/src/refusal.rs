//! The refusals of the proxies: one set of words, told in the envelope of the API that the client speaks.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use ledger::RequestId;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Says that an answer is ours, and why. No relayed answer has it.
pub const CODE: HeaderName = HeaderName::from_static("x-llm-proxy-code");
/// Read by the clients' libraries, before they look at the status.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// As the clients' libraries report it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// Why a request is refused. The names are part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Unauthorized,
    /// By grants, an allowlist, rules, a block, or because nobody may.
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Malformed,
    TooLarge,
    /// A person has not answered yet.
    Waiting,
    Denied,
    /// Expired or cancelled.
    Ended,
    /// Nobody knows whether it was carried out.
    Unknown,
    Quota,
    Locked,
    /// Too many calls are open.
    Busy,
    /// Upstream did not answer in HTTP, or sent somewhere else.
    Unreachable,
    Timeout,
    Internal,
}

impl Word {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Malformed,
        Self::TooLarge,
        Self::Waiting,
        Self::Denied,
        Self::Ended,
        Self::Unknown,
        Self::Quota,
        Self::Locked,
        Self::Busy,
        Self::Unreachable,
        Self::Timeout,
        Self::Internal,
    ];

    /// The word, as `x-llm-proxy-code` has it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Waiting => "waiting",
            Self::Denied => "denied",
            Self::Ended => "ended",
            Self::Unknown => "unknown",
            Self::Quota => "quota",
            Self::Locked => "locked",
            Self::Busy => "busy",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        }
    }

    /// The status and the type of error in Anthropic's envelope.
    #[must_use]
    pub const fn anthropic(self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "authentication_error"),
            Self::Forbidden | Self::Waiting | Self::Denied | Self::Ended | Self::Unknown => {
                (StatusCode::FORBIDDEN, "permission_error")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found_error"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error"),
            Self::Malformed => (StatusCode::BAD_REQUEST, "invalid_request_error"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"),
            Self::Quota | Self::Locked | Self::Busy => {
                (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error")
            }
            Self::Unreachable => (StatusCode::BAD_GATEWAY, "api_error"),
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout_error"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "api_error"),
        }
    }

    /// The status and the number of the error in Cloudflare's envelope. Its clients try a 429 and a 5xx again,
    /// so that only what passes by itself is one.
    #[must_use]
    pub const fn cloudflare(self) -> (StatusCode, u32) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, 99401),
            Self::Forbidden => (StatusCode::FORBIDDEN, 99403),
            Self::NotFound => (StatusCode::FORBIDDEN, 99404),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, 99405),
            Self::Malformed => (StatusCode::BAD_REQUEST, 99400),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, 99413),
            Self::Waiting => (StatusCode::FORBIDDEN, 99202),
            Self::Denied => (StatusCode::FORBIDDEN, 99451),
            Self::Ended => (StatusCode::FORBIDDEN, 99410),
            Self::Unknown => (StatusCode::FORBIDDEN, 99409),
            Self::Quota => (StatusCode::FORBIDDEN, 99429),
            Self::Locked => (StatusCode::FORBIDDEN, 99423),
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, 99430),
            Self::Unreachable => (StatusCode::BAD_GATEWAY, 99502),
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, 99504),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, 99500),
        }
    }
}

/// The API that a client speaks, as far as the form of an error goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    Anthropic,
    Cloudflare,
    /// Problem details (RFC 9457), where no known API is spoken; the statuses are those of Anthropic's.
    Problem,
}

/// A refusal of ours, with a message for the person who reads the client's error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    word: Word,
    message: Cow<'static, str>,
    /// The client may wait on by sending the call again.
    goes_on: bool,
}

impl Refusal {
    #[must_use]
    pub fn new(word: Word, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self {
            word,
            message,
            goes_on: false,
        }
    }

    /// The end of a hold while people have not answered, for a client that waits on by sending the call again: 409
    /// where statuses are those of Anthropic's API.
    #[must_use]
    pub fn waits_on(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            goes_on: true,
            ..Self::new(Word::Waiting, message)
        }
    }

    /// The same with more to say.
    #[must_use]
    pub fn saying_besides(self, more: &str) -> Self {
        let message = format!("{}{more}", self.message).into();
        Self { message, ..self }
    }

    #[must_use]
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Word::Unauthorized, message)
    }

    /// The refusal of an answer that leads elsewhere or to another protocol; `None` for every other.
    #[must_use]
    pub fn of_status(status: StatusCode) -> Option<Self> {
        let why = if status.is_informational() {
            "upstream answered with another protocol, for which nobody asked"
        } else if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            "upstream answered with a redirect, which is never followed or handed on"
        } else {
            return None;
        };
        Some(Self::new(Word::Unreachable, why))
    }

    /// The API is another one than a moment ago.
    #[must_use]
    pub fn described_anew() -> Self {
        Self::new(
            Word::Busy,
            "an administrator has just described this API anew, and nothing was sent: try again",
        )
    }

    /// The policy is another one than a moment ago.
    #[must_use]
    pub fn ruled_anew() -> Self {
        Self::new(
            Word::Busy,
            "the policy has just been changed, and nothing was sent: try again",
        )
    }

    #[must_use]
    pub fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Word::Malformed, message)
    }

    #[must_use]
    pub const fn word(&self) -> Word {
        self.word
    }

    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The whole answer.
    #[must_use]
    pub fn answer(&self, envelope: Envelope, id: Option<RequestId>) -> Response<Body> {
        let id = id.map(|id| id.to_string());
        let (status, kind, body) = self.told(envelope, id.as_deref());
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        put(headers, header::CONTENT_TYPE, kind);
        put(headers, header::CACHE_CONTROL, "no-store");
        put(headers, CODE, self.word.code());
        if self.word == Word::Busy || self.goes_on {
            put(headers, header::RETRY_AFTER, "1");
            put(headers, SHOULD_RETRY, "true");
        } else if status.is_client_error() {
            put(headers, SHOULD_RETRY, "false");
        }
        if let Some(id) = id.and_then(|id| HeaderValue::from_str(&id).ok()) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }

    fn told(&self, envelope: Envelope, id: Option<&str>) -> (StatusCode, &'static str, Value) {
        const JSON: &str = "application/json";
        let message = self.message();
        let (status, kind) = match self.goes_on {
            true => (StatusCode::CONFLICT, "invalid_request_error"),
            false => self.word.anthropic(),
        };
        match envelope {
            Envelope::Anthropic => {
                let error = json!({"type": kind, "message": message});
                let body = json!({"type": "error", "error": error, "request_id": id});
                (status, JSON, body)
            }
            Envelope::Cloudflare => {
                let (status, code) = self.word.cloudflare();
                let errors = json!([{"code": code, "message": message}]);
                let body =
                    json!({"success": false, "errors": errors, "messages": [], "result": null});
                (status, JSON, body)
            }
            Envelope::Problem => {
                let title = status.canonical_reason().unwrap_or_default();
                let body = json!({
                    "type": format!("urn:llm-permission-proxy:problem:{}", self.word.code()),
                    "title": title, "status": status.as_u16(), "detail": message, "message": message,
                    "code": self.word.code(), "request_id": id,
                });
                (status, "application/problem+json", body)
            }
        }
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(word: Word, envelope: Envelope) -> (Response<()>, Value) {
        let answer = Refusal::new(word, "why").answer(envelope, None);
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap();
        (Response::from_parts(parts, ()), body)
    }

    #[tokio::test]
    async fn every_refusal_has_its_word_and_the_envelope_of_the_api() {
        for word in Word::ALL {
            let (answer, body) = told(word, Envelope::Anthropic).await;
            assert_eq!(answer.headers()[CODE], word.code());
            let error = json!({"type": word.anthropic().1, "message": "why"});
            assert_eq!(
                body,
                json!({"type": "error", "error": error, "request_id": null})
            );
            let (answer, body) = told(word, Envelope::Cloudflare).await;
            assert_eq!(answer.headers()[CODE], word.code());
            let errors = json!([{"code": word.cloudflare().1, "message": "why"}]);
            let whole = json!({"success": false, "errors": errors, "messages": [], "result": null});
            assert_eq!(body, whole);
            let (_, body) = told(word, Envelope::Problem).await;
            assert_eq!(body["code"], word.code());
            assert_eq!(
                (&body["detail"], &body["message"]),
                (&json!("why"), &json!("why"))
            );
        }
    }

    #[tokio::test]
    async fn a_hold_that_goes_on_is_a_conflict_that_clients_try_again() {
        let refusal = Refusal::waits_on("why");
        let answer = refusal.answer(Envelope::Anthropic, None);
        assert_eq!(answer.status(), StatusCode::CONFLICT);
        for (name, value) in [
            (CODE, "waiting"),
            (SHOULD_RETRY, "true"),
            (header::RETRY_AFTER, "1"),
        ] {
            assert_eq!(answer.headers()[&name], value, "{name}");
        }
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX)
            .await
            .unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["type"], "invalid_request_error");
    }

    #[tokio::test]
    async fn only_a_busy_service_is_worth_another_try() {
        for word in Word::ALL {
            let (answer, _) = told(word, Envelope::Anthropic).await;
            let tries = answer.headers().get(SHOULD_RETRY);
            let tries = tries.map(|value| value.to_str().unwrap());
            let expected = match word {
                Word::Busy => Some("true"),
                _ if answer.status().is_client_error() => Some("false"),
                _ => None,
            };
            assert_eq!(tries, expected, "{word:?}");
            let waits = answer.headers().contains_key("retry-after");
            assert_eq!(waits, word == Word::Busy, "{word:?}");
        }
    }
}
