//! What agents may read through the proxies without asking anybody.

use crate::app::App;
use crate::edge::{SeenFrom, edge};
use crate::refusal::Error;
use ledger::aggregate::Agent;
use ledger::command::{Calling, ReadAsked, may_read};
use ledger::{AgentId, Rejection};

/// Holds a read of an agent to the locks, blocks, grants and policy of this moment.
///
/// # Errors
/// The refusal: [`Rejection::Locked`], [`Rejection::Blocked`], [`Rejection::DeniedByPolicy`],
/// [`Rejection::NotGranted`].
pub async fn judge(
    app: &App,
    agent: AgentId,
    asked: ReadAsked<'_>,
    seen: &SeenFrom,
) -> Result<(), Error> {
    let ledger = &app.ledger;
    let agent = ledger.load::<Agent>(agent).await?;
    let agent = agent.ok_or(Rejection::AgentNotFound)?;
    let edge = edge(app, seen);
    let calling = Calling {
        agent: &agent,
        edge: &edge,
        locks: &ledger.locks(),
        admissions: &ledger.admissions(),
        lately: ledger.lately(&agent.name),
    };
    let policy = ledger.policy();
    let clock = (&ledger.rules().windows, ledger.now());
    may_read(&calling, asked, policy.in_force.as_deref(), clock)?;
    Ok(())
}
