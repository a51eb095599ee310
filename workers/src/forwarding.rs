//! The way of requests that are forwarded as their clients sent them, as a port: with the key of the agent that
//! asked, over connections that write nothing anew.

use ledger::operation::{ForwardedRequest, is_safe_segment};
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

/// The outcome without the answer's content but, where `keeps_id`, the id of what was made, which is the client's: nobody knows what is in it, and what is
/// recorded stays.
pub(crate) fn without_content(
    outcome: Outcome,
    body: Option<(usize, [u8; 32])>,
    keeps_id: bool,
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

/// The length and SHA-256 of a body.
pub(crate) fn digest_of(body: &[u8]) -> (usize, [u8; 32]) {
    (body.len(), Sha256::digest(body).into())
}
