//! Agents: how they are described, and what they are granted beforehand.

use crate::app::App;
use crate::principal::Acting;
use crate::refusal::Error;
use ledger::aggregate::Agent;
use ledger::command::{AgentChanges, CreateAgent, DescribeAgent, ReplacePermissions, RevokeGrants};
use ledger::event::Grant;
use ledger::{AgentName, Ledger, OperationId, Rejection, Role};
use projections::{AgentFilter, AgentView, Page, Paging, Projection};
use std::sync::Arc;

/// Makes an agent that nobody has heard of.
pub async fn create(
    ledger: &Ledger,
    who: Acting,
    agent: AgentName,
    described: AgentChanges,
) -> Result<Arc<Agent>, Error> {
    let command = CreateAgent { agent, described };
    Ok(ledger.execute(who.origin, command).await?)
}

/// Changes how an agent is described.
pub async fn describe(
    ledger: &Ledger,
    who: Acting,
    agent: AgentName,
    changes: AgentChanges,
) -> Result<Arc<Agent>, Error> {
    let command = DescribeAgent { agent, changes };
    Ok(ledger.execute(who.origin, command).await?)
}

/// An agent that somebody has heard of.
///
/// # Errors
/// [`Rejection::AgentNotFound`].
pub async fn read(ledger: &Ledger, _: &Acting, agent: &AgentName) -> Result<Arc<Agent>, Error> {
    let agent = ledger.agent(agent).await?;
    Ok(agent.ok_or(Rejection::AgentNotFound)?)
}

/// Agents that fit, the newest first.
pub async fn list(
    app: &App,
    _: &Acting,
    filter: AgentFilter,
    paging: Paging,
) -> Result<Page<AgentView>, Error> {
    let views = app.current_views(&[Projection::Agents]).await?;
    Ok(views.agents(filter, paging).await?)
}

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
///
/// # Errors
/// [`ledger::Rejection::RoleRequired`] and [`ledger::Rejection::StepUpRequired`] for a user who gives what only an
/// administrator with a passkey may.
pub async fn replace_permissions(
    ledger: &Ledger,
    who: Acting,
    command: ReplacePermissions,
) -> Result<Arc<Agent>, Error> {
    if let Some(session) = &who.session
        && session.role() == Role::Admin
        && session.step_up_until(ledger.now()).is_none()
    {
        // Taking away is never harder than giving.
        let known = ledger.agent(&command.agent).await?;
        let present = known.as_ref().map_or(&[][..], |known| &known.grants);
        if command.grants.iter().any(|grant| !present.contains(grant)) {
            return Err(ledger::Rejection::StepUpRequired.into());
        }
    }
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
