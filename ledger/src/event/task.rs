//! Events of a task's stream. Frozen forms.

use crate::blob::Blob;
use crate::catalog::{Level, OperationKind, Risk, ScopeType};
use crate::clock::Timestamp;
use crate::id::{AgentId, CallbackId, TaskId, TokenId};
use serde::{Deserialize, Serialize};

/// One (operation, scope) pair that a task may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedOperation {
    /// The operation.
    pub operation: OperationKind,
    /// What kind of object it acts on.
    pub scope_type: ScopeType,
    /// Which object, or `*` for every one of that type.
    pub scope_id: String,
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

/// `task.created` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCreated {
    /// The task, which is also its stream.
    pub task_id: TaskId,
    /// The agent's stream.
    pub agent_id: AgentId,
    /// The agent's name.
    pub agent: String,
    /// 1..=200 characters, written by the orchestrator.
    pub name: String,
    /// The subject that the task's tokens are bound to.
    pub subject: String,
    /// What the task may do.
    pub allowed: Vec<AllowedOperation>,
    /// How long each of its tokens lives, in seconds.
    pub token_ttl_seconds: u32,
}

/// `task.token_issued` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenIssued {
    /// The token's `jti`.
    pub token_id: TokenId,
    /// SHA-256 of the token's canonical claims.
    pub claims_hash: Blob,
    /// The subject it is bound to.
    pub subject: String,
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

/// `task.callback_set` 1: from here on events go to this callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackSet {
    /// The registration.
    pub callback: RegisteredCallback,
}

/// `task.closed` 1. Final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskClosed {
    /// Why, when somebody said so.
    pub reason: Option<String>,
}
