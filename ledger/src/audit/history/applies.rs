//! Applies: asked for, authorised, executed in order, ended.

use super::approvals::{Asker, QuestionState};
use super::clearances::{CLEARANCE_ENDED, Covers};
use super::evaluations::{POLICY, PRE_STATE};
use super::follow_ups::Given;
use super::locks::{LOCKED, targets_of};
use super::requests::{Compared, Expected};
use super::streams::{Seen, State};
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::clock::Timestamp;
use crate::event::{
    Actor, AggregateKind, ApplyAccepted, ApplyAskedAnew, ApplyAuthorised, ApplyEnd, ApplyEnded,
    ApplyRefused, AskedFrom, Authorisation, Event, LockTarget, OnApproval, OperationEnded,
    OperationOutcome, OperationStarted, PolicyEvaluation,
};
use crate::fingerprint::Fingerprint;
use crate::id::{ApplyId, ApprovalId, ClearanceId, ExecutionId, TaskId, TokenId};
use crate::name::IdempotencyKey;
use crate::statement::PreStateDigest;

/// Who asked, where it is carried out with its decision.
fn executes_for(accepted: &ApplyAccepted) -> Option<TokenId> {
    (accepted.on_approval == OnApproval::Execute).then_some(accepted.token_id)
}

/// How the operation that ended last did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Succeeded,
    Failed,
    Unknown,
}

/// An apply that has not come to its end.
#[derive(Debug)]
pub(super) struct ApplyState {
    pub(super) task_id: TaskId,
    pub(super) fingerprint: Fingerprint,
    /// The approval that it waits or waited for.
    pub(super) approval: Option<ApprovalId>,
    /// The write whose approval is said to have allowed it, until that is shown.
    pub(super) unshown: Option<ApplyId>,
    /// The kept decision that authorised it.
    pub(super) clearance: Option<ClearanceId>,
    /// What of it stands in keys of kept decisions, where people are asked.
    pub(super) covers: Option<Covers>,
    pub(super) authorised: bool,
    /// Who asked, where it is carried out with its decision.
    executes_for: Option<TokenId>,
    pub(super) idempotency_key: IdempotencyKey,
    pub(super) accepted_at: Timestamp,
    /// What of it can be locked besides its agent and its task.
    pub(super) locked_by: Box<[LockTarget]>,
    /// The request of each operation.
    requests: Vec<Expected>,
    /// How many have ended.
    ended: usize,
    /// One has begun and not ended; whether it is simulated.
    running: Option<bool>,
    /// Reading back can prove that the operation under way was carried out: another state stood there
    /// before, or the intent is of the form that did not say.
    is_provable: bool,
    last: Option<Last>,
    /// It has surely applied nothing.
    left_no_trace: bool,
    /// True when its operations are simulated, once one has begun.
    pub(super) simulated: Option<bool>,
    pub(super) execution_id: Option<ExecutionId>,
    /// The state that its approval was bound to, and which was another one before anything was sent.
    pub(super) drifted_from: Option<PreStateDigest>,
    /// It ended with an unknown outcome, which somebody may settle.
    unsettled: bool,
}

impl ApplyState {
    /// It used the approval, has surely applied nothing, and ends next.
    pub(super) fn may_give_back(&self, approval: ApprovalId) -> bool {
        self.approval == Some(approval) && self.authorised && self.left_no_trace
    }

    /// Nothing is left to be tried.
    pub(super) const fn all_tried(&self) -> bool {
        self.ended >= self.requests.len()
    }
}

impl History {
    pub(super) fn apply_event(&mut self, now: &mut Now<'_>, event: Event) {
        let stream = now.header.stream_id;
        match event {
            Event::ApplyAccepted(accepted) => self.apply_accepted(now, &accepted),
            Event::ApplyRefused(refused) => {
                self.counts.refused += 1;
                self.refused(now, &refused);
                self.try_on_refused(now, &refused);
                self.streams.put(stream, State::Ended(AggregateKind::Apply));
            }
            Event::RefusalsCounted(counted) => {
                self.counts.refused = self.counts.refused.saturating_add(counted.count);
                self.is_task(now, counted.task_id);
                let begun = counted.minute <= now.at().as_seconds();
                now.expect(begun && counted.count > 0, Check::Reference, || {
                    "it counts nothing, or in a minute that had not come".to_owned()
                });
                self.streams.put(stream, State::Ended(AggregateKind::Apply));
            }
            Event::ApplyAuthorised(authorised) => self.apply_authorised(now, &authorised),
            Event::ApplyFollows(follows) => self.apply_follows(now, &follows),
            Event::ApplyAskedAnew(anew) => self.asked_anew(now, &anew),
            Event::OperationStarted(started) => self.operation_started(now, &started),
            Event::OperationEnded(ended) => self.operation_ended(now, &ended),
            Event::ApplyEnded(ended) => self.apply_ended(now, &ended),
            Event::ApplyResolved(_) => {
                let unsettled = matches!(self.streams.state(stream), Some(State::Apply(apply)) if apply.unsettled);
                now.expect(unsettled, Check::ExecutionOrder, || {
                    "there was no unknown outcome to settle".to_owned()
                });
                self.streams.put(stream, State::Ended(AggregateKind::Apply));
            }
            _ => {}
        }
    }

    fn is_task(&mut self, now: &mut Now<'_>, id: TaskId) {
        self.leaves_behind(id.into(), now.position());
        let known = self.streams.find(id, |state| {
            matches!(state, State::Task(_) | State::ClosedTask(_)).then_some(())
        });
        known.or_tell(now, Check::Reference, || {
            format!("task {id} was not created before")
        });
    }

    /// An attempt in an open task, by its agent.
    fn refused(&mut self, now: &mut Now<'_>, refused: &ApplyRefused) {
        let Some(task) = self.open_task(now, refused.task_id) else {
            return;
        };
        now.expect(task.agent == refused.agent, Check::Reference, || {
            format!(
                "its task is of agent {:?}, not {:?}",
                task.agent, refused.agent
            )
        });
        self.refused_by_policy(now, refused);
    }

    fn apply_accepted(&mut self, now: &mut Now<'_>, accepted: &ApplyAccepted) {
        self.counts.applies += 1;
        let stream = now.header.stream_id;
        now.expect(
            accepted.apply_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins apply {} in stream {stream}", accepted.apply_id),
        );
        let (fingerprint, requests) = self.submission(now, accepted);
        self.asked_in_task(now, accepted);
        self.asked_by_schedule(now, accepted);
        self.permissions(now, accepted);
        let (approval, clearance) = match accepted.authorisation {
            Authorisation::Granted => (None, None),
            Authorisation::Awaiting(approval) => (Some(approval), None),
            Authorisation::Cleared(clearance) => (None, Some(clearance)),
            Authorisation::Scheduled(_) | Authorisation::Follows(_) => (None, None),
        };
        let covers = match accepted.authorisation {
            Authorisation::Granted | Authorisation::Scheduled(_) | Authorisation::Follows(_) => {
                None
            }
            Authorisation::Awaiting(_) | Authorisation::Cleared(_) => {
                self.covers(&now.envelope.actor, accepted)
            }
        };
        // Where the request came from, which the question says that it began.
        let mut from = None;
        if let Some(approval) = approval {
            let asker = Asker {
                apply_id: accepted.apply_id,
                key: accepted.idempotency_key.clone(),
                executes_for: executes_for(accepted),
                operations: requests.len(),
                locked_by: targets_of(accepted, &now.envelope.actor),
            };
            let about = (accepted.task_id, fingerprint);
            let first_unseen = self.first_asker_unseen(approval);
            if let Some(question) = self.waits_for(now, about, approval) {
                let is_first = question.asked.is_none();
                question.is_asked_by(now, asker, first_unseen);
                from = question.from.clone().filter(|_| is_first);
            }
            self.question_opened(now, accepted);
        }
        let apply = ApplyState {
            task_id: accepted.task_id,
            fingerprint,
            approval,
            unshown: match accepted.authorisation {
                Authorisation::Follows(first) => Some(first),
                _ => None,
            },
            clearance,
            covers: covers.clone(),
            authorised: accepted.authorisation.runs_at_once(),
            executes_for: executes_for(accepted),
            idempotency_key: accepted.idempotency_key.clone(),
            accepted_at: now.at(),
            locked_by: targets_of(accepted, &now.envelope.actor),
            requests,
            ended: 0,
            running: None,
            is_provable: false,
            last: None,
            left_no_trace: false,
            simulated: None,
            execution_id: None,
            drifted_from: None,
            unsettled: false,
        };
        let task_id = apply.task_id;
        self.streams.put(stream, State::Apply(Box::new(apply)));
        self.apply_unlocked(now, true);
        if let Actor::Agent { token, .. } = now.envelope.actor {
            self.token_unlocked(now, task_id, token);
        }
        if let Some(clearance) = clearance {
            self.cleared(now, accepted, clearance, covers.as_ref());
        }
        if let Authorisation::Scheduled(whole) = accepted.authorisation {
            self.approved_with_schedule(now, accepted, whole);
        }
        if let Some(State::Task(task)) = self.streams.state(task_id) {
            let agent_id = task.agent_id;
            self.client_admitted(now, agent_id, from.as_ref());
        }
        came_from(now, from.as_ref(), accepted.evaluation.as_ref());
    }

    /// Its task is open, its key is new, and its token is the one that asked, which is held to its task where
    /// actors are checked.
    fn asked_in_task(&mut self, now: &mut Now<'_>, accepted: &ApplyAccepted) {
        let Some(known) = self.open_task(now, accepted.task_id) else {
            return;
        };
        let is_new = known.keys.insert(accepted.idempotency_key.clone());
        now.expect(is_new, Check::Unique, || {
            format!(
                "its key {:?} names an earlier apply of the task",
                accepted.idempotency_key
            )
        });
        now.expect(known.agent == accepted.agent, Check::Reference, || {
            format!(
                "its task is of agent {:?}, not {:?}",
                known.agent, accepted.agent
            )
        });
        let id = accepted.token_id;
        let asked = match &now.envelope.actor {
            Actor::Agent { token, .. } => Some(*token),
            Actor::AgentKey { key_id, .. } => Some(TokenId::from_bytes(*key_id.as_bytes())),
            _ => None,
        };
        now.expect(asked.is_none_or(|asked| asked == id), Check::Token, || {
            format!("it names token {id}, and another one asked for it")
        });
    }

    /// The approval that it waits for is open, and about the same operations.
    fn waits_for(
        &mut self,
        now: &mut Now<'_>,
        (task_id, fingerprint): (TaskId, Fingerprint),
        approval: ApprovalId,
    ) -> Option<&mut QuestionState> {
        let missing = || format!("approval {approval}, which it waits for, is not open");
        let question = self
            .question(approval)
            .or_tell(now, Check::ApprovalState, missing)?;
        now.expect(question.is_open_at(now.at()), Check::Deadline, || {
            format!("approval {approval}, which it waits for, had ended")
        });
        let same = question.fingerprint == fingerprint && question.task_id() == Some(task_id);
        now.expect(same, Check::ApprovedOperations, || {
            format!("approval {approval}, which it waits for, is about other operations")
        });
        Some(question)
    }

    fn apply_authorised(&mut self, now: &mut Now<'_>, authorised: &ApplyAuthorised) {
        let stream = now.header.stream_id;
        let asked = authorised.approval_id;
        self.apply_unlocked(now, false);
        let Some(State::Apply(apply)) = self.streams.state(stream) else {
            return;
        };
        let (waits_for, fingerprint, task_id) = (apply.approval, apply.fingerprint, apply.task_id);
        if apply.authorised {
            return now.wrong(Check::ExecutionOnce, "the apply was authorised before");
        }
        apply.authorised = true;
        self.counts.continued += 1;
        now.expect(waits_for == Some(asked), Check::Authorisation, || {
            format!("it waits for another approval than {asked}")
        });
        self.open_task(now, task_id);
        let missing = || format!("approval {asked} was not consumed for it");
        let question = self
            .question(asked)
            .or_tell(now, Check::Authorisation, missing);
        let Some(question) = question else { return };
        let (consumed_by, approved) = (question.consumed_by(), question.fingerprint);
        let given = Given::of(question);
        let cause = question.consumed_at();
        now.expect(now.envelope.cause == cause, Check::Envelope, || {
            "it does not name the consumption of its approval as what caused it".to_owned()
        });
        now.expect(
            consumed_by.is_some_and(|by| by.as_bytes() == stream.as_bytes()),
            Check::Authorisation,
            missing,
        );
        now.expect(approved == fingerprint, Check::ApprovedOperations, || {
            format!("{approved} was approved, {fingerprint} is executed")
        });
        self.follow_ups.given(stream.into(), given);
    }

    /// Another question stands in the place of one that the policy cancelled: about the same operations, and for the
    /// reasons that the policy in force has.
    fn asked_anew(&mut self, now: &mut Now<'_>, anew: &ApplyAskedAnew) {
        let stream = now.header.stream_id;
        let asked = anew.approval_id;
        self.apply_unlocked(now, false);
        let is_gone = self.question(anew.replaces).here().is_none();
        now.expect(is_gone, Check::ApprovalState, || {
            format!(
                "approval {}, which it replaces, had not ended",
                anew.replaces
            )
        });
        self.asks_by_policy(now, &anew.evaluation);
        let Some(State::Apply(apply)) = self.streams.state(stream) else {
            return;
        };
        let waited = apply.execution_id.is_none() && apply.approval == Some(anew.replaces);
        // The executor asks before it begins, and then it waits again.
        apply.authorised = false;
        apply.approval = Some(asked);
        let drifted_from = apply.drifted_from.take();
        let covers = apply.covers.clone();
        let asker = Asker {
            apply_id: stream.into(),
            key: apply.idempotency_key.clone(),
            executes_for: apply.executes_for,
            operations: apply.requests.len(),
            locked_by: apply.locked_by.clone(),
        };
        let (fingerprint, task_id) = (apply.fingerprint, apply.task_id);
        if let Some(mut covers) = covers {
            let excluded = self
                .question(asked)
                .map(|question| question.excluded().to_vec());
            let excluded = excluded.here().unwrap_or_default();
            self.covers_anew(&mut covers, &anew.evaluation, &excluded);
            if let Some(State::Apply(apply)) = self.streams.state(stream) {
                apply.covers = Some(covers);
            }
        }
        now.expect(waited, Check::ApprovalState, || {
            format!(
                "it did not wait for approval {}, or has begun under it",
                anew.replaces
            )
        });
        let rules = &anew.evaluation.rules;
        let first_unseen = self.first_asker_unseen(asked);
        if let Some(question) = self.waits_for(now, (task_id, fingerprint), asked) {
            let policy = question.policy.as_ref();
            let is_same = policy.is_some_and(|asked| asked.rules == *rules);
            question.is_asked_by(now, asker, first_unseen);
            let is_another = drifted_from.is_none() || question.state != drifted_from;
            now.expect(is_another, Check::ApprovalState, || {
                "it is asked about anew for another state upstream, which is the same".to_owned()
            });
            now.expect(is_same, Check::Policy, || {
                "its question does not say what the policy asks".to_owned()
            });
            came_from(now, question.from.as_ref(), Some(&anew.evaluation));
        }
    }

    fn operation_started(&mut self, now: &mut Now<'_>, started: &OperationStarted) {
        self.apply_unlocked(now, false);
        self.still_cleared(now);
        let Some(State::Apply(apply)) = self.streams.state(now.header.stream_id) else {
            return;
        };
        let task_id = apply.task_id;
        now.expect(
            apply.authorised && apply.unshown.is_none(),
            Check::Authorisation,
            || "an operation is started and nothing has authorised the apply".to_owned(),
        );
        let is_next = usize::try_from(started.index) == Ok(apply.ended)
            && !apply.all_tried()
            && apply.running.is_none()
            && !apply.unsettled
            && apply.last.is_none_or(|last| last == Last::Succeeded);
        now.expect(is_next, Check::ExecutionOrder, || {
            format!("operation {} is not the next to be started", started.index)
        });
        let execution = *apply.execution_id.get_or_insert(started.execution_id);
        now.expect(
            execution == started.execution_id,
            Check::ExecutionOnce,
            || {
                format!(
                    "execution {} is a second one, the first is {execution}",
                    started.execution_id
                )
            },
        );
        let same_way = apply
            .simulated
            .is_none_or(|known| known == started.simulated);
        now.expect(same_way, Check::ExecutionOrder, || {
            "its operations are in part simulated".to_owned()
        });
        apply.simulated = Some(started.simulated);
        let expected = apply.requests.get(apply.ended);
        match expected.map(|expected| expected.compare(started)) {
            Some(Compared::Other) => now.wrong(
                Check::Request,
                format!(
                    "{} {} is not the request of operation {}, or has another body",
                    started.method, started.path, started.index
                ),
            ),
            Some(Compared::Unreadable) => now.cannot(Check::Request, Obstacle::OtherVersion),
            Some(Compared::Same) | None => {}
        }
        apply.running = Some(started.simulated);
        apply.is_provable = now.header.schema_version == 1 || started.read_before.differed();
        if started.simulated {
            self.counts.operations_simulated += 1;
        } else {
            self.counts.operations_started += 1;
        }
        self.open_task(now, task_id);
    }

    fn operation_ended(&mut self, now: &mut Now<'_>, ended: &OperationEnded) {
        let stream = now.header.stream_id;
        let Some(State::Apply(apply)) = self.streams.state(stream) else {
            return;
        };
        let index = usize::try_from(ended.index);
        let under_way = apply.running.is_some() && index == Ok(apply.ended);
        now.expect(under_way, Check::ExecutionOrder, || {
            format!("operation {} ends and was not started", ended.index)
        });
        now.expect(
            apply
                .running
                .is_none_or(|simulated| simulated == ended.simulated),
            Check::ExecutionOrder,
            || {
                format!(
                    "operation {} was started and ended one simulated, one not",
                    ended.index
                )
            },
        );
        let sent_nothing =
            ended.simulated && (ended.reconciled || http_status(&ended.outcome).is_some());
        now.expect(!sent_nothing, Check::ExecutionOrder, || {
            format!(
                "operation {} was simulated, and is told as answered",
                ended.index
            )
        });
        let is_success = matches!(ended.outcome, OperationOutcome::Succeeded { .. });
        let is_proven = !ended.reconciled || !is_success || apply.is_provable;
        now.expect(is_proven, Check::ExecutionOrder, || {
            format!(
                "operation {} is told as found by reading back, and nothing else stood there before",
                ended.index
            )
        });
        self.follow_ups.made(stream.into(), &ended.outcome);
        let Some(State::Apply(apply)) = self.streams.state(stream) else {
            return;
        };
        apply.running = None;
        apply.left_no_trace = ended.left_no_trace();
        apply.ended += 1;
        apply.last = Some(match ended.outcome {
            OperationOutcome::Succeeded { .. } => Last::Succeeded,
            OperationOutcome::Failed { .. } => Last::Failed,
            OperationOutcome::Unknown { .. } => Last::Unknown,
        });
    }

    fn apply_ended(&mut self, now: &mut Now<'_>, ended: &ApplyEnded) {
        let stream = now.header.stream_id;
        let Some(State::Apply(apply)) = self.streams.state(stream) else {
            return;
        };
        let used = apply.approval.filter(|_| apply.authorised);
        let as_they_did = match (ended.end, apply.last) {
            _ if apply.running.is_some() || !apply.authorised || apply.unsettled => false,
            (ApplyEnd::Failed, Some(Last::Succeeded) | None) => ended.stopped.is_some(),
            (ApplyEnd::Completed, Some(Last::Succeeded)) => {
                apply.all_tried() && ended.stopped.is_none()
            }
            (ApplyEnd::Failed, Some(Last::Failed)) | (ApplyEnd::Unknown, Some(Last::Unknown)) => {
                ended.stopped.is_none()
            }
            _ => false,
        };
        now.expect(as_they_did, Check::ExecutionOrder, || {
            "the apply does not end as its operations did".to_owned()
        });
        let task_id = apply.task_id;
        let is_locked = ended.stopped.as_deref() == Some(LOCKED);
        let by_clearance = ended.stopped.as_deref() == Some(CLEARANCE_ENDED);
        let is_cleared = apply.clearance.is_some();
        now.expect(is_cleared || !by_clearance, Check::Clearance, || {
            "it ends with its clearance, and none authorised it".to_owned()
        });
        if is_locked {
            self.ends_by_lock(now, false);
        }
        let is_by_policy = ended.stopped.as_deref() == Some(POLICY);
        if is_by_policy {
            self.ends_by_policy(now);
        }
        let by_drift = ended.stopped.as_deref() == Some(PRE_STATE);
        let Some(State::Apply(apply)) = self.streams.state(stream) else {
            return;
        };
        let was_bound = apply.execution_id.is_none() && apply.approval.is_some();
        now.expect(was_bound || !by_drift, Check::ExecutionOrder, || {
            "it ends for another state upstream, and has begun or was bound to none".to_owned()
        });
        if ended.end == ApplyEnd::Unknown {
            apply.unsettled = true;
        } else {
            self.streams.put(stream, State::Ended(AggregateKind::Apply));
        }
        self.counts.applies_ended += 1;
        self.follow_ups.ended(stream.into(), ended.end, now.at());
        // What it did not give back before its end stays used.
        if let Some(used) = used
            && let Seen::Here(question) = self.question(used)
            && question
                .consumed_by()
                .is_some_and(|by| by.as_bytes() == stream.as_bytes())
        {
            self.streams.put(used.into(), State::Consumed);
        }
        if let Some(reason) = ended
            .stopped
            .as_ref()
            .filter(|_| !is_locked && !is_by_policy && !by_clearance && !by_drift)
        {
            self.ends_with_task(now, task_id, reason);
        }
    }
}

/// The status of upstream's answer, where there was one.
const fn http_status(outcome: &OperationOutcome) -> Option<u16> {
    match outcome {
        OperationOutcome::Succeeded { http_status, .. }
        | OperationOutcome::Failed { http_status, .. } => *http_status,
        OperationOutcome::Unknown { .. } => None,
    }
}

/// What a question says of where its request came from is what the policy has read of that.
fn came_from(now: &mut Now<'_>, from: Option<&AskedFrom>, said: Option<&PolicyEvaluation>) {
    if let (Some(from), Some(said)) = (from, said) {
        now.expect(from.fits(said), Check::Policy, || {
            "its question says that it came from elsewhere than the policy has read".to_owned()
        });
    }
}
