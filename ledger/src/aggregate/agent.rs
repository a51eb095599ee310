//! An agent, how it is described, and what was granted to it beforehand.

use super::Aggregate;
use crate::catalog::{Level, OperationId, ScopeType};
use crate::clock::Timestamp;
use crate::event::{AgentDescribed, Event, Grant};
use crate::id::AgentId;
use crate::name::{AgentName, ScopePattern};
use crate::operation::Scope;
use crate::rejection::Rejection;

/// The state of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its stream.
    pub id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// Its grants.
    pub grants: Vec<Grant>,
    /// Raised with every change of the grants; 0 before the first.
    pub permission_revision: u64,
    /// Its description; empty before the first.
    pub described: AgentDescribed,
    /// The time of its registration.
    pub created_at: Timestamp,
}

impl Agent {
    /// True when a grant that has not ended covers the operation on the scope at the level.
    #[must_use]
    pub fn is_granted(
        &self,
        operation: OperationId,
        scope: &Scope,
        level: Level,
        now: Timestamp,
    ) -> bool {
        self.granted_level(operation, scope, now) >= Some(level)
    }

    /// True when a grant that has not ended covers the operation on every object of the type, at the level.
    #[must_use]
    pub fn is_granted_everywhere(
        &self,
        operation: OperationId,
        scope_type: ScopeType,
        level: Level,
        now: Timestamp,
    ) -> bool {
        self.grants.iter().any(|grant| {
            grant.operation == operation
                && grant.scope_type == scope_type
                && grant.scope_id == ScopePattern::every()
                && grant.granted_level >= level
                && grant.expires_at.is_none_or(|until| now < until)
        })
    }

    /// The highest level of the grants that have not ended and cover the operation on the scope.
    #[must_use]
    pub fn granted_level(
        &self,
        operation: OperationId,
        scope: &Scope,
        now: Timestamp,
    ) -> Option<Level> {
        let covering = self.grants.iter().filter(|grant| {
            grant.operation == operation
                && grant.scope_type == scope.scope_type
                && grant.scope_id.covers(&scope.id)
                && grant.expires_at.is_none_or(|until| now < until)
        });
        covering.map(|grant| grant.granted_level).max()
    }
}

impl Aggregate for Agent {
    type Id = AgentId;

    const NOT_FOUND: Rejection = Rejection::AgentNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        match (event, state) {
            (Event::AgentRegistered(registered), state) => {
                *state = Some(Self {
                    id: registered.agent_id,
                    name: registered.name.clone(),
                    grants: Vec::new(),
                    permission_revision: 0,
                    described: AgentDescribed::default(),
                    created_at: at,
                });
            }
            (Event::AgentDescribed(described), Some(agent)) => {
                agent.described.clone_from(described);
            }
            (Event::PermissionsReplaced(replaced), Some(agent)) => {
                agent.grants.clone_from(&replaced.grants);
                agent.permission_revision = replaced.revision;
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        512 + self.grants.len() * 192 + self.described.tags.len() * 64
    }
}
