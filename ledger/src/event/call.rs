//! Events of calls that are sent on through the proxies, and of what they used. Frozen forms.
//!
//! Owners stand in them by their ids, so that nothing of a call names an agent or a user that is erased.

use super::{CallRuling, UpstreamKeyOwner};
use crate::catalog::ScopeType;
use crate::clock::Timestamp;
use crate::digest::digest;
use crate::id::{CallId, KeyId, SessionId, TaskId, TokenId, UsageId};
use crate::name::UpstreamName;
use crate::operation::{Scope, ScopeId};
use serde::{Deserialize, Serialize};

digest!(
    /// BLAKE3 of a body as it passed, coded as it was, in `derive_key` mode with the context [`Self::CONTEXT`].
    BodyDigest
);

impl BodyDigest {
    /// The context of the key derivation.
    pub const CONTEXT: &str = "llm-permission-proxy body v1";
}

/// The credential that a call was made with. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallCredential {
    /// A key of the agent's own, or the one that all agents have.
    AgentKey(KeyId),
    /// A session of the user's.
    Session(SessionId),
    /// A capability token of the task.
    Token(TokenId),
}

/// The end of a call. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// Upstream answered with this status, and the client was given the whole answer.
    Answered {
        /// The HTTP status.
        status: u16,
    },
    /// Upstream began to answer with this status, and the client has not been given all of it.
    BrokenOff {
        /// The HTTP status.
        status: u16,
    },
    /// The client was given no answer of upstream's. Whether upstream has done anything is not known.
    Unanswered {
        /// A stable word for why: that of the refusal, or `client_gone`.
        why: String,
    },
}

/// A call, as both of its events say it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallSubject {
    /// Whose call it is, and whose tokens it counts.
    pub owner: UpstreamKeyOwner,
    /// The credential that it was made with.
    pub credential: CallCredential,
    /// The task, where the credential is a task's.
    pub task_id: Option<TaskId>,
    /// The upstream.
    pub upstream: UpstreamName,
    /// The operation: `anthropic.messages.create`.
    pub operation: String,
    /// The HTTP method.
    pub method: String,
    /// The template of its path: `/v1/messages/batches/{id}`.
    pub route: String,
}

/// The route of files of an upload.
const FILES: &str = "/accounts/{account}/workers/assets/upload";

impl CallSubject {
    /// The object of the operation that it is held to, of a call with this path: of files of an upload the account, else the
    /// upstream. `None` for a name that no scope can have.
    pub(crate) fn scope(&self, path: &str, scope_type: ScopeType) -> Option<Scope> {
        let id = match self.route.as_str() {
            FILES => path.strip_prefix("/accounts/")?.split('/').next()?,
            _ => self.upstream.as_str(),
        };
        Some(Scope {
            scope_type,
            id: ScopeId::parse(id)?,
        })
    }

    /// The operation that rules, and the allowlist of a task, hold it to. Files of an upload are sent by who may read scripts: what they are for is a
    /// write of its own.
    #[must_use]
    pub fn held_to(&self) -> &str {
        match self.route.as_str() {
            FILES => "workers.read",
            _ => &self.operation,
        }
    }

    /// The operation of the messages that it brings, to whose rules it is held as well.
    #[must_use]
    pub fn messages(&self) -> Option<&'static str> {
        let is_batch = self.method == "POST"
            && self.route == "/v1/messages/batches"
            && self.operation == "anthropic.batches.write";
        is_batch.then_some("anthropic.messages.create")
    }

    /// Whether it changes something upstream, as its operation's name says.
    #[must_use]
    pub fn changes(&self) -> bool {
        let operation = self.operation.as_str();
        operation.ends_with(".write") || operation.ends_with(".delete")
    }
}

/// `call.begun` 2: a call that changes something upstream, recorded before its first byte leaves. One without an end
/// was under way when the service stopped: upstream may have carried it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallBegun {
    /// The call, which is also its stream.
    pub call_id: CallId,
    /// The call.
    pub subject: CallSubject,
    /// Its path as it was sent, without the query.
    pub path: String,
    /// How the policy in force lets it through. Absent where no document was in force, and in the first form.
    pub ruling: Option<CallRuling>,
}

/// `call.begun` 1: it does not say how the policy let it through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallBegunV1 {
    /// The call, which is also its stream.
    pub call_id: CallId,
    /// The call.
    pub subject: CallSubject,
    /// Its path as it was sent, without the query.
    pub path: String,
}

impl From<CallBegunV1> for CallBegun {
    fn from(old: CallBegunV1) -> Self {
        Self {
            call_id: old.call_id,
            subject: old.subject,
            path: old.path,
            ruling: None,
        }
    }
}

/// `call.ended` 2. The only event of a call that changes nothing upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEnded {
    /// The call, which is also its stream.
    pub call_id: CallId,
    /// There is a `call.begun` before it in its stream.
    pub is_begun: bool,
    /// The call.
    pub subject: CallSubject,
    /// How it ended.
    pub outcome: CallOutcome,
    /// How many bytes of its body went up.
    pub request_bytes: u64,
    /// The digest of these.
    pub request_digest: BodyDigest,
    /// How many bytes of the answer's body went down.
    pub response_bytes: u64,
    /// The digest of these.
    pub response_digest: BodyDigest,
    /// From the first byte up to the last one down, in microseconds.
    pub duration_micros: u64,
    /// The request id that upstream gave, where it gave one.
    pub upstream_request_id: Option<String>,
    /// How the policy let it through where it arrived. Absent where its beginning says it, where no document was in
    /// force then and none is at this event, and in the first form.
    pub ruling: Option<CallRuling>,
}

/// `call.ended` 1: it does not say how the policy let it through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEndedV1 {
    /// The call, which is also its stream.
    pub call_id: CallId,
    /// There is a `call.begun` before it in its stream.
    pub is_begun: bool,
    /// The call.
    pub subject: CallSubject,
    /// How it ended.
    pub outcome: CallOutcome,
    /// How many bytes of its body went up.
    pub request_bytes: u64,
    /// The digest of these.
    pub request_digest: BodyDigest,
    /// How many bytes of the answer's body went down.
    pub response_bytes: u64,
    /// The digest of these.
    pub response_digest: BodyDigest,
    /// From the first byte up to the last one down, in microseconds.
    pub duration_micros: u64,
    /// The request id that upstream gave, where it gave one.
    pub upstream_request_id: Option<String>,
}

impl From<CallEndedV1> for CallEnded {
    fn from(old: CallEndedV1) -> Self {
        Self {
            call_id: old.call_id,
            is_begun: old.is_begun,
            subject: old.subject,
            outcome: old.outcome,
            request_bytes: old.request_bytes,
            request_digest: old.request_digest,
            response_bytes: old.response_bytes,
            response_digest: old.response_digest,
            duration_micros: old.duration_micros,
            upstream_request_id: old.upstream_request_id,
            ruling: None,
        }
    }
}

/// `usage.recorded` 1: what calls used that ended in a time of a few seconds, added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecorded {
    /// Its stream, of which it is the only event.
    pub usage_id: UsageId,
    /// Whose calls.
    pub owner: UpstreamKeyOwner,
    /// The task, where they were made with a task's credential.
    pub task_id: Option<TaskId>,
    /// The model as upstream named it; empty where no answer did.
    pub model: String,
    /// When the first of these calls ended.
    pub from: Timestamp,
    /// When the last of them had ended.
    pub to: Timestamp,
    /// What they used.
    pub counts: UsageCounts,
}

/// Sums of what calls used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageCounts {
    /// How many calls.
    pub requests: u64,
    /// How many of them did not come to their end, and count as far as they were seen.
    pub interrupted: u64,
    /// Tokens read, without those of caches.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Tokens written to caches for five minutes.
    pub cache_creation_5m: u64,
    /// Tokens written to caches for an hour.
    pub cache_creation_1h: u64,
    /// Tokens read from caches.
    pub cache_read: u64,
    /// Searches that upstream made on the web.
    pub web_searches: u64,
}

impl UsageCounts {
    /// Both together.
    #[must_use]
    pub const fn plus(self, more: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(more.requests),
            interrupted: self.interrupted.saturating_add(more.interrupted),
            input_tokens: self.input_tokens.saturating_add(more.input_tokens),
            output_tokens: self.output_tokens.saturating_add(more.output_tokens),
            cache_creation_5m: self
                .cache_creation_5m
                .saturating_add(more.cache_creation_5m),
            cache_creation_1h: self
                .cache_creation_1h
                .saturating_add(more.cache_creation_1h),
            cache_read: self.cache_read.saturating_add(more.cache_read),
            web_searches: self.web_searches.saturating_add(more.web_searches),
        }
    }

    /// Tokens of all five kinds.
    #[must_use]
    pub const fn total_tokens(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.output_tokens)
            .saturating_add(self.cache_creation_5m)
            .saturating_add(self.cache_creation_1h)
            .saturating_add(self.cache_read)
    }
}
