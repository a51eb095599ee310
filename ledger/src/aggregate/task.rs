//! A bounded piece of work for one agent: its allowlist, tokens and callbacks.

use super::Aggregate;
use crate::catalog::{Level, OperationId, Risk};
use crate::clock::Timestamp;
use crate::event::{
    AllowedOperation, CallbackOwner, CallbackSet, Event, FromTemplate, RegisteredCallback,
    TaskCreated,
};
use crate::id::{AgentId, CallbackId, TaskId, TokenId};
use crate::name::{AgentName, ClaimsHash, ClientSubject};
use crate::operation::{MatchDigest, Operation, Scope};
use crate::purpose::Purpose;
use crate::rejection::Rejection;
use std::time::Duration;

/// No token reaches further than this after its task was made: a day, or as long as a question of the task
/// that is asked at once can be decided and then continued.
pub(crate) fn task_life(question: Option<Duration>) -> Duration {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    question.map_or(DAY, |question| DAY.max(question.saturating_mul(2)))
}

/// A capability token as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its `jti`.
    pub id: TokenId,
    /// SHA-256 of its canonical claims.
    pub claims_hash: ClaimsHash,
    /// The subject it is bound to.
    pub subject: ClientSubject,
    /// The time of its event.
    pub made_at: Timestamp,
    /// The start of its validity.
    pub issued_at: Timestamp,
    /// The end of its validity.
    pub expires_at: Timestamp,
    /// The permission revision that it speaks for.
    pub permission_revision: u64,
    /// The time of its revocation.
    pub revoked_at: Option<Timestamp>,
    /// The token that replaced it, if one did.
    pub replaced_by: Option<TokenId>,
}

/// A callback registration.
pub type Callback = RegisteredCallback;

/// The state of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The agent's stream.
    pub agent_id: AgentId,
    /// The agent's name.
    pub agent: AgentName,
    /// The orchestrator's name for it.
    pub name: String,
    /// The subject that its tokens are bound to.
    pub subject: ClientSubject,
    /// Its allowlist.
    pub allowed: Vec<AllowedOperation>,
    /// The life of its tokens, in seconds.
    pub token_ttl_seconds: u32,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// Its tokens, oldest first.
    pub tokens: Vec<Token>,
    /// The orchestrator's callback. In a ledger of earlier versions it can be one of the agent's, which
    /// took its place.
    pub callback: Option<Callback>,
    /// The agent's callback, which stands beside it.
    pub agent_callback: Option<Callback>,
    /// True when the agent may register one.
    pub agent_callbacks: bool,
    /// True when its tokens are callers of the proxies too.
    pub opens_proxies: bool,
    /// The number of callbacks that it has had, the active ones included.
    pub registrations: u32,
    /// The template that an agent opened it from with its key.
    pub template: Option<FromTemplate>,
    /// The write that an agent's call through a proxy opened it for.
    pub write: Option<MatchDigest>,
    /// How long each of its questions waits for people, and an approval to be continued, where it says so.
    pub question: Option<Duration>,
    /// The reason and the link that it was opened with.
    pub purpose: Purpose,
    /// The time of its closing.
    pub closed_at: Option<Timestamp>,
}

/// A time as events hold it.
pub(crate) fn whole_seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

impl Task {
    /// A task as it is made, without a token.
    pub(crate) fn begin(created: &TaskCreated, at: Timestamp) -> Self {
        Self {
            id: created.task_id,
            agent_id: created.agent_id,
            agent: created.agent.clone(),
            name: created.name.clone(),
            subject: created.subject.clone(),
            allowed: created.allowed.clone(),
            token_ttl_seconds: created.token_ttl_seconds,
            created_at: at,
            tokens: Vec::new(),
            callback: None,
            agent_callback: None,
            agent_callbacks: created.agent_callbacks,
            opens_proxies: false,
            registrations: 0,
            template: created.template,
            write: created.write,
            question: created.question_seconds.map(whole_seconds),
            purpose: created.purpose.clone(),
            closed_at: None,
        }
    }

    /// The token with that id.
    #[must_use]
    pub fn token(&self, id: TokenId) -> Option<&Token> {
        self.tokens.iter().find(|token| token.id == id)
    }

    /// True when an agent opened it with its key.
    #[must_use]
    pub const fn is_opened_by_key(&self) -> bool {
        self.template.is_some() || self.write.is_some()
    }

    /// The time at which the agent's keys stop to open it; `None` where they never did.
    #[must_use]
    pub fn end_for_keys(&self) -> Option<Timestamp> {
        let life = whole_seconds(self.token_ttl_seconds);
        self.is_opened_by_key().then(|| self.created_at.plus(life))
    }

    /// From here on no token of it is good, and none can be made good.
    pub(crate) fn end_of_life(&self) -> Timestamp {
        self.created_at.plus(task_life(self.question))
    }

    /// Whether every apply waits for a human, whatever is granted.
    #[must_use]
    pub fn needs_approval(&self) -> bool {
        self.template
            .is_some_and(|template| template.needs_approval)
    }

    /// The callbacks that events go to, the orchestrator's first.
    pub fn callbacks(&self) -> impl Iterator<Item = &Callback> {
        self.callback.iter().chain(&self.agent_callback)
    }

    /// The callback that answers to the agent's applies name: its own, or else the orchestrator's.
    #[must_use]
    pub fn callback_id(&self) -> Option<CallbackId> {
        let newest = self.agent_callback.as_ref().or(self.callback.as_ref());
        newest.map(|callback| callback.callback_id)
    }

    fn set_callback(&mut self, set: &CallbackSet) {
        let callback = Some(set.callback.clone());
        match set.owner {
            CallbackOwner::Unsaid => (self.callback, self.agent_callback) = (callback, None),
            CallbackOwner::Orchestrator => self.callback = callback,
            CallbackOwner::Agent => self.agent_callback = callback,
        }
        self.registrations = self.registrations.saturating_add(1);
    }

    /// The level and risk that the allowlist gives an operation on a scope; where several entries
    /// match, the strictest of each. `None` when it is not allowed.
    #[must_use]
    pub fn allows(&self, operation: OperationId, scope: &Scope) -> Option<(Level, Risk)> {
        self.allowed
            .iter()
            .filter(|entry| {
                entry.operation == operation
                    && entry.scope_type == scope.scope_type
                    && entry.scope_id.covers(&scope.id)
            })
            .map(|entry| (entry.required_level, entry.risk_tier))
            .reduce(|(level, risk), (other_level, other_risk)| {
                (level.max(other_level), risk.max(other_risk))
            })
    }

    /// The risk of an operation, which the allowlist may have raised above what the catalog says.
    #[must_use]
    pub fn risk_of(&self, operation: &Operation) -> Risk {
        let allowed = self.allows(operation.entry.id, &operation.scope);
        let risk = operation.entry.risk;
        allowed.map_or(risk, |(_, allowed)| risk.max(allowed))
    }
}

impl Aggregate for Task {
    type Id = TaskId;

    const NOT_FOUND: Rejection = Rejection::TaskNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        if let Event::TaskCreated(created) = event {
            *state = Some(Self::begin(created, at));
            return;
        }
        let Some(task) = state else { return };
        match event {
            Event::TokenIssued(issued) => {
                if let Some(old) = issued.replaces
                    && let Some(old) = task.tokens.iter_mut().find(|token| token.id == old)
                {
                    old.replaced_by = Some(issued.token_id);
                }
                task.tokens.push(Token {
                    id: issued.token_id,
                    claims_hash: issued.claims_hash.clone(),
                    subject: issued.subject.clone(),
                    made_at: at,
                    issued_at: issued.issued_at,
                    expires_at: issued.expires_at,
                    permission_revision: issued.permission_revision,
                    revoked_at: None,
                    replaced_by: None,
                });
            }
            Event::TokenRevoked(revoked) => {
                if let Some(token) = task.tokens.iter_mut().find(|t| t.id == revoked.token_id) {
                    token.revoked_at.get_or_insert(at);
                }
            }
            Event::CallbackSet(set) => task.set_callback(set),
            Event::ProxiesOpened(_) => task.opens_proxies = true,
            Event::TaskClosed(_) => task.closed_at = Some(at),
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        512 + self.purpose.len() + self.tokens.len() * 256 + self.allowed.len() * 96
    }
}
