//! Every refusal of the HTTP surface, and the one place where each becomes a status and a code.
//!
//! Answers are problem details (RFC 9457, `application/problem+json`) with two members of our own:
//! `code`, stable and meant for programs, and `message`, equal to `detail` for older clients.

mod causes;

use crate::schemes::cookie;
pub use app::{Forbidden, Unauthorized};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use ledger::tlog::TreeError;
use ledger::{Rejection, RejectionKind};
use serde::Serialize;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Every refusal.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nobody that we know: 401.
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    /// Known, but not allowed: 403.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// A command was refused by the ledger; family and code are the refusal's own.
    #[error(transparent)]
    Refused(#[from] Rejection),
    /// As [`Self::Refused`], for the session of a cookie, which the browser is told to forget.
    #[error(transparent)]
    DeadCookie(Rejection),
    /// The thing that the path names does not exist: 404.
    #[error("no such {what}")]
    NotFound {
        /// The object that was looked for, in a word of the domain.
        what: &'static str,
    },
    /// A proof about events that no checkpoint covers yet: 404.
    #[error(
        "{what} {asked} is beyond the newest checkpoint, which covers {covered} events: a new event is \
         covered about a second after it was recorded"
    )]
    BeyondCheckpoint {
        /// The parameter.
        what: &'static str,
        /// Its value.
        asked: u64,
        /// The size of the newest checkpoint.
        covered: u64,
    },
    /// A proof that no log could give: 400.
    #[error("{0}")]
    ImpossibleProof(TreeError),
    /// No route at this path: 404.
    #[error("there is no such path: GET /v1/openapi.json lists all paths")]
    UnknownPath,
    /// A route, but not with this method: 405.
    #[error("this path does not take that method: see the allow header")]
    MethodNotAllowed,
    /// The state of things stands against it: 409.
    #[error("{detail}")]
    Conflict {
        /// The obstacle, and the next step.
        detail: String,
    },
    /// It was there and is over: 410.
    #[error("{detail}")]
    Gone {
        /// As the ledger names the same refusal.
        code: &'static str,
        /// Its end, for people.
        detail: String,
    },
    /// The request itself is wrong: 400.
    #[error("{detail}")]
    BadRequest {
        /// The wrong part, and the right form.
        detail: String,
    },
    /// A policy that cannot be saved: 400.
    #[error("{}", app::Error::PolicyInvalid(.0.clone()))]
    PolicyInvalid(Vec<app::policy::Problem>),
    /// The route changes something that has versions, and the request names none: 428.
    #[error(
        "send if-match with the etag of the version that this follows, as GET answers it: if-match: \"3\""
    )]
    PreconditionRequired,
    /// The body does not say that it is a policy: 415.
    #[error(
        "send the policy in no coding, with one content-type: application/toml, text/x-toml or application/json"
    )]
    UnsupportedPolicyType,
    /// The body is larger than the route takes: 413.
    #[error("the body is larger than {limit} bytes")]
    PayloadTooLarge {
        /// The route's limit in bytes.
        limit: usize,
    },
    /// The body does not say that it is JSON, or is in a coding: 415.
    #[error(
        "send the body as JSON in UTF-8, in no coding, with one content-type: application/json"
    )]
    UnsupportedMediaType,
    /// The body did not arrive in time: 408.
    #[error("the body did not arrive in time")]
    RequestTimeout,
    /// More requests than the subject, or the strangers of a network, may make: 429.
    #[error("too many requests: wait as long as retry-after says")]
    RateLimited {
        /// When the next one will be let through.
        retry_after: Duration,
    },
    /// Cannot answer truthfully at the moment: 503.
    #[error("{detail}")]
    Unavailable {
        /// The missing part.
        detail: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Our fault: 500. The caller sees a request id only; the cause is logged once.
    #[error("internal error")]
    Internal(#[source] Box<dyn StdError + Send + Sync>),
}

impl ApiError {
    /// A request that is wrong, with what is wrong in it.
    pub fn bad_request(detail: impl fmt::Display) -> Self {
        Self::BadRequest {
            detail: detail.to_string(),
        }
    }

    /// A fault of ours, with its cause.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// Status, title and code: the only mapping there is.
    #[must_use]
    pub fn status_and_code(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthorized(why) => (StatusCode::UNAUTHORIZED, "Unauthorized", why.code()),
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, "Forbidden", why.code()),
            Self::Refused(rejection) | Self::DeadCookie(rejection) => {
                let (status, title) = family(rejection.kind());
                (status, title, rejection.code())
            }
            Self::NotFound { .. } | Self::UnknownPath => {
                (StatusCode::NOT_FOUND, "Not found", "not_found")
            }
            Self::BeyondCheckpoint { .. } => {
                (StatusCode::NOT_FOUND, "Not found", "beyond_checkpoint")
            }
            Self::ImpossibleProof(_) => {
                (StatusCode::BAD_REQUEST, "Bad request", "impossible_proof")
            }
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Method not allowed",
                "method_not_allowed",
            ),
            Self::Conflict { .. } => (StatusCode::CONFLICT, "Conflict", "conflict"),
            Self::Gone { code, .. } => (StatusCode::GONE, "Gone", *code),
            Self::BadRequest { .. } => (StatusCode::BAD_REQUEST, "Bad request", "bad_request"),
            Self::PayloadTooLarge { .. } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "Payload too large",
                "payload_too_large",
            ),
            Self::PolicyInvalid(_) => (StatusCode::BAD_REQUEST, "Bad request", "policy_invalid"),
            Self::PreconditionRequired => (
                StatusCode::PRECONDITION_REQUIRED,
                "Precondition required",
                "precondition_required",
            ),
            Self::UnsupportedMediaType | Self::UnsupportedPolicyType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported media type",
                "unsupported_media_type",
            ),
            Self::RequestTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "Request timeout",
                "request_timeout",
            ),
            Self::RateLimited { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests",
                "rate_limited",
            ),
            Self::Unavailable { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Service unavailable",
                "unavailable",
            ),
            Self::Internal(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal server error",
                "internal",
            ),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Unavailable { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::Refused(rejection) | Self::DeadCookie(rejection) => rejection.retry_after(),
            Self::Unauthorized(_)
            | Self::Forbidden(_)
            | Self::NotFound { .. }
            | Self::BeyondCheckpoint { .. }
            | Self::ImpossibleProof(_)
            | Self::UnknownPath
            | Self::MethodNotAllowed
            | Self::Conflict { .. }
            | Self::Gone { .. }
            | Self::BadRequest { .. }
            | Self::PayloadTooLarge { .. }
            | Self::PolicyInvalid(_)
            | Self::PreconditionRequired
            | Self::UnsupportedMediaType
            | Self::UnsupportedPolicyType
            | Self::RequestTimeout
            | Self::Internal(_) => None,
        }
    }
}

/// Each family of the ledger's refusals has one status.
const fn family(kind: RejectionKind) -> (StatusCode, &'static str) {
    match kind {
        RejectionKind::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        RejectionKind::Forbidden => (StatusCode::FORBIDDEN, "Forbidden"),
        RejectionKind::NotFound => (StatusCode::NOT_FOUND, "Not found"),
        RejectionKind::Conflict => (StatusCode::CONFLICT, "Conflict"),
        RejectionKind::Gone => (StatusCode::GONE, "Gone"),
        RejectionKind::Invalid => (StatusCode::BAD_REQUEST, "Bad request"),
        RejectionKind::Limited => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        RejectionKind::PreconditionFailed => {
            (StatusCode::PRECONDITION_FAILED, "Precondition failed")
        }
        RejectionKind::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable"),
        RejectionKind::NoRoom => (StatusCode::INSUFFICIENT_STORAGE, "Insufficient storage"),
    }
}

/// Problem details (RFC 9457, section 3) as they are sent.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// `urn:llm-permission-proxy:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:llm-permission-proxy:problem:conflict")]
    pub problem_type: String,
    /// The status in words.
    #[schema(example = "Conflict")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 409)]
    pub status: u16,
    /// What is wrong and what to do next, for people.
    pub detail: String,
    /// Stable, for programs.
    #[schema(example = "conflict")]
    pub code: String,
    /// The same as `detail`.
    pub message: String,
    /// Only with `internal`: what to quote when asking for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Only with `role_required`: the least role.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "admin")]
    pub required_role: Option<&'static str>,
    /// Only with `role_required`: the role of who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "viewer")]
    pub role: Option<&'static str>,
    /// Only with `denied_by_policy`: the rules that say so; none where the document's default does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<String>>,
    /// Only with `too_many_questions`: the limit that is reached, as a policy names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "per_agent")]
    pub limit: Option<&'static str>,
    /// Only with `policy_invalid`: everything that is wrong with the policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<PolicyProblem>,
}

/// One problem of a policy.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PolicyProblem {
    /// Stable, for programs.
    #[schema(example = "unknown_name")]
    pub code: &'static str,
    /// The id of the rule, as it is written.
    pub rule: Option<String>,
    /// The line, from 1; null in JSON.
    pub line: Option<u32>,
    /// For people.
    pub message: String,
}

impl From<app::policy::Problem> for PolicyProblem {
    fn from(problem: app::policy::Problem) -> Self {
        Self {
            code: problem.code.as_str(),
            rule: problem.rule,
            line: problem.line,
            message: problem.message,
        }
    }
}

impl Problem {
    /// The problem for a status.
    #[must_use]
    pub fn new(status: StatusCode, title: &str, code: &str, detail: String) -> Self {
        Self {
            problem_type: format!("urn:llm-permission-proxy:problem:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            message: detail.clone(),
            detail,
            code: code.to_owned(),
            request_id: None,
            required_role: None,
            role: None,
            rules: None,
            limit: None,
            errors: Vec::new(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Serialising strings and a number into memory has no way to fail.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, kind)], body).into_response()
    }
}

/// Rides on a 500 answer to the access log, which knows the request id and logs the cause, once.
#[derive(Clone)]
pub(crate) struct Fault(pub(crate) Arc<dyn StdError + Send + Sync>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, title, code) = self.status_and_code();
        let retry_after = self.retry_after();
        let mut problem = Problem::new(status, title, code, self.to_string());
        if let Self::Refused(Rejection::RoleRequired { required, role }) = &self {
            problem.required_role = Some(required.as_str());
            problem.role = Some(role.as_str());
        }
        if let Self::Refused(Rejection::DeniedByPolicy { rules, .. }) = &self {
            problem.rules = Some(rules.clone());
        }
        if let Self::Refused(Rejection::TooManyQuestions { limit, .. }) = &self {
            problem.limit = Some(limit);
        }
        if let Self::PolicyInvalid(problems) = &self {
            problem.errors = problems.iter().cloned().map(Into::into).collect();
        }
        let mut response = problem.into_response();
        let headers = response.headers_mut();
        if let Some(wait) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"llm-permission-proxy\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if matches!(self, Self::DeadCookie(_)) {
            headers.insert(header::SET_COOKIE, cookie::forget());
        }
        if let Self::Internal(cause) = self {
            response.extensions_mut().insert(Fault(Arc::from(cause)));
        }
        response
    }
}

/// Rounded up, and at least one: a `Retry-After: 0` invites the same refusal again.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs()
        .saturating_add(u64::from(wait.subsec_nanos() > 0))
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn json(response: Response) -> serde_json::Value {
        let body = axum::body::to_bytes(response.into_body(), 10_000)
            .await
            .unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn a_refusal_is_a_problem_with_code_and_message() {
        let response = ApiError::Conflict {
            detail: "it is closed".into(),
        }
        .into_response();
        assert_eq!(response.status(), 409);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let body = json(response).await;
        assert_eq!(body["code"], "conflict");
        assert_eq!(body["detail"], "it is closed");
        assert_eq!(body["message"], body["detail"]);
        assert_eq!(body["status"], 409);
        assert_eq!(body["type"], "urn:llm-permission-proxy:problem:conflict");
        assert!(body.get("request_id").is_none());
    }

    #[tokio::test]
    async fn an_internal_error_hides_its_cause() {
        let response = ApiError::internal("disk /secret/path is full").into_response();
        assert!(response.extensions().get::<Fault>().is_some());
        let body = json(response).await;
        assert_eq!(body["detail"], "internal error");
        assert!(!body.to_string().contains("disk"));
    }

    #[test]
    fn retry_after_is_rounded_up() {
        let wait = Duration::from_millis(1200);
        let response = ApiError::RateLimited { retry_after: wait }.into_response();
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(whole_seconds(Duration::ZERO), 1);
    }

    #[test]
    fn a_401_names_its_scheme() {
        let response = ApiError::from(Unauthorized::TokenMissing).into_response();
        assert!(response.headers().contains_key("www-authenticate"));
    }
}
