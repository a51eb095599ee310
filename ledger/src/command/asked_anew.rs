//! Asking about an apply anew, where the policy wants another answer than its question would get.

use super::Presented;
use super::applies::{Question, after_locks, ask};
use super::clearances::{self, Unasked};
use super::devices::devices_of_approvers;
use super::question_limits;
use super::ruled::Ruled;
use super::votes::excluded;
use crate::admissions::Client;
use crate::aggregate::{Agent, Apply, Approval, Task};
use crate::error::Error;
use crate::event::{ApplyAskedAnew, OnApproval};
use crate::locks::Locks;
use crate::rejection::Rejection;
use crate::storage::LookupKey;
use crate::writer::Transaction;

/// Lets an apply wait for another question in the place of one that was cancelled: one that is open about the same
/// operations and whose answer is enough, or a new one.
///
/// # Errors
/// What keeps a new apply from being asked about: locks, blocks, kept denials and limits.
pub(super) async fn ask_anew(
    tx: &mut Transaction<'_>,
    (task, agent): (&Task, Option<&Agent>),
    apply: &Apply,
    (replaced, token): (&Approval, &Presented),
    mut ruled: Ruled,
) -> Result<(), Error> {
    let now = tx.context().now;
    let targets = Locks::targets(task, agent, apply);
    tx.locks().admit(&targets, now)?;
    let client = Client::of(task.agent_id, &tx.envelope().actor);
    tx.admissions().admit(&client, now)?;
    let unasked = Unasked {
        task,
        submission: &apply.submission,
        requested: &apply.check.requested,
        targets: &targets,
        ruled: Some(&ruled),
    };
    // One that was asked about is not answered by what is kept: its approver was told of a question.
    clearances::answer(tx, &unasked).await?;
    let excluded = excluded(tx, task, agent, token).await?;
    ruled.exclude(excluded);
    let known = LookupKey::fingerprint(task.id, &apply.fingerprint);
    let known = match tx.find_state::<Approval>(&known).await? {
        Some(known) => Some(after_locks(tx, task, known).await?),
        None => None,
    };
    let open = known.as_deref().filter(|known| known.is_open_at(now));
    let shared = open.filter(|open| ruled.is_answered_by(open));
    if let Some(shared) = shared
        && apply.on_approval == OnApproval::Execute
        && tx
            .existing::<Apply>(shared.of_apply()?.apply_id)
            .await?
            .on_approval
            == OnApproval::Wait
    {
        return Err(Rejection::AskedToWait.into());
    }
    let mut events = Vec::new();
    let approval_id = match shared {
        Some(shared) => shared.id,
        None => {
            tx.needs_room()?;
            let requested = &apply.check.requested;
            let kept = question_limits::keeps(tx, (task, agent), Some(&ruled), requested).await?;
            if let Some(refused) = kept {
                return Err(refused.into());
            }
            let devices = devices_of_approvers(tx, ruled.requirement()).await?;
            let context = tx.context();
            if let Some(known) = &known {
                events.extend(super::approvals::expire(&context, Some(task), known));
            }
            let question = Question {
                apply_id: apply.id,
                key: &apply.idempotency_key,
                fingerprint: apply.fingerprint,
                policy: ruled.asked(),
                devices: &devices,
            };
            ask(&context, task, question, &mut events)
        }
    };
    let anew = ApplyAskedAnew {
        approval_id,
        replaces: replaced.id,
        evaluation: ruled.recorded.clone(),
    };
    events.push(tx.context().event(apply.id, anew));
    tx.append(events).await
}
