//! Events of an agent's stream. Frozen forms.

use crate::catalog::{Level, OperationId, ScopeType};
use crate::clock::Timestamp;
use crate::id::{AgentId, UserId};
use crate::name::{AgentName, ScopePattern};
use serde::{Deserialize, Serialize};

/// A pre-approved permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The operation.
    pub operation: OperationId,
    /// What kind of object.
    pub scope_type: ScopeType,
    /// Which object, or `*` for every one of that type.
    pub scope_id: ScopePattern,
    /// Up to which level.
    pub granted_level: Level,
    /// Until when; for good when absent.
    pub expires_at: Option<Timestamp>,
}

/// `agent.registered` 1: the first time its name is heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRegistered {
    /// The agent's stream.
    pub agent_id: AgentId,
    /// Its name.
    pub name: AgentName,
}

/// `agent.described` 1: the whole description from here on. It says who to ask, and nothing about what
/// the agent may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentDescribed {
    /// The user who answers for it.
    pub owner: Option<UserId>,
    /// The organization that it works for.
    pub organization: Option<String>,
    /// The place where it runs.
    pub site: Option<String>,
    /// Words to find it by, in order, each once.
    pub tags: Vec<String>,
}

/// `agent.permissions_replaced` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionsReplaced {
    /// The whole set from here on.
    pub grants: Vec<Grant>,
    /// One more than before; tokens that speak for an earlier one are stale.
    pub revision: u64,
    /// Why, when somebody said so.
    pub reason: Option<String>,
}
