//! What agents may read through the proxies without asking anybody.

use crate::app::App;
use crate::edge::{SeenFrom, edge};
use crate::proxied_calls::{allows, used_lately};
use crate::refusal::Error;
use ledger::aggregate::Agent;
use ledger::command::{Calling, ReadAsked, may_read};
use ledger::event::UpstreamKeyOwner;
use ledger::{AgentId, Rejection, TaskId};

/// Holds a read of an agent to the locks, blocks, grants and policy of this moment.
///
/// # Errors
/// The refusal: [`Rejection::Locked`], [`Rejection::Blocked`], [`Rejection::DeniedByPolicy`],
/// [`Rejection::NotGranted`].
pub async fn judge(
    app: &App,
    (agent, task): (AgentId, Option<TaskId>),
    asked: ReadAsked<'_>,
    seen: &SeenFrom,
) -> Result<(), Error> {
    let ledger = &app.ledger;
    let agent = ledger.load::<Agent>(agent).await?;
    let agent = agent.ok_or(Rejection::AgentNotFound)?;
    if let Some(task) = task {
        allows(app, task, asked.operation, asked.scope).await?;
    }
    let edge = edge(app, seen);
    let policy = ledger.policy();
    let owner = UpstreamKeyOwner::Agent(agent.id);
    let calling = Calling {
        agent: &agent,
        edge: &edge,
        locks: &ledger.locks(),
        admissions: &ledger.admissions(),
        lately: ledger.lately(&agent.name),
        used: used_lately(app, (owner, task), None, policy.in_force.as_deref()),
    };
    let clock = (&ledger.rules().windows, ledger.now());
    may_read(&calling, asked, policy.in_force.as_deref(), clock)?;
    Ok(())
}
