//! From what came back to what it means.

use ledger::provider::{Answer, Body, NoAnswer, Outcome, code};
use serde_json::{Map, Value, json};

/// How deep the causes of an error are kept.
const MOST_CHAIN: usize = 4;
/// How many errors or messages of one answer are kept.
const MOST_NOTICES: usize = 64;

/// Upstream's envelope, of its errors, messages and result_info only the fields that are known: the rest
/// is nobody's to rely on, and what is not kept cannot hold anything.
struct Envelope {
    success: bool,
    errors: Vec<Value>,
    messages: Vec<Value>,
    result: Value,
    result_info: Option<Value>,
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
        Some(Self {
            success,
            errors: notices(object.get("errors"), MOST_CHAIN),
            messages: notices(object.get("messages"), MOST_CHAIN),
            result_info: object.get("result_info").and_then(paging),
            result: object.remove("result").unwrap_or(Value::Null),
        })
    }

    fn errors(&self) -> Value {
        Value::Array(self.errors.clone())
    }

    fn messages(&self) -> Option<Value> {
        (!self.messages.is_empty()).then(|| Value::Array(self.messages.clone()))
    }

    /// `81057 Record already exists.; 1004 DNS Validation Error (9021 Invalid TTL.)`
    fn said(&self) -> String {
        said(&self.errors)
    }
}

fn said(notices: &[Value]) -> String {
    let texts = notices.iter().map(|notice| {
        let field = |name: &str| {
            notice.get(name).map_or_else(String::new, |value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            })
        };
        let text = format!("{} {}", field("code"), field("message"));
        let text: String = text
            .trim()
            .chars()
            .filter(|character| !character.is_control())
            .take(500)
            .collect();
        match notice.get("error_chain").and_then(Value::as_array) {
            Some(chain) if !chain.is_empty() => format!("{text} ({})", said(chain)),
            _ => text,
        }
    });
    texts.collect::<Vec<_>>().join("; ")
}

/// The errors or messages of an envelope as `{code, message, documentation_url?, source?, error_chain?}`;
/// a bare text becomes `{message}`.
fn notices(list: Option<&Value>, depth: usize) -> Vec<Value> {
    let entries = list.and_then(Value::as_array).into_iter().flatten();
    let known = entries.map(|entry| {
        let mut kept = Map::new();
        if let Value::String(text) = entry {
            kept.insert("message".to_owned(), json!(text));
        }
        for name in ["code", "message", "documentation_url", "type"] {
            if let Some(value @ (Value::Number(_) | Value::String(_))) = entry.get(name) {
                kept.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(pointer) = entry.pointer("/source/pointer").and_then(Value::as_str) {
            kept.insert("source".to_owned(), json!({"pointer": pointer}));
        }
        if let Some(depth) = depth.checked_sub(1) {
            let chain = notices(entry.get("error_chain"), depth);
            if !chain.is_empty() {
                kept.insert("error_chain".to_owned(), Value::Array(chain));
            }
        }
        Value::Object(kept)
    });
    known.take(MOST_NOTICES).collect()
}

/// The part of a list that an answer holds.
fn paging(info: &Value) -> Option<Value> {
    let mut kept = Map::new();
    for name in ["page", "per_page", "count", "total_count", "total_pages"] {
        if let Some(number) = info.get(name).filter(|value| value.is_number()) {
            kept.insert(name.to_owned(), number.clone());
        }
    }
    if let Some(cursor) = info.get("cursor").filter(|value| value.is_string()) {
        kept.insert("cursor".to_owned(), cursor.clone());
    }
    let mut cursors = Map::new();
    for name in ["before", "after"] {
        let cursor = info.get("cursors").and_then(|cursors| cursors.get(name));
        if let Some(cursor) = cursor.filter(|value| value.is_string()) {
            cursors.insert(name.to_owned(), cursor.clone());
        }
    }
    if !cursors.is_empty() {
        kept.insert("cursors".to_owned(), Value::Object(cursors));
    }
    (!kept.is_empty()).then_some(Value::Object(kept))
}

/// The outcome by the answer to a request; `is_read` when the request can change nothing.
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
                errors: None,
            };
        }
    };
    let status = answer.status;
    let request_id = answer.request_id.clone();
    let envelope = match &answer.body {
        Body::Complete(bytes) => Envelope::read(bytes),
        Body::Oversized | Body::Broken(_) => None,
    };
    let errors = envelope
        .as_ref()
        .map(Envelope::errors)
        .filter(|errors| errors.as_array().is_some_and(|errors| !errors.is_empty()));
    // What an unusable end of a request that may have been applied is called.
    let unusable = |code: &'static str, why: String| {
        if is_read {
            failed(Some(status), request_id.clone(), code, why)
        } else {
            Outcome::Lost {
                http_status: Some(status),
                request_id: request_id.clone(),
                why,
                errors: errors.clone(),
            }
        }
    };
    match (status, envelope) {
        (200..=299, Some(envelope)) if envelope.success => Outcome::Succeeded {
            http_status: status,
            request_id,
            messages: envelope.messages(),
            result: envelope.result,
            result_info: envelope.result_info,
        },
        (204, None) if matches!(&answer.body, Body::Complete(bytes) if bytes.is_empty()) => {
            Outcome::Succeeded {
                http_status: status,
                request_id,
                result: Value::Null,
                result_info: None,
                messages: None,
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
        messages: envelope.as_ref().and_then(Envelope::messages),
        errors: envelope.map_or_else(|| json!([]), |envelope| envelope.errors()),
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
        messages: None,
    }
}
