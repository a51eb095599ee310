//! Submitting and refusing applies.

use super::authority::admit;
use super::callbacks::{NewCallback, Subject, with_deliveries};
use super::clearances::{self, Submittal};
use super::continuations::carry_on;
use super::devices::devices_of_approvers;
use super::follow_ups::follow;
use super::proof::prove_decision;
use super::ruled::{Asker, Ruled, ruled};
use super::tasks::{question_time, seconds};
use super::votes::excluded;
use super::{
    Command, Presented, RecordedRefusal, Ruling, permission_check, question_limits,
    schedule_questions,
};
use crate::admissions::Client;
use crate::aggregate::{Agent, Apply, Approval, ApprovalState, Task};
use crate::callback_report;
use crate::error::Error;
use crate::event::{
    ApplyAccepted, ApplyFollows, ApplyRefused, ApprovalRequested, AskedByPolicy, AskedFrom,
    Authorisation, CallbackOwner, CallbackSet, LockTarget, LockedOperation, OnApproval,
    PermissionCheck, PolicyEvaluation,
};
use crate::fingerprint::{Fingerprint, Submission};
use crate::id::{ApplyId, ApprovalId, ClearanceId, DeviceId, TaskId};
use crate::locks::Locks;
use crate::name::IdempotencyKey;
use crate::operation::Operation;
use crate::policy::{Edge, NeedGroup};
use crate::purpose::Purpose;
use crate::rejection::Rejection;
use crate::storage::{LookupKey, NewEvent};
use crate::writer::{Context, Transaction};
use std::sync::Arc;

/// An apply and what stands around it, as of the commit that answered.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// Its task.
    pub task: Arc<Task>,
    /// The apply.
    pub apply: Arc<Apply>,
    /// Its approval, where it needs one.
    pub approval: Option<Arc<Approval>>,
    /// `false` when the key was known already.
    pub is_new: bool,
}

/// Asks for operations under a key. What refuses the operations is recorded.
#[derive(Debug, Clone)]
pub struct SubmitApply {
    /// The caller.
    pub token: Presented,
    /// The key.
    pub key: IdempotencyKey,
    /// The operations, at least one.
    pub operations: Vec<Operation>,
    /// The reason and the link. They belong to the request that the key names, as the operations do.
    pub purpose: Purpose,
    /// How it goes on once people approve it, where it needs them. It belongs to the request too.
    pub on_approval: OnApproval,
    /// The receiver of events beside the orchestrator's callback. It replaces an earlier one of
    /// the agent's when the apply is accepted as new.
    pub callback: Option<NewCallback>,
    /// What the service knows of the request and the log does not.
    pub edge: Edge,
}

impl Command for SubmitApply {
    type Answer = Ruling<Submitted>;

    fn looks_up(&self) -> Vec<LookupKey> {
        vec![LookupKey::apply_key(self.token.task_id(), &self.key)]
    }

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Self::Answer, Error> {
        let (task, agent) = match authenticate(tx, &self.token).await {
            Err(Error::Rejected(refused @ Rejection::Locked { .. })) => {
                return refuse_locked(tx, &self.token, &self.key, refused).await;
            }
            admitted => admitted?,
        };
        let submission = super::writes::fit(&task, &self.operations)
            .and_then(|()| self.purpose.check())
            .and_then(|()| submission(&self.operations, &task, &tx.context()));
        let submission = match submission {
            Ok(submission) => submission,
            Err(refused) => return refuse(tx, &task, Some(&self.key), None, refused).await,
        };
        let fingerprint = Fingerprint::of(submission.as_bytes());
        let key = LookupKey::apply_key(task.id, &self.key);
        if let Some(apply) = tx.find_state::<Apply>(&key).await? {
            let reused = if apply.fingerprint != fingerprint {
                Some(Rejection::KeyReused)
            } else if apply.purpose != self.purpose {
                Some(Rejection::KeyReusedForAnotherPurpose)
            } else if apply.on_approval != self.on_approval {
                Some(Rejection::KeyReusedForAnotherEnding)
            } else {
                None
            };
            if let Some(refused) = reused {
                return refuse(tx, &task, Some(&self.key), Some(fingerprint), refused).await;
            }
            return Ok(Ruling::Accepted(repeated(tx, task, apply).await?));
        }
        if let Err(refused) = admit_operations(tx, &self.operations) {
            return refuse(tx, &task, Some(&self.key), Some(fingerprint), refused).await;
        }
        let admissions = tx.admissions();
        let is_looked_at = !admissions.is_empty() || tx.policy().is_some();
        let subject = Client::of(task.agent_id, &tx.envelope().actor).subject;
        let subject = subject.filter(|_| is_looked_at).cloned();
        let client = Client {
            agent: task.agent_id,
            subject: subject.as_ref(),
            address: None,
            asn: None,
        };
        let client = client.seen(&self.edge);
        if !admissions.is_empty()
            && let Err(refused) = admissions.admit(&client, tx.context().now)
        {
            return refuse(tx, &task, Some(&self.key), Some(fingerprint), refused).await;
        }
        let asked_for = self.operations.iter();
        let asked_for = asked_for.map(|operation| operation.entry.id.into());
        let targets = targets(tx, &task, agent.as_deref(), &self.token, asked_for);
        let asked_for = (&*submission, Some(&*self.operations));
        match clearances::not_denied(tx, &task, asked_for, &targets).await {
            Err(Error::Rejected(refused @ Rejection::DeniedBefore { .. })) => {
                return refuse(tx, &task, Some(&self.key), Some(fingerprint), refused).await;
            }
            looked_at => looked_at?,
        }
        let check =
            match permission_check(&task, agent.as_deref(), &self.operations, tx.context().now) {
                Ok(check) => check,
                Err(refused) => {
                    return refuse(tx, &task, Some(&self.key), Some(fingerprint), refused).await;
                }
            };
        let policy = tx.policy().cloned();
        let asker = Asker {
            task: &task,
            agent: agent.as_deref(),
            token: &self.token,
            edge: &self.edge,
            client,
            admissions: &admissions,
            lately: tx.lately(&task.agent),
        };
        let context = tx.context();
        let clock = (&context.rules.windows, context.now);
        let ruled = policy.map(|policy| ruled(&policy, &asker, &self.operations, clock));
        let mut ruled = match ruled.transpose() {
            Ok(ruled) => ruled,
            Err(refused) => {
                return refuse(tx, &task, Some(&self.key), Some(fingerprint), refused).await;
            }
        };
        if let Some(ruled) = &ruled
            && let Some(refused) = ruled.refusal()
        {
            let said = Some(ruled.recorded.clone());
            let key = Some(&self.key);
            let refused = record(tx, &task, key, Some(fingerprint), refused, said).await?;
            return Ok(Ruling::Refused(refused));
        }
        let check = match &ruled {
            Some(ruled) => ruled.check(check),
            None => check,
        };
        tx.needs_room()?;
        let bytes = submission.len() + self.purpose.len();
        if let Err(refused) = tx.admit_bytes(&task, bytes) {
            return refuse(tx, &task, Some(&self.key), Some(fingerprint), refused).await;
        }
        let unanswered = !check.missing.is_empty();
        // A kept decision answers only what excludes the same people.
        if unanswered && let Some(ruled) = &mut ruled {
            let excluded = excluded(tx, &task, agent.as_deref(), self.token.key_id()).await?;
            ruled.exclude(excluded);
        }
        let cleared = match unanswered {
            true => {
                let asked_for = (&*submission, &*self.operations);
                let submittal = Submittal::of(tx, &task, asked_for, &targets).await?;
                clearances::answer(tx, &submittal, &check.requested, ruled.as_ref()).await?
            }
            false => None,
        };
        let scheduled = match &self.token {
            Presented::Schedule(fires) if unanswered && cleared.is_none() => {
                match schedule_questions::answer(tx, *fires, &targets, ruled.as_ref()).await {
                    Err(Error::Rejected(refused)) => {
                        return refuse(tx, &task, Some(&self.key), Some(fingerprint), refused)
                            .await;
                    }
                    answered => answered?,
                }
            }
            _ => None,
        };
        let follows = match unanswered && cleared.is_none() && scheduled.is_none() {
            true => {
                let by = (&self.token, &*task);
                follow(tx, by, &self.operations, &targets, ruled.as_ref()).await?
            }
            false => None,
        };
        let is_allowed = follows
            .as_ref()
            .is_some_and(|follows| follows.allowed_as.is_some());
        let asks = unanswered && cleared.is_none() && scheduled.is_none() && !is_allowed;
        // Only a question to humans needs to know whether it was asked before.
        let known = if !asks {
            None
        } else {
            let known = LookupKey::fingerprint(task.id, &fingerprint);
            match tx.find_state::<Approval>(&known).await? {
                Some(known) => Some(after_locks(tx, &task, known).await?),
                None => None,
            }
        };
        let shared = shared(known.as_deref(), &tx.context()).filter(|open| {
            ruled
                .as_ref()
                .is_none_or(|ruled| ruled.is_answered_by(open))
        });
        if asks && shared.is_none() {
            let agent = agent.as_deref();
            let (ruled, requested) = (ruled.as_ref(), &check.requested);
            let refused = question_limits::keeps(tx, (&task, agent), ruled, requested).await?;
            if let Some(refused) = refused {
                return refuse(tx, &task, Some(&self.key), Some(fingerprint), refused).await;
            }
        }
        // The approver was told how it goes on, and that does not change.
        let executes = self.on_approval == OnApproval::Execute;
        let shares = shared.filter(|_| executes);
        if let Some(asked) = shares
            && tx
                .existing::<Apply>(asked.of_apply()?.apply_id)
                .await?
                .on_approval
                == OnApproval::Wait
        {
            let refused = Rejection::AskedToWait;
            return refuse(tx, &task, Some(&self.key), Some(fingerprint), refused).await;
        }
        // One that is approved already was given back, or its asker was gone when it was decided.
        let approved = shares.filter(|asked| asked.state == ApprovalState::Approved);
        if let Some(asked) = approved {
            prove_decision(tx, asked).await?;
        }
        let devices = match asks && shared.is_none() {
            true => {
                let required = ruled.as_ref().and_then(Ruled::requirement);
                devices_of_approvers(tx, required).await?
            }
            false => Vec::new(),
        };
        let callback = match NewCallback::needed(self.callback.as_ref(), &task, &tx.context()) {
            Ok(callback) => callback,
            Err(refused) => {
                return refuse(tx, &task, Some(&self.key), Some(fingerprint), refused).await;
            }
        };
        let asked = Asked {
            key: &self.key,
            token: &self.token,
            submission,
            fingerprint,
            purpose: self.purpose,
            on_approval: self.on_approval,
            check,
            ruled,
            shared: shared.map(|open| open.id),
            cleared,
            scheduled,
            follows,
            callback,
            devices,
            from: match asks && shared.is_none() {
                true => AskedFrom::of(&self.edge),
                false => None,
            },
        };
        let apply_id: ApplyId = tx.context().id();
        let events = decide_submit(asked, apply_id, &task, known.as_deref(), &tx.context())?;
        tx.append(events).await?;
        if let Some(asked) = approved {
            let apply = tx.existing::<Apply>(apply_id).await?;
            carry_on(tx, &task, &apply, asked).await?;
        }
        let submitted = submitted(tx, task.id, apply_id, true).await?;
        Ok(Ruling::Accepted(submitted))
    }
}

/// The approval that an apply with the same operations waits for already, while it is open.
fn shared<'a>(known: Option<&'a Approval>, context: &Context<'_>) -> Option<&'a Approval> {
    known.filter(|approval| is_open(approval, context))
}

fn is_open(approval: &Approval, context: &Context<'_>) -> bool {
    approval.is_open_at(context.now)
}

struct Asked<'a> {
    key: &'a IdempotencyKey,
    token: &'a Presented,
    submission: String,
    fingerprint: Fingerprint,
    purpose: Purpose,
    on_approval: OnApproval,
    check: PermissionCheck,
    /// What the policy says, where one is in force.
    ruled: Option<Ruled>,
    /// The open question about the same operations that it waits for too.
    shared: Option<ApprovalId>,
    /// The kept approval that answers for what is missing.
    cleared: Option<ClearanceId>,
    /// The approval of the schedule as a whole that answers for what is missing.
    scheduled: Option<ApprovalId>,
    /// The write that it follows, where it says one.
    follows: Option<ApplyFollows>,
    callback: Option<&'a NewCallback>,
    /// The devices of the people who are asked.
    devices: Vec<DeviceId>,
    /// Where the request came from that asks a new question.
    from: Option<AskedFrom>,
}

fn decide_submit(
    asked: Asked<'_>,
    apply_id: ApplyId,
    task: &Task,
    known: Option<&Approval>,
    context: &Context<'_>,
) -> Result<Vec<NewEvent>, Rejection> {
    let mut events = Vec::with_capacity(4);
    // The new callback hears of this apply already.
    let mut registered = None;
    if let Some(callback) = asked.callback {
        let callback = callback.register(context, task.id)?;
        let mut renewed = task.clone();
        renewed.agent_callback = Some(callback.clone());
        registered = Some(renewed);
        let owner = CallbackOwner::Agent;
        events.push(context.event(task.id, CallbackSet { callback, owner }));
    }
    let task = registered.as_ref().unwrap_or(task);
    let cleared = asked.cleared.map(Authorisation::Cleared);
    let answered = cleared.or_else(|| asked.scheduled.map(Authorisation::Scheduled));
    let allowed = asked.follows.as_ref();
    let allowed = allowed.filter(|follows| follows.allowed_as.is_some());
    let answered = answered.or_else(|| allowed.map(|it| Authorisation::Follows(it.first)));
    let mut authorisation = answered.unwrap_or(Authorisation::Granted);
    if !asked.check.missing.is_empty() && answered.is_none() {
        let approval_id = match asked.shared {
            Some(approval) => approval,
            None => {
                if let Some(known) = known {
                    events.extend(super::approvals::expire(context, Some(task), known));
                }
                let question = Question {
                    apply_id,
                    key: asked.key,
                    fingerprint: asked.fingerprint,
                    policy: asked.ruled.as_ref().and_then(Ruled::asked),
                    devices: &asked.devices,
                    from: asked.from,
                };
                ask(context, task, question, &mut events)
            }
        };
        authorisation = Authorisation::Awaiting(approval_id);
    }
    events.push(context.event(
        apply_id,
        ApplyAccepted {
            apply_id,
            task_id: task.id,
            agent: task.agent.clone(),
            idempotency_key: asked.key.clone(),
            fingerprint: asked.fingerprint,
            submission: asked.submission,
            check: asked.check,
            authorisation,
            token_id: asked.token.id(),
            callback_id: task.callback_id(),
            purpose: asked.purpose,
            on_approval: asked.on_approval,
            evaluation: asked.ruled.map(|ruled| ruled.recorded),
        },
    ));
    let follows = asked.follows;
    events.extend(follows.map(|follows| context.event(apply_id, follows)));
    Ok(events)
}

/// A question that is to be asked.
pub(super) struct Question<'a> {
    pub(super) apply_id: ApplyId,
    pub(super) key: &'a IdempotencyKey,
    pub(super) fingerprint: Fingerprint,
    /// What the policy says of it, where one is in force.
    pub(super) policy: Option<AskedByPolicy>,
    /// The devices of the people who are asked.
    pub(super) devices: &'a [DeviceId],
    /// Where the request that asks came from.
    pub(super) from: Option<AskedFrom>,
}

pub(super) fn ask(
    context: &Context<'_>,
    task: &Task,
    question: Question<'_>,
    events: &mut Vec<NewEvent>,
) -> ApprovalId {
    let approval_id: ApprovalId = context.id();
    let time = question_time(task.question, context);
    let Question {
        apply_id,
        fingerprint,
        policy,
        from,
        ..
    } = question;
    let shorter = policy
        .as_ref()
        .and_then(|asked| asked.requirement.get().ttl());
    let expires_at = context
        .now
        .plus(shorter.map_or(time, |shorter| shorter.min(time)));
    let asks_approvers = policy.as_ref().is_none_or(|asked| {
        let mut needs = asked.requirement.get().needs.iter();
        needs.any(|need| need.group == NeedGroup::Default)
    });
    let requested = context.event(
        approval_id,
        ApprovalRequested {
            approval_id,
            task_id: task.id,
            agent: task.agent.clone(),
            apply_id,
            fingerprint,
            expires_at,
            continuation_seconds: seconds(time),
            approvers: match asks_approvers {
                true => context.rules.approvers.clone(),
                false => Vec::new(),
            },
            policy,
            from,
        },
    );
    events.extend(with_deliveries(
        context,
        task,
        requested,
        &Subject {
            approval_id: Some(approval_id),
            apply_id: Some(apply_id),
            idempotency_key: Some(question.key),
            devices: question.devices,
        },
        callback_report::pending(apply_id, fingerprint, expires_at),
    ));
    approval_id
}

/// Records that an apply attempt was refused before it came to a decision.
#[derive(Debug, Clone)]
pub struct RefuseApply {
    /// The caller.
    pub token: Presented,
    /// The key, where there was a valid one.
    pub key: Option<IdempotencyKey>,
    /// The reason, which the caller gets back.
    pub refusal: Rejection,
}

impl Command for RefuseApply {
    type Answer = RecordedRefusal;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<RecordedRefusal, Error> {
        let (task, _) = authenticate(tx, &self.token).await?;
        record(tx, &task, self.key.as_ref(), None, self.refusal, None).await
    }
}

pub(super) async fn authenticate(
    tx: &mut Transaction<'_>,
    token: &Presented,
) -> Result<(Arc<Task>, Option<Arc<Agent>>), Error> {
    let (task, agent) = admit(tx, token.task_id(), token).await?;
    if task.closed_at.is_some() {
        return Err(Rejection::TaskClosed.into());
    }
    Ok((task, agent))
}

/// Records that a lock refused an agent whose token or key counts.
pub(super) async fn refuse_locked<T>(
    tx: &mut Transaction<'_>,
    token: &Presented,
    key: &IdempotencyKey,
    refused: Rejection,
) -> Result<Ruling<T>, Error> {
    let task = tx.existing::<Task>(token.task_id()).await?;
    if task.closed_at.is_some() {
        return Err(Rejection::TaskClosed.into());
    }
    refuse(tx, &task, Some(key), None, refused).await
}

/// Holds the operations of a new apply to the locks.
fn admit_operations(tx: &Transaction<'_>, operations: &[Operation]) -> Result<(), Rejection> {
    let locks = tx.locks();
    if locks.is_empty() {
        return Ok(());
    }
    let targets = operations
        .iter()
        .map(|operation| LockTarget::Operation(operation.entry.id.into()));
    locks.admit(&targets.collect::<Vec<_>>(), tx.context().now)
}

/// What can be locked of an apply that is not accepted yet; nothing where there is no lock.
fn targets(
    tx: &Transaction<'_>,
    task: &Task,
    agent: Option<&Agent>,
    token: &Presented,
    operations: impl Iterator<Item = LockedOperation>,
) -> Vec<LockTarget> {
    if tx.locks().is_empty() {
        return Vec::new();
    }
    let mut targets = Locks::targets_of_agent(agent);
    targets.push(LockTarget::Agent(task.agent_id));
    targets.push(LockTarget::Task(task.id));
    if let Presented::Key(key) = token {
        targets.push(LockTarget::Key(key.key_id));
    }
    targets.extend(operations.map(LockTarget::Operation));
    targets
}

/// The question, which a lock may have ended; that is recorded then.
pub(super) async fn after_locks(
    tx: &mut Transaction<'_>,
    task: &Task,
    approval: Arc<Approval>,
) -> Result<Arc<Approval>, Error> {
    let events = super::locked::cancel(tx, Some(task), &approval).await?;
    if events.is_empty() {
        return Ok(approval);
    }
    tx.append(events).await?;
    tx.existing::<Approval>(approval.id).await
}

fn submission(
    operations: &[Operation],
    task: &Task,
    context: &Context<'_>,
) -> Result<String, Rejection> {
    let invalid = |detail: String| Rejection::Invalid {
        code: "invalid_operations",
        detail,
    };
    if operations.is_empty() {
        return Err(invalid(
            "operations must name at least one operation".to_owned(),
        ));
    }
    let submission = Submission {
        ledger_id: context.ledger_id,
        agent: task.agent.clone(),
        task_id: task.id,
        operations: operations.iter().map(Operation::to_json).collect(),
    };
    let bytes = submission
        .canonical_bytes()
        .map_err(|error| invalid(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| invalid(error.to_string()))
}

/// A known key with the same operations: nothing new but a deadline that may have passed.
async fn repeated(
    tx: &mut Transaction<'_>,
    task: Arc<Task>,
    apply: Arc<Apply>,
) -> Result<Submitted, Error> {
    if let Some(approval_id) = apply.approval_id
        && let Some(approval) = tx.load::<Approval>(approval_id).await?
    {
        let events = super::approvals::expire(&tx.context(), Some(&task), &approval);
        tx.append(events).await?;
        after_locks(tx, &task, approval).await?;
    }
    submitted(tx, task.id, apply.id, false).await
}

pub(super) async fn submitted(
    tx: &mut Transaction<'_>,
    task_id: TaskId,
    apply_id: ApplyId,
    is_new: bool,
) -> Result<Submitted, Error> {
    let task = tx.existing::<Task>(task_id).await?;
    let apply = tx.existing::<Apply>(apply_id).await?;
    let approval = match apply.approval_id {
        Some(approval_id) => tx.load::<Approval>(approval_id).await?,
        None => None,
    };
    Ok(Submitted {
        task,
        apply,
        approval,
        is_new,
    })
}

pub(super) async fn refuse<T>(
    tx: &mut Transaction<'_>,
    task: &Task,
    key: Option<&IdempotencyKey>,
    fingerprint: Option<Fingerprint>,
    refusal: Rejection,
) -> Result<Ruling<T>, Error> {
    let refused = record(tx, task, key, fingerprint, refusal, None).await?;
    Ok(Ruling::Refused(refused))
}

async fn record(
    tx: &mut Transaction<'_>,
    task: &Task,
    key: Option<&IdempotencyKey>,
    fingerprint: Option<Fingerprint>,
    refusal: Rejection,
    evaluation: Option<PolicyEvaluation>,
) -> Result<RecordedRefusal, Error> {
    if tx.may_record_refusal(task.id) {
        let context = tx.context();
        let stream: ApplyId = context.id();
        let refused = ApplyRefused {
            task_id: task.id,
            agent: task.agent.clone(),
            idempotency_key: key.cloned(),
            code: refusal.code().to_owned(),
            detail: refusal.to_string(),
            fingerprint,
            evaluation,
        };
        let event = context.event(stream, refused);
        tx.append(vec![event]).await?;
    }
    Ok(RecordedRefusal::of(refusal))
}
