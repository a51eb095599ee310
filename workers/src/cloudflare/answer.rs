//! From what came back to what it means.

use super::outcome::{Outcome, code};
use serde_json::{Value, json};

/// What came back for one request, within the limits.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) request_id: Option<String>,
    /// Seconds, from `Retry-After`.
    pub(super) retry_after: Option<u64>,
    pub(super) content_type: String,
    pub(super) body: Body,
}

/// The body of an answer.
pub(super) enum Body {
    /// All of it.
    Complete(Vec<u8>),
    /// Larger than is taken; the rest was not read.
    Oversized,
    /// It broke off, or did not end in time.
    Broken(String),
}

/// Why there is no answer at all.
pub(super) enum NoAnswer {
    /// No connection was made, so nothing was sent.
    NotSent(String),
    /// The request may have been sent.
    MaybeSent(String),
}

/// The fields of upstream's envelope that matter here.
struct Envelope {
    success: bool,
    errors: Value,
    result: Value,
}

impl Envelope {
    /// Some answers leave `success` out and have a `result` only (the deletion of a DNS record as it
    /// is published); they count as success, which the status decides together with this.
    fn read(bytes: &[u8]) -> Option<Self> {
        let Value::Object(mut object) = serde_json::from_slice(bytes).ok()? else {
            return None;
        };
        let success = match object.get("success") {
            Some(success) => success.as_bool()?,
            None => object.get("result")?.is_object(),
        };
        let errors = object.remove("errors").filter(Value::is_array);
        Some(Self {
            success,
            errors: errors.unwrap_or_else(|| json!([])),
            result: object.remove("result").unwrap_or(Value::Null),
        })
    }

    /// `81057 Record already exists.; …`
    fn said(&self) -> String {
        let errors = self
            .errors
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let texts = errors.iter().map(|error| {
            let code = error.get("code").map(Value::to_string).unwrap_or_default();
            let message = error
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or_default();
            format!("{code} {message}")
                .trim()
                .chars()
                .filter(|character| !character.is_control())
                .take(500)
                .collect::<String>()
        });
        texts.collect::<Vec<_>>().join("; ")
    }
}

/// What the answer to a request means; `is_read` when the request can change nothing.
pub(super) fn outcome_of(answer: Result<Answer, NoAnswer>, is_read: bool) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(NoAnswer::NotSent(why)) => return failed(None, None, code::UNREACHABLE, why),
        Err(NoAnswer::MaybeSent(why)) if is_read => {
            return failed(None, None, code::NO_ANSWER, why);
        }
        Err(NoAnswer::MaybeSent(why)) => {
            return Outcome::Lost {
                http_status: None,
                request_id: None,
                why,
            };
        }
    };
    let status = answer.status;
    let request_id = answer.request_id.clone();
    let envelope = match &answer.body {
        Body::Complete(bytes) => Envelope::read(bytes),
        Body::Oversized | Body::Broken(_) => None,
    };
    // What an unusable end of a request that may have been applied is called.
    let unusable = |code: &'static str, why: String| {
        if is_read {
            failed(Some(status), request_id.clone(), code, why)
        } else {
            Outcome::Lost {
                http_status: Some(status),
                request_id: request_id.clone(),
                why,
            }
        }
    };
    match (status, envelope) {
        (200..=299, Some(envelope)) if envelope.success => Outcome::Succeeded {
            http_status: status,
            request_id,
            result: envelope.result,
        },
        (204, None) if matches!(&answer.body, Body::Complete(bytes) if bytes.is_empty()) => {
            Outcome::Succeeded {
                http_status: status,
                request_id,
                result: Value::Null,
            }
        }
        (200..=299 | 400..=499, Some(envelope)) => refused(&answer, Some(envelope)),
        (400..=499, None) => refused(&answer, None),
        (200..=299, None) => {
            let why = match answer.body {
                Body::Complete(_) => "the answer is not what the API answers".to_owned(),
                Body::Oversized => "the answer is larger than is taken".to_owned(),
                Body::Broken(why) => format!("the answer broke off: {why}"),
            };
            unusable(code::MALFORMED, format!("HTTP {status}, but {why}"))
        }
        // 303 says that the request was carried out and the result is elsewhere; the others
        // that nothing was done here.
        (300..=302 | 304..=399, _) => failed(
            Some(status),
            request_id,
            code::REDIRECTED,
            format!("HTTP {status}: redirects are not followed; is the API's base URL right?"),
        ),
        (303, _) => unusable(
            code::REDIRECTED,
            "HTTP 303: redirects are not followed".to_owned(),
        ),
        (_, envelope) => {
            let said = envelope.map(|envelope| envelope.said()).unwrap_or_default();
            let said = if said.is_empty() {
                said
            } else {
                format!(": {said}")
            };
            unusable(
                code::ERROR,
                format!("upstream answered HTTP {status}{said}"),
            )
        }
    }
}

fn refused(answer: &Answer, envelope: Option<Envelope>) -> Outcome {
    let status = answer.status;
    let code = match status {
        401 | 403 => code::UNAUTHORIZED,
        404 => code::NOT_FOUND,
        429 => code::RATE_LIMITED,
        _ => code::REFUSED,
    };
    let said = envelope.as_ref().map(Envelope::said).unwrap_or_default();
    let mut message = format!("upstream refused with HTTP {status}");
    if !said.is_empty() {
        message = format!("{message}: {said}");
    }
    if let (429, Some(seconds)) = (status, answer.retry_after) {
        message = format!("{message} (try again after {seconds} seconds)");
    }
    Outcome::Failed {
        http_status: Some(status),
        request_id: answer.request_id.clone(),
        code,
        message,
        errors: envelope.map_or_else(|| json!([]), |envelope| envelope.errors),
    }
}

fn failed(
    http_status: Option<u16>,
    request_id: Option<String>,
    code: &'static str,
    message: String,
) -> Outcome {
    Outcome::Failed {
        http_status,
        request_id,
        code,
        message,
        errors: json!([]),
    }
}
