//! Questions that are not about an apply: asked, and what an approval of one brings about.

use super::callbacks::with_deliveries_besides;
use super::devices::devices_of_approvers;
use super::policies;
use super::proof::prove_votes;
use super::question_limits::unsatisfiable;
use super::ruled::{POLICY, cancelled};
use super::tasks::{question_time, seconds};
use crate::aggregate::{Approval, ApprovalState};
use crate::callback_report;
use crate::error::Error;
use crate::event::{ApprovalAsked, AskedByPolicy, AskedSubject, StoredRequirement};
use crate::id::ApprovalId;
use crate::policy::{Excluded, Need, NeedGroup, PolicyInForce, Requirement};
use crate::rejection::Rejection;
use crate::statement::QuestionKind;
use crate::storage::{NO_TASK, NewEvent};
use crate::voters::Electorate;
use crate::writer::Transaction;
use std::sync::Arc;
use std::time::Duration;

/// The most of these questions that are open at once: the writer looks through them all.
const MOST_OPEN: u32 = 100;

/// What the policy in force asks for, where it is not asked by rules.
pub(super) fn asked_by(
    policy: &PolicyInForce,
    needs: &[Need],
    exclude: Vec<Excluded>,
    waits: Option<Duration>,
) -> AskedByPolicy {
    let mut required = Requirement::besides(needs, exclude);
    required.ttl_seconds = waits.map(seconds);
    AskedByPolicy {
        version: policy.version,
        digest: policy.digest,
        rules: Vec::new(),
        requirement: StoredRequirement::from(required),
        rule_digests: Some(Vec::new()),
    }
}

/// Asks people about something else than an apply: those whom the policy wants, or without one any approver of the
/// configuration. The same question that the same people may answer is not asked twice while it is open. It stays open
/// for `waits`, else as long as the policy says or the configuration.
///
/// # Errors
/// [`Rejection::ApprovalUnsatisfiable`] where those whom a policy wants are not enough, [`Rejection::TooManyQuestions`].
pub(super) async fn ask(
    tx: &mut Transaction<'_>,
    subject: AskedSubject,
    policy: Option<AskedByPolicy>,
    waits: Option<Duration>,
) -> Result<Arc<Approval>, Error> {
    tx.needs_room()?;
    let context = tx.context();
    let fingerprint = subject.fingerprint(context.ledger_id);
    let required = policy.as_ref();
    let required = required.map(|asked| asked.requirement.get().clone());
    let required = required.unwrap_or_else(Requirement::without_policy);
    let asks_approvers = required
        .needs
        .iter()
        .any(|need| need.group == NeedGroup::Default);
    let approvers = match asks_approvers {
        true => context.rules.approvers.clone(),
        false => Vec::new(),
    };
    let open = open(tx, subject.kind()).await?;
    let same = |known: &&Arc<Approval>| {
        known.fingerprint == fingerprint && known.policy.as_deref() == policy.as_ref()
    };
    if let Some(same) = open.iter().find(same) {
        return Ok(Arc::clone(same));
    }
    if open.len() >= usize::try_from(MOST_OPEN).unwrap_or(usize::MAX) {
        return Err(Rejection::TooManyQuestions {
            limit: "open",
            most: MOST_OPEN,
        }
        .into());
    }
    let asked = Electorate {
        approvers: &approvers,
        needs: &required.needs,
        exclude: &required.exclude,
    };
    // Without a document nobody is held to having enough people, as with applies.
    if policy.is_some()
        && let Some(refused) = unsatisfiable(tx, &asked).await?
    {
        return Err(refused.into());
    }
    let devices = devices_of_approvers(tx, Some(&required)).await?;
    let context = tx.context();
    let approval_id: ApprovalId = context.id();
    let time = question_time(None, &context);
    let time = waits.or_else(|| required.ttl()).unwrap_or(time);
    let asked = ApprovalAsked {
        approval_id,
        subject,
        fingerprint,
        expires_at: context.now.plus(time),
        approvers,
        policy,
    };
    let message =
        callback_report::pending_besides(asked.subject.kind(), fingerprint, asked.expires_at);
    let asked = context.event(approval_id, asked);
    let events = with_deliveries_besides(&context, (approval_id, asked), &devices, message);
    tx.append(events).await?;
    tx.existing::<Approval>(approval_id).await
}

/// The questions of a kind that wait for people.
async fn open(tx: &mut Transaction<'_>, kind: QuestionKind) -> Result<Vec<Arc<Approval>>, Error> {
    let now = tx.context().now;
    let mut open = Vec::new();
    for stream in tx.open_streams(NO_TASK).await? {
        let approval = tx.load_if::<Approval>(stream).await?;
        let waits = |known: &Arc<Approval>| {
            known.kind() == kind && known.state_at(now) == ApprovalState::Pending
        };
        open.extend(approval.filter(waits));
    }
    Ok(open)
}

/// A question of a kind that waits for people, where there is one.
pub(super) async fn newest_open(
    tx: &mut Transaction<'_>,
    kind: QuestionKind,
) -> Result<Option<Arc<Approval>>, Error> {
    let open = open(tx, kind).await?;
    Ok(open
        .into_iter()
        .max_by_key(|known| (known.created_at, known.id)))
}

/// Withdraws the questions of a kind that wait for people, besides one that was just answered: what they were about
/// is not as it was any more.
pub(super) async fn withdraw(tx: &mut Transaction<'_>, kind: QuestionKind) -> Result<(), Error> {
    let open = open(tx, kind).await?;
    let context = tx.context();
    let events = open
        .iter()
        .flat_map(|approval| cancelled(&context, None, approval, POLICY));
    let events: Vec<NewEvent> = events.collect();
    tx.append(events).await
}

/// Does what was just approved, in the commit of its decision. What an apply asked is carried out elsewhere.
///
/// # Errors
/// What keeps it from being done, with which the approval is not given either.
pub(super) async fn take_effect(
    tx: &mut Transaction<'_>,
    approval: &Approval,
) -> Result<(), Error> {
    let Some(subject) = approval.besides() else {
        return Ok(());
    };
    prove_votes(tx, approval).await?;
    match subject {
        AskedSubject::PolicyChange(change) => policies::take_effect(tx, change).await,
        // Who has looked at it is all that a review says. A schedule looks for its approval when it fires.
        AskedSubject::Schedule(_) | AskedSubject::Review(_) => Ok(()),
    }
}
