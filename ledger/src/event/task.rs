//! Events of a task's stream. Frozen forms.

use crate::blob::Blob;
use crate::catalog::{Level, OperationId, Risk, ScopeType};
use crate::clock::Timestamp;
use crate::id::{AgentId, CallbackId, TaskId, TemplateId, TokenId};
use crate::name::{AgentName, ClaimsHash, ClientSubject, ScopePattern, UpstreamName};
use crate::operation::MatchDigest;
use crate::purpose::Purpose;
use serde::{Deserialize, Serialize};

/// One (operation, scope) pair that a task may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedOperation {
    /// The operation.
    pub operation: OperationId,
    /// What kind of object it acts on.
    pub scope_type: ScopeType,
    /// Which object, or `*` for every one of that type.
    pub scope_id: ScopePattern,
    /// The level a grant must have: the catalog's, or higher when the task said so.
    pub required_level: Level,
    /// The risk: the catalog's, or higher when the task said so.
    pub risk_tier: Risk,
}

/// A callback as it was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredCallback {
    /// Names this registration; deliveries owed to it stay owed to it.
    pub callback_id: CallbackId,
    /// Where to, https.
    pub url: String,
    /// The event names it wants.
    pub events: Vec<String>,
    /// The signing secret, sealed for (ledger, task stream, `callback.secret`).
    pub sealed_secret: Blob,
}

/// The template that an agent opened a task from with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromTemplate {
    /// The template.
    pub template_id: TemplateId,
    /// Whether every apply waits for a human, as the template says.
    pub needs_approval: bool,
}

/// `task.created` 5.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCreated {
    /// The task, which is also its stream.
    pub task_id: TaskId,
    /// The agent's stream.
    pub agent_id: AgentId,
    /// The agent's name.
    pub agent: AgentName,
    /// 1..=200 characters, written by the orchestrator or, from a template, by the agent.
    pub name: String,
    /// The subject that the task's tokens are bound to.
    pub subject: ClientSubject,
    /// What the task may do.
    pub allowed: Vec<AllowedOperation>,
    /// How long each of its tokens lives, or the agent's keys open it, in seconds.
    pub token_ttl_seconds: u32,
    /// Whether an apply of the agent may register a callback beside the orchestrator's.
    pub agent_callbacks: bool,
    /// The template, where an agent opened it with its key. Such a task has no tokens.
    pub template: Option<FromTemplate>,
    /// How long each of its questions waits for people, and an approval to be continued, in seconds. `None` in
    /// a task of before this was recorded, whose questions follow the setting of their moment.
    pub question_seconds: Option<u32>,
    /// The reason and the link that it was opened with.
    pub purpose: Purpose,
    /// The write that an agent's call through a proxy opened it for. Such a task has no tokens, and nothing else is
    /// asked for in it.
    pub write: Option<MatchDigest>,
}

/// `task.created` 4: no task was opened for a write through a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCreatedV4 {
    /// The task, which is also its stream.
    pub task_id: TaskId,
    /// The agent's stream.
    pub agent_id: AgentId,
    /// The agent's name.
    pub agent: AgentName,
    /// 1..=200 characters, written by the orchestrator or, from a template, by the agent.
    pub name: String,
    /// The subject that the task's tokens are bound to.
    pub subject: ClientSubject,
    /// What the task may do.
    pub allowed: Vec<AllowedOperation>,
    /// How long each of its tokens lives, or the agent's keys open it, in seconds.
    pub token_ttl_seconds: u32,
    /// Whether an apply of the agent may register a callback beside the orchestrator's.
    pub agent_callbacks: bool,
    /// The template, where an agent opened it with its key. Such a task has no tokens.
    pub template: Option<FromTemplate>,
    /// How long each of its questions waits for people, and an approval to be continued, in seconds. `None` in
    /// a task of before this was recorded, whose questions follow the setting of their moment.
    pub question_seconds: Option<u32>,
    /// The reason and the link that it was opened with.
    pub purpose: Purpose,
}

/// `task.proxies_opened` 1: the tokens of the task are callers of the proxies too. By the command that opens the task,
/// before its first token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxiesOpened {
    /// The upstreams whose proxies they open; none: those of every upstream.
    pub upstreams: Vec<UpstreamName>,
}

/// `task.created` 3: questions took their time from the setting, and nothing said why a task was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCreatedV3 {
    /// The task, which is also its stream.
    pub task_id: TaskId,
    /// The agent's stream.
    pub agent_id: AgentId,
    /// The agent's name.
    pub agent: AgentName,
    /// 1..=200 characters, written by the orchestrator or, from a template, by the agent.
    pub name: String,
    /// The subject that the task's tokens are bound to.
    pub subject: ClientSubject,
    /// What the task may do.
    pub allowed: Vec<AllowedOperation>,
    /// How long each of its tokens lives, or the agent's keys open it, in seconds.
    pub token_ttl_seconds: u32,
    /// Whether an apply of the agent may register a callback beside the orchestrator's.
    pub agent_callbacks: bool,
    /// The template, where an agent opened it with its key. Such a task has no tokens.
    pub template: Option<FromTemplate>,
}

/// `task.created` 2: no task was opened from a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCreatedV2 {
    /// The task, which is also its stream.
    pub task_id: TaskId,
    /// The agent's stream.
    pub agent_id: AgentId,
    /// The agent's name.
    pub agent: AgentName,
    /// 1..=200 characters, written by the orchestrator.
    pub name: String,
    /// The subject that the task's tokens are bound to.
    pub subject: ClientSubject,
    /// What the task may do.
    pub allowed: Vec<AllowedOperation>,
    /// How long each of its tokens lives, in seconds.
    pub token_ttl_seconds: u32,
    /// True when an apply of the agent may register a callback beside the orchestrator's.
    pub agent_callbacks: bool,
}

/// `task.created` 1: every task let its agent register callbacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCreatedV1 {
    /// The task, which is also its stream.
    pub task_id: TaskId,
    /// The agent's stream.
    pub agent_id: AgentId,
    /// The agent's name.
    pub agent: AgentName,
    /// 1..=200 characters, written by the orchestrator.
    pub name: String,
    /// The subject that the task's tokens are bound to.
    pub subject: ClientSubject,
    /// What the task may do.
    pub allowed: Vec<AllowedOperation>,
    /// How long each of its tokens lives, in seconds.
    pub token_ttl_seconds: u32,
}

impl From<TaskCreatedV4> for TaskCreated {
    fn from(old: TaskCreatedV4) -> Self {
        Self {
            task_id: old.task_id,
            agent_id: old.agent_id,
            agent: old.agent,
            name: old.name,
            subject: old.subject,
            allowed: old.allowed,
            token_ttl_seconds: old.token_ttl_seconds,
            agent_callbacks: old.agent_callbacks,
            template: old.template,
            question_seconds: old.question_seconds,
            purpose: old.purpose,
            write: None,
        }
    }
}

impl From<TaskCreatedV3> for TaskCreated {
    fn from(old: TaskCreatedV3) -> Self {
        Self {
            task_id: old.task_id,
            agent_id: old.agent_id,
            agent: old.agent,
            name: old.name,
            subject: old.subject,
            allowed: old.allowed,
            token_ttl_seconds: old.token_ttl_seconds,
            agent_callbacks: old.agent_callbacks,
            template: old.template,
            question_seconds: None,
            purpose: Purpose::default(),
            write: None,
        }
    }
}

impl From<TaskCreatedV2> for TaskCreated {
    fn from(old: TaskCreatedV2) -> Self {
        Self {
            task_id: old.task_id,
            agent_id: old.agent_id,
            agent: old.agent,
            name: old.name,
            subject: old.subject,
            allowed: old.allowed,
            token_ttl_seconds: old.token_ttl_seconds,
            agent_callbacks: old.agent_callbacks,
            template: None,
            question_seconds: None,
            purpose: Purpose::default(),
            write: None,
        }
    }
}

impl From<TaskCreatedV1> for TaskCreated {
    fn from(old: TaskCreatedV1) -> Self {
        Self {
            task_id: old.task_id,
            agent_id: old.agent_id,
            agent: old.agent,
            name: old.name,
            subject: old.subject,
            allowed: old.allowed,
            token_ttl_seconds: old.token_ttl_seconds,
            agent_callbacks: true,
            template: None,
            question_seconds: None,
            purpose: Purpose::default(),
            write: None,
        }
    }
}

/// `task.token_issued` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenIssued {
    /// The token's `jti`.
    pub token_id: TokenId,
    /// SHA-256 of the token's canonical claims.
    pub claims_hash: ClaimsHash,
    /// The subject it is bound to.
    pub subject: ClientSubject,
    /// When it starts to be valid.
    pub issued_at: Timestamp,
    /// When it stops.
    pub expires_at: Timestamp,
    /// The agent's permission revision that it speaks for.
    pub permission_revision: u64,
    /// The token that it replaces.
    pub replaces: Option<TokenId>,
}

/// `task.token_revoked` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// The token's `jti`.
    pub token_id: TokenId,
    /// Why: `renewed`, `task_closed`.
    pub reason: String,
}

/// Who registered a callback, and so which earlier one it takes the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackOwner {
    /// Recorded before this was told apart: it took the place of whatever stood.
    Unsaid,
    /// The orchestrator, with the task.
    Orchestrator,
    /// The agent, with an apply. It stands beside the orchestrator's.
    Agent,
}

/// `task.callback_set` 2: from here on events go to this callback too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackSet {
    /// The registration.
    pub callback: RegisteredCallback,
    /// Whose it is.
    pub owner: CallbackOwner,
}

/// `task.callback_set` 1: from here on events go to this callback alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackSetV1 {
    /// The registration.
    pub callback: RegisteredCallback,
}

impl From<CallbackSetV1> for CallbackSet {
    fn from(old: CallbackSetV1) -> Self {
        Self {
            callback: old.callback,
            owner: CallbackOwner::Unsaid,
        }
    }
}

/// `task.closed` 1. Final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskClosed {
    /// Why, when somebody said so.
    pub reason: Option<String>,
}
