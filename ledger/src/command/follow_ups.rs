//! Writes that follow one which people approved and which was carried out: what its approval allowed besides is done
//! once, for a short time; everything else is asked about, as always.

use super::Presented;
use super::ruled::Ruled;
use super::schedule_questions::{is_enough, stands};
use crate::aggregate::{Apply, Approval, ApprovalState, OperationState, Task};
use crate::error::Error;
use crate::event::{ApplyEnd, ApplyFollows, LockTarget, OperationOutcome};
use crate::fingerprint::operations_of;
use crate::id::ApplyId;
use crate::operation::{ForwardedRequest, Operation};
use crate::provider::{Following, Providers};
use crate::rejection::Rejection;
use crate::storage::LookupKey;
use crate::writer::Transaction;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// How long after its end a write can be followed.
pub const FOLLOWED: Duration = Duration::from_secs(600);

/// The most requests that follow one write and are looked at; where there are more, nothing is allowed besides.
const MOST: usize = 32;

/// The id that upstream gave to what an apply of one operation has made, where it is recorded.
#[must_use]
pub fn made_by(outcome: &OperationOutcome) -> Option<String> {
    #[derive(Deserialize)]
    struct Made {
        id: String,
    }
    match outcome {
        OperationOutcome::Succeeded { result, .. } => {
            let made: Result<Made, _> = serde_json::from_str(result);
            made.ok().map(|made| made.id)
        }
        OperationOutcome::Failed { .. } | OperationOutcome::Unknown { .. } => None,
    }
}

/// What a new apply is to the write that its request says it follows; `None` where it says none.
///
/// # Errors
/// [`Rejection::FollowsNothing`] where that is not there, or is another agent's.
pub(super) async fn follow(
    tx: &mut Transaction<'_>,
    (token, task): (&Presented, &Task),
    operations: &[Operation],
    targets: &[LockTarget],
    ruled: Option<&Ruled>,
) -> Result<Option<ApplyFollows>, Error> {
    let [operation] = operations else {
        return Ok(None);
    };
    let Some(request) = operation.forwarded() else {
        return Ok(None);
    };
    let Some(first) = request.follows else {
        return Ok(None);
    };
    let first = Error::none_if_erased(tx.load::<Apply>(first).await)?;
    let first = first.ok_or(Rejection::FollowsNothing)?;
    let of = tx.existing::<Task>(first.task_id).await?;
    if of.agent_id != task.agent_id {
        return Err(Rejection::FollowsNothing.into());
    }
    let previous = tx.find(&LookupKey::follower(first.id)).await?;
    let mut follows = ApplyFollows {
        first: first.id,
        allowed_as: None,
        previous: previous.map(ApplyId::from),
    };
    if first.token_id != token.id() {
        return Ok(Some(follows));
    }
    let providers = &tx.context().rules.providers;
    if let Some(name) = allowed_by(providers, &first, request)
        && is_unused(tx, &name, follows.previous).await?
        && still_answers(tx, (&first, &of), targets, ruled).await?
    {
        follows.allowed_as = Some(name);
    }
    Ok(Some(follows))
}

/// The name of what a request is among what was allowed beside a write; `None` where it is none of that.
fn allowed_by(providers: &Providers, first: &Apply, then: &ForwardedRequest) -> Option<String> {
    let [OperationState::Ended { outcome, .. }] = first.operations.as_slice() else {
        return None;
    };
    let submitted = operations_of(first.submission.as_bytes()).ok()?;
    let [submitted] = submitted.as_slice() else {
        return None;
    };
    let write = providers.read_recorded(submitted).ok()?;
    let request = write.forwarded()?;
    let made = made_by(outcome);
    match request.followed_by(&**write.provider(), made.as_deref(), then) {
        Following::Allowed(name) => {
            let mut allowed = request.also_allowed.iter();
            allowed
                .any(|allowed| allowed.name == name)
                .then(|| name.to_owned())
        }
        Following::Asks | Following::No => None,
    }
}

/// Whether nothing was done yet as what is allowed under this name, and nothing that followed was denied.
async fn is_unused(
    tx: &mut Transaction<'_>,
    name: &str,
    newest: Option<ApplyId>,
) -> Result<bool, Error> {
    let mut next = newest;
    for _ in 0..MOST {
        let Some(id) = next else { return Ok(true) };
        let Some(other) = Error::none_if_erased(tx.load::<Apply>(id).await)? else {
            return Ok(false);
        };
        let Some(follows) = &other.follows else {
            return Ok(false);
        };
        if follows.allowed_as.as_deref() == Some(name) {
            return Ok(false);
        }
        if let Some(question) = other.approval_id {
            let question = Error::none_if_erased(tx.load::<Approval>(question).await)?;
            if question.is_none_or(|question| question.state == ApprovalState::Denied) {
                return Ok(false);
            }
        }
        next = follows.previous;
    }
    Ok(next.is_none())
}

/// Whether the write was carried out shortly before, and its approval is enough for what is asked now and still counts.
async fn still_answers(
    tx: &mut Transaction<'_>,
    (first, task): (&Apply, &Task),
    targets: &[LockTarget],
    ruled: Option<&Ruled>,
) -> Result<bool, Error> {
    let now = tx.context().now;
    let is_done = first.end == Some(ApplyEnd::Completed) && first.resolved.is_none();
    let is_recent = first.ended_at.is_some_and(|at| now.since(at) < FOLLOWED);
    let (true, true, Some(approval)) = (is_done, is_recent, first.approval_id) else {
        return Ok(false);
    };
    let approval = Error::none_if_erased(tx.load::<Approval>(approval).await)?;
    let Some(approval): Option<Arc<Approval>> = approval else {
        return Ok(false);
    };
    if approval.consumed_by != Some(first.id) {
        return Ok(false);
    }
    let required = ruled.and_then(Ruled::requirement);
    if required.is_some_and(|required| !is_enough(&approval, required)) {
        return Ok(false);
    }
    stands(tx, Some(task), &approval, targets).await
}
