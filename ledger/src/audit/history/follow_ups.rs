//! Writes that follow one which people approved: what its approval allowed besides is done once each, shortly after
//! it, while the approval counts.

use super::approvals::QuestionState;
use super::streams::{Seen, State};
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::clock::Timestamp;
use crate::command::{FOLLOWED, made_by};
use crate::event::{ApplyAccepted, ApplyEnd, ApplyFollows, OperationOutcome};
use crate::id::{AgentId, ApplyId, ApprovalId, TaskId, TokenId};
use crate::name::ApproverName;
use crate::operation::{ForwardedRequest, Operation};
use crate::policy::Requirement;
use crate::provider::{Following, Provider};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// An approval, as what it allows besides needs it.
#[derive(Debug, Clone)]
pub(super) struct Given {
    asked_at: Timestamp,
    by: Option<ApproverName>,
    answered: Requirement,
}

impl Given {
    pub(super) fn of(question: &QuestionState) -> Self {
        Self {
            asked_at: question.asked_at,
            by: question.approved_by.clone(),
            answered: question.answered(),
        }
    }
}

/// A write whose approval allows more, or that is followed.
#[derive(Debug)]
struct KnownWrite {
    agent_id: AgentId,
    /// The token or key that asked.
    token: TokenId,
    provider: Arc<dyn Provider>,
    /// Without its body.
    request: ForwardedRequest,
    given: Option<Given>,
    made: Option<String>,
    /// When it was carried out in full.
    done_at: Option<Timestamp>,
    used: BTreeSet<String>,
    /// Something that followed it was denied.
    is_denied: bool,
    newest: Option<ApplyId>,
}

/// The request of the apply that was accepted last, where that says that it follows another.
#[derive(Debug)]
struct Follower {
    apply: ApplyId,
    agent_id: AgentId,
    token: TokenId,
    task_id: TaskId,
    first: ApplyId,
    /// What it is among what the approval of that one allowed.
    name: Option<&'static str>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct FollowUps {
    writes: HashMap<ApplyId, KnownWrite>,
    /// The writes that questions follow.
    asked: HashMap<ApprovalId, ApplyId>,
    newest: Option<Follower>,
}

impl FollowUps {
    /// An approval was used for an apply.
    pub(super) fn given(&mut self, apply: ApplyId, given: Given) {
        if let Some(write) = self.writes.get_mut(&apply) {
            write.given = Some(given);
        }
    }

    /// The one operation of an apply has ended.
    pub(super) fn made(&mut self, apply: ApplyId, outcome: &OperationOutcome) {
        if let Some(write) = self.writes.get_mut(&apply) {
            write.made = made_by(outcome);
        }
    }

    pub(super) fn ended(&mut self, apply: ApplyId, end: ApplyEnd, at: Timestamp) {
        if let Some(write) = self.writes.get_mut(&apply) {
            write.done_at = (end == ApplyEnd::Completed).then_some(at);
        }
    }

    /// A question was denied.
    pub(super) fn denied(&mut self, question: ApprovalId) {
        let first = self.asked.remove(&question);
        if let Some(write) = first.and_then(|first| self.writes.get_mut(&first)) {
            write.is_denied = true;
        }
    }
}

impl History {
    /// Takes note of a request that allows more, or that follows one.
    pub(super) fn may_follow(
        &mut self,
        accepted: &ApplyAccepted,
        agent_id: AgentId,
        operation: &Operation,
    ) {
        let Some(request) = operation.forwarded() else {
            return;
        };
        let all = &mut self.follow_ups;
        all.newest = request.follows.map(|first| {
            let write = all.writes.get(&first);
            let following = write.map(|write| {
                let (provider, made) = (&*write.provider, write.made.as_deref());
                write.request.followed_by(provider, made, request)
            });
            Follower {
                apply: accepted.apply_id,
                agent_id,
                token: accepted.token_id,
                task_id: accepted.task_id,
                first,
                name: match following {
                    Some(Following::Allowed(name)) => Some(name),
                    Some(Following::Asks | Following::No) | None => None,
                },
            }
        });
        if request.also_allowed.is_empty() {
            return;
        }
        let write = KnownWrite {
            agent_id,
            token: accepted.token_id,
            provider: Arc::clone(operation.provider()),
            request: ForwardedRequest {
                body: Vec::new(),
                uploads: Vec::new(),
                ..ForwardedRequest::clone(request)
            },
            given: None,
            made: None,
            done_at: None,
            used: BTreeSet::new(),
            is_denied: false,
            newest: None,
        };
        all.writes.insert(accepted.apply_id, write);
    }

    /// Those who approved a write are enough for what the policy asks of one that follows it.
    pub(super) fn write_is_enough(
        &mut self,
        now: &mut Now<'_>,
        first: ApplyId,
        required: &Requirement,
        of: (TaskId, AgentId),
    ) {
        let write = self.follow_ups.writes.get(&first);
        let given = write.and_then(|write| write.given.clone());
        // What is wrong with the write is told where it is looked at.
        let Some(given) = given else { return };
        let is_enough = given.answered.needs_as_much_as(required);
        now.expect(is_enough, Check::FollowUp, || {
            format!("the policy asks for more than the approval of apply {first}")
        });
        match self.wished_by(&now.envelope.actor, of) {
            Ok(expected) => {
                let mut whose = expected.iter();
                let excludes = whose.all(|one| given.answered.excludes(one.user_id));
                now.expect(excludes, Check::Vote, || {
                    "somebody whose wish it is could approve what it follows".to_owned()
                });
            }
            Err(why) => now.cannot(Check::Vote, why),
        }
    }

    pub(super) fn apply_follows(&mut self, now: &mut Now<'_>, follows: &ApplyFollows) {
        let stream = now.header.stream_id;
        let first = follows.first;
        let why = match self.streams.find(first, |_| Some(())) {
            Seen::Hidden(why) => Some(why),
            Seen::Erased => Some(Obstacle::Erased),
            Seen::Here(()) | Seen::Never if self.partial || self.is_excerpt => {
                Some(Obstacle::BeforeRange)
            }
            Seen::Here(()) | Seen::Never => None,
        };
        let is_unseen = why.is_some();
        let newest = self.follow_ups.newest.take();
        let newest = newest.filter(|it| it.apply == stream.into() && it.first == first);
        let Some(follower) = newest else {
            let reason = format!("its request does not say that it follows apply {first}");
            return now.wrong(Check::FollowUp, reason);
        };
        let (unshown, waits_for) = match self.streams.state(stream) {
            Some(State::Apply(apply)) => (apply.unshown.take(), apply.approval),
            _ => return,
        };
        let said = follows.allowed_as.as_ref().map(|_| first);
        now.expect(unshown == said, Check::FollowUp, || {
            "it is not authorised by the write that it follows".to_owned()
        });
        let Some(write) = self.follow_ups.writes.get_mut(&first) else {
            return match why {
                Some(why) => now.cannot(Check::FollowUp, why),
                None => now.expect(said.is_none(), Check::FollowUp, || {
                    format!("the approval of apply {first} allowed nothing besides")
                }),
            };
        };
        now.expect(write.agent_id == follower.agent_id, Check::FollowUp, || {
            format!("apply {first}, which it follows, is another agent's")
        });
        now.expect(
            write.newest == follows.previous || is_unseen,
            Check::FollowUp,
            || format!("it does not name what followed apply {first} before it"),
        );
        write.newest = Some(follower.apply);
        let Some(name) = &follows.allowed_as else {
            if let Some(question) = waits_for {
                self.follow_ups.asked.insert(question, first);
            }
            return;
        };
        let allowed = &write.request.also_allowed;
        let is_named = allowed.iter().any(|allowed| allowed.name == *name);
        let is_it = follower.name == Some(name.as_str()) && is_named;
        now.expect(is_it, Check::FollowUp, || {
            format!("it is not what the approval of apply {first} allowed besides")
        });
        let is_new = write.used.insert(name.clone());
        now.expect(is_new, Check::FollowUp, || {
            format!("what the approval of apply {first} allowed besides was done before")
        });
        now.expect(!write.is_denied, Check::FollowUp, || {
            format!("something that followed apply {first} was denied before")
        });
        now.expect(write.token == follower.token, Check::FollowUp, || {
            format!("apply {first}, which it follows, was made with another key")
        });
        let at = now.at();
        let in_time = write.done_at.is_some_and(|done| at.since(done) < FOLLOWED);
        now.expect(in_time, Check::FollowUp, || {
            format!("apply {first}, which it follows, was not carried out shortly before")
        });
        let Some(given) = write.given.clone() else {
            let reason = format!("nobody has approved apply {first}, which it follows");
            return now.wrong(Check::FollowUp, reason);
        };
        if let Some(principal) = &given.by {
            self.check_owner(now, principal);
        }
        self.unlocked_since(now, given.asked_at, &[], follower.task_id);
    }
}
