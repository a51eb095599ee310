//! Reads of agents through the proxies, which ask nobody.

use crate::app::App;
use crate::edge::SeenFrom;
use crate::proxied_calls::{allows, hold};
use crate::refusal::Error;
use ledger::aggregate::Agent;
use ledger::command::{ReadAsked, may_read};
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
    let agent = app.ledger.load::<Agent>(agent).await?;
    let agent = agent.ok_or(Rejection::AgentNotFound)?;
    if let Some(task) = task {
        allows(app, task, asked.operation, asked.scope).await?;
    }
    let caller = (&*agent, UpstreamKeyOwner::Agent(agent.id), task);
    let judged = hold(
        app,
        caller,
        (None, false),
        seen,
        |calling, policy, clock| may_read(calling, asked, policy, clock),
    );
    judged.await.map(drop)
}
