//! Asking about an apply anew, where the policy wants another answer than its question would get.

use super::applies::{Question, after_locks, ask};
use super::clearances::not_denied;
use super::devices::devices_of_approvers;
use super::question_limits;
use super::ruled::Ruled;
use super::votes::excluded;
use crate::admissions::Client;
use crate::aggregate::{Agent, Apply, Approval, Task};
use crate::error::Error;
use crate::event::{ApplyAskedAnew, OnApproval, PreState, PreStateRecorded, ZoneRead};
use crate::id::KeyId;
use crate::locks::Locks;
use crate::rejection::Rejection;
use crate::storage::LookupKey;
use crate::writer::Transaction;

/// The state upstream, read again before anything was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAgain {
    /// One for each operation.
    pub operations: Vec<PreState>,
    /// One for each zone that an operation acts on.
    pub zones: Vec<ZoneRead>,
}

/// An apply that is asked about anew, with all that the new question needs.
pub(super) struct Anew<'a> {
    pub(super) task: &'a Task,
    pub(super) agent: Option<&'a Agent>,
    pub(super) apply: &'a Apply,
    /// The question that was cancelled.
    pub(super) replaced: &'a Approval,
    /// The key with which the agent asked, where it has one.
    pub(super) key: Option<KeyId>,
    /// Who asks, as blocks look at them.
    pub(super) client: Client<'a>,
    /// What the policy asks today.
    pub(super) ruled: Ruled,
    /// What the new question begins with, where it was read already.
    pub(super) read: Option<ReadAgain>,
}

/// Who asked for an apply, as far as its record says.
pub(super) fn recorded_client<'a>(
    task: &'a Task,
    apply: &Apply,
    question: Option<&Approval>,
) -> Client<'a> {
    let by_key = apply.asked_by_key(task).is_some();
    let client = Client {
        agent: task.agent_id,
        subject: (!by_key).then_some(&task.subject),
        address: None,
        asn: None,
    };
    let client = with_record(client, apply);
    match question.and_then(|asked| asked.from.as_ref()) {
        Some(from) => client.asked_from(from),
        None => client,
    }
}

/// A client with what is recorded of where its apply came from.
pub(super) fn with_record<'a>(client: Client<'a>, apply: &Apply) -> Client<'a> {
    match &apply.evaluation {
        Some(said) => client.recorded(&said.facts()),
        None => client,
    }
}

/// Lets an apply wait for another question in the place of one that was cancelled: one that is open about the same
/// operations and whose answer is enough, or a new one.
///
/// # Errors
/// What keeps a new apply from being asked about: locks, blocks, kept denials and limits.
pub(super) async fn ask_anew(tx: &mut Transaction<'_>, anew: Anew<'_>) -> Result<(), Error> {
    let Anew {
        task,
        agent,
        apply,
        replaced,
        key,
        client,
        mut ruled,
        read,
    } = anew;
    let now = tx.context().now;
    let targets = Locks::targets(task, agent, apply);
    tx.locks().admit(&targets, now)?;
    tx.admissions().admit(&client, now)?;
    let excluded = excluded(tx, task, agent, key).await?;
    ruled.exclude(excluded);
    // One that was asked about is answered by no kept approval: its approver was told of a question.
    not_denied(tx, task, (&apply.submission, None), &targets).await?;
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
                from: replaced.from.clone(),
            };
            let approval_id = ask(&context, task, question, &mut events);
            if let Some(ReadAgain { operations, zones }) = read {
                let recorded = PreStateRecorded { operations, zones };
                events.push(context.event(approval_id, recorded));
            }
            approval_id
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
