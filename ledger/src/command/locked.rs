//! How decisions ask for the locks: nothing is read where none was ever set.

use super::authority::owner;
use super::callbacks::of_question;
use crate::aggregate::{
    Agent, Apply, Approval, Approver, Lock, QuestionSubject, Schedule, Session, Task, User,
};
use crate::callback_report;
use crate::error::Error;
use crate::event::{ApprovalCancelled, AskedSubject, LockTarget};
use crate::id::{AgentId, ApplyId, StreamId};
use crate::locks::Locks;
use crate::name::{ApproverName, CredentialId};
use crate::rejection::Rejection;
use crate::storage::{LookupKey, NewEvent};
use crate::writer::{Context, Transaction};
use std::sync::Arc;

/// The reason in events for what a lock cancels or stops.
pub(super) const LOCKED: &str = "locked";

/// Holds an agent to the locks: the first thing that whatever begins something for it asks.
///
/// # Errors
/// [`Rejection::Locked`].
pub(super) fn admit_agent(
    tx: &Transaction<'_>,
    agent: Option<&Agent>,
    besides: &[LockTarget],
) -> Result<(), Rejection> {
    let locks = tx.locks();
    if locks.is_empty() {
        return Ok(());
    }
    let targets = [Locks::targets_of_agent(agent), besides.to_vec()].concat();
    locks.admit(&targets, tx.context().now)
}

/// As [`admit_agent`], by the agent's id.
pub(super) async fn admit_agent_of(
    tx: &mut Transaction<'_>,
    agent_id: AgentId,
    besides: &[LockTarget],
) -> Result<(), Error> {
    if tx.locks().is_empty() {
        return Ok(());
    }
    let agent = Error::none_if_erased(tx.load::<Agent>(agent_id).await)?;
    Ok(admit_agent(tx, agent.as_deref(), besides)?)
}

/// The targets of an apply.
async fn of_apply(
    tx: &mut Transaction<'_>,
    task: &Task,
    apply: &Apply,
) -> Result<Vec<LockTarget>, Error> {
    let agent = Error::none_if_erased(tx.load::<Agent>(task.agent_id).await)?;
    Ok(Locks::targets(task, agent.as_deref(), apply))
}

/// The targets of somebody who decides by a passkey.
async fn of_decider(
    tx: &mut Transaction<'_>,
    principal: &ApproverName,
    credential: &CredentialId,
) -> Result<Vec<LockTarget>, Error> {
    let user = Error::none_if_erased(owner(tx, principal).await)?;
    let mut targets = vec![LockTarget::Credential(credential.clone())];
    targets.extend(user.map(|user| LockTarget::User(user.id)));
    Ok(targets)
}

/// Whether a lock stops a passkey, or the user whose it is.
pub(super) async fn is_decider_locked(
    tx: &mut Transaction<'_>,
    principal: &ApproverName,
    credential: &CredentialId,
) -> Result<bool, Error> {
    let locks = tx.locks();
    if locks.is_empty() {
        return Ok(false);
    }
    let targets = of_decider(tx, principal, credential).await?;
    Ok(locks.in_force(&targets, tx.context().now).is_some())
}

/// Whether a lock on its user, or on a passkey by which the user logs in, ended a session.
pub(super) async fn is_session_dead(
    tx: &mut Transaction<'_>,
    user: &User,
    session: &Session,
) -> Result<bool, Error> {
    let locks = tx.locks();
    if locks.is_empty() {
        return Ok(false);
    }
    let mut holders = Vec::new();
    for principal in user.principals() {
        let key = LookupKey::approver(&principal);
        holders.extend(Error::none_if_erased(
            tx.find_state::<Approver>(&key).await,
        )?);
    }
    Ok(locks.end_session((user, session), &holders, tx.context().now))
}

/// The targets of a question: those of its apply or its schedule; of anything else, who wants it.
async fn of_asked(
    tx: &mut Transaction<'_>,
    task: Option<&Task>,
    approval: &Approval,
) -> Result<Vec<LockTarget>, Error> {
    match (&approval.subject, task) {
        (QuestionSubject::Apply(asked), Some(task)) => {
            let apply = tx.existing::<Apply>(asked.apply_id).await?;
            of_apply(tx, task, &apply).await
        }
        (QuestionSubject::Besides(subject), _) => match &**subject {
            AskedSubject::Schedule(proposal) => of_schedule(tx, proposal.schedule_id).await,
            AskedSubject::PolicyChange(_) | AskedSubject::Review(_) => {
                Ok(approval.wanted_by().map(LockTarget::User).collect())
            }
        },
        (QuestionSubject::Apply(_), None) => Ok(Vec::new()),
    }
}

/// The targets of everything that a schedule asks for.
async fn of_schedule(
    tx: &mut Transaction<'_>,
    schedule: StreamId,
) -> Result<Vec<LockTarget>, Error> {
    let schedule = tx.existing::<Schedule>(schedule.into()).await?;
    let agent = Error::none_if_erased(tx.load::<Agent>(schedule.agent_id).await)?;
    let mut targets = Locks::targets_of_agent(agent.as_deref());
    targets.push(LockTarget::Agent(schedule.agent_id));
    targets.extend(LockTarget::operations_of(&schedule.operations));
    Ok(targets)
}

/// The lock in force on what a question asks for.
pub(super) async fn lock_on(
    tx: &mut Transaction<'_>,
    task: Option<&Task>,
    approval: &Approval,
) -> Result<Option<Arc<Lock>>, Error> {
    let locks = tx.locks();
    if locks.is_empty() {
        return Ok(None);
    }
    let targets = of_asked(tx, task, approval).await?;
    let lock = locks.in_force(&targets, tx.context().now);
    Ok(lock.map(|lock| Arc::new(lock.clone())))
}

/// Whether a lock ended a question, or what was decided of it.
pub(super) async fn is_question_dead(
    tx: &mut Transaction<'_>,
    task: Option<&Task>,
    approval: &Approval,
) -> Result<bool, Error> {
    let locks = tx.locks();
    if locks.is_empty() {
        return Ok(false);
    }
    let now = tx.context().now;
    let targets = of_asked(tx, task, approval).await?;
    if locks.end(&targets, approval.created_at, now) {
        return Ok(true);
    }
    let (Some(decided), Some(at)) = (&approval.decision, approval.decided_at) else {
        return Ok(false);
    };
    let votes = approval.standing_votes().map(|vote| (&vote.cast, vote.at));
    for (signed, at) in votes.chain([(decided, at)]) {
        let targets = of_decider(tx, &signed.principal, &signed.credential_id).await?;
        if locks.end(&targets, at, now) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a lock ended an apply that was accepted, so that nothing more of it is sent.
pub(super) async fn is_apply_dead(
    tx: &mut Transaction<'_>,
    task: &Task,
    apply: &Apply,
) -> Result<bool, Error> {
    let locks = tx.locks();
    if locks.is_empty() {
        return Ok(false);
    }
    let targets = of_apply(tx, task, apply).await?;
    if locks.end(&targets, apply.accepted_at, tx.context().now) {
        return Ok(true);
    }
    match (apply.approval_id, apply.scheduled_by) {
        (Some(approval), _) => {
            let approval = tx.existing::<Approval>(approval).await?;
            is_question_dead(tx, Some(task), &approval).await
        }
        (None, Some(whole)) => {
            let whole = tx.existing::<Approval>(whole).await?;
            is_question_dead(tx, None, &whole).await
        }
        (None, None) => match apply.allowed_by() {
            Some(first) => is_write_dead(tx, first).await,
            None => Ok(false),
        },
    }
}

/// Whether a lock ended the question about a write whose approval allows more.
async fn is_write_dead(tx: &mut Transaction<'_>, first: ApplyId) -> Result<bool, Error> {
    let first = Error::none_if_erased(tx.load::<Apply>(first).await)?;
    let Some(first) = first else { return Ok(true) };
    let Some(approval) = first.approval_id else {
        return Ok(true);
    };
    let task = tx.existing::<Task>(first.task_id).await?;
    let approval = tx.existing::<Approval>(approval).await?;
    is_question_dead(tx, Some(&task), &approval).await
}

/// The events that cancel a question that a lock ended and nothing has recorded yet; none otherwise.
pub(super) async fn cancel(
    tx: &mut Transaction<'_>,
    task: Option<&Task>,
    approval: &Approval,
) -> Result<Vec<NewEvent>, Error> {
    if !approval.is_open_at(tx.context().now) || !is_question_dead(tx, task, approval).await? {
        return Ok(Vec::new());
    }
    Ok(cancelled(&tx.context(), task, approval))
}

fn cancelled(context: &Context<'_>, task: Option<&Task>, approval: &Approval) -> Vec<NewEvent> {
    let cancelled = context.event(approval.id, ApprovalCancelled::because(LOCKED));
    let message = callback_report::cancelled(LOCKED);
    of_question(context, task, approval, cancelled, message)
}
