//! Reads of agents through the proxies, which ask nobody.

use crate::app::App;
use crate::edge::SeenFrom;
use crate::proxied_calls::{allows, hold};
use crate::refusal::Error;
use ledger::aggregate::Agent;
use ledger::command::{ReadAsked, may_read};
use ledger::event::{CallRuling, UpstreamKeyOwner};
use ledger::{AgentId, Rejection, TaskId};

/// Holds a read of an agent to the locks, blocks, kept denials, grants and policy of this moment, and says how they let it through.
///
/// # Errors
/// The refusal: [`Rejection::Locked`], [`Rejection::Blocked`], [`Rejection::DeniedBefore`],
/// [`Rejection::DeniedByPolicy`], [`Rejection::NotGranted`].
pub async fn judge(
    app: &App,
    (agent, task): (AgentId, Option<TaskId>),
    asked: ReadAsked<'_>,
    seen: &SeenFrom,
) -> Result<CallRuling, Error> {
    let size = *app.ledger.size().borrow();
    let agent = app.ledger.load::<Agent>(agent).await?;
    let agent = agent.ok_or(Rejection::AgentNotFound)?;
    let task = match task {
        Some(task) => Some(allows(app, task, asked.operation, asked.scope).await?),
        None => None,
    };
    let owner = UpstreamKeyOwner::Agent(agent.id);
    let caller = (&*agent, owner, task.as_deref());
    let on = (asked.operation, asked.scope);
    let judged = hold(
        (app, size),
        (caller, on),
        (None, false),
        seen,
        |calling, policy, clock| Ok((may_read(calling, asked, policy, clock)?, ())),
    );
    judged.await.map(|(_, held, _)| held.ruling)
}
