//! The way of requests that are forwarded as their clients sent them, as a port: with the key of the agent that
//! asked, over connections that write nothing anew.

use ledger::operation::{ForwardedRequest, is_safe_segment, shown};
use ledger::provider::{Answer, NoAnswer, Outcome, Pending};
use ledger::{AgentId, ApplyId};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A request that is to be sent: its intent is recorded.
#[derive(Debug, Clone, Copy)]
pub struct Forwarding<'a> {
    /// The apply that it carries out, by which its answer is kept for who waits.
    pub apply_id: ApplyId,
    /// Whose key it goes with.
    pub agent_id: AgentId,
    /// What is sent.
    pub request: &'a ForwardedRequest,
}

/// Why a forwarded request has no answer.
#[derive(Debug)]
pub enum NotForwarded {
    /// No key opens the upstream for the agent, so nothing was sent.
    NoKey(String),
    /// There was none.
    NoAnswer(NoAnswer),
}

/// Sends forwarded requests, once each.
pub trait Forwarder: fmt::Debug + Send + Sync {
    /// Sends one, and keeps its answer for the calls that wait for it.
    fn forward<'a>(
        &'a self,
        forwarding: Forwarding<'a>,
    ) -> Pending<'a, Result<Answer, NotForwarded>>;
}

/// The outcome without the answer's content, which is the client's: nobody knows what is in it, and what is recorded
/// stays. Of it there is, where `keeps_id`, the id of what was made, and where `keeps_errors`, what upstream says of a
/// request that it refused.
pub(crate) fn without_content(
    outcome: Outcome,
    body: Option<(usize, [u8; 32])>,
    (keeps_id, keeps_errors): (bool, bool),
) -> Outcome {
    let codes = |errors: &Value| {
        let entries = errors.as_array().into_iter().flatten();
        let codes = entries.filter_map(|error| error.get("code").filter(|code| code.is_number()));
        codes.map(|code| json!({"code": code})).collect::<Value>()
    };
    match outcome {
        Outcome::Succeeded {
            http_status,
            request_id,
            result,
            ..
        } => Outcome::Succeeded {
            http_status,
            request_id,
            result: body.map_or(Value::Null, |(bytes, digest)| {
                let mut told = json!({"answer_bytes": bytes, "answer_sha256": hex::encode(digest)});
                let made = result.get("id").and_then(Value::as_str);
                let made = made.filter(|id| keeps_id && is_safe_segment(id));
                if let (Some(id), Some(told)) = (made, told.as_object_mut()) {
                    told.insert("id".to_owned(), json!(id));
                }
                told
            }),
            result_info: None,
            messages: None,
        },
        Outcome::Failed {
            http_status,
            request_id,
            code,
            message,
            errors,
            ..
        } => Outcome::Failed {
            http_status,
            request_id,
            code,
            message: match http_status {
                Some(status) if keeps_errors => refused_with(status, &errors),
                Some(status) => format!("upstream answered with status {status}"),
                None => message,
            },
            errors: codes(&errors),
            messages: None,
        },
        Outcome::Lost {
            http_status,
            request_id,
            why,
            errors,
        } => Outcome::Lost {
            http_status,
            request_id,
            why: match http_status {
                Some(status) => {
                    format!("upstream answered with status {status}, or its answer broke off")
                }
                None => why,
            },
            errors: errors.map(|errors| codes(&errors)),
        },
    }
}

/// The status of a refusal with the beginning of upstream's own words, attributed to it.
fn refused_with(status: u16, errors: &Value) -> String {
    /// Most errors that are told, and the longest text of all of them, in characters.
    const MOST: usize = 4;
    const LONGEST: usize = 300;
    let errors = errors.as_array().into_iter().flatten().take(MOST);
    let texts = errors.filter_map(|error| {
        let message = error.get("message")?.as_str()?;
        let code = error.get("code").filter(|code| code.is_number());
        let code = code.map_or_else(String::new, |code| format!("{code} "));
        Some(format!("{code}{}", without_keys(message)))
    });
    let text = texts.collect::<Vec<_>>().join("; ").replace('"', "'");
    match text.is_empty() {
        true => format!("upstream answered with status {status}"),
        false => format!(
            "upstream answered with status {status} and says: \"{}\"",
            shown(&text, LONGEST)
        ),
    }
}

/// A text without runs of characters as keys have them.
fn without_keys(text: &str) -> String {
    const LEAST: usize = 20;
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || "+/_=-".contains(c);
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (run, behind) = rest.split_at(rest.find(|c| !is_of_key(c)).unwrap_or(rest.len()));
        let has = |is: fn(&u8) -> bool| run.bytes().any(|byte| is(&byte));
        let is_key = run.len() >= LEAST && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
        kept.push_str(if is_key { "[withheld]" } else { run });
        let next = behind.find(is_of_key).unwrap_or(behind.len());
        let (between, after) = behind.split_at(next);
        kept.push_str(between);
        rest = after;
    }
    kept
}

/// The length and SHA-256 of a body.
pub(crate) fn digest_of(body: &[u8]) -> (usize, [u8; 32]) {
    (body.len(), Sha256::digest(body).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(keeps_errors: bool, message: &str) -> String {
        let outcome = Outcome::Failed {
            http_status: Some(400),
            request_id: None,
            code: "upstream_refused",
            message: "HTTP 400".to_owned(),
            errors: json!([{"code": 1004, "message": message}]),
            messages: None,
        };
        match without_content(outcome, None, (false, keeps_errors)) {
            Outcome::Failed {
                message, errors, ..
            } => {
                assert_eq!(errors, json!([{"code": 1004}]));
                message
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_upstream_says_of_a_refused_request_is_attributed_and_bounded() {
        assert_eq!(
            told(true, "DNS \"Validation\"\u{202e} Error"),
            "upstream answered with status 400 and says: \"1004 DNS 'Validation'‹U+202E› Error\""
        );
        assert!(told(true, &"word ".repeat(1000)).chars().count() < 400);
        let key = format!("bad value {}", "a1".repeat(20));
        assert!(told(true, &key).contains("bad value [withheld]"));
        // A request with a secret may have it in its answer.
        let status = "upstream answered with status 400";
        assert_eq!(told(false, "DNS Validation Error"), status);
        assert_eq!(told(true, ""), format!("{status} and says: \"1004 \""));
    }
}
