//! Changes of an approval besides its decision: narrowed, read upstream, expired.

use super::acting::still_acts;
use super::admissions::optional_reason;
use super::authority::admit;
use super::callbacks::of_question;
use super::{Command, Presented};
use crate::aggregate::{Approval, ApprovalState, Task};
use crate::callback_report;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{
    ApprovalCancelled, ApprovalExpired, ApprovalNarrowed, PreState, PreStateRecorded, Role,
    ZoneRead,
};
use crate::id::{ApprovalId, TaskId};
use crate::name::ApproverName;
use crate::rejection::Rejection;
use crate::statement::QuestionKind;
use crate::storage::{LookupKey, NewEvent};
use crate::voters::{Electorate, can_be_met};
use crate::writer::{Context, Transaction};
use std::sync::Arc;

/// The reason in events for what a person cancels.
pub(super) const PERSON: &str = "person";

/// The events of a deadline that has passed but is not recorded yet; none otherwise.
pub(super) fn expire(
    context: &Context<'_>,
    task: Option<&Task>,
    approval: &Approval,
) -> Vec<NewEvent> {
    let was_approved = match approval.state {
        ApprovalState::Pending => false,
        ApprovalState::Approved => true,
        ApprovalState::Denied
        | ApprovalState::Expired
        | ApprovalState::Cancelled
        | ApprovalState::Consumed => return Vec::new(),
    };
    let Some(deadline) = approval
        .deadline()
        .filter(|deadline| context.now >= *deadline)
    else {
        return Vec::new();
    };
    let expired = context.event(
        approval.id,
        ApprovalExpired {
            deadline,
            was_approved,
        },
    );
    let message = callback_report::expired(deadline, was_approved);
    of_question(context, task, approval, expired, message)
}

/// Records that an approval's deadline has passed. Answers whether it was this that recorded it.
#[derive(Debug, Clone, Copy)]
pub struct ExpireApproval {
    /// The approval.
    pub approval_id: ApprovalId,
}

impl Command for ExpireApproval {
    type Answer = bool;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<bool, Error> {
        let (approval, task) = approval_and_task(tx, self.approval_id).await?;
        let events = expire(&tx.context(), task.as_deref(), &approval);
        let expired = !events.is_empty();
        tx.append(events).await?;
        Ok(expired)
    }
}

/// Holds whatever is done to a question that waits for people to its being one.
///
/// # Errors
/// What became of it.
pub(super) fn is_open(approval: &Approval, now: Timestamp) -> Result<(), Rejection> {
    match approval.state_at(now) {
        ApprovalState::Pending => Ok(()),
        ApprovalState::Expired => Err(Rejection::ApprovalExpired {
            at: approval.expiry(),
        }),
        ApprovalState::Cancelled => Err(approval.cancellation()),
        decided @ (ApprovalState::Approved | ApprovalState::Denied | ApprovalState::Consumed) => {
            Err(Rejection::ApprovalDecided {
                state: decided.as_str(),
            })
        }
    }
}

/// Cancels a question, or an approval that nothing has used. One that was cancelled before stays as it is.
#[derive(Debug, Clone)]
pub struct CancelApproval {
    /// The approval.
    pub approval_id: ApprovalId,
    /// The reason, at most 1000 characters, where the person gives one.
    pub comment: Option<String>,
}

impl Command for CancelApproval {
    type Answer = Arc<Approval>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Approval>, Error> {
        still_acts(tx, Role::Operator).await?;
        let comment = optional_reason(self.comment)?;
        let (approval, task) = approval_and_task(tx, self.approval_id).await?;
        let context = tx.context();
        if approval.state_at(context.now) == ApprovalState::Cancelled {
            return Ok(approval);
        }
        if !approval.is_open_at(context.now) {
            is_open(&approval, context.now).map_err(Rejection::outside_a_link)?;
        }
        // Whoever was on call may be an operator, and does not spare others the review.
        if approval.kind() == QuestionKind::Review {
            return Err(Rejection::ReviewNotCancelled.into());
        }
        let cancelled = ApprovalCancelled {
            reason: PERSON.to_owned(),
            comment,
        };
        let cancelled = context.event(approval.id, cancelled);
        let message = callback_report::cancelled(PERSON);
        let events = of_question(&context, task.as_deref(), &approval, cancelled, message);
        tx.append(events).await?;
        tx.existing::<Approval>(self.approval_id).await
    }
}

/// Loads an approval, and its task where it is about an apply.
pub(super) async fn approval_and_task(
    tx: &mut Transaction<'_>,
    approval_id: ApprovalId,
) -> Result<(Arc<Approval>, Option<Arc<Task>>), Error> {
    let approval = tx.named::<Approval>(approval_id).await?;
    let task = match approval.task_id() {
        Some(task_id) => Some(tx.existing::<Task>(task_id).await?),
        None => None,
    };
    Ok((approval, task))
}

/// Finds the newest question of the task that is open, and may narrow who decides it.
#[derive(Debug, Clone)]
pub struct NarrowApproval {
    /// The caller.
    pub token: Presented,
    /// The one principal who may decide from here on; must be among those who may already.
    pub principal: Option<ApproverName>,
}

impl Command for NarrowApproval {
    type Answer = Arc<Approval>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Approval>, Error> {
        admit(tx, self.token.task_id(), &self.token).await?;
        let approval = newest_pending(tx, self.token.task_id())
            .await?
            .ok_or(Rejection::NothingPending)?;
        let events = decide_narrow(&approval, self.principal.as_ref(), &tx.context())?;
        if let Some(principal) = self.principal.filter(|_| approval.policy.is_some()) {
            let asked = Electorate {
                approvers: &[principal],
                ..approval.electorate()
            };
            if !can_be_met(tx, &asked).await? {
                let why = "this one alone is not who is needed to approve it";
                return Err(Rejection::ApprovalUnsatisfiable { why }.into());
            }
        }
        tx.append(events).await?;
        tx.existing::<Approval>(approval.id).await
    }
}

pub(super) fn is_pending(approval: &Approval, task: TaskId, now: Timestamp) -> bool {
    approval.task_id() == Some(task) && approval.state_at(now) == ApprovalState::Pending
}

/// The question of the task that was asked last among those that are still open.
async fn newest_pending(
    tx: &mut Transaction<'_>,
    task: TaskId,
) -> Result<Option<Arc<Approval>>, Error> {
    let now = tx.context().now;
    // Nearly always the one that was asked last. There can be very many others, and the writer serves
    // everybody: they are looked through only when that one is decided.
    let last = tx
        .find_state::<Approval>(&LookupKey::newest_approval(task))
        .await?;
    if let Some(last) = last.filter(|last| is_pending(last, task, now)) {
        return Ok(Some(last));
    }
    let mut newest: Option<Arc<Approval>> = None;
    for stream in tx.open_streams(task).await? {
        let Some(approval) = tx.load_if::<Approval>(stream).await? else {
            continue;
        };
        // Stream ids grow with time, which settles a tie.
        let later = |known: &Arc<Approval>| {
            (known.created_at, known.id) < (approval.created_at, approval.id)
        };
        if approval.state_at(now) == ApprovalState::Pending && newest.as_ref().is_none_or(later) {
            newest = Some(approval);
        }
    }
    Ok(newest)
}

fn decide_narrow(
    approval: &Approval,
    principal: Option<&ApproverName>,
    context: &Context<'_>,
) -> Result<Vec<NewEvent>, Rejection> {
    if approval.state_at(context.now) != ApprovalState::Pending {
        return Err(Rejection::NothingPending);
    }
    let Some(principal) = principal else {
        return Ok(Vec::new());
    };
    if !approval.approvers.contains(principal) {
        return Err(Rejection::NotEligible {
            principal: principal.clone(),
        });
    }
    if approval.approvers.len() == 1 {
        return Ok(Vec::new());
    }
    let narrowed = ApprovalNarrowed {
        approvers: vec![principal.clone()],
    };
    Ok(vec![context.event(approval.id, narrowed)])
}

/// Records what upstream looked like when the question was asked; the first reading stays.
#[derive(Debug, Clone)]
pub struct RecordPreState {
    /// The approval.
    pub approval_id: ApprovalId,
    /// One for each operation.
    pub operations: Vec<PreState>,
    /// One for each zone that an operation acts on.
    pub zones: Vec<ZoneRead>,
}

impl Command for RecordPreState {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let approval = tx.named::<Approval>(self.approval_id).await?;
        approval.of_apply()?;
        if approval.pre_state.is_none()
            && approval.state_at(tx.context().now) == ApprovalState::Pending
        {
            let recorded = PreStateRecorded {
                operations: self.operations,
                zones: self.zones,
            };
            let event = tx.context().event(approval.id, recorded);
            tx.append(vec![event]).await?;
        }
        Ok(())
    }
}
