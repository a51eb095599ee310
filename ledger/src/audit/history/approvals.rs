//! Approvals: asked, decided once, consumed once.

use super::evaluations::{POLICY, PRE_STATE};
use super::locks::LOCKED;
use super::streams::{Seen, State};
use super::votes::KnownVote;
use super::{History, Now};
use crate::aggregate::whole_seconds;
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::clock::Timestamp;
use crate::event::{
    ActorKind, AggregateKind, ApprovalAsked, ApprovalConsumed, ApprovalDecided, ApprovalExpired,
    ApprovalReleased, ApprovalRequested, Approved, AskedByPolicy, AskedFrom, AskedSubject, Denied,
    Event, LockTarget, Voted,
};
use crate::fingerprint::Fingerprint;
use crate::id::{ApplyId, ApprovalId, CommandId, GroupId, ScheduleId, TaskId, TokenId};
use crate::name::{ApproverName, IdempotencyKey};
use crate::policy::{Excluded, Exclusion, Need, NeedGroup, Requirement};
use crate::statement::{Choice, Decision, PreStateDigest, QuestionKind};
use std::collections::HashSet;
use std::time::Duration;

/// The reason of what a person cancelled.
const PERSON: &str = "person";

/// Where an approval stands that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Pending,
    /// Since when.
    Approved(Timestamp),
    /// For whom; it is kept until the apply ends, which may give it back.
    Consumed(Consumption),
}

/// That an approval was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Consumption {
    /// For which apply.
    by: ApplyId,
    /// At which position.
    at: u64,
    /// Since when it had been approved.
    approved_at: Timestamp,
}

/// The parts of a question that do not depend on its subject.
struct Put {
    fingerprint: Fingerprint,
    expires_at: Timestamp,
    continuation: Duration,
    approvers: Vec<ApproverName>,
    policy: Option<AskedByPolicy>,
    from: Option<AskedFrom>,
}

/// An approval that has not come to its end.
#[derive(Debug)]
pub(super) struct QuestionState {
    pub(super) subject: KnownSubject,
    pub(super) asked_at: Timestamp,
    pub(super) fingerprint: Fingerprint,
    pub(super) expires_at: Timestamp,
    continuation: Duration,
    pub(super) approvers: HashSet<ApproverName>,
    /// That apply was accepted, with so many operations.
    pub(super) asked: Option<usize>,
    /// What of that apply can be locked beside its task; an approval outlives the apply where that fails.
    pub(super) locked_by: Box<[LockTarget]>,
    /// The idempotency key that a delivery told of it.
    pub(super) told_key: Option<IdempotencyKey>,
    /// The digest of the state upstream, once it was read.
    pub(super) state: Option<PreStateDigest>,
    /// The token or key of the apply that asked, where it is to be carried out once it is approved.
    pub(super) executes_for: Option<TokenId>,
    pub(super) approved_by: Option<ApproverName>,
    /// The rules that ask, and what an answer needs.
    pub(super) policy: Option<AskedByPolicy>,
    /// The command that approved it.
    pub(super) approved_in: Option<CommandId>,
    /// Where the request that asked came from, as far as that was known.
    pub(super) from: Option<AskedFrom>,
    /// The votes that count.
    pub(super) votes: Vec<KnownVote>,
    phase: Phase,
}

/// The subject of a question.
#[derive(Debug)]
pub(super) enum KnownSubject {
    /// An apply.
    Apply {
        /// Its task.
        task_id: TaskId,
        /// The apply that asked first.
        first: ApplyId,
    },
    /// Something else.
    Besides(Box<AskedSubject>),
}

/// An apply that waits for a question.
pub(super) struct Asker {
    pub(super) apply_id: ApplyId,
    pub(super) key: IdempotencyKey,
    /// Who asked, where it is carried out with its decision.
    pub(super) executes_for: Option<TokenId>,
    /// How many operations it has.
    pub(super) operations: usize,
    /// What of it can be locked beside its task.
    pub(super) locked_by: Box<[LockTarget]>,
}

impl QuestionState {
    fn new(subject: KnownSubject, asked_at: Timestamp, put: Put) -> Self {
        Self {
            subject,
            asked_at,
            fingerprint: put.fingerprint,
            expires_at: put.expires_at,
            continuation: put.continuation,
            approvers: put.approvers.into_iter().collect(),
            asked: None,
            locked_by: Box::default(),
            told_key: None,
            state: None,
            executes_for: None,
            approved_by: None,
            approved_in: None,
            policy: put.policy,
            from: put.from,
            votes: Vec::new(),
            phase: Phase::Pending,
        }
    }

    /// A question that is not about an apply.
    pub(super) fn of_besides(asked: ApprovalAsked, asked_at: Timestamp) -> Self {
        let put = Put {
            fingerprint: asked.fingerprint,
            expires_at: asked.expires_at,
            continuation: Duration::ZERO,
            approvers: asked.approvers,
            policy: asked.policy,
            from: None,
        };
        Self::new(
            KnownSubject::Besides(Box::new(asked.subject)),
            asked_at,
            put,
        )
    }

    /// The task and the apply that asked first, where it is about an apply.
    pub(super) const fn apply(&self) -> Option<(TaskId, ApplyId)> {
        match self.subject {
            KnownSubject::Apply { task_id, first } => Some((task_id, first)),
            KnownSubject::Besides(_) => None,
        }
    }

    pub(super) const fn task_id(&self) -> Option<TaskId> {
        match self.apply() {
            Some((task_id, _)) => Some(task_id),
            None => None,
        }
    }

    /// Whether that apply asked first.
    pub(super) fn is_first(&self, apply: ApplyId) -> bool {
        self.apply().is_some_and(|(_, first)| first == apply)
    }

    pub(super) const fn kind(&self) -> QuestionKind {
        match &self.subject {
            KnownSubject::Apply { .. } => QuestionKind::Apply,
            KnownSubject::Besides(subject) => subject.kind(),
        }
    }

    /// The schedule that it is about, where it is about one.
    pub(super) fn schedule(&self) -> Option<ScheduleId> {
        match &self.subject {
            KnownSubject::Apply { .. } => None,
            KnownSubject::Besides(subject) => match &**subject {
                AskedSubject::Schedule(proposal) => Some(proposal.schedule_id.into()),
                AskedSubject::PolicyChange(_) | AskedSubject::Review(_) => None,
            },
        }
    }

    /// What its answer was held to.
    pub(super) fn answered(&self) -> Requirement {
        let asked = self.policy.as_ref();
        asked.map_or_else(Requirement::without_policy, |asked| {
            asked.requirement.get().clone()
        })
    }

    /// What an answer needs; nothing where no policy asked.
    pub(super) fn needs(&self) -> &[Need] {
        match &self.policy {
            Some(asked) => &asked.requirement.get().needs,
            None => &[],
        }
    }

    /// The groups of its needs.
    pub(super) fn groups(&self) -> Vec<GroupId> {
        let groups = self.needs().iter().filter_map(|need| match need.group {
            NeedGroup::Default => None,
            NeedGroup::Group(id) => Some(id),
        });
        groups.collect()
    }

    /// Those who may not answer.
    pub(super) fn excluded(&self) -> &[Excluded] {
        match &self.policy {
            Some(asked) => &asked.requirement.get().exclude,
            None => &[],
        }
    }

    /// The users whose wish it is, where it is not about an apply.
    pub(super) fn authors(&self) -> Vec<LockTarget> {
        let excluded = self.excluded().iter();
        let authors = excluded.filter(|one| one.why == Exclusion::Author);
        authors.map(|one| LockTarget::User(one.user_id)).collect()
    }

    pub(super) fn is_pending(&self) -> bool {
        self.phase == Phase::Pending
    }

    pub(super) const fn consumed_by(&self) -> Option<ApplyId> {
        match self.phase {
            Phase::Consumed(consumption) => Some(consumption.by),
            Phase::Pending | Phase::Approved(_) => None,
        }
    }

    /// The position at which it was consumed.
    pub(super) const fn consumed_at(&self) -> Option<u64> {
        match self.phase {
            Phase::Consumed(consumption) => Some(consumption.at),
            Phase::Pending | Phase::Approved(_) => None,
        }
    }

    /// Until when it can be continued when it is approved so at that moment.
    pub(super) fn continue_until(
        &self,
        decided: &ApprovalDecided,
        approved_at: Timestamp,
    ) -> Timestamp {
        approved_at.plus(self.usable_for(decided, approved_at))
    }

    /// The time in which it can be continued when it is approved so at that time.
    fn usable_for(&self, decided: &ApprovalDecided, at: Timestamp) -> Duration {
        let choice = Choice::of_statement(&decided.statement).unwrap_or_default();
        let votes = self.votes.iter().filter_map(KnownVote::use_until);
        choice.usable_for(self.continuation, at, votes)
    }

    /// Takes in an apply that waits for it. The first is the one that it says has asked, and has the key
    /// that callbacks were told.
    /// `first_unseen` is why the first cannot be looked at.
    pub(super) fn is_asked_by(
        &mut self,
        now: &mut Now<'_>,
        asker: Asker,
        first_unseen: Option<Obstacle>,
    ) {
        if self.asked.replace(asker.operations).is_some() {
            let fits = asker.executes_for.is_none() || self.executes_for.is_some();
            return now.expect(fits, Check::ApprovalState, || {
                "its approval was asked with the word that its agent continues it".to_owned()
            });
        }
        self.executes_for = asker.executes_for;
        self.locked_by = asker.locked_by;
        let is_first = self.is_first(asker.apply_id);
        if !is_first && let Some(why) = first_unseen {
            return now.cannot(Check::Reference, why);
        }
        let first = self.apply();
        now.expect(is_first, Check::Reference, || match first {
            Some((_, first)) => format!("its approval says that apply {first} asked"),
            None => "its approval is not about an apply".to_owned(),
        });
        let told = self.told_key.take();
        now.expect(
            told.is_none_or(|told| told == asker.key),
            Check::DeliveryEvent,
            || "callbacks were told of another idempotency key than it has".to_owned(),
        );
    }

    /// The deadline that runs, and whether it is that of a continuation.
    fn deadline(&self) -> Option<(Timestamp, bool)> {
        match self.phase {
            Phase::Pending => Some((self.expires_at, false)),
            // What is not about an apply was done with its decision.
            Phase::Approved(at) => {
                let ends = (at.plus(self.continuation), true);
                self.apply().map(|_| ends)
            }
            Phase::Consumed(_) => None,
        }
    }

    /// It can still be decided, or continued.
    pub(super) fn is_open_at(&self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|(deadline, _)| now < deadline)
    }
}

/// Whether it asks people about a change of the policy.
pub(super) const fn is_about_policy(event: &Event) -> bool {
    match event {
        Event::ApprovalAsked(asked) => matches!(asked.subject, AskedSubject::PolicyChange(_)),
        _ => false,
    }
}

impl History {
    /// An approval that has not ended.
    pub(super) fn question(&mut self, id: ApprovalId) -> Seen<&mut QuestionState> {
        self.streams.find(id, |state| match state {
            State::Approval(question) => Some(&mut **question),
            _ => None,
        })
    }

    /// Why the apply that first asked a question cannot be looked at.
    pub(super) fn first_asker_unseen(&mut self, id: ApprovalId) -> Option<Obstacle> {
        let first = self.question(id).here()?.apply()?.1;
        self.streams.find(first, |_| Some(())).hidden()
    }

    /// Why a question that another event names cannot be looked at; `None` where it can, or was never asked.
    pub(super) fn question_unseen(&mut self, id: ApprovalId) -> Option<Obstacle> {
        let was_left_out = self.is_excerpt.then_some(Obstacle::BeforeRange);
        match self.question(id) {
            Seen::Hidden(why) => Some(why),
            Seen::Never => was_left_out,
            Seen::Here(_) | Seen::Erased => None,
        }
    }

    pub(super) fn approval_event(&mut self, now: &mut Now<'_>, event: Event) {
        let stream = now.header.stream_id;
        let over = State::Ended(AggregateKind::Approval);
        match event {
            Event::ApprovalRequested(asked) => self.approval_requested(now, asked),
            Event::ApprovalAsked(asked) => self.approval_asked(now, asked),
            Event::ApprovalVoted(Voted(vote)) => {
                self.decided(now, &vote, Decision::Approve, false);
                self.voted(now, &vote);
            }
            Event::ApprovalVoteWithdrawn(withdrawn) => self.vote_withdrawn(now, &withdrawn),
            Event::ApprovalVoteVoided(voided) => self.vote_voided(now, &voided),
            Event::ApprovalApproved(Approved(decided)) => {
                self.question_closed(stream.into());
                self.decided(now, &decided, Decision::Approve, true);
                self.counts.approved += 1;
                if let Some(State::Approval(question)) = self.streams.state(stream) {
                    question.continuation = question.usable_for(&decided, now.at());
                    question.phase = Phase::Approved(now.at());
                    question.approved_by = Some(decided.principal);
                    question.approved_in = Some(now.envelope.command_id);
                }
                self.will_carry_out(now);
                self.besides_approved(now);
            }
            Event::ApprovalDenied(Denied(decided)) => {
                self.question_closed(stream.into());
                self.decided(now, &decided, Decision::Deny, true);
                self.counts.denied += 1;
                self.follow_ups.denied(stream.into());
                self.streams.put(stream, over);
            }
            Event::ApprovalConsumed(consumed) => self.approval_consumed(now, &consumed),
            Event::ApprovalReleased(released) => self.approval_released(now, &released),
            Event::ApprovalExpired(expired) => {
                self.question_closed(stream.into());
                self.approval_expired(now, &expired);
                self.streams.put(stream, over);
            }
            Event::ApprovalCancelled(cancelled) => {
                self.question_closed(stream.into());
                let by_drift = cancelled.reason == PRE_STATE;
                let by_executor = by_drift || cancelled.reason == POLICY;
                let task_id = self.is_unconsumed(now, by_executor);
                if by_drift {
                    self.has_drifted(now);
                    self.takes_back_promise(stream);
                }
                let is_locked = cancelled.reason == LOCKED;
                if is_locked {
                    self.ends_by_lock(now, true);
                }
                let is_by_policy = cancelled.reason == POLICY;
                if is_by_policy {
                    self.ends_by_policy(now);
                    self.takes_back_promise(stream);
                }
                let is_by_person = cancelled.reason == PERSON;
                if is_by_person {
                    let person = [
                        ActorKind::Operator,
                        ActorKind::User,
                        ActorKind::ServiceToken,
                    ];
                    let by_one = person.iter().any(|kind| kind.is(&now.envelope.actor));
                    now.expect(by_one, Check::Actor, || {
                        "it says that a person cancelled it, and its actor is none".to_owned()
                    });
                    self.is_no_review(now);
                    self.takes_back_promise(stream);
                }
                self.streams.put(stream, over);
                if let Some(task_id) =
                    task_id.filter(|_| !is_locked && !by_executor && !is_by_person)
                {
                    self.ends_with_task(now, task_id, &cancelled.reason);
                }
            }
            Event::PreStateRecorded(read) => {
                if let Some(State::Approval(question)) = self.streams.state(stream) {
                    let is_apply = question.apply().is_some();
                    let first = is_apply && question.is_pending() && question.state.is_none();
                    question.state = Some(PreStateDigest::of(&read.operations));
                    let asked = question.asked;
                    now.expect(
                        asked.is_none_or(|asked| asked == read.operations.len()),
                        Check::ApprovalState,
                        || {
                            "what stands upstream was read of more or fewer operations than are asked for"
                                .to_owned()
                        },
                    );
                    now.expect(first, Check::ApprovalState, || {
                        "what stands upstream is read once, while the approval is pending"
                            .to_owned()
                    });
                }
            }
            Event::ApprovalNarrowed(narrowed) => {
                if let Some(State::Approval(question)) = self.streams.state(stream) {
                    let part = question.is_pending()
                        && !narrowed.approvers.is_empty()
                        && narrowed
                            .approvers
                            .iter()
                            .all(|who| question.approvers.contains(who));
                    now.expect(part, Check::ApprovalState, || {
                        "who decides is narrowed to somebody who could not decide".to_owned()
                    });
                    question.approvers = narrowed.approvers.into_iter().collect();
                }
            }
            _ => {}
        }
    }

    fn approval_requested(&mut self, now: &mut Now<'_>, asked: ApprovalRequested) {
        self.counts.approvals += 1;
        let stream = now.header.stream_id;
        now.expect(
            asked.approval_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || {
                format!(
                    "it begins approval {} in stream {stream}",
                    asked.approval_id
                )
            },
        );
        now.expect(
            now.header.recorded_at < asked.expires_at,
            Check::Deadline,
            || format!("it ended at {} before it was asked", asked.expires_at),
        );
        let continuation = whole_seconds(asked.continuation_seconds);
        if let Some(task) = self.open_task(now, asked.task_id) {
            now.expect(task.agent == asked.agent, Check::Reference, || {
                format!(
                    "its task is of agent {:?}, not {:?}",
                    task.agent, asked.agent
                )
            });
            let time = task.question;
            let shorter = asked
                .policy
                .as_ref()
                .and_then(|policy| policy.requirement.get().ttl());
            let in_time = time.is_none_or(|time| {
                let waits = shorter.map_or(time, |shorter| shorter.min(time));
                asked.expires_at == now.at().plus(waits) && continuation == time
            });
            now.expect(in_time, Check::Deadline, || {
                "it waits for another time than its task says".to_owned()
            });
        }
        let subject = KnownSubject::Apply {
            task_id: asked.task_id,
            first: asked.apply_id,
        };
        let put = Put {
            fingerprint: asked.fingerprint,
            expires_at: asked.expires_at,
            continuation,
            approvers: asked.approvers,
            policy: asked.policy,
            from: asked.from,
        };
        let question = QuestionState::new(subject, now.at(), put);
        self.streams
            .put(stream, State::Approval(Box::new(question)));
    }

    fn approval_consumed(&mut self, now: &mut Now<'_>, consumed: &ApprovalConsumed) {
        let stream = now.header.stream_id;
        let Some(State::Approval(question)) = self.streams.state(stream) else {
            return;
        };
        let approved_at = match question.phase {
            Phase::Approved(at) => {
                let open = question.is_open_at(now.at());
                now.expect(open, Check::Deadline, || {
                    "it was continued after its time".to_owned()
                });
                at
            }
            Phase::Pending => {
                now.wrong(
                    Check::ApprovalState,
                    "it is consumed and nobody approved it",
                );
                now.at()
            }
            Phase::Consumed(Consumption { by, .. }) => {
                return now.wrong(
                    Check::ExecutionOnce,
                    format!("it was consumed before, by {by}"),
                );
            }
        };
        question.phase = Phase::Consumed(Consumption {
            by: consumed.apply_id,
            at: now.position(),
            approved_at,
        });
        let Some((task_id, _)) = question.apply() else {
            return now.wrong(
                Check::ApprovalState,
                "it is used, and is not about an apply",
            );
        };
        let approved_by = question.approved_by.clone();
        self.is_carried_out(now, consumed.apply_id);
        if let Some(principal) = approved_by {
            self.check_owner(now, &principal);
        }
        let apply_id = consumed.apply_id;
        let waits = self.streams.find(apply_id, |state| match state {
            State::Apply(apply) if !apply.authorised => Some(apply.approval),
            _ => None,
        });
        let missing = || format!("apply {apply_id}, which consumes it, does not wait for anything");
        if let Some(waits) = waits.or_tell(now, Check::Authorisation, missing) {
            now.expect(
                waits.is_some_and(|approval| approval.as_bytes() == stream.as_bytes()),
                Check::Authorisation,
                || format!("apply {apply_id}, which consumes it, waits for another approval"),
            );
        }
        self.open_task(now, task_id);
    }

    /// It is given back by the apply that used it, after the failure of its first operation and before
    /// its end, while the window of the decision lasts.
    fn approval_released(&mut self, now: &mut Now<'_>, released: &ApprovalReleased) {
        let stream = now.header.stream_id;
        let Some(State::Approval(question)) = self.streams.state(stream) else {
            return;
        };
        let Phase::Consumed(Consumption {
            by, approved_at, ..
        }) = question.phase
        else {
            return now.wrong(Check::ApprovalState, "it is given back and was not used");
        };
        let usable_until = approved_at.plus(question.continuation);
        let in_time = released.usable_until == usable_until && now.at() < usable_until;
        now.expect(in_time, Check::Deadline, || {
            format!(
                "it can be used until {usable_until}, and not longer for having been given back"
            )
        });
        now.expect(released.apply_id == by, Check::Reference, || {
            format!(
                "it was used by {by}, and {} gives it back",
                released.apply_id
            )
        });
        question.phase = Phase::Approved(approved_at);
        let Some((task_id, _)) = question.apply() else {
            return;
        };
        let approval = ApprovalId::from(stream);
        let gives_back = self.streams.find(by, |state| match state {
            State::Apply(apply) => Some(apply.may_give_back(approval)),
            _ => None,
        });
        let over = || format!("apply {by}, which gives it back, has ended");
        let gives_back = gives_back.or_tell(now, Check::ExecutionOnce, over);
        now.expect(gives_back.unwrap_or(true), Check::ExecutionOnce, || {
            format!("apply {by} may have applied something, and gives its approval back")
        });
        self.open_task(now, task_id);
    }

    fn approval_expired(&mut self, now: &mut Now<'_>, expired: &ApprovalExpired) {
        let Some(State::Approval(question)) = self.streams.state(now.header.stream_id) else {
            return;
        };
        let deadline = question.deadline();
        now.expect(deadline.is_some(), Check::ApprovalState, || {
            "it expires and was consumed".to_owned()
        });
        let missed = deadline == Some((expired.deadline, expired.was_approved))
            && now.header.recorded_at >= expired.deadline;
        now.expect(deadline.is_none() || missed, Check::Deadline, || {
            format!(
                "it expires at {}, which is not the deadline that ran",
                expired.deadline
            )
        });
    }

    /// What an approval is bound to turned out to be another state before anything was sent.
    fn has_drifted(&mut self, now: &mut Now<'_>) {
        let stream = now.header.stream_id;
        let Some(State::Approval(question)) = self.streams.state(stream) else {
            return;
        };
        let asked = question.policy.as_ref();
        let is_bound = asked.is_some_and(AskedByPolicy::binds_pre_state);
        let (state, used_by) = (question.state, question.consumed_by());
        now.expect(is_bound && used_by.is_some(), Check::ApprovalState, || {
            "it ends for another state upstream, and is bound to none or was not used".to_owned()
        });
        if let Some(used_by) = used_by
            && let Some(State::Apply(apply)) = self.streams.state(used_by)
        {
            apply.drifted_from = state;
        }
    }

    /// The task of an approval that is withdrawn. One that is used already is withdrawn only before its apply has begun.
    fn is_unconsumed(&mut self, now: &mut Now<'_>, before_it_begins: bool) -> Option<TaskId> {
        let Some(State::Approval(question)) = self.streams.state(now.header.stream_id) else {
            return None;
        };
        let task_id = question.task_id();
        let may_be_cancelled = question.is_pending() || question.apply().is_some();
        let used_by = question.consumed_by();
        let mut has_begun = |by: ApplyId| {
            let begun = self.streams.find(by, |state| match state {
                State::Apply(apply) => Some(apply.execution_id.is_some()),
                _ => None,
            });
            begun.here().unwrap_or(true)
        };
        let open = match used_by {
            None => may_be_cancelled,
            Some(by) => before_it_begins && !has_begun(by),
        };
        now.expect(open, Check::ApprovalState, || {
            "it is withdrawn and was used for what has begun".to_owned()
        });
        task_id
    }
}
