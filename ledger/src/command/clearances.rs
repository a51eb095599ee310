//! Kept decisions: made with the decision, asked before people are, and ended.

use super::Command;
use super::acting::still_acts;
use super::locked::is_question_dead;
use super::passkeys::is_owner_enabled;
use super::proof::prove_kept;
use super::ruled::Ruled;
use super::upstreams::with_operation;
use super::votes::may_all_answer;
use crate::aggregate::{Agent, Apply, Approval, Approver, Clearance, Task};
use crate::catalog::{OperationId, Risk};
use crate::clearance_key::{
    BoundTo, ClearanceKey, EXCLUDED, KeyParts, OperationsDigest, edge_of, excluded_of,
};
use crate::clock::Timestamp;
use crate::denials::{RelayedCall, SubmittedOperations, match_digests};
use crate::error::Error;
use crate::event::{
    AskedByPolicy, CheckedOperation, ClearanceEnd, ClearanceEnded, ClearanceMade, LockTarget,
    LockedOperation, PolicyEvaluation, Role,
};
use crate::fingerprint::operations_of;
use crate::id::{AgentId, ClearanceId, TaskId};
use crate::locks::Locks;
use crate::operation::{Operation, Scope, ScopeId};
use crate::policy::{PreState, RetentionMode};
use crate::rejection::{KeptUntil, Rejection};
use crate::retention::{Binding, Breadth, KeptMode, LONGEST, Retention};
use crate::statement::{Decision, SignedRule};
use crate::storage::{LookupKey, LookupKind};
use crate::writer::{Context, Transaction};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The reason in events for what its clearance no longer carries.
pub(super) const CLEARANCE_ENDED: &str = "clearance_ended";

/// Holds what an approver chose to what can be kept.
///
/// # Errors
/// [`Rejection::RetentionNotAllowed`].
pub fn check_kept(
    retention: &Retention,
    decision: Decision,
    (approval, task, apply): (&Approval, &Task, &Apply),
    now: Timestamp,
) -> Result<(), Rejection> {
    check_retention(retention, decision, (approval, task, apply), now)?;
    match ground_of(decision, approval, apply) {
        Some(_) => Ok(()),
        None => Err(Rejection::RetentionNotAllowed {
            why: "what the policy read of the request's way here was not known",
        }),
    }
}

fn check_retention(
    retention: &Retention,
    decision: Decision,
    (approval, task, apply): (&Approval, &Task, &Apply),
    now: Timestamp,
) -> Result<(), Rejection> {
    let refuse = |why| Err(Rejection::RetentionNotAllowed { why });
    if !retention.is_sound() {
        return refuse(
            "what is kept for a time has an end or its task, and what is permanent has none",
        );
    }
    if task.write.is_some() && retention.binding == Binding::Task {
        return refuse(
            "the task was opened for one write, and nothing else is asked in it: keep it for the agent",
        );
    }
    if !retention.lasts_at(now) {
        return refuse("the time for which it was to be kept is over");
    }
    if retention
        .until
        .is_some_and(|until| until > now.plus(LONGEST))
    {
        return refuse("nothing is kept for a time of more than 10 years");
    }
    // A denial takes nothing but away.
    if decision == Decision::Deny {
        return Ok(());
    }
    match approval.policy.as_deref() {
        Some(asked) if !offers(asked, retention, now) => {
            refuse("the policy that asked does not offer to keep an approval in this way")
        }
        None if is_sensitive(task, &apply.check.requested) => {
            refuse("an approval of a sensitive operation is not kept")
        }
        Some(_) | None => Ok(()),
    }
}

/// Holds the shortened time of an approval for once to what it can shorten.
///
/// # Errors
/// [`Rejection::RetentionNotAllowed`].
pub fn check_use_until(
    until: Timestamp,
    decision: Decision,
    approval: &Approval,
    now: Timestamp,
) -> Result<(), Rejection> {
    let refuse = |why| Err(Rejection::RetentionNotAllowed { why });
    match () {
        () if decision == Decision::Deny => {
            refuse("a denial for once has no time: nothing is carried out by it")
        }
        () if approval.apply().is_none() => {
            refuse("what is asked has its effect with its approval, and not later")
        }
        () if until <= now => refuse("the time in which it was to be used is over"),
        () => Ok(()),
    }
}

/// Whether an approval may be kept in that way by what a policy asked for.
pub(crate) fn offers(asked: &AskedByPolicy, retention: &Retention, now: Timestamp) -> bool {
    let requirement = asked.requirement.get();
    let Retention { mode, until, .. } = *retention;
    let offered = &requirement.retention;
    let is_in_time = match mode {
        KeptMode::Permanent => true,
        KeptMode::Cache => {
            let longest = Duration::from_secs(u64::from(offered.max_seconds));
            offered.max_seconds == u32::MAX || until.is_some_and(|until| until <= now.plus(longest))
        }
    };
    let mode = match mode {
        KeptMode::Permanent => RetentionMode::Permanent,
        KeptMode::Cache => RetentionMode::Cache,
    };
    // What is bound to the state that its approver saw is not the same another time.
    asked.rule_digests.is_some()
        && requirement.pre_state == PreState::Shown
        && offered.modes.contains(&mode)
        && is_in_time
}

/// The part of a key that follows from the policy.
#[derive(Debug, Default)]
pub(super) struct Ground {
    rules: Vec<SignedRule>,
    edge: Vec<(String, String)>,
}

impl Ground {
    /// Of a question, and of the evaluation that asked it; `None` where it cannot stand in a key.
    pub(super) fn of(
        asked: Option<&AskedByPolicy>,
        said: Option<&PolicyEvaluation>,
    ) -> Option<Self> {
        let Some(asked) = asked else {
            return Some(Self::default());
        };
        let mut edge = edge_of(said?)?;
        edge.extend(excluded_of(&asked.requirement.get().exclude));
        Some(Self {
            rules: asked.signed_rules()?,
            edge,
        })
    }

    /// As it stood in keys before those said whom a question excludes.
    pub(super) fn without_exclusions(mut self) -> Self {
        self.edge.retain(|(name, _)| name != EXCLUDED);
        self
    }
}

/// Whether one of the operations takes a person each time.
fn is_sensitive(task: &Task, requested: &[CheckedOperation]) -> bool {
    requested.iter().any(|asked| {
        let scope = ScopeId::of_route(&asked.scope_id).map(|id| Scope {
            scope_type: asked.scope_type,
            id,
        });
        let risk = scope.and_then(|scope| task.allows(asked.operation, &scope));
        risk.is_none_or(|(_, risk)| risk >= Risk::Sensitive)
    })
}

/// The keys that an apply of the task has, for a kept decision of that form: that of now, and behind it that of before
/// requests of clients stood in keys as their match digests.
pub(super) fn keys_of(
    decision: Decision,
    task: &Task,
    (binding, breadth): (Binding, Breadth),
    submission: &str,
    ground: &Ground,
) -> Result<[ClearanceKey; 2], Error> {
    let operations = operations_digests(&submitted(submission)?, breadth)?;
    Ok(operations
        .map(|operations| key_with(decision, task, binding, (breadth, operations), ground)))
}

fn submitted(submission: &str) -> Result<Vec<Value>, Error> {
    operations_of(submission.as_bytes()).map_err(|error| Error::defect(error.to_string()))
}

fn operations_digests(
    operations: &[Value],
    breadth: Breadth,
) -> Result<[OperationsDigest; 2], Error> {
    OperationsDigest::both(operations, breadth).map_err(|error| Error::defect(error.to_string()))
}

fn key_with(
    decision: Decision,
    task: &Task,
    binding: Binding,
    (breadth, operations): (Breadth, OperationsDigest),
    ground: &Ground,
) -> ClearanceKey {
    ClearanceKey::of(&KeyParts {
        decision,
        agent_id: task.agent_id,
        bound_to: BoundTo::of(binding, task.id, &task.subject),
        rules: &ground.rules,
        edge: &ground.edge,
        breadth,
        operations,
    })
}

/// The ground of a decision that is kept: none of a denial, which holds whatever asks.
fn ground_of(decision: Decision, approval: &Approval, apply: &Apply) -> Option<Ground> {
    match decision {
        Decision::Deny => Some(Ground::default()),
        Decision::Approve => Ground::of(approval.policy.as_deref(), apply.evaluation.as_deref()),
    }
}

/// The event that keeps a decision.
pub(super) fn made(
    approval: &Approval,
    task: &Task,
    apply: &Apply,
    (decision, retention): (Decision, Retention),
    context: &Context<'_>,
) -> Result<ClearanceMade, Error> {
    check_kept(&retention, decision, (approval, task, apply), context.now)?;
    let ground = ground_of(decision, approval, apply).unwrap_or_default();
    let (binding, breadth) = (retention.binding, retention.breadth);
    let of = (binding, breadth);
    let [key, _] = keys_of(decision, task, of, &apply.submission, &ground)?;
    Ok(ClearanceMade {
        clearance_id: context.id(),
        approval_id: approval.id,
        task_id: task.id,
        agent_id: task.agent_id,
        decision,
        mode: retention.mode,
        breadth,
        binding,
        until: retention.until,
        key,
    })
}

/// An apply that a kept decision may be about.
#[derive(Debug)]
pub(super) struct Submittal<'a> {
    task: &'a Task,
    /// The digests of its operations; none where no decision was ever kept.
    operations: Vec<(Breadth, OperationsDigest)>,
    /// What can be locked of it.
    targets: &'a [LockTarget],
}

impl<'a> Submittal<'a> {
    /// Of operations in canonical JSON, and as they were read: so they keep the digests of their requests.
    pub(super) async fn of(
        tx: &mut Transaction<'_>,
        task: &'a Task,
        (submission, read): (&str, &[Operation]),
        targets: &'a [LockTarget],
    ) -> Result<Self, Error> {
        // The operations may be large: nothing is made of them where nothing was kept.
        let mut this = Self {
            task,
            operations: Vec::new(),
            targets,
        };
        if tx.has_none(LookupKind::Clearance).await? {
            return Ok(this);
        }
        let submitted = submitted(submission)?;
        let digests = [
            (
                Breadth::Exact,
                OperationsDigest::matched(&submitted, &match_digests(read)),
            ),
            (
                Breadth::Exact,
                OperationsDigest::as_sent(&submitted, Breadth::Exact),
            ),
            (
                Breadth::Scope,
                OperationsDigest::as_sent(&submitted, Breadth::Scope),
            ),
        ];
        for (breadth, digest) in digests {
            let digest = digest.map_err(|error| Error::defect(error.to_string()))?;
            if !this.operations.contains(&(breadth, digest)) {
                this.operations.push((breadth, digest));
            }
        }
        Ok(this)
    }

    /// The keys under which approvals of it are kept.
    async fn keys(
        &self,
        tx: &mut Transaction<'_>,
        ground: &Ground,
    ) -> Result<Vec<LookupKey>, Error> {
        let mut keys = Vec::with_capacity(4);
        for binding in [Binding::Task, Binding::Agent] {
            for of in &self.operations {
                let key = key_with(Decision::Approve, self.task, binding, *of, ground);
                keys.push(LookupKey::clearance(&key));
            }
        }
        if keys.is_empty() {
            return Ok(keys);
        }
        tx.look_ahead(&keys).await?;
        Ok(keys)
    }
}

/// Holds an apply of the task to the denials that are kept, whatever grants and rules say of it. They are of the agent,
/// whichever subject or key its tasks are opened with.
///
/// # Errors
/// [`Rejection::DeniedBefore`], besides what keeps them from being read.
pub(super) async fn not_denied(
    tx: &mut Transaction<'_>,
    task: &Task,
    (submission, read): (&str, Option<&[Operation]>),
    targets: &[LockTarget],
) -> Result<(), Error> {
    let denials = tx.denials();
    if denials.has_none(task.agent_id) {
        return Ok(());
    }
    let asked = SubmittedOperations::new(submitted(submission)?, read);
    refuse_covered(tx, (task.agent_id, Some(task)), &asked, targets).await
}

/// Refuses operations of an agent, in the task where it asks in one, that a denial which stands is about.
async fn refuse_covered(
    tx: &mut Transaction<'_>,
    of: (AgentId, Option<&Task>),
    asked: &SubmittedOperations,
    targets: &[LockTarget],
) -> Result<(), Error> {
    let denials = tx.denials();
    for denial in denials.of(of.0) {
        if denial.covers(asked)? {
            refuse_denied(tx, &denial.clearance, of, targets).await?;
        }
    }
    Ok(())
}

/// What can be locked of a call that a proxy relays.
async fn targets_of_call(
    tx: &mut Transaction<'_>,
    (agent_id, task): (AgentId, Option<&Task>),
    operations: impl Iterator<Item = LockedOperation>,
) -> Result<Vec<LockTarget>, Error> {
    let agent = tx.load::<Agent>(agent_id).await?;
    let mut targets = Locks::targets_of_agent(agent.as_deref());
    targets.extend(task.map(|task| LockTarget::Task(task.id)));
    targets.extend(operations.map(LockTarget::Operation));
    Ok(targets)
}

/// Holds a call that a proxy relays to the denials that are kept: to those that refuse it whatever its params are.
///
/// # Errors
/// As of [`not_denied`].
pub(super) async fn call_not_denied(
    tx: &mut Transaction<'_>,
    (agent_id, task): (AgentId, Option<&Task>),
    call: &RelayedCall,
) -> Result<(), Error> {
    let denials = tx.denials();
    if denials.has_none(agent_id) {
        return Ok(());
    }
    let operations = call.operations.iter();
    let operations = operations.map(|name| LockedOperation::named(name));
    let targets = targets_of_call(tx, (agent_id, task), operations).await?;
    for denial in denials.refusing(agent_id, call) {
        refuse_denied(tx, &denial.clearance, (agent_id, task), &targets).await?;
    }
    Ok(())
}

async fn refuse_denied(
    tx: &mut Transaction<'_>,
    clearance: &Clearance,
    of: (AgentId, Option<&Task>),
    targets: &[LockTarget],
) -> Result<(), Error> {
    match stands(tx, clearance, of, targets).await? {
        false => Ok(()),
        true => Err(Rejection::DeniedBefore {
            clearance_id: clearance.id,
            until: KeptUntil(clearance.retention.until),
        }
        .into()),
    }
}

/// Holds a call that a proxy relays, and that is not begun on record, to the denials that are kept. Records nothing.
#[derive(Debug, Clone)]
pub struct HoldToDenials {
    /// The agent that calls.
    pub agent_id: AgentId,
    /// The task, where it calls with a token of one.
    pub task_id: Option<TaskId>,
    /// The call.
    pub call: RelayedCall,
}

impl Command for HoldToDenials {
    type Answer = ();

    /// # Errors
    /// [`Rejection::DeniedBefore`].
    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let task = match self.task_id {
            Some(task_id) => Some(tx.existing::<Task>(task_id).await?),
            None => None,
        };
        call_not_denied(tx, (self.agent_id, task.as_deref()), &self.call).await
    }
}

/// Holds just this request of an agent, which a proxy relays, to the denials that are kept of it. Records nothing.
#[derive(Debug, Clone)]
pub struct HoldRequestToDenials {
    agent_id: AgentId,
    task_id: Option<TaskId>,
    /// The operation that the request is.
    operation: OperationId,
    asked: SubmittedOperations,
}

impl HoldRequestToDenials {
    /// Of a request that is forwarded. Its digest is made here, since a large body takes a while and the writer serves
    /// everybody.
    ///
    /// # Errors
    /// A body that cannot be read in one way only.
    pub fn of(by: (AgentId, Option<TaskId>), operation: &Operation) -> Result<Self, Error> {
        let (agent_id, task_id) = by;
        let asked = SubmittedOperations::new(
            vec![operation.to_json()],
            Some(std::slice::from_ref(operation)),
        );
        asked.whole()?;
        Ok(Self {
            agent_id,
            task_id,
            operation: operation.entry.id,
            asked,
        })
    }
}

impl Command for HoldRequestToDenials {
    type Answer = ();

    /// # Errors
    /// [`Rejection::DeniedBefore`].
    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let task = match self.task_id {
            Some(task_id) => Some(tx.existing::<Task>(task_id).await?),
            None => None,
        };
        let of = (self.agent_id, task.as_deref());
        let operations = std::iter::once(self.operation.into());
        let targets = targets_of_call(tx, of, operations).await?;
        refuse_covered(tx, of, &self.asked, &targets).await
    }
}

/// The kept approval that answers for what people would be asked about, where there is one.
///
/// # Errors
/// What keeps them from being read.
pub(super) async fn answer(
    tx: &mut Transaction<'_>,
    submittal: &Submittal<'_>,
    requested: &[CheckedOperation],
    ruled: Option<&Ruled>,
) -> Result<Option<ClearanceId>, Error> {
    let asked = ruled.and_then(Ruled::asked);
    let said = ruled.map(|ruled| &ruled.recorded);
    let Some(ground) = Ground::of(asked.as_ref(), said) else {
        return Ok(None);
    };
    let of = (submittal.task.agent_id, Some(submittal.task));
    for key in submittal.keys(tx, &ground).await? {
        let Some(clearance) = tx.find_state::<Clearance>(&key).await? else {
            continue;
        };
        let is_enough = match &asked {
            Some(asked) => offers(asked, &clearance.retention, clearance.made_at),
            None => !is_sensitive(submittal.task, requested),
        };
        if is_enough && stands(tx, &clearance, of, submittal.targets).await? {
            return Ok(Some(clearance.id));
        }
    }
    Ok(None)
}

/// Whether a clearance still answers for an agent, in the task where it asks in one: its time is not over, its task is open, its maker
/// could still decide, nothing was locked since, and its decision is proven to be what it says.
pub(super) async fn stands(
    tx: &mut Transaction<'_>,
    clearance: &Clearance,
    (agent_id, task): (AgentId, Option<&Task>),
    targets: &[LockTarget],
) -> Result<bool, Error> {
    let now = tx.context().now;
    if !clearance.lasts_at(now) {
        return Ok(false);
    }
    let is_of_task =
        task.is_some_and(|task| clearance.task_id == task.id && task.closed_at.is_none());
    if clearance.agent_id != agent_id || clearance.retention.binding == Binding::Task && !is_of_task
    {
        return Ok(false);
    }
    // What an erasure took the proof from ends.
    let approval = Error::none_if_erased(tx.load::<Approval>(clearance.approval_id).await)?;
    let asked_in = Error::none_if_erased(tx.load::<Task>(clearance.task_id).await)?;
    let (Some(approval), Some(asked_in)) = (approval, asked_in) else {
        return Ok(false);
    };
    if !may_still_decide(tx, &approval).await? {
        return Ok(false);
    }
    if clearance.decision == Decision::Approve && is_described_anew(tx, &approval).await? {
        return Ok(false);
    }
    let locks = tx.locks();
    if !locks.is_empty()
        && (locks.end(targets, clearance.made_at, now)
            || is_question_dead(tx, Some(&asked_in), &approval).await?)
    {
        return Ok(false);
    }
    match prove_kept(tx, &approval, &asked_in, clearance).await {
        Ok(()) => Ok(true),
        Err(Error::Rejected(Rejection::ApprovalUnproven { why, is_forged })) => {
            if is_forged {
                tracing::error!(clearance.id = %clearance.id, why, "a clearance is not what was signed");
            }
            Ok(false)
        }
        Err(other) => Err(other),
    }
}

/// Whether an operation that was approved is now of an API that was described after the question, or of none: it may be
/// another request by now.
async fn is_described_anew(tx: &mut Transaction<'_>, approval: &Approval) -> Result<bool, Error> {
    let Some(asked) = approval.apply() else {
        return Ok(false);
    };
    let Some(apply) = Error::none_if_erased(tx.load::<Apply>(asked.apply_id).await)? else {
        return Ok(true);
    };
    for requested in &apply.check.requested {
        let operation = requested.operation;
        let providers = &tx.context().rules.providers;
        if providers.find(operation.as_str()).is_some() {
            continue;
        }
        let api = with_operation(tx, operation).await?;
        if api.is_none_or(|api| api.defined_at > approval.created_at) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether who made the decision, and all whose votes it took, could answer today.
pub(super) async fn may_still_decide(
    tx: &mut Transaction<'_>,
    approval: &Approval,
) -> Result<bool, Error> {
    let Some(decided) = &approval.decision else {
        return Ok(false);
    };
    if approval.policy.is_some() {
        return may_all_answer(tx, approval, decided).await;
    }
    let holder = LookupKey::credential(&decided.credential_id);
    let approver = Error::none_if_erased(tx.find_state::<Approver>(&holder).await)?;
    let is_active = approver.is_some_and(|approver| {
        approver.principal == decided.principal
            && approver.active_credential(&decided.credential_id).is_some()
    });
    let is_asked = tx.context().rules.approvers.contains(&decided.principal);
    Ok(is_active && is_asked && is_owner_enabled(tx, &decided.principal).await?)
}

/// Ends a clearance. One that has ended stays as it is.
#[derive(Debug, Clone, Copy)]
pub struct EndClearance {
    /// The clearance.
    pub clearance_id: ClearanceId,
}

impl Command for EndClearance {
    type Answer = Arc<Clearance>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Clearance>, Error> {
        still_acts(tx, Role::Operator).await?;
        let clearance = tx.named::<Clearance>(self.clearance_id).await?;
        if !clearance.lasts_at(tx.context().now) {
            return Ok(clearance);
        }
        let reason = ClearanceEnd::Ended;
        let ended = tx.context().event(clearance.id, ClearanceEnded { reason });
        tx.append(vec![ended]).await?;
        tx.existing::<Clearance>(clearance.id).await
    }
}
