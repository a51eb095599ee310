//! What an agent did before it asked a question, as the person who is asked may want to know it.

use crate::app::App;
use ledger::aggregate::{Approval, AskedApply, Task};
use ledger::operation::MatchDigest;
use ledger::{AgentName, TaskId, Timestamp};
use projections::{ApprovalStatus, ApprovalView, Carried, Projection};
use std::time::Duration;

/// How far back an agent's record goes.
pub const PERIOD: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most answers to an agent that are searched for one to the same request.
pub const LOOKED_AT: u32 = 30;

/// How long a page waits for the read tables; it is shown without them rather than late.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is known of an agent besides a question of it. What was erased is in none of the numbers.
#[derive(Debug, Clone)]
pub struct AgentRecord {
    /// The operations that the same task has asked for before.
    pub in_task: Carried,
    /// The operations that the agent has asked for in [`PERIOD`].
    pub in_period: Carried,
    /// The questions that it has asked in [`PERIOD`], this one included: for each state, and whether a person
    /// has decided, how many.
    pub asked: Vec<(ApprovalStatus, bool, u64)>,
    /// A person's newest answer to the same operations in the same task; to the same request where a client of an API
    /// sent it itself, among the newest [`LOOKED_AT`] answers to the agent.
    pub last: Option<ApprovalView>,
    /// True where something was erased from this ledger, which may be what is missing here.
    pub is_erased_in_part: bool,
}

/// The record beside a question of an agent; `None` where the read tables do not give it in time.
pub async fn beside(app: &App, approval: &Approval, now: Timestamp) -> Option<AgentRecord> {
    let asked = approval.apply()?;
    match read(app, approval, asked, now).await {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::warn!(%error, "a question is shown without the record of its agent");
            None
        }
    }
}

async fn read(
    app: &App,
    approval: &Approval,
    asked: &AskedApply,
    now: Timestamp,
) -> Result<AgentRecord, projections::Error> {
    let views = &app.projections;
    let read = [Projection::Tasks, Projection::Timeline];
    views.caught_up(&read, PATIENCE).await?;
    let since = now.minus(PERIOD);
    let agent = &asked.agent;
    Ok(AgentRecord {
        in_task: views.carried_in_task(asked.task_id, asked.apply_id).await?,
        in_period: views.carried_by(agent, since).await?,
        asked: views.asked_by(agent, since).await?,
        last: match write_of(app, asked.task_id).await {
            None => views.last_answer(approval.fingerprint, approval.id).await?,
            Some(write) => last_answer_to_write(app, approval, agent, write).await?,
        },
        is_erased_in_part: views.has_erased().await?,
    })
}

/// The request that a task was opened for by a client's call; `None` for any other task.
async fn write_of(app: &App, task: TaskId) -> Option<MatchDigest> {
    let task = ledger::Error::none_if_erased(app.ledger.load::<Task>(task).await);
    task.ok().flatten().and_then(|task| task.write)
}

/// A person's newest answer to the same request: each sending of it has a task of its own, and so a fingerprint.
async fn last_answer_to_write(
    app: &App,
    approval: &Approval,
    agent: &AgentName,
    write: MatchDigest,
) -> Result<Option<ApprovalView>, projections::Error> {
    let views = &app.projections;
    let answers = views.newest_answers_to_agent(agent, approval.id, LOOKED_AT);
    for answer in answers.await? {
        let Some(task) = answer.task_id else {
            continue;
        };
        if write_of(app, task).await == Some(write) {
            return Ok(Some(answer));
        }
    }
    Ok(None)
}
