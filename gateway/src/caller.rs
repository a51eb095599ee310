//! Who calls, and whose key is used: what the gateway asks of the service around it.

use crate::credentials::Credential;
use crate::refusal::{Refusal, Word};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Extensions;
use ledger::event::{CallCredential, CallRuling, UpstreamKeyOwner};
use ledger::operation::Scope;
use ledger::policy::Requirement;
use ledger::{
    AgentId, AgentName, KeyId, Level, OperationId, Risk, SHARED_KEY, ScopeType, SessionId, TaskId,
    TokenId, UpstreamApi, UpstreamId, UpstreamName, UserId,
};
use secrecy::SecretString;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Whose stored key a call uses, and whose tokens it counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    Agent(AgentId, AgentName),
    User(UserId),
}

impl Owner {
    /// As stored keys and events name it.
    #[must_use]
    pub const fn recorded(&self) -> UpstreamKeyOwner {
        match self {
            Self::Agent(id, _) => UpstreamKeyOwner::Agent(*id),
            Self::User(id) => UpstreamKeyOwner::User(*id),
        }
    }
}

/// The credential that open calls are counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CountedFor {
    /// Where all agents have one key, each agent is counted by itself.
    Agent(AgentId),
    AgentKey(KeyId),
    Session(SessionId),
    Token(TokenId),
}

impl CountedFor {
    /// The credential, as events name it.
    #[must_use]
    pub const fn credential(self) -> CallCredential {
        match self {
            Self::Agent(_) => CallCredential::AgentKey(SHARED_KEY),
            Self::AgentKey(id) => CallCredential::AgentKey(id),
            Self::Session(id) => CallCredential::Session(id),
            Self::Token(id) => CallCredential::Token(id),
        }
    }
}

/// A caller whose credential counts at this moment.
pub struct Caller {
    pub owner: Owner,
    /// The task, where the credential is its token.
    pub task: Option<TaskId>,
    pub counted_for: CountedFor,
    /// Becomes ready with the refusal that the caller meets from then on, as soon as the credential is taken
    /// away, runs out or is locked.
    pub ended: BoxFuture<'static, Refusal>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("owner", &self.owner)
            .field("counted_for", &self.counted_for)
            .finish_non_exhaustive()
    }
}

impl Caller {
    /// The same, whose call also ends when `broken_off` becomes ready.
    pub(crate) fn until(self, broken_off: BoxFuture<'static, Refusal>) -> Self {
        let ended = self.ended;
        let ended = async move {
            tokio::select! {
                biased;
                refused = ended => refused,
                refused = broken_off => refused,
            }
        };
        Self {
            ended: ended.boxed(),
            ..self
        }
    }
}

/// Says who a credential is of. Asked at every request.
pub trait Callers: Send + Sync + 'static {
    /// # Errors
    /// The refusal of a credential that is none, or does not count any more.
    fn identify(&self, credential: Credential) -> BoxFuture<'_, Result<Caller, Refusal>>;
}

/// A key that opens an upstream.
pub struct OpeningKey {
    pub text: SecretString,
    /// Becomes ready when it is removed; not when another one is put in its place.
    pub removed: BoxFuture<'static, ()>,
}

impl OpeningKey {
    /// A key that nobody can remove.
    #[must_use]
    pub fn fixed(text: SecretString) -> Self {
        let removed = std::future::pending().boxed();
        Self { text, removed }
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpeningKey").finish_non_exhaustive()
    }
}

/// Gives the stored keys of upstreams. Asked at every request, so that a replaced key counts from the next on.
pub trait Keys: Send + Sync + 'static {
    /// The key of this owner for an upstream as that description has it; `None` where none is stored.
    ///
    /// # Errors
    /// A key that cannot be read; [`Refusal::described_anew`].
    fn key_of<'a>(
        &'a self,
        owner: &'a Owner,
        upstream: (&'a str, Option<UpstreamId>),
    ) -> BoxFuture<'a, Result<Option<OpeningKey>, Refusal>>;
}

/// An API that an administrator opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Another one after each change.
    pub id: UpstreamId,
    pub api: Arc<UpstreamApi>,
}

/// Says which APIs administrators opened. Asked at every request.
pub trait Upstreams: Send + Sync + 'static {
    /// # Errors
    /// A ledger that cannot be read.
    fn opened<'a>(
        &'a self,
        name: &'a UpstreamName,
    ) -> BoxFuture<'a, Result<Option<Opened>, Refusal>>;
}

/// The operation of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub operation: OperationId,
    /// The least level of a grant for it.
    pub level: Level,
    pub risk: Risk,
    pub reach: Reach,
}

/// The object of a call, or all of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    One(Scope),
    /// A list of all that the stored key opens: only who may do it to every one may do it.
    Every(ScopeType),
}

/// A call for which a stored key is enough.
#[derive(Debug, Clone, Copy)]
pub struct KeyCall<'a> {
    pub upstream: &'a UpstreamName,
    pub operation: OperationId,
    /// The fields of its body that rules can read, where it was read.
    pub params: Option<&'a Value>,
    /// It is sent from here, and its answer says what it used.
    pub counts: bool,
}

/// A call that is let through.
#[derive(Debug, Clone)]
pub struct OpenCall<'a> {
    pub upstream: &'a UpstreamName,
    pub operation: OperationId,
    /// The operation of the messages that it brings.
    pub brings: Option<OperationId>,
    pub by: LetThroughBy<'a>,
    /// Set once it is held for people instead.
    pub is_held: Arc<AtomicBool>,
}

/// The permission by which it is.
#[derive(Debug, Clone, Copy)]
pub enum LetThroughBy<'a> {
    /// The stored key of upstream.
    Key,
    /// A grant, for what only reads.
    Read(&'a Asked),
    /// A grant or people.
    Write,
}

/// Counts a call as open for as long as it lives, where it counts.
pub type Open = Option<Box<dyn Send + Sync>>;

/// The question that people have to answer before a call is sent for which a stored key is enough.
#[derive(Debug)]
pub struct Asks {
    pub asked: Asked,
    /// The people whose answer it needs.
    pub requirement: Requirement,
    /// What the surface knows of the request, and what was known when it was judged.
    pub seen: Extensions,
}

/// A call that may be sent.
#[derive(Default)]
pub struct Judged {
    pub open: Open,
    /// How the policy let it through, for its record; none where something else judges it.
    pub ruling: Option<CallRuling>,
    /// It may be sent once people have approved it.
    pub asks: Option<Asks>,
}

impl Judged {
    /// The same call is also held to something else, and that lets it through as well.
    ///
    /// # Errors
    /// [`Refusal::ruled_anew`] when the two were judged by two documents.
    fn join(&mut self, also: Option<CallRuling>) -> Result<(), Refusal> {
        match (&mut self.ruling, also) {
            (Some(ruling), Some(also)) => ruling.join(also).map_err(|_| Refusal::ruled_anew()),
            (None, None) => Ok(()),
            _ => Err(Refusal::ruled_anew()),
        }
    }

    /// A call with many messages, of which this is what is said of one of them. Whoever is asked about the call is shown
    /// its messages, so that nobody is asked about them besides.
    ///
    /// # Errors
    /// [`Word::Forbidden`] where people are asked about the message, and less or nobody is about the call, and as of
    /// [`Self::join`].
    pub(crate) fn covers(&mut self, message: Self) -> Result<(), Refusal> {
        self.join(message.ruling)?;
        let Some(of_message) = &message.asks else {
            return Ok(());
        };
        let asks = self.asks.as_ref();
        let is_enough =
            asks.is_some_and(|asks| asks.requirement.is_as_strict_as(&of_message.requirement));
        match is_enough {
            true => Ok(()),
            false => Err(Refusal::new(
                Word::Forbidden,
                "the policy has people asked about a message in this batch, and not as much about the batch: send the \
                 messages one by one, or have the same rule ask about anthropic.batches.write",
            )),
        }
    }
}

/// Says what callers may do without asking anybody, and about what people have to be asked.
pub trait Permits: Send + Sync + 'static {
    /// Whether there are rules that can deny such a call.
    fn are_ruled(&self) -> bool;

    /// Whether a rule in force reads of the body of a call for which a stored key is enough.
    fn reads_body(&self, operation: OperationId) -> bool;

    /// The operation by which people would be asked about such a call. There where a denial is kept of just one request of
    /// it: the body of a call says whether it is that one.
    fn compared(
        &self,
        owner: &Owner,
        upstream: &UpstreamName,
        operation: OperationId,
    ) -> Option<Asked>;

    /// Whether such a call may be sent, or people have to be asked about it. One that counts is open for as long as what
    /// is given lives.
    ///
    /// # Errors
    /// Why it may not: a rule, a block or a lock says so, or what may be used is used up.
    fn may_call<'a>(
        &'a self,
        caller: (&'a Owner, Option<TaskId>),
        call: KeyCall<'a>,
        seen: &'a Extensions,
    ) -> BoxFuture<'a, Result<Judged, Refusal>>;

    /// How the policy lets a read through. `seen` is what the surface knows of the request.
    ///
    /// # Errors
    /// Why the agent may not: a grant is missing, a rule, a block or a lock says so.
    fn may_read<'a>(
        &'a self,
        agent: (AgentId, Option<TaskId>),
        asked: &'a Asked,
        seen: &'a Extensions,
    ) -> BoxFuture<'a, Result<Option<CallRuling>, Refusal>>;

    /// Becomes ready with the refusal that the call meets from then on, as soon as a lock on its operation, a block, a kept
    /// denial or the policy forbids it. What changes after this is called counts.
    fn broken_off(
        &self,
        caller: (&Owner, Option<TaskId>),
        call: OpenCall<'_>,
        seen: &Extensions,
    ) -> BoxFuture<'static, Refusal>;
}
