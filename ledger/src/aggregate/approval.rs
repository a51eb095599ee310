//! The question put to humans about one fingerprint.

use super::question_subject::{AskedApply, QuestionSubject};
use super::{Aggregate, Apply, whole_seconds};
use crate::clock::Timestamp;
use crate::event::{
    ApprovalAsked, ApprovalDecided, ApprovalRequested, Approved, AskedByPolicy, AskedFrom,
    AskedSubject, Denied, Event, PreState, VoteLoss, VoteVoided, VoteWithdrawn, Voted,
    ZoneNameRead, ZoneRead,
};
use crate::fingerprint::Fingerprint;
use crate::id::{ApplyId, ApprovalId, TaskId};
use crate::name::ApproverName;
use crate::operation::{Before, Operation, Scope};
use crate::rejection::Rejection;
use crate::statement::{Choice, QuestionKind};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Where an approval stands in the log. Deadlines that have passed but are not recorded yet are
/// seen by [`Approval::state_at`] only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalState {
    Pending,
    /// Approved, not yet continued.
    Approved,
    Denied,
    /// Not decided, or not continued, in time.
    Expired,
    /// Withdrawn: its task was closed.
    Cancelled,
    Consumed,
}

impl ApprovalState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Consumed => "consumed",
        }
    }
}

/// The longest time in which an approval of an emergency can be used.
pub const EMERGENCY_USE: Duration = Duration::from_secs(15 * 60);

impl Choice {
    /// The time in which an approval can be used that is given so at that time, of the time that its question leaves:
    /// short in an emergency, and no longer than who gives it and those who approved it before want.
    #[must_use]
    pub fn usable_for(
        &self,
        time: Duration,
        at: Timestamp,
        others: impl Iterator<Item = Timestamp>,
    ) -> Duration {
        let time = match self.break_glass {
            true => time.min(EMERGENCY_USE),
            false => time,
        };
        let wanted = others.chain(self.use_until).map(|until| until.since(at));
        wanted.fold(time, Duration::min)
    }
}

/// The choice made with a decision.
fn choice_of(decided: &ApprovalDecided) -> Choice {
    Choice::of_statement(&decided.statement).unwrap_or_default()
}

/// What cancels a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelledBy {
    /// Its task was closed.
    Task,
    Lock,
    /// The policy wants another answer now, or denies what was asked.
    Policy,
    /// An operator cancelled it.
    Person,
    /// The state upstream is not the one that it was bound to.
    PreState,
}

impl CancelledBy {
    fn of(reason: &str) -> Self {
        match reason {
            "locked" => Self::Lock,
            "policy" => Self::Policy,
            "person" => Self::Person,
            "pre_state" => Self::PreState,
            _ => Self::Task,
        }
    }

    /// The refusal of who comes afterwards.
    #[must_use]
    pub const fn refusal(self) -> Rejection {
        match self {
            Self::Task => Rejection::ApprovalCancelled,
            Self::Lock => Rejection::CancelledByLock,
            Self::Policy => Rejection::CancelledByPolicy,
            Self::Person => Rejection::CancelledByPerson,
            Self::PreState => Rejection::CancelledByPreState,
        }
    }
}

/// A vote to approve that did not end its question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// Who voted, and the proof.
    pub cast: ApprovalDecided,
    /// When.
    pub at: Timestamp,
    /// Why it counts no more.
    pub end: Option<VoteEnd>,
}

/// Why a vote counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoteEnd {
    /// Its voter has taken it back.
    Withdrawn,
    /// Its voter could not vote any more when it was looked at.
    Void(VoteLoss),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub id: ApprovalId,
    /// The subject.
    pub subject: QuestionSubject,
    /// The operations in question, or the other subject.
    pub fingerprint: Fingerprint,
    pub created_at: Timestamp,
    /// Until when it can be decided.
    pub expires_at: Timestamp,
    /// The time in which an approval can be continued; of what is not about an apply, none.
    pub continuation: Duration,
    /// Those who may decide.
    pub approvers: Vec<ApproverName>,
    /// What upstream looked like, one for each operation, once it was read.
    pub pre_state: Option<Vec<PreState>>,
    /// What upstream calls the zones of the operations, read together with that.
    pub zones: Vec<ZoneRead>,
    pub state: ApprovalState,
    pub decision: Option<ApprovalDecided>,
    /// The time of the decision.
    pub decided_at: Option<Timestamp>,
    /// The time of its state.
    pub changed_at: Timestamp,
    /// The deadline that it missed, once that is recorded.
    pub expired_at: Option<Timestamp>,
    /// The apply that it was used for.
    pub consumed_by: Option<ApplyId>,
    /// It was used for the first time in the moment of its decision.
    pub used_at_once: bool,
    /// The newest apply that used it and gave it back, having applied nothing.
    pub released_by: Option<ApplyId>,
    /// What cancelled it, where something did.
    pub cancelled_by: CancelledBy,
    /// The rules that ask, and what an answer needs, where a policy was in force.
    pub policy: Option<Arc<AskedByPolicy>>,
    /// Where the request that asked came from, as far as that was known.
    pub from: Option<AskedFrom>,
    /// The newest vote of each principal, in the order of those.
    pub votes: Vec<Vote>,
}

impl Approval {
    /// One that was just asked.
    fn asked(id: ApprovalId, subject: QuestionSubject, put: Put, at: Timestamp) -> Self {
        Self {
            id,
            subject,
            fingerprint: put.fingerprint,
            created_at: at,
            expires_at: put.expires_at,
            continuation: whole_seconds(put.continuation_seconds),
            approvers: put.approvers,
            pre_state: None,
            zones: Vec::new(),
            state: ApprovalState::Pending,
            decision: None,
            decided_at: None,
            changed_at: at,
            expired_at: None,
            consumed_by: None,
            used_at_once: false,
            released_by: None,
            cancelled_by: CancelledBy::Task,
            policy: put.policy.map(Arc::new),
            from: put.from,
            votes: Vec::new(),
        }
    }

    /// The time in which an approval can be continued that is given with that choice at that time: as short as one of
    /// those who approve it wants.
    #[must_use]
    pub fn usable_for(&self, choice: &Choice, at: Timestamp) -> Duration {
        let votes = self.standing_votes();
        let votes = votes.filter_map(|vote| choice_of(&vote.cast).use_until);
        choice.usable_for(self.continuation, at, votes)
    }

    /// Whether one person approved it alone in an emergency.
    #[must_use]
    pub fn is_of_emergency(&self) -> bool {
        let decided = self.decision.as_ref();
        decided.is_some_and(|decided| choice_of(decided).break_glass)
    }

    /// The kind of thing that is asked about.
    #[must_use]
    pub fn kind(&self) -> QuestionKind {
        self.subject.kind()
    }

    /// The apply that it is about, where it is about one.
    #[must_use]
    pub const fn apply(&self) -> Option<&AskedApply> {
        match &self.subject {
            QuestionSubject::Apply(apply) => Some(apply),
            QuestionSubject::Besides(_) => None,
        }
    }

    /// The subject, where that is no apply.
    #[must_use]
    pub fn besides(&self) -> Option<&AskedSubject> {
        match &self.subject {
            QuestionSubject::Apply(_) => None,
            QuestionSubject::Besides(subject) => Some(subject),
        }
    }

    /// The apply that it is about, for what is done to applies only.
    ///
    /// # Errors
    /// [`Rejection::ApprovalNotFound`] for any other question.
    pub fn of_apply(&self) -> Result<&AskedApply, Rejection> {
        self.apply().ok_or(Rejection::ApprovalNotFound)
    }

    /// The task that it belongs to, where it is about an apply.
    #[must_use]
    pub fn task_id(&self) -> Option<TaskId> {
        self.apply().map(|apply| apply.task_id)
    }

    /// The votes that count, as far as the log says.
    pub fn standing_votes(&self) -> impl Iterator<Item = &Vote> {
        self.votes.iter().filter(|vote| vote.end.is_none())
    }

    /// Those whose answers made the decision, in their order: each who approved, or the one who denied. None where
    /// nobody has decided.
    #[must_use]
    pub fn answered_by(&self) -> Vec<(&ApproverName, Timestamp)> {
        let Some(decision) = &self.decision else {
            return Vec::new();
        };
        let mut answered = match self.state {
            ApprovalState::Denied => Vec::new(),
            _ => self.approved_by(),
        };
        let at = self.decided_at.unwrap_or(self.changed_at);
        answered.push((&decision.principal, at));
        answered
    }

    /// Those whose votes count, in their order.
    #[must_use]
    pub fn approved_by(&self) -> Vec<(&ApproverName, Timestamp)> {
        let votes = self.standing_votes();
        let mut given: Vec<_> = votes.map(|vote| (&vote.cast.principal, vote.at)).collect();
        given.sort_by_key(|(_, at)| *at);
        given
    }

    fn end_vote(&mut self, principal: &ApproverName, end: VoteEnd) {
        let votes = self.votes.iter_mut();
        for vote in votes.filter(|vote| vote.cast.principal == *principal) {
            vote.end.get_or_insert(end);
        }
    }

    /// Where an operation has its effect, as far as upstream was asked: see [`Operation::place`].
    #[must_use]
    pub fn place(&self, operation: &Operation) -> Option<String> {
        let provider = operation.provider();
        let has_name = provider.has_name(operation.scope.scope_type);
        match self.name_of(&operation.scope) {
            Some(ZoneNameRead::Known(name)) => operation.place(Some(Ok(name))),
            Some(ZoneNameRead::Unavailable(why)) => operation.place(Some(Err(why))),
            None if has_name && self.pre_state.is_some() => {
                operation.place(Some(Err("nobody asked for it")))
            }
            None => operation.place(None),
        }
    }

    /// What upstream calls the scope, as far as that was read.
    #[must_use]
    pub fn name_of(&self, scope: &Scope) -> Option<&ZoneNameRead> {
        let id = ZoneRead::id_of(scope);
        self.zones
            .iter()
            .find(|zone| zone.zone_id == id)
            .map(|zone| &zone.name)
    }

    /// What upstream was found to hold for the operation of that index; `None` while it was not read, and where
    /// there was nothing to read.
    #[must_use]
    pub fn found(&self, index: usize) -> Option<Value> {
        match self.pre_state.as_ref()?.get(index)? {
            PreState::Found(text) => serde_json::from_str(text).ok(),
            PreState::NotApplicable | PreState::Unavailable(_) => None,
        }
    }

    /// The state of upstream where an operation has its effect, with what was found there.
    #[must_use]
    pub fn before<'a>(&'a self, operation: &Operation, state: Option<&'a Value>) -> Before<'a> {
        Before {
            state,
            name: match self.name_of(&operation.scope) {
                Some(ZoneNameRead::Known(name)) => Some(name.as_str()),
                Some(ZoneNameRead::Unavailable(_)) | None => None,
            },
        }
    }

    /// When an approved one can no longer be continued.
    #[must_use]
    pub fn continue_until(&self) -> Option<Timestamp> {
        self.window_end()
            .filter(|_| self.state == ApprovalState::Approved)
    }

    /// The end of the window that its decision opened, whether or not it was used since. What is not about an apply
    /// has its effect in the moment of its decision.
    pub(crate) fn window_end(&self) -> Option<Timestamp> {
        let decided_at = self.decided_at.filter(|_| self.apply().is_some());
        decided_at.map(|at| at.plus(self.continuation))
    }

    /// Until when it could be used again after that apply, which had used it and failed before anything
    /// was applied; the same whatever has become of it since. `None` for any other apply.
    #[must_use]
    pub fn usable_after(&self, apply: &Apply) -> Option<Timestamp> {
        let had_it = apply.approval_id == Some(self.id) && apply.authorised;
        let gave_it_back = had_it && apply.end.is_some() && self.consumed_by != Some(apply.id);
        self.window_end().filter(|_| gave_it_back)
    }

    /// The next deadline, when there is one: for the decision, or for the continuation.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        match self.state {
            ApprovalState::Pending => Some(self.expires_at),
            ApprovalState::Approved => self.continue_until(),
            _ => None,
        }
    }

    /// When it expired, or will where nothing happens before; the same before and after the expiry
    /// is recorded.
    #[must_use]
    pub fn expiry(&self) -> Timestamp {
        self.expired_at
            .or_else(|| self.deadline())
            .unwrap_or(self.changed_at)
    }

    /// Whether it waits for a decision, or for its use, at that time.
    #[must_use]
    pub fn is_open_at(&self, now: Timestamp) -> bool {
        match self.state_at(now) {
            ApprovalState::Pending => true,
            ApprovalState::Approved => self.apply().is_some(),
            ApprovalState::Denied
            | ApprovalState::Expired
            | ApprovalState::Cancelled
            | ApprovalState::Consumed => false,
        }
    }

    /// The refusal of who comes after it was cancelled.
    #[must_use]
    pub const fn cancellation(&self) -> Rejection {
        self.cancelled_by.refusal()
    }

    /// Where it stands at `now`, deadlines included: at the deadline itself it has expired.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> ApprovalState {
        match self.deadline() {
            Some(deadline) if now >= deadline => ApprovalState::Expired,
            _ => self.state,
        }
    }
}

/// The parts of a question that do not depend on its subject.
struct Put {
    fingerprint: Fingerprint,
    expires_at: Timestamp,
    continuation_seconds: u32,
    approvers: Vec<ApproverName>,
    policy: Option<AskedByPolicy>,
    from: Option<AskedFrom>,
}

impl From<&ApprovalRequested> for Put {
    fn from(asked: &ApprovalRequested) -> Self {
        Self {
            fingerprint: asked.fingerprint,
            expires_at: asked.expires_at,
            continuation_seconds: asked.continuation_seconds,
            approvers: asked.approvers.clone(),
            policy: asked.policy.clone(),
            from: asked.from.clone(),
        }
    }
}

impl From<&ApprovalAsked> for Put {
    fn from(asked: &ApprovalAsked) -> Self {
        Self {
            fingerprint: asked.fingerprint,
            expires_at: asked.expires_at,
            continuation_seconds: 0,
            approvers: asked.approvers.clone(),
            policy: asked.policy.clone(),
            from: None,
        }
    }
}

impl Aggregate for Approval {
    type Id = ApprovalId;

    const NOT_FOUND: Rejection = Rejection::ApprovalNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        match event {
            Event::ApprovalRequested(asked) => {
                let subject = QuestionSubject::Apply(AskedApply {
                    task_id: asked.task_id,
                    agent: asked.agent.clone(),
                    apply_id: asked.apply_id,
                });
                let put = Put::from(asked);
                *state = Some(Self::asked(asked.approval_id, subject, put, at));
                return;
            }
            Event::ApprovalAsked(asked) => {
                let subject = QuestionSubject::Besides(Arc::new(asked.subject.clone()));
                let put = Put::from(asked);
                *state = Some(Self::asked(asked.approval_id, subject, put, at));
                return;
            }
            _ => {}
        }
        let Some(approval) = state else { return };
        let next = match event {
            Event::PreStateRecorded(read) => {
                approval.pre_state = Some(read.operations.clone());
                approval.zones.clone_from(&read.zones);
                return;
            }
            Event::ApprovalNarrowed(narrowed) => {
                approval.approvers.clone_from(&narrowed.approvers);
                return;
            }
            Event::ApprovalVoted(Voted(cast)) => {
                approval
                    .votes
                    .retain(|vote| vote.cast.principal != cast.principal);
                approval.votes.push(Vote {
                    cast: cast.clone(),
                    at,
                    end: None,
                });
                return;
            }
            Event::ApprovalVoteWithdrawn(VoteWithdrawn { principal }) => {
                approval.end_vote(principal, VoteEnd::Withdrawn);
                return;
            }
            Event::ApprovalVoteVoided(VoteVoided { principal, why }) => {
                approval.end_vote(principal, VoteEnd::Void(*why));
                return;
            }
            Event::ApprovalApproved(Approved(decision)) => {
                approval.continuation = approval.usable_for(&choice_of(decision), at);
                approval.decision = Some(decision.clone());
                approval.decided_at = Some(at);
                ApprovalState::Approved
            }
            Event::ApprovalDenied(Denied(decision)) => {
                approval.decision = Some(decision.clone());
                approval.decided_at = Some(at);
                ApprovalState::Denied
            }
            Event::ApprovalExpired(expired) => {
                approval.expired_at = Some(expired.deadline);
                ApprovalState::Expired
            }
            Event::ApprovalCancelled(cancelled) => {
                approval.cancelled_by = CancelledBy::of(&cancelled.reason);
                // The apply that had used it has sent nothing.
                approval.consumed_by = None;
                ApprovalState::Cancelled
            }
            Event::ApprovalConsumed(consumed) => {
                approval.consumed_by = Some(consumed.apply_id);
                if approval.released_by.is_none() {
                    approval.used_at_once = approval.decided_at == Some(at);
                }
                ApprovalState::Consumed
            }
            Event::ApprovalReleased(released) => {
                approval.consumed_by = None;
                approval.released_by = Some(released.apply_id);
                ApprovalState::Approved
            }
            _ => return,
        };
        approval.state = next;
        approval.changed_at = at;
    }

    fn weight(&self) -> usize {
        let read: usize = self
            .pre_state
            .iter()
            .flatten()
            .map(|state| match state {
                PreState::Found(text) | PreState::Unavailable(text) => text.len(),
                PreState::NotApplicable => 0,
            })
            .sum();
        let zones: usize = self
            .zones
            .iter()
            .map(|zone| match &zone.name {
                ZoneNameRead::Known(text) | ZoneNameRead::Unavailable(text) => 96 + text.len(),
            })
            .sum();
        let policy = self.policy.as_ref().map_or(0, |_| 1024);
        let from = self.from.as_ref().map_or(0, |_| 512);
        let votes = self.votes.len() * 1024;
        let decided = self.decision.as_ref().map_or(0, |_| 1024);
        1024 + read + zones + policy + from + votes + decided + self.subject.weight()
    }
}
