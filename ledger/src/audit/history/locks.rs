//! Locks: nothing of a locked target begins, is decided or goes on.

use super::streams::State;
use super::{History, Now};
use crate::aggregate::{Aggregate as _, Lock};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::clock::Timestamp;
use crate::event::{
    Actor, AggregateKind, ApplyAccepted, ApprovalDecided, Event, LockSet, LockTarget,
    LockedOperation, Role,
};
use crate::id::{AgentId, KeyId, ScheduleId, SessionId, StreamId, TaskId, TokenId, UserId};
use crate::name::{ApproverName, CredentialId};
use std::sync::Arc;

/// The reason of an end by a lock.
pub(super) const LOCKED: &str = "locked";

/// The least role of a user who causes the event.
pub(super) const fn least_role(event: &Event) -> Role {
    match event {
        Event::LockSet(set) if !set.target.is_of_people() => Role::Operator,
        _ => Role::Admin,
    }
}

/// What of an apply can be locked besides its agent and its task.
pub(super) fn targets_of(accepted: &ApplyAccepted, actor: &Actor) -> Box<[LockTarget]> {
    let asked = accepted.check.requested.iter();
    let mut targets: Vec<LockTarget> = Vec::new();
    for operation in asked.map(|asked| LockTarget::Operation(asked.operation.into())) {
        if !targets.contains(&operation) {
            targets.push(operation);
        }
    }
    if let Actor::AgentKey { key_id, .. } = actor {
        targets.push(LockTarget::Key(*key_id));
    }
    targets.into()
}

impl History {
    pub(super) fn lock_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        if let Event::LockSet(set) = event {
            now.expect(
                set.lock_id.as_bytes() == stream.as_bytes(),
                Check::StreamIdentity,
                || format!("it begins lock {} in stream {stream}", set.lock_id),
            );
            self.is_of_something(now, set);
        }
        let mut lock = match self.streams.state(stream) {
            Some(State::Lock(lock)) => Some(Lock::clone(lock)),
            _ => None,
        };
        if let (Event::LockLifted(_), Some(lock)) = (event, &lock) {
            now.expect(lock.is_in_force(now.at()), Check::Lock, || {
                "it is lifted and had ended before".to_owned()
            });
            let by_service = matches!(now.envelope.actor, Actor::Service { .. });
            now.expect(
                !by_service || !lock.target.is_of_people(),
                Check::Actor,
                || format!("the service token lifts a lock on {}", lock.target.named()),
            );
        }
        Lock::evolve(&mut lock, event, now.at());
        let Some(lock) = lock.map(Arc::new) else {
            return;
        };
        self.locks.put(Arc::clone(&lock));
        let state = match lock.lifted_at {
            Some(_) => State::Ended(AggregateKind::Lock),
            None => State::Lock(lock),
        };
        self.streams.put(stream, state);
    }

    fn is_of_something(&mut self, now: &mut Now<'_>, set: &LockSet) {
        let (stream, kind): (StreamId, _) = match set.target {
            LockTarget::Agent(id) => (id.into(), AggregateKind::Agent),
            LockTarget::Owner(id) | LockTarget::User(id) => (id.into(), AggregateKind::User),
            LockTarget::Task(id) => (id.into(), AggregateKind::Task),
            LockTarget::Key(id) => (id.into(), AggregateKind::Key),
            LockTarget::All | LockTarget::Operation(_) | LockTarget::Credential(_) => return,
        };
        let found = self
            .streams
            .find(stream, |state| (state.kind() == Some(kind)).then_some(()));
        found.or_tell(now, Check::Reference, || {
            format!("{} {stream}, which it locks, was not there", kind.as_str())
        });
    }

    fn of_agent(&mut self, agent_id: AgentId) -> Vec<LockTarget> {
        let mut targets = vec![LockTarget::All, LockTarget::Agent(agent_id)];
        if let Some(State::Agent(agent)) = self.streams.state(agent_id) {
            targets.extend(agent.owner.map(LockTarget::Owner));
        }
        targets
    }

    fn of_task(&mut self, task_id: TaskId) -> Vec<LockTarget> {
        let agent_id = match self.streams.state(task_id) {
            Some(State::Task(task)) => Some(task.agent_id),
            _ => None,
        };
        let mut targets =
            agent_id.map_or_else(|| vec![LockTarget::All], |agent_id| self.of_agent(agent_id));
        targets.push(LockTarget::Task(task_id));
        targets
    }

    /// The targets of an apply that has not ended, and when it was accepted.
    fn of_apply(&mut self, stream: StreamId) -> Option<(Vec<LockTarget>, Timestamp)> {
        let Some(State::Apply(apply)) = self.streams.state(stream) else {
            return None;
        };
        let (own, at, task_id) = (apply.locked_by.to_vec(), apply.accepted_at, apply.task_id);
        Some(([self.of_task(task_id), own].concat(), at))
    }

    /// The targets of a question, and when it was asked. An approval outlives the apply that asked.
    fn of_question(&mut self, stream: StreamId) -> Option<(Vec<LockTarget>, Timestamp)> {
        let question = match self.streams.state(stream) {
            Some(State::Approval(question)) => question,
            _ => return None,
        };
        let asked_at = question.asked_at;
        let targets = match (question.apply(), question.schedule()) {
            (Some((task_id, _)), _) => {
                let own = question.locked_by.to_vec();
                [self.of_task(task_id), own].concat()
            }
            (None, Some(schedule)) => self.of_schedule(schedule)?,
            (None, None) => question.authors(),
        };
        Some((targets, asked_at))
    }

    /// What of a schedule can be locked; `None` where it is not to be seen, or was deleted.
    fn of_schedule(&mut self, id: ScheduleId) -> Option<Vec<LockTarget>> {
        let (agent_id, operations) = match self.streams.state(id) {
            Some(State::Schedule(known)) => known.asks_for(),
            _ => return None,
        };
        let mut targets = self.of_agent(agent_id);
        targets.extend(operations);
        Some(targets)
    }

    /// A passkey, and the user whose it is.
    pub(super) fn of_passkey(
        &self,
        principal: &ApproverName,
        id: &CredentialId,
    ) -> Vec<LockTarget> {
        let mut targets = vec![LockTarget::Credential(id.clone())];
        let named = crate::aggregate::User::named_by(principal);
        let linked = self.linked.get(principal);
        let user = named.or_else(|| linked.map(|stream| (*stream).into()));
        targets.extend(user.map(LockTarget::User));
        targets
    }

    /// An apply of this event's stream, and those who made the clearance that authorises it, were not locked since that
    /// was made.
    pub(super) fn unlocked_since(
        &mut self,
        now: &mut Now<'_>,
        made: Timestamp,
        makers: &[(ApproverName, CredentialId)],
        task_id: TaskId,
    ) {
        if self.locks.is_empty() {
            return;
        }
        let mut targets = match self.of_apply(now.header.stream_id) {
            Some((targets, _)) => targets,
            None => self.of_task(task_id),
        };
        for (principal, credential) in makers {
            targets.extend(self.of_passkey(principal, credential));
        }
        self.is_unlocked(now, &targets, Some(made));
    }

    /// Nothing begins for an agent that is locked.
    pub(super) fn agent_unlocked(&mut self, now: &mut Now<'_>, agent_id: AgentId) {
        if !self.locks.is_empty() {
            let targets = self.of_agent(agent_id);
            self.is_unlocked(now, &targets, None);
        }
    }

    /// Nothing begins with a key that is locked.
    pub(super) fn key_unlocked(&self, now: &mut Now<'_>, key_id: KeyId) {
        self.is_unlocked(now, &[LockTarget::Key(key_id)], None);
    }

    /// Nothing begins of an operation that is locked.
    pub(super) fn operation_unlocked(&self, now: &mut Now<'_>, operation: &str) {
        let operation = LockTarget::Operation(LockedOperation::named(operation));
        self.is_unlocked(now, &[operation], None);
    }

    /// Nothing is issued in a task that is locked.
    pub(super) fn task_unlocked(&mut self, now: &mut Now<'_>, task_id: TaskId) {
        if !self.locks.is_empty() {
            let targets = self.of_task(task_id);
            self.is_unlocked(now, &targets, None);
        }
    }

    /// Nothing begins with a token from before a lock, also where that was lifted since.
    pub(super) fn token_unlocked(&mut self, now: &mut Now<'_>, task_id: TaskId, token_id: TokenId) {
        if self.locks.is_empty() {
            return;
        }
        let issued_at = match self.streams.state(task_id) {
            Some(State::Task(task)) => task.token(token_id).map(|token| token.issued_at()),
            _ => None,
        };
        if let Some(issued_at) = issued_at {
            let targets = self.of_task(task_id);
            self.is_unlocked(now, &targets, Some(issued_at));
        }
    }

    /// An apply of this event's stream is accepted under no lock, and goes on under none that was set since.
    pub(super) fn apply_unlocked(&mut self, now: &mut Now<'_>, is_new: bool) {
        if self.locks.is_empty() {
            return;
        }
        if let Some((targets, made)) = self.of_apply(now.header.stream_id) {
            self.is_unlocked(now, &targets, (!is_new).then_some(made));
        }
    }

    /// A question is decided under no lock on what it asks for, by nobody who is locked.
    pub(super) fn decision_unlocked(&mut self, now: &mut Now<'_>, decided: &ApprovalDecided) {
        if self.locks.is_empty() {
            return;
        }
        let decider = self.of_passkey(&decided.principal, &decided.credential_id);
        self.is_unlocked(now, &decider, None);
        if let Some((targets, made)) = self.of_question(now.header.stream_id) {
            self.is_unlocked(now, &targets, Some(made));
        }
    }

    /// Nobody who is locked logs in or shows a passkey, and no passkey that is.
    pub(super) fn person_unlocked(
        &mut self,
        now: &mut Now<'_>,
        user_id: Option<UserId>,
        credential: Option<&CredentialId>,
    ) {
        if self.locks.is_empty() {
            return;
        }
        let credential = credential.cloned().map(LockTarget::Credential);
        let mut targets: Vec<LockTarget> = credential.into_iter().collect();
        targets.extend(user_id.map(LockTarget::User));
        self.is_unlocked(now, &targets, None);
    }

    fn is_unlocked(&self, now: &mut Now<'_>, targets: &[LockTarget], made: Option<Timestamp>) {
        let at = now.at();
        if let Some(lock) = self.locks.in_force(targets, at) {
            let (named, since) = (lock.target.named(), lock.set_at);
            let reason = format!("{named} had been locked since {since} by lock {}", lock.id);
            return now.wrong(Check::Lock, reason);
        }
        let is_dead = made.is_some_and(|made| self.locks.end(targets, made, at));
        now.expect(!is_dead, Check::Lock, || {
            "it goes on with something from before a lock".to_owned()
        });
    }

    /// The user who acts is not locked, nor was since the session began.
    pub(super) fn acts_unlocked(&mut self, now: &mut Now<'_>, user_id: UserId, session: SessionId) {
        if let Some(State::Session(session)) = self.streams.state(session) {
            let opened_at = session.opened_at;
            self.is_unlocked(now, &[LockTarget::User(user_id)], Some(opened_at));
        }
    }

    /// Something ends by a lock: one was set on it.
    pub(super) fn ends_by_lock(&mut self, now: &mut Now<'_>, is_question: bool) {
        let stream = now.header.stream_id;
        let found = match is_question {
            true => self.of_question(stream),
            false => self.of_apply(stream),
        };
        let at = now.at();
        let approval: Option<StreamId> = match self.streams.state(stream) {
            Some(State::Apply(apply)) => apply.approval.map(Into::into),
            Some(State::Approval(_)) => Some(stream),
            _ => None,
        };
        // What was decided by a person who was locked then ends too.
        let was_decided = match approval.and_then(|approval| self.streams.state(approval)) {
            Some(State::Approval(question)) => question.approved_by.is_some(),
            Some(_) => true,
            None => false,
        };
        let Some((targets, made)) = found else {
            return now.cannot(Check::Lock, Obstacle::BeforeRange);
        };
        let is_locked = self.locks.end(&targets, made, at)
            || was_decided && self.locks.any(|lock| lock.target.is_of_people());
        if !is_locked && (self.partial || self.is_excerpt) {
            return now.cannot(Check::Lock, Obstacle::BeforeRange);
        }
        // A lock on its owner may have been on what belongs to an agent that cannot be looked at.
        let of_agents = targets.iter().filter_map(|target| match target {
            LockTarget::Agent(id) => Some(*id),
            _ => None,
        });
        for agent_id in of_agents.filter(|_| !is_locked) {
            if let Some(why) = self.agent(agent_id).hidden() {
                return now.cannot(Check::Lock, why);
            }
        }
        now.expect(is_locked, Check::Lock, || {
            "it ends by a lock, and none was set on it".to_owned()
        });
    }
}
