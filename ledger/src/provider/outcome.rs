//! The answer to a request, and its outcome.

use serde_json::Value;

/// The answer to one request, within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Upstream's name of the request.
    pub request_id: Option<String>,
    /// Seconds, from `Retry-After`.
    pub retry_after: Option<u64>,
    /// The media type; empty where there is none.
    pub content_type: String,
    /// The number that it names.
    pub body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// All of it.
    Complete(Vec<u8>),
    /// Larger than is taken; the rest was not read.
    Oversized,
    /// It broke off, or did not end in time.
    Broken(String),
}

/// Why there is no answer at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// No connection was made, so nothing was sent.
    NotSent(String),
    /// The request may have been sent.
    MaybeSent(String),
}

/// Stable codes of [`Outcome::Failed`].
pub mod code {
    /// No connection: refused, no such host, TLS not agreed on.
    pub const UNREACHABLE: &str = "upstream_unreachable";
    /// 429; the message says for how long.
    pub const RATE_LIMITED: &str = "upstream_rate_limited";
    /// 401 or 403: the token is not good for this.
    pub const UNAUTHORIZED: &str = "upstream_unauthorized";
    /// 404.
    pub const NOT_FOUND: &str = "upstream_not_found";
    /// Any other 4xx, or an answer that says it did not succeed.
    pub const REFUSED: &str = "upstream_refused";
    /// A redirect; they are not followed.
    pub const REDIRECTED: &str = "upstream_redirected";
    /// 5xx to a read.
    pub const ERROR: &str = "upstream_error";
    /// No answer to a read in time, or its connection broke.
    pub const NO_ANSWER: &str = "upstream_no_answer";
    /// An answer to a read that is not the API's, or larger than is taken.
    pub const MALFORMED: &str = "upstream_malformed_answer";
}

/// How sending one operation ended. No text in it holds the token.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Upstream says that it is done.
    Succeeded {
        /// 2xx.
        http_status: u16,
        /// Upstream's name of the request.
        request_id: Option<String>,
        /// The `result` of upstream's answer.
        result: Value,
        /// Its `result_info`: which part of a list the result is.
        result_info: Option<Value>,
        /// Its `messages`, where there are any.
        messages: Option<Value>,
    },
    /// Surely not applied. A read that got no usable answer ends here too.
    Failed {
        /// The answer's status, if there was an answer.
        http_status: Option<u16>,
        /// Upstream's name of the request.
        request_id: Option<String>,
        /// One of [`code`].
        code: &'static str,
        /// An account for people.
        message: String,
        /// Upstream's `errors` (a list of `{code, message, error_chain?}`), empty when there are none.
        errors: Value,
        /// Its `messages`, where there are any.
        messages: Option<Value>,
    },
    /// Sent, or maybe sent, and no usable answer: it may have been applied, now or later. To be
    /// reconciled by reading back, never to be sent again by itself. Reads never end here.
    Lost {
        /// The answer's status, if there was an answer.
        http_status: Option<u16>,
        /// Upstream's name of the request.
        request_id: Option<String>,
        /// An account for people.
        why: String,
        /// Upstream's `errors`, where the answer had any.
        errors: Option<Value>,
    },
}
