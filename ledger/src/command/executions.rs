//! Executing an apply, operation by operation: intent before effect, outcome after.

use super::Command;
use super::acting::still_acts;
use super::asked_anew::{Anew, ReadAgain, ask_anew, recorded_client};
use super::callbacks::{Subject, owe};
use super::clearances::{CLEARANCE_ENDED, stands};
use super::locked::{LOCKED, is_apply_dead};
use super::ruled::{Again, POLICY, PRE_STATE, Ruled, asks_today, cancelled, look_again};
use super::tasks::stop;
use crate::aggregate::{Agent, Apply, Approval, Clearance, OperationState, Task};
use crate::callback_report;
use crate::error::Error;
use crate::event::{
    ApplyEnd, ApplyEnded, ApplyResolved, ApprovalReleased, Evidence, OperationEnded,
    OperationOutcome, OperationStarted, ReadBefore, Role,
};
use crate::id::{ApplyId, ExecutionId};
use crate::locks::Locks;
use crate::rejection::Rejection;
use crate::statement::PreStateDigest;
use crate::storage::NewEvent;
use crate::writer::{Context, Transaction};
use std::sync::Arc;
use std::time::Duration;

/// Records the intent to carry out an apply's next operation. Only who gets
/// [`OperationStart::Go`] may send it.
#[derive(Debug, Clone)]
pub struct StartOperation {
    pub apply_id: ApplyId,
    pub index: usize,
    /// No credential is configured: nothing will be sent.
    pub simulated: bool,
    pub method: String,
    /// Path and query below the API base.
    pub path: String,
    /// Hex SHA-256 of the body, where there is one.
    pub body_digest: Option<String>,
    /// The state that was read upstream just before.
    pub read_before: ReadBefore,
    /// Before the first operation: what was read again of all of them, where their approval is bound to that.
    pub read_again: Option<ReadAgain>,
}

/// The answer to a start: to be sent or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationStart {
    Go,
    /// The task was closed, a lock or a change of the policy stops it, its clearance has ended, or the state upstream
    /// is not the one that its approval is bound to; the apply has ended instead, or is asked about anew.
    Stopped,
}

impl Command for StartOperation {
    type Answer = OperationStart;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<OperationStart, Error> {
        let (apply, task) = apply_and_task(tx, self.apply_id).await?;
        let is_dead = is_apply_dead(tx, &task, &apply).await?;
        let may_run = apply.is_running() && task.closed_at.is_none() && !is_dead;
        let is_ruled = tx.policy().is_some() || apply.evaluation.is_some();
        if may_run
            && is_ruled
            && let Some(halt) = halted(tx, &task, &apply, &self).await?
        {
            halt_apply(tx, &task, &apply, halt, self.read_again).await?;
            return Ok(OperationStart::Stopped);
        }
        let ended = match is_dead {
            true => Some(LOCKED),
            false if !is_still_cleared(tx, &task, &apply).await? => Some(CLEARANCE_ENDED),
            false => None,
        };
        let (events, start) = decide_start(&self, &apply, &task, ended, &tx.context())?;
        tx.append(events).await?;
        Ok(start)
    }
}

/// The reason that keeps an accepted operation from being started.
struct Halt {
    /// The reason in events.
    why: &'static str,
    /// The question whose answer does not do, and what is to be asked in its place.
    anew: Option<(Arc<Approval>, Box<Ruled>)>,
}

/// What halts an apply: today's policy denies it or wants another answer than it got, or upstream is not as the people
/// saw who approved it. What runs is not looked at: only what has not begun.
async fn halted(
    tx: &mut Transaction<'_>,
    task: &Task,
    apply: &Apply,
    start: &StartOperation,
) -> Result<Option<Halt>, Error> {
    let waits = |state: &OperationState| *state == OperationState::Waiting;
    let next = apply.next_operation();
    let next = next.and_then(|next| apply.operations.get(next));
    if !next.is_some_and(waits) {
        return Ok(None);
    }
    let approval = match apply.approval_id {
        Some(approval) => tx.load::<Approval>(approval).await?,
        None => None,
    };
    // What has begun in part is not done a second time.
    let used = approval
        .as_ref()
        .filter(|approval| apply.execution_id.is_none() && approval.consumed_by == Some(apply.id));
    let halt = |why, ruled: Option<Box<Ruled>>| {
        let anew = used.map(Arc::clone).zip(ruled);
        Some(Halt { why, anew })
    };
    match look_again(tx, task, apply, approval.as_deref()).await? {
        Again::Ends(_) => return Ok(halt(POLICY, None)),
        Again::Anew(ruled) => return Ok(halt(POLICY, Some(ruled))),
        Again::Holds => {}
    }
    let drifted = used.filter(|approval| !start.simulated && has_drifted(approval, start));
    let Some(approval) = drifted else {
        return Ok(None);
    };
    // Without a document nobody can be asked in its words; one that allows it today needs no approval.
    if tx.policy().is_none() {
        return Ok(halt(PRE_STATE, None));
    }
    let asked = asks_today(tx, task, apply, approval).await?;
    Ok(asked.and_then(|ruled| halt(PRE_STATE, Some(Box::new(ruled)))))
}

/// Whether what an approval is bound to is not what was read again. What was not read is not the same.
fn has_drifted(approval: &Approval, start: &StartOperation) -> bool {
    let again = start.read_again.as_ref();
    approval.binds_pre_state()
        && again.map(|read| PreStateDigest::of(&read.operations)) != approval.state_digest()
}

/// Cancels the approval of an apply and asks anew, or ends the apply where nobody can be asked.
async fn halt_apply(
    tx: &mut Transaction<'_>,
    task: &Task,
    apply: &Apply,
    halt: Halt,
    read: Option<ReadAgain>,
) -> Result<(), Error> {
    if let Some((replaced, ruled)) = halt.anew {
        let events = cancelled(&tx.context(), Some(task), &replaced, halt.why);
        tx.append(events).await?;
        let agent = Error::none_if_erased(tx.load::<Agent>(task.agent_id).await)?;
        let anew = Anew {
            task,
            agent: agent.as_deref(),
            apply,
            replaced: &replaced,
            key: apply.asked_by_key(task),
            client: recorded_client(task, apply, Some(&*replaced)),
            ruled: *ruled,
            read: read.filter(|read| read.operations.len() == apply.operations.len()),
        };
        match ask_anew(tx, anew).await {
            Err(Error::Rejected(_)) => {}
            asked => return asked,
        }
    }
    let stopped = stop(&tx.context(), task, apply, halt.why);
    tx.append(stopped).await
}

/// Whether the kept decision that authorised an apply still does; true for one that none did.
async fn is_still_cleared(
    tx: &mut Transaction<'_>,
    task: &Task,
    apply: &Apply,
) -> Result<bool, Error> {
    let Some(clearance) = apply.clearance_id else {
        return Ok(true);
    };
    let Some(clearance) = Error::none_if_erased(tx.load::<Clearance>(clearance).await)? else {
        return Ok(false);
    };
    let agent = Error::none_if_erased(tx.load::<Agent>(task.agent_id).await)?;
    let targets = Locks::targets(task, agent.as_deref(), apply);
    stands(tx, &clearance, (task.agent_id, Some(task)), &targets).await
}

fn decide_start(
    command: &StartOperation,
    apply: &Apply,
    task: &Task,
    ended: Option<&str>,
    context: &Context<'_>,
) -> Result<(Vec<NewEvent>, OperationStart), Rejection> {
    let is_next = apply.next_operation() == Some(command.index)
        && apply.operations.get(command.index) == Some(&OperationState::Waiting);
    if !apply.is_running() || !is_next {
        return Err(Rejection::NotExecutable);
    }
    if task.closed_at.is_some() {
        let stopped = stop(context, task, apply, "task_closed");
        return Ok((stopped, OperationStart::Stopped));
    }
    if let Some(why) = ended {
        return Ok((stop(context, task, apply, why), OperationStart::Stopped));
    }
    let started = OperationStarted {
        index: u32::try_from(command.index).map_err(|_| Rejection::NotExecutable)?,
        execution_id: apply
            .execution_id
            .unwrap_or_else(|| ExecutionId::from_bytes(context.random.uuid_v7(context.now))),
        simulated: command.simulated,
        method: command.method.clone(),
        path: command.path.clone(),
        body_digest: command.body_digest.clone(),
        read_before: command.read_before.clone(),
    };
    Ok((vec![context.event(apply.id, started)], OperationStart::Go))
}

/// Records how an operation ended and, where it was the last or did not succeed, the apply's end.
#[derive(Debug, Clone)]
pub struct EndOperation {
    pub apply_id: ApplyId,
    pub index: usize,
    pub outcome: OperationOutcome,
    /// Found by reading back.
    pub reconciled: bool,
    pub duration: Duration,
    /// The rest of what upstream said and showed.
    pub evidence: Evidence,
}

impl Command for EndOperation {
    type Answer = Arc<Apply>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Apply>, Error> {
        let (apply, task) = apply_and_task(tx, self.apply_id).await?;
        let approval = match apply.approval_id {
            Some(approval_id) => tx.load::<Approval>(approval_id).await?,
            None => None,
        };
        let events = decide_end(&self, &apply, approval.as_deref(), &task, &tx.context())?;
        tx.append(events).await?;
        tx.existing::<Apply>(self.apply_id).await
    }
}

fn decide_end(
    command: &EndOperation,
    apply: &Apply,
    approval: Option<&Approval>,
    task: &Task,
    context: &Context<'_>,
) -> Result<Vec<NewEvent>, Rejection> {
    let Some(OperationState::Started(started)) = apply.operations.get(command.index) else {
        return Err(Rejection::NotExecutable);
    };
    let is_last = command.index + 1 == apply.operations.len();
    let outcome = provable(command, started);
    let end = match &outcome {
        OperationOutcome::Succeeded { .. } => is_last.then_some(ApplyEnd::Completed),
        OperationOutcome::Failed { .. } => Some(ApplyEnd::Failed),
        OperationOutcome::Unknown { .. } => Some(ApplyEnd::Unknown),
    };
    let ended = OperationEnded {
        index: started.index,
        outcome,
        reconciled: command.reconciled,
        simulated: started.simulated,
        duration_micros: u64::try_from(command.duration.as_micros()).unwrap_or(u64::MAX),
        evidence: command.evidence.clone(),
    };
    let left_no_trace = ended.left_no_trace();
    let ended = context.event(apply.id, ended);
    let cause = Some(ended.event_id);
    let mut events = vec![ended];
    if let Some(end) = end {
        if left_no_trace {
            let released = release(context, task, apply, approval);
            events.extend(released.map(|released| NewEvent { cause, ..released }));
        }
        events.extend(finish(context, task, apply, end, started.simulated));
    }
    Ok(events)
}

/// Gives back the approval of an apply that has surely applied nothing, while its window lasts. It is
/// for the same operations of the same task, so that what a human decided is still carried out once.
fn release(
    context: &Context<'_>,
    task: &Task,
    apply: &Apply,
    approval: Option<&Approval>,
) -> Option<NewEvent> {
    let approval = approval.filter(|approval| approval.consumed_by == Some(apply.id))?;
    let usable_until = approval.window_end()?;
    let in_time = task.closed_at.is_none() && context.now < usable_until;
    in_time.then(|| {
        let released = ApprovalReleased {
            apply_id: apply.id,
            usable_until,
        };
        context.event(approval.id, released)
    })
}

/// The outcome as far as the log proves it: a state that is found by reading back says that the
/// operation was carried out only where the intent recorded that another state stood there before.
fn provable(command: &EndOperation, started: &OperationStarted) -> OperationOutcome {
    let found = matches!(command.outcome, OperationOutcome::Succeeded { .. });
    if found && command.reconciled && !started.read_before.differed() {
        return OperationOutcome::Unknown {
            why: "upstream is as the operation makes it, but may have been so before".to_owned(),
        };
    }
    command.outcome.clone()
}

fn finish(
    context: &Context<'_>,
    task: &Task,
    apply: &Apply,
    end: ApplyEnd,
    simulated: bool,
) -> Vec<NewEvent> {
    let ended = context.event(apply.id, ApplyEnded { end, stopped: None });
    let owed = report(context, task, apply, &ended, end, simulated);
    std::iter::once(ended).chain(owed).collect()
}

fn report(
    context: &Context<'_>,
    task: &Task,
    apply: &Apply,
    reported: &NewEvent,
    end: ApplyEnd,
    simulated: bool,
) -> Vec<NewEvent> {
    owe(
        context,
        task,
        reported,
        &Subject::apply(apply),
        callback_report::ended(apply.id, apply.execution_id, end, simulated),
    )
}

/// A person settles an unknown outcome.
#[derive(Debug, Clone)]
pub struct ResolveApply {
    pub apply_id: ApplyId,
    /// True when the operation had been carried out.
    pub executed: bool,
    /// What the person saw; not empty.
    pub reason: String,
}

impl Command for ResolveApply {
    type Answer = Arc<Apply>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Apply>, Error> {
        still_acts(tx, Role::Operator).await?;
        let (apply, task) = apply_and_task(tx, self.apply_id).await?;
        if self.reason.trim().is_empty() {
            return Err(Rejection::Invalid {
                code: "reason_missing",
                detail: "reason must say what was found upstream".to_owned(),
            }
            .into());
        }
        if apply.end != Some(ApplyEnd::Unknown) {
            return Err(Rejection::NothingToResolve.into());
        }
        let context = tx.context();
        let resolved = ApplyResolved {
            executed: self.executed,
            reason: self.reason,
        };
        let resolved = context.event(apply.id, resolved);
        tx.append(vec![resolved.clone()]).await?;
        let settled = tx.existing::<Apply>(apply.id).await?;
        let end = settled.end.unwrap_or(ApplyEnd::Unknown);
        let owed = report(&context, &task, &settled, &resolved, end, false);
        tx.append(owed.into_iter().collect()).await?;
        Ok(settled)
    }
}

async fn apply_and_task(
    tx: &mut Transaction<'_>,
    apply_id: ApplyId,
) -> Result<(Arc<Apply>, Arc<Task>), Error> {
    let apply = tx.named::<Apply>(apply_id).await?;
    let task = tx.existing::<Task>(apply.task_id).await?;
    Ok((apply, task))
}
