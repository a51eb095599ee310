//! What keeps a question from being asked: looked at only where a new one would be.

use super::ruled::Ruled;
use crate::aggregate::{Agent, Approval, Task};
use crate::catalog::OperationId;
use crate::error::Error;
use crate::event::CheckedOperation;
use crate::id::UserId;
use crate::name::AgentName;
use crate::policy::{Limits, Requirement};
use crate::questions::{Counted, asked_from};
use crate::rejection::Rejection;
use crate::rules::Rules;
use crate::storage::LookupKey;
use crate::voters::{Electorate, can_be_met};
use crate::writer::Transaction;
use std::net::IpAddr;

/// The limits where there is no document: 1,000 open questions, a tenth of them of one agent and half of them of the
/// agents of one owner, so that nobody who asks much leaves no place to others. An agent may always ask as much as
/// one task may.
fn without_document(of_one_task: usize) -> Limits {
    let usual = Limits {
        open: 1000,
        per_agent: 100,
        per_owner: 500,
        per_operation: 0,
        per_address: 0,
    };
    let of_one_task = u32::try_from(of_one_task).unwrap_or(u32::MAX);
    Limits {
        per_agent: usual.per_agent.max(of_one_task),
        per_owner: usual.per_owner.max(of_one_task),
        ..usual
    }
}

/// The refusal of one more question, where something keeps it from being asked: not enough people could answer it, or
/// a limit would be passed.
pub(super) async fn keeps(
    tx: &mut Transaction<'_>,
    (task, agent): (&Task, Option<&Agent>),
    ruled: Option<&Ruled>,
    requested: &[CheckedOperation],
) -> Result<Option<Rejection>, Error> {
    if let Some(required) = ruled.and_then(Ruled::requirement)
        && let Some(refused) = unsatisfiable(tx, &asked_by(required, tx.context().rules)).await?
    {
        return Ok(Some(refused));
    }
    if has_most_open(tx, task).await? {
        let most = tx.context().rules.quotas.open_approvals;
        return Ok(Some(Rejection::TooManyOpenApprovals { most }));
    }
    let operations: Vec<_> = requested.iter().map(|asked| asked.operation).collect();
    let asked = (&*operations, asked_from(ruled.map(|ruled| &ruled.recorded)));
    passed(tx, &task.agent, agent, asked).await
}

/// The refusal of a question that not enough people could answer.
pub(super) async fn unsatisfiable(
    tx: &mut Transaction<'_>,
    asked: &Electorate<'_>,
) -> Result<Option<Rejection>, Error> {
    let why = "not enough people could approve this, without those whose wish it is";
    let can_be_met = can_be_met(tx, asked).await?;
    Ok((!can_be_met).then_some(Rejection::ApprovalUnsatisfiable { why }))
}

/// Who answers a question that is asked now.
fn asked_by<'a>(required: &'a Requirement, rules: &'a Rules) -> Electorate<'a> {
    Electorate {
        approvers: &rules.approvers,
        needs: &required.needs,
        exclude: &required.exclude,
    }
}

/// Open streams for each question that may be open, from where on they are not looked through: the writer
/// serves everybody.
const STREAMS_FOR_EACH: usize = 10;

/// True when the task has as many open questions as it may. One whose time is over does not count, even
/// before that is recorded. A write through a proxy has a task of its own, so those of its agent count there.
async fn has_most_open(tx: &mut Transaction<'_>, task: &Task) -> Result<bool, Error> {
    let most = tx.context().rules.quotas.open_approvals;
    if task.write.is_some() {
        return Ok(tx.questions().count(&Counted::Agent(task.agent.clone())) >= most);
    }
    let streams = tx.open_streams(task.id).await?;
    if streams.len() < most {
        return Ok(false);
    }
    if streams.len() >= most.saturating_mul(STREAMS_FOR_EACH) {
        return Ok(true);
    }
    let mut open = 0_usize;
    for stream in streams {
        let Some(approval) = tx.load_if::<Approval>(stream).await? else {
            continue;
        };
        open += usize::from(approval.is_open_at(tx.context().now));
    }
    Ok(open >= most)
}

/// The limit that one more question of this agent about these operations would pass, if one.
async fn passed(
    tx: &mut Transaction<'_>,
    name: &AgentName,
    agent: Option<&Agent>,
    (operations, address): (&[OperationId], Option<IpAddr>),
) -> Result<Option<Rejection>, Error> {
    let in_force = tx.policy().map(|known| known.policy.limits);
    let of_one_task = tx.context().rules.quotas.open_approvals;
    let limits = in_force.unwrap_or_else(|| without_document(of_one_task));
    let questions = tx.questions();
    let most_of_one = || {
        let asked = operations.iter().copied();
        let counts = asked.map(|id| questions.count(&Counted::Operation(id)));
        counts.max().unwrap_or(0)
    };
    let of_agent = || questions.count(&Counted::Agent(name.clone()));
    if is_reached(limits.open, || questions.count(&Counted::All)) {
        return Ok(Some(too_many("open", limits.open)));
    }
    if is_reached(limits.per_agent, of_agent) {
        return Ok(Some(too_many("per_agent", limits.per_agent)));
    }
    if is_reached(limits.per_operation, most_of_one) {
        return Ok(Some(too_many("per_operation", limits.per_operation)));
    }
    let from_there = || questions.count(&Counted::Address(address));
    if is_reached(limits.per_address, from_there) {
        return Ok(Some(too_many("per_address", limits.per_address)));
    }
    let owner = agent.and_then(|agent| agent.described.owner);
    if let Some(owner) = owner.filter(|_| limits.per_owner > 0) {
        let asking = questions.agents();
        let count = of_owner(tx, owner, asking).await?;
        if is_reached(limits.per_owner, || count) {
            return Ok(Some(too_many("per_owner", limits.per_owner)));
        }
    }
    Ok(None)
}

fn is_reached(most: u32, count: impl Fn() -> usize) -> bool {
    most > 0 && count() >= usize::try_from(most).unwrap_or(usize::MAX)
}

/// How many questions the agents of an owner have open, by who answers for them now.
async fn of_owner(
    tx: &mut Transaction<'_>,
    owner: UserId,
    asking: Vec<(AgentName, usize)>,
) -> Result<usize, Error> {
    let mut count = 0;
    for (name, open) in asking {
        let agent = tx.find_state::<Agent>(&LookupKey::agent(&name)).await;
        let agent = Error::none_if_erased(agent)?;
        if agent.is_some_and(|agent| agent.described.owner == Some(owner)) {
            count += open;
        }
    }
    Ok(count)
}

const fn too_many(limit: &'static str, most: u32) -> Rejection {
    Rejection::TooManyQuestions { limit, most }
}
