//! Calls that the proxies sent on: for one who is there, begun before they are sent where they change something, and
//! ended as they began. What they used is added up once.

use super::streams::{Seen, State};
use super::tasks::KnownToken;
use super::{History, Now};
use crate::admissions::Client;
use crate::agent_key::SHARED_KEY;
use crate::aggregate::User;
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::clock::Timestamp;
use crate::event::{
    AggregateKind, CallBegun, CallCredential, CallEnded, CallSubject, Event, UpstreamKeyOwner,
    UsageRecorded,
};
use crate::id::{AgentId, KeyId, SessionId, TaskId, TokenId, UserId};
use std::collections::HashMap;

/// Up to when the use of each owner, task and model is added up.
#[derive(Debug, Default)]
pub(super) struct Usages(HashMap<(UpstreamKeyOwner, Option<TaskId>, String), Timestamp>);

impl History {
    pub(super) fn call_event(&mut self, now: &mut Now<'_>, event: Event) {
        match event {
            Event::CallBegun(begun) => self.call_begun(now, begun),
            Event::CallEnded(ended) => self.call_ended(now, &ended),
            Event::UsageRecorded(recorded) => self.usage_recorded(now, recorded),
            _ => {}
        }
    }

    fn call_begun(&mut self, now: &mut Now<'_>, begun: CallBegun) {
        let stream = now.header.stream_id;
        now.expect(
            begun.call_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins call {} in stream {stream}", begun.call_id),
        );
        match (begun.subject.owner, begun.subject.credential) {
            (UpstreamKeyOwner::Agent(agent_id), CallCredential::AgentKey(key_id)) => {
                self.calls_with_key(now, agent_id, key_id);
            }
            (UpstreamKeyOwner::User(user_id), CallCredential::Session(session)) => {
                self.calls_in_session(now, user_id, session);
            }
            (UpstreamKeyOwner::Agent(agent_id), CallCredential::Token(token_id)) => {
                self.calls_with_token(now, agent_id, (begun.subject.task_id, token_id));
            }
            _ => now.wrong(Check::Call, "it is made with another's credential"),
        }
        self.operation_unlocked(now, &begun.subject.operation);
        self.caller_admitted(now, (&begun.subject, &begun.path));
        self.begins_by_policy(now, (&begun.subject, begun.ruling.as_ref()));
        self.facts_by_log(now, &begun.subject, begun.ruling.as_ref());
        self.counts.calls += 1;
        self.counts.calls_without_end += 1;
        self.streams
            .put(stream, State::Call(Box::new(begun.subject)));
    }

    pub(super) fn calls_with_key(&mut self, now: &mut Now<'_>, agent_id: AgentId, key_id: KeyId) {
        let missing = || format!("agent {agent_id} was not registered before");
        let there = self.agent(agent_id).map(drop);
        there.or_tell(now, Check::Call, missing);
        self.agent_unlocked(now, agent_id);
        self.key_unlocked(now, key_id);
        if key_id == SHARED_KEY {
            return;
        }
        let owner = self.streams.find(key_id, |state| match state {
            State::Key(key) => Some(key.agent_id()),
            _ => None,
        });
        let revoked = || format!("key {key_id}, with which it is made, is not in force");
        let owner = owner.or_tell(now, Check::Call, revoked);
        now.expect(
            owner.is_none_or(|owner| owner == agent_id),
            Check::Call,
            || format!("key {key_id}, with which it is made, is not of agent {agent_id}"),
        );
    }

    fn calls_with_token(
        &mut self,
        now: &mut Now<'_>,
        agent_id: AgentId,
        (task_id, token_id): (Option<TaskId>, TokenId),
    ) {
        let Some(task_id) = task_id else {
            return now.wrong(Check::Call, "it is made with a token, and names no task");
        };
        self.task_unlocked(now, task_id);
        self.token_unlocked(now, task_id, token_id);
        let task = self.streams.find(task_id, |state| match state {
            State::Task(task) => Some(&**task),
            _ => None,
        });
        let closed = || format!("task {task_id}, with whose token it is made, is not open");
        let Some(task) = task.or_tell(now, Check::Call, closed) else {
            return;
        };
        let at = now.at();
        let in_force = |token: KnownToken| !token.revoked && at < token.expires_at;
        let fits = task.agent_id == agent_id && task.opens_proxies;
        let counts = fits && task.token(token_id).is_some_and(in_force);
        now.expect(counts, Check::Call, || {
            format!("token {token_id}, with which it is made, opens no proxy for its agent")
        });
    }

    /// A call begins for nobody who is blocked, and in a task only where its allowlist has it.
    fn caller_admitted(&mut self, now: &mut Now<'_>, (call, path): (&CallSubject, &str)) {
        let UpstreamKeyOwner::Agent(agent) = call.owner else {
            return;
        };
        let entry = self.entry(call.held_to());
        let task = match call.task_id.map(|task_id| self.streams.state(task_id)) {
            Some(Some(State::Task(task))) => Some(&**task),
            _ => None,
        };
        let allowed = task.map(|task| {
            let entry = entry.ok_or(Obstacle::OtherVersion)?;
            let scope = call.scope(path, entry.scope_type);
            let allows = scope.and_then(|scope| task.allowlist.allows(entry.id, &scope));
            Ok(allows.is_some())
        });
        let subject = task.map(|task| task.subject.clone());
        let client = Client {
            agent,
            subject: subject.as_ref(),
            address: None,
            asn: None,
        };
        self.admitted(now, &client);
        match allowed {
            Some(Err(why)) => now.cannot(Check::Call, why),
            Some(Ok(false)) => {
                let operation = call.held_to();
                let reason = format!("the allowlist of its task does not have {operation}");
                now.wrong(Check::Call, reason);
            }
            Some(Ok(true)) | None => {}
        }
    }

    fn calls_in_session(&mut self, now: &mut Now<'_>, user_id: UserId, session: SessionId) {
        let invalid = || format!("session {session}, in which it is made, is not valid");
        let user = self.acting_user(now, session);
        let user = user.or_tell(now, Check::Call, invalid);
        now.expect(
            user.is_none_or(|user: User| user.id == user_id),
            Check::Call,
            || format!("session {session}, in which it is made, is not of user {user_id}"),
        );
        self.acts_unlocked(now, user_id, session);
    }

    fn call_ended(&mut self, now: &mut Now<'_>, ended: &CallEnded) {
        let stream = now.header.stream_id;
        now.expect(
            ended.call_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it ends call {} in stream {stream}", ended.call_id),
        );
        if let Some(State::Call(begun)) = self.streams.state(stream) {
            let same = **begun == ended.subject;
            self.counts.calls_without_end = self.counts.calls_without_end.saturating_sub(1);
            now.expect(same, Check::Call, || {
                "it ends as another call than the one that began".to_owned()
            });
            now.expect(ended.ruling.is_none(), Check::Policy, || {
                "it says how it was let through, which its beginning says".to_owned()
            });
        } else {
            self.counts.calls += 1;
            self.was_by_policy(now, (&ended.subject, ended.ruling.as_ref()));
            self.facts_by_log(now, &ended.subject, ended.ruling.as_ref());
            // A call can end behind the erasure of its owner.
            self.was_there(now, ended.subject.owner, Check::Call);
            now.expect(!ended.subject.changes(), Check::Call, || {
                format!(
                    "{} changes something upstream, and its beginning was not recorded",
                    ended.subject.operation
                )
            });
        }
        self.streams.put(stream, State::Ended(AggregateKind::Call));
    }

    pub(super) fn was_there(&mut self, now: &mut Now<'_>, owner: UpstreamKeyOwner, check: Check) {
        let there = match owner {
            UpstreamKeyOwner::Agent(agent_id) => self.agent(agent_id).map(drop),
            UpstreamKeyOwner::User(user_id) => self.streams.find(user_id, |state| match state {
                State::User(_) | State::Ended(AggregateKind::User) => Some(()),
                _ => None,
            }),
        };
        match there {
            Seen::Here(()) | Seen::Erased => {}
            Seen::Hidden(why) => now.cannot(check, why),
            Seen::Never => {
                let reason = format!("{} {} was not there", owner.kind(), owner.stream());
                now.wrong(check, reason);
            }
        }
    }

    fn usage_recorded(&mut self, now: &mut Now<'_>, recorded: UsageRecorded) {
        let stream = now.header.stream_id;
        now.expect(
            recorded.usage_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it records use {} in stream {stream}", recorded.usage_id),
        );
        self.was_there(now, recorded.owner, Check::Usage);
        self.used.take(now.position(), &recorded);
        let (from, to, counts) = (recorded.from, recorded.to, recorded.counts);
        now.expect(from <= to && to <= now.at(), Check::Usage, || {
            format!("it is of a time from {from} to {to}, which has not passed")
        });
        let counted = counts.requests > 0 && counts.interrupted <= counts.requests;
        now.expect(counted, Check::Usage, || {
            let (requests, interrupted) = (counts.requests, counts.interrupted);
            format!("it is of {requests} calls, of which {interrupted} were interrupted")
        });
        let place = (recorded.owner, recorded.task_id, recorded.model);
        let before = self.usages.0.insert(place, to);
        now.expect(
            before.is_none_or(|before| before <= from),
            Check::Usage,
            || "it begins before the end of what was added up last".to_owned(),
        );
        self.streams.put(stream, State::Ended(AggregateKind::Usage));
    }
}
