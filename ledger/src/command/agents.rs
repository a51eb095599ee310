//! Grants of an agent.

use super::Command;
use super::acting::still_acts;
use crate::aggregate::Agent;
use crate::catalog::OperationId;
use crate::error::Error;
use crate::event::Role;
use crate::event::{AgentRegistered, Grant, PermissionsReplaced};
use crate::id::AgentId;
use crate::name::AgentName;
use crate::rejection::Rejection;
use crate::storage::{LookupKey, NewEvent};
use crate::writer::{Context, Transaction};
use std::sync::Arc;

/// Replaces an agent's grants and raises its permission revision: its tokens become stale. Of users an
/// operator only takes away; giving is for administrators.
#[derive(Debug, Clone)]
pub struct ReplacePermissions {
    pub agent: AgentName,
    pub grants: Vec<Grant>,
    /// The grants that are to be replaced, where the caller has read them: others that are in force by now are not
    /// replaced. Their order, and those that have run out, do not count.
    pub instead_of: Option<Vec<Grant>>,
    pub reason: Option<String>,
}

impl Command for ReplacePermissions {
    type Answer = Arc<Agent>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Agent>, Error> {
        if self.grants.len() > MAX_GRANTS {
            return Err(Rejection::Invalid {
                code: "too_many_permissions",
                detail: format!("an agent has at most {MAX_GRANTS} permissions"),
            }
            .into());
        }
        let known = find(tx, &self.agent).await?;
        let present = known.as_ref().map_or(&[][..], |agent| &agent.grants);
        if let Some(read) = &self.instead_of {
            let now = tx.context().now;
            let in_force = |grants: &[Grant]| -> Vec<Grant> {
                let mut grants = grants.to_vec();
                grants.retain(|grant| grant.expires_at.is_none_or(|until| now < until));
                grants
            };
            let (read, present) = (in_force(read), in_force(present));
            let holds = |all: &[Grant], part: &[Grant]| part.iter().all(|it| all.contains(it));
            if read.len() > MAX_GRANTS || !holds(&read, &present) || !holds(&present, &read) {
                return Err(Rejection::PermissionsChanged.into());
            }
        }
        let gives = self.grants.iter().any(|grant| !present.contains(grant));
        let least = if gives { Role::Admin } else { Role::Operator };
        still_acts(tx, least).await?;
        let context = tx.context();
        let mut events = Vec::with_capacity(2);
        let (agent_id, revision) = match known {
            Some(agent) => (agent.id, agent.permission_revision),
            None => {
                let (agent_id, event) = register_agent(&context, &self.agent);
                events.push(event);
                (agent_id, 0)
            }
        };
        events.push(context.event(
            agent_id,
            PermissionsReplaced {
                grants: self.grants,
                revision: revision.saturating_add(1),
                reason: self.reason,
            },
        ));
        tx.append(events).await?;
        tx.existing::<Agent>(agent_id).await
    }
}

const MAX_GRANTS: usize = 500;

/// Takes away an agent's grants for an operation, or all of them.
#[derive(Debug, Clone)]
pub struct RevokeGrants {
    pub agent: AgentName,
    pub operation: Option<OperationId>,
    pub reason: Option<String>,
}

impl Command for RevokeGrants {
    type Answer = Arc<Agent>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Agent>, Error> {
        let agent = find(tx, &self.agent)
            .await?
            .ok_or(Rejection::AgentNotFound)?;
        let mut grants = agent.grants.clone();
        grants.retain(|grant| {
            self.operation
                .is_some_and(|operation| grant.operation != operation)
        });
        ReplacePermissions {
            agent: self.agent,
            grants,
            instead_of: None,
            reason: self.reason,
        }
        .run(tx)
        .await
    }
}

/// The agent of that name.
pub(super) async fn find(
    tx: &mut Transaction<'_>,
    name: &AgentName,
) -> Result<Option<Arc<Agent>>, Error> {
    tx.find_state::<Agent>(&LookupKey::agent(name)).await
}

/// The first event of an agent that is heard of for the first time.
pub(super) fn register_agent(context: &Context<'_>, name: &AgentName) -> (AgentId, NewEvent) {
    let agent_id: AgentId = context.id();
    let event = context.event(
        agent_id,
        AgentRegistered {
            agent_id,
            name: name.clone(),
        },
    );
    (agent_id, event)
}
