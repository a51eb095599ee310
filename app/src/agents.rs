//! What agents are granted beforehand.

use crate::principal::Acting;
use crate::refusal::Error;
use ledger::aggregate::Agent;
use ledger::command::{ReplacePermissions, RevokeGrants};
use ledger::event::Grant;
use ledger::{AgentName, Ledger, OperationId};
use std::sync::Arc;

/// The grants of an agent that have not run out: what has run out grants nothing, and could not be sent
/// back. An agent that nobody has heard of has none.
pub async fn permissions(
    ledger: &Ledger,
    _: &Acting,
    agent: &AgentName,
) -> Result<Vec<Grant>, Error> {
    let now = ledger.now();
    let known = ledger.agent(agent).await?;
    let grants = known.as_ref().map_or(&[][..], |known| &known.grants);
    let in_force = |grant: &&Grant| grant.expires_at.is_none_or(|until| now < until);
    Ok(grants.iter().filter(in_force).cloned().collect())
}

/// Replaces an agent's grants; its tokens go stale with the very next request.
pub async fn replace_permissions(
    ledger: &Ledger,
    who: Acting,
    agent: AgentName,
    grants: Vec<Grant>,
    reason: Option<String>,
) -> Result<Arc<Agent>, Error> {
    let command = ReplacePermissions {
        agent,
        grants,
        reason,
    };
    Ok(ledger.execute(who.origin, command).await?)
}

/// Takes grants from an agent: those of an operation, or all. Its tokens go stale.
pub async fn revoke_grants(
    ledger: &Ledger,
    who: Acting,
    agent: AgentName,
    operation: Option<OperationId>,
    reason: String,
) -> Result<Arc<Agent>, Error> {
    let command = RevokeGrants {
        agent,
        operation,
        reason: Some(reason),
    };
    Ok(ledger.execute(who.origin, command).await?)
}
