//! Continuing what was approved: the approval is consumed, and the apply authorised, in one commit.

use super::applies::{Submitted, after_locks, authenticate, refuse, refuse_locked, submitted};
use super::asked_anew::{Anew, ask_anew, with_record};
use super::locked::lock_on;
use super::proof::prove_decision;
use super::ruled::{Again, POLICY, asks_today, cancelled, look_again};
use super::standing::approval_standing;
use super::{Command, Presented, RecordedRefusal, Ruling};
use crate::admissions::Client;
use crate::aggregate::{Apply, Approval, ApprovalState, CancelledBy, Task};
use crate::error::Error;
use crate::event::{ApplyAccepted, ApplyAuthorised, ApprovalConsumed, Authorisation};
use crate::fingerprint::Fingerprint;
use crate::id::{ApplyId, ApprovalId, TaskId};
use crate::name::IdempotencyKey;
use crate::policy::Edge;
use crate::rejection::Rejection;
use crate::storage::{LookupKey, NewEvent};
use crate::writer::{Context, Transaction};
use std::sync::Arc;

/// The content of a resume token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// The task.
    pub task_id: TaskId,
    /// The approval to continue.
    pub approval_id: ApprovalId,
    /// The operations that were approved.
    pub fingerprint: Fingerprint,
}

/// Executes what was approved. Consuming the approval and authorising the apply are one commit.
#[derive(Debug, Clone)]
pub struct ContinueApply {
    /// The caller.
    pub token: Presented,
    /// The apply's key; a new key stands for a new apply of the approved operations.
    pub key: IdempotencyKey,
    /// The content of the resume token.
    pub resume: Resume,
    /// What the service knows of the request and the log does not.
    pub edge: Edge,
}

impl Command for ContinueApply {
    type Answer = Ruling<Submitted>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Self::Answer, Error> {
        let (task, agent) = match authenticate(tx, &self.token).await {
            Err(Error::Rejected(refused @ Rejection::Locked { .. })) => {
                return refuse_locked(tx, &self.token, &self.key, refused).await;
            }
            admitted => admitted?,
        };
        let key = LookupKey::apply_key(task.id, &self.key);
        let apply = tx.find_state::<Apply>(&key).await?;
        // The token of a question goes on with the one that was asked in its place.
        let resumed = match &apply {
            Some(apply) if apply.replaces == Some(self.resume.approval_id) => apply.approval_id,
            _ => None,
        };
        let resumed = resumed.unwrap_or(self.resume.approval_id);
        let approval = tx.load::<Approval>(resumed).await?;
        let fits = self.resume.task_id == task.id
            && approval.as_ref().is_some_and(|approval| {
                approval.task_id() == Some(task.id)
                    && approval.fingerprint == self.resume.fingerprint
            })
            && apply.as_ref().is_none_or(|apply| {
                apply.fingerprint == self.resume.fingerprint && apply.approval_id == Some(resumed)
            });
        let Some(approval) = approval.filter(|_| fits) else {
            let refused = Rejection::ResumeMismatch;
            let fingerprint = Some(self.resume.fingerprint);
            return refuse(tx, &task, Some(&self.key), fingerprint, refused).await;
        };
        if approval.is_open_at(tx.context().now)
            && let Some(lock) = lock_on(tx, Some(&task), &approval).await?
        {
            let fingerprint = Some(approval.fingerprint);
            let refused = crate::locks::refusal(&lock);
            return refuse(tx, &task, Some(&self.key), fingerprint, refused).await;
        }
        let approval = after_locks(tx, &task, approval).await?;
        if approval.state_at(tx.context().now) == ApprovalState::Approved {
            prove_decision(tx, &approval).await?;
        }
        let asked = match &apply {
            Some(apply) => Arc::clone(apply),
            None => tx.existing::<Apply>(approval.of_apply()?.apply_id).await?,
        };
        let goes_on = apply.is_none() || asked.end.is_none() && !asked.authorised;
        let is_open = approval.is_open_at(tx.context().now);
        // What was found out already, and nobody was there to ask anew, or could be asked.
        let is_cancelled = apply.is_some() && approval.state == ApprovalState::Cancelled;
        let has_drifted = is_cancelled && approval.cancelled_by == CancelledBy::PreState;
        let is_withdrawn = is_cancelled && approval.cancelled_by == CancelledBy::Policy;
        if goes_on && (is_open || is_withdrawn || has_drifted) {
            let mut again = look_again(tx, &task, &asked, Some(&*approval)).await?;
            if is_open && !matches!(again, Again::Holds) {
                let events = cancelled(&tx.context(), Some(&task), &approval, POLICY);
                tx.append(events).await?;
            }
            if has_drifted && matches!(again, Again::Holds) {
                let asks = asks_today(tx, &task, &asked, &approval).await?;
                again = match asks {
                    Some(ruled) => Again::Anew(Box::new(ruled)),
                    None => Again::Holds,
                };
            }
            let refused = match (again, &apply) {
                (Again::Holds, _) => None,
                (Again::Ends(refused), _) => Some(refused),
                (Again::Anew(_), None) => Some(Rejection::PolicyChanged),
                (Again::Anew(ruled), Some(apply)) => {
                    let actor = tx.envelope().actor.clone();
                    let client = Client::of(task.agent_id, &actor).seen(&self.edge);
                    let anew = Anew {
                        task: &task,
                        agent: agent.as_deref(),
                        apply,
                        replaced: &approval,
                        key: self.token.key_id(),
                        client: with_record(client, apply),
                        ruled: *ruled,
                        read: None,
                    };
                    match ask_anew(tx, anew).await {
                        Ok(()) => {
                            let submitted = submitted(tx, task.id, apply.id, false).await?;
                            return Ok(Ruling::Accepted(submitted));
                        }
                        Err(Error::Rejected(refused)) => Some(refused),
                        Err(other) => return Err(other),
                    }
                }
            };
            if let Some(refused) = refused {
                let fingerprint = Some(approval.fingerprint);
                return refuse(tx, &task, Some(&self.key), fingerprint, refused).await;
            }
        }
        if let Some(apply) = apply {
            carry_on(tx, &task, &apply, &approval).await?;
            let submitted = submitted(tx, task.id, apply.id, false).await?;
            return Ok(Ruling::Accepted(submitted));
        }
        let first = tx.existing::<Apply>(approval.of_apply()?.apply_id).await?;
        let apply_id: ApplyId = tx.context().id();
        // What has ended does not use up a new key.
        let now = tx.context().now;
        if let Some(refused) = approval_standing(apply_id, &approval, now).refusal() {
            let events = super::approvals::expire(&tx.context(), Some(&task), &approval);
            tx.append(events).await?;
            return Ok(Ruling::Refused(RecordedRefusal::of(refused)));
        }
        // The operations are recorded once more, as often as the approval is given back.
        if let Err(refused) = tx.admit_bytes(&task, first.submission.len()) {
            let fingerprint = Some(approval.fingerprint);
            return refuse(tx, &task, Some(&self.key), fingerprint, refused).await;
        }
        let accepted = accept_again(&first, apply_id, &self, &task);
        let accepted = tx.context().event(apply_id, accepted);
        tx.append(vec![accepted]).await?;
        let apply = tx.existing::<Apply>(apply_id).await?;
        carry_on(tx, &task, &apply, &approval).await?;
        let submitted = submitted(tx, task.id, apply_id, true).await?;
        Ok(Ruling::Accepted(submitted))
    }
}

fn accept_again(
    first: &Apply,
    apply_id: ApplyId,
    command: &ContinueApply,
    task: &Task,
) -> ApplyAccepted {
    ApplyAccepted {
        apply_id,
        task_id: task.id,
        agent: task.agent.clone(),
        idempotency_key: command.key.clone(),
        fingerprint: first.fingerprint,
        submission: first.submission.clone(),
        check: first.check.clone(),
        authorisation: Authorisation::Awaiting(command.resume.approval_id),
        token_id: command.token.id(),
        callback_id: task.callback_id(),
        purpose: first.purpose.clone(),
        on_approval: first.on_approval,
        evaluation: first.evaluation.as_deref().cloned(),
    }
}

/// Uses the approval for the apply, where it is approved and the apply still waits.
pub(super) async fn carry_on(
    tx: &mut Transaction<'_>,
    task: &Task,
    apply: &Apply,
    approval: &Approval,
) -> Result<(), Error> {
    let events = decide_continue(task, apply, approval, &tx.context());
    tx.append(events).await
}

fn decide_continue(
    task: &Task,
    apply: &Apply,
    approval: &Approval,
    context: &Context<'_>,
) -> Vec<NewEvent> {
    match approval.state_at(context.now) {
        ApprovalState::Approved if !apply.authorised && apply.end.is_none() => {
            let consumed = context.event(approval.id, ApprovalConsumed { apply_id: apply.id });
            let authorised = context.event(
                apply.id,
                ApplyAuthorised {
                    approval_id: approval.id,
                },
            );
            let cause = Some(consumed.event_id);
            vec![
                consumed,
                NewEvent {
                    cause,
                    ..authorised
                },
            ]
        }
        ApprovalState::Expired => super::approvals::expire(context, Some(task), approval),
        ApprovalState::Approved
        | ApprovalState::Pending
        | ApprovalState::Denied
        | ApprovalState::Cancelled
        | ApprovalState::Consumed => Vec::new(),
    }
}
