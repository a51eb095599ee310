//! Tasks with their tokens. What is kept of a task costs the same to look up however much happens in it:
//! whoever wrote the history chose how much that is.

use super::agents::AgentState;
use super::covered::Allowlist;
use super::keys::{KEY_TTL, WRITE_TTL};
use super::streams::{Seen, State};
use super::{History, Now};
use crate::aggregate::{task_life, whole_seconds};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::callback_event::CallbackEvent;
use crate::clock::Timestamp;
use crate::event::{
    Actor, AllowedOperation, CallbackOwner, CallbackSet, Event, RegisteredCallback, TaskCreated,
    TokenIssued, TokenRevoked,
};
use crate::id::{AgentId, CallbackId, TaskId, TokenId, UserId};
use crate::name::{AgentName, ClientSubject, IdempotencyKey};
use crate::operation::MatchDigest;
use crate::question_time::QuestionTime;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How long a task's tokens may live, in seconds.
const TOKEN_TTL: std::ops::RangeInclusive<u32> = 60..=3600;

/// A task that is open.
#[derive(Debug)]
pub(super) struct TaskState {
    pub(super) agent_id: AgentId,
    pub(super) agent: AgentName,
    pub(super) name: String,
    /// The subject that its tokens are bound to.
    pub(super) subject: ClientSubject,
    pub(super) allowlist: Allowlist,
    pub(super) callbacks: KnownCallbacks,
    agent_callbacks: bool,
    /// Its tokens are callers of the proxies.
    pub(super) opens_proxies: bool,
    /// An agent opened it with its key; it has no tokens.
    by_key: bool,
    /// The write that it was opened for.
    pub(super) write: Option<MatchDigest>,
    /// The users who opened it, or made the key that did, or put the schedule; why that cannot be seen.
    pub(super) opened_by: Result<Vec<UserId>, Obstacle>,
    /// Every apply waits for a human.
    pub(super) needs_approval: bool,
    created_at: Timestamp,
    token_ttl: Duration,
    /// How long each of its questions waits, where it says so.
    pub(super) question: Option<Duration>,
    tokens: HashMap<TokenId, KnownToken>,
    /// The idempotency keys of its applies.
    pub(super) keys: HashSet<IdempotencyKey>,
}

/// A token that was issued.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownToken {
    issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) permission_revision: u64,
    pub(super) revoked: bool,
}

impl KnownToken {
    /// When it was issued.
    pub(super) const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }
}

/// A callback that was set.
#[derive(Debug)]
pub(super) struct KnownCallback {
    pub(super) id: CallbackId,
    pub(super) events: HashSet<String>,
}

/// The callbacks that events of a task go to.
#[derive(Debug, Default)]
pub(super) struct KnownCallbacks {
    orchestrator: Option<KnownCallback>,
    agent: Option<KnownCallback>,
}

impl KnownCallbacks {
    /// True when one of them is that registration, and asked for the event.
    pub(super) fn want(&self, id: CallbackId, event: &str) -> bool {
        let mut all = self.orchestrator.iter().chain(&self.agent);
        all.any(|callback| callback.id == id && callback.events.contains(event))
    }

    /// Those that asked for the event.
    pub(super) fn wanting(&self, event: CallbackEvent) -> impl Iterator<Item = CallbackId> {
        let all = self.orchestrator.iter().chain(&self.agent);
        all.filter(move |callback| callback.events.contains(event.as_str()))
            .map(|callback| callback.id)
    }

    fn set(&mut self, set: &CallbackSet) {
        let callback = Some((&set.callback).into());
        match set.owner {
            CallbackOwner::Unsaid => (self.orchestrator, self.agent) = (callback, None),
            CallbackOwner::Orchestrator => self.orchestrator = callback,
            CallbackOwner::Agent => self.agent = callback,
        }
    }
}

/// The part of a closed task that later events may refer to.
#[derive(Debug)]
pub(super) struct ClosedTask {
    pub(super) callbacks: KnownCallbacks,
}

impl TaskState {
    pub(super) fn token(&self, id: TokenId) -> Option<KnownToken> {
        self.tokens.get(&id).copied()
    }

    /// When the agent's keys stop to open it; `None` where they never did.
    pub(super) fn end_for_keys(&self) -> Option<Timestamp> {
        self.by_key.then(|| self.created_at.plus(self.token_ttl))
    }
}

impl From<&RegisteredCallback> for KnownCallback {
    fn from(callback: &RegisteredCallback) -> Self {
        Self {
            id: callback.callback_id,
            events: callback.events.iter().cloned().collect(),
        }
    }
}

impl History {
    pub(super) fn task_event(&mut self, now: &mut Now<'_>, event: &Event) {
        match event {
            Event::TaskCreated(created) => self.task_created(now, created),
            Event::TokenIssued(issued) => self.token_issued(now, issued),
            Event::TokenRevoked(revoked) => self.token_revoked(now, revoked),
            Event::CallbackSet(set) => self.callback_set(now, set),
            Event::ProxiesOpened(_) => self.proxies_opened(now),
            Event::TaskClosed(_) => self.task_closed(now),
            _ => {}
        }
    }

    fn token_revoked(&mut self, now: &mut Now<'_>, revoked: &TokenRevoked) {
        let Some(State::Task(known)) = self.streams.state(now.header.stream_id) else {
            return;
        };
        let Some(token) = known.tokens.get_mut(&revoked.token_id) else {
            let reason = format!("token {} was not issued in its task", revoked.token_id);
            return now.wrong(Check::Reference, reason);
        };
        now.expect(!token.revoked, Check::Token, || {
            format!("token {} was revoked before", revoked.token_id)
        });
        token.revoked = true;
    }

    /// The orchestrator's comes with the task, before any token; the agent's with an apply of its own, where
    /// the task takes such.
    fn callback_set(&mut self, now: &mut Now<'_>, set: &CallbackSet) {
        let Some(State::Task(known)) = self.streams.state(now.header.stream_id) else {
            return;
        };
        let actor = &now.envelope.actor;
        let fits = match set.owner {
            CallbackOwner::Unsaid => true,
            CallbackOwner::Orchestrator => {
                !matches!(actor, Actor::Agent { .. } | Actor::AgentKey { .. })
                    && known.tokens.is_empty()
            }
            CallbackOwner::Agent => {
                !matches!(actor, Actor::Administrator { .. }) && known.agent_callbacks
            }
        };
        now.expect(fits, Check::Callback, || {
            "it is not the actor's to register, or the task takes none from its agent".to_owned()
        });
        known.callbacks.set(set);
    }

    /// It comes with the task, before any token.
    fn proxies_opened(&mut self, now: &mut Now<'_>) {
        let Some(State::Task(known)) = self.streams.state(now.header.stream_id) else {
            return;
        };
        let fits = known.tokens.is_empty() && !known.by_key && !known.opens_proxies;
        now.expect(fits, Check::Token, || {
            "tokens that were issued before, or none, are made callers of the proxies".to_owned()
        });
        known.opens_proxies = true;
    }

    fn task_closed(&mut self, now: &mut Now<'_>) {
        let stream = now.header.stream_id;
        self.closed_by_schedule(now);
        let Some(State::Task(known)) = self.streams.state(stream) else {
            return;
        };
        let left = known.tokens.iter().filter(|(_, token)| !token.revoked);
        if let Some(left) = left.map(|(id, _)| *id).min() {
            let reason = format!("the task was closed and token {left} not revoked");
            now.wrong(Check::Token, reason);
        }
        let callbacks = std::mem::take(&mut known.callbacks);
        self.counts.tasks_closed += 1;
        self.streams.put(
            stream,
            State::ClosedTask(Box::new(ClosedTask { callbacks })),
        );
    }

    fn task_created(&mut self, now: &mut Now<'_>, created: &TaskCreated) {
        self.counts.tasks += 1;
        let stream = now.header.stream_id;
        now.expect(
            created.task_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins task {} in stream {stream}", created.task_id),
        );
        self.agent_unlocked(now, created.agent_id);
        self.opened_by_schedule(now, created);
        let missing = || format!("agent {} was not registered before", created.agent_id);
        let agent = self.agent(created.agent_id);
        if let Some(agent) = agent.or_tell(now, Check::Reference, missing) {
            now.expect(agent.name == created.agent, Check::Reference, || {
                format!(
                    "agent {} is {:?}, not {:?}",
                    created.agent_id, agent.name, created.agent
                )
            });
        }
        self.is_within_catalog(now, &created.allowed);
        self.is_of_template(now, created);
        let by_key = created.template.is_some() || created.write.is_some();
        let ttl = created.token_ttl_seconds;
        let range = match (created.write, by_key) {
            (Some(_), _) => WRITE_TTL,
            (None, true) => KEY_TTL,
            (None, false) => TOKEN_TTL,
        };
        // By default a token lives as long as a question.
        let as_questions = !by_key && created.question_seconds == Some(ttl);
        let fits = range.contains(&ttl) || as_questions;
        now.expect(fits, Check::TokenLife, || {
            format!("its tokens are to live {ttl} s, which is not within {range:?}")
        });
        self.question_time(now, created);
        if let Err(why) = created.purpose.check() {
            now.wrong(Check::PayloadForm, why.to_string());
        }
        let opened_by = match now.envelope.actor {
            Actor::User { user_id, .. } => Ok(vec![user_id]),
            Actor::AgentKey { key_id, .. } => self.minter(key_id).map(Vec::from_iter),
            Actor::System { .. } => self.putters(created),
            _ => Ok(Vec::new()),
        };
        let task = TaskState {
            agent_id: created.agent_id,
            agent: created.agent.clone(),
            name: created.name.clone(),
            subject: created.subject.clone(),
            allowlist: Allowlist::of(&created.allowed),
            callbacks: KnownCallbacks::default(),
            agent_callbacks: created.agent_callbacks,
            opens_proxies: false,
            by_key,
            write: created.write,
            opened_by,
            needs_approval: created.template.is_some_and(|from| from.needs_approval),
            created_at: now.at(),
            token_ttl: whole_seconds(created.token_ttl_seconds),
            question: created.question_seconds.map(whole_seconds),
            tokens: HashMap::new(),
            keys: HashSet::new(),
        };
        self.streams.put(stream, State::Task(Box::new(task)));
    }

    /// It says how long its questions wait, since there is a form that can.
    fn question_time(&self, now: &mut Now<'_>, created: &TaskCreated) {
        let range = QuestionTime::SECONDS;
        let fits = match created.question_seconds {
            Some(seconds) => range.contains(&seconds),
            None => now.header.schema_version < 4,
        };
        now.expect(fits, Check::Deadline, || {
            format!("how long its questions wait is not said, or not within {range:?} s")
        });
    }

    /// An allowlist names something, and takes nothing for less than the catalog does.
    pub(super) fn is_within_catalog(&self, now: &mut Now<'_>, allowed: &[AllowedOperation]) {
        for allowed in allowed {
            let Some(least) = self.entry(allowed.operation.as_str()) else {
                now.cannot(Check::PermissionCheck, Obstacle::OtherVersion);
                continue;
            };
            let fits = allowed.scope_type == least.scope_type
                && allowed.required_level >= least.level
                && allowed.risk_tier >= least.risk;
            now.expect(fits, Check::PermissionCheck, || {
                format!(
                    "its allowlist takes {} for less than the catalog does",
                    allowed.operation.as_str()
                )
            });
        }
        now.expect(!allowed.is_empty(), Check::PermissionCheck, || {
            "its allowlist is empty".to_owned()
        });
    }

    fn token_issued(&mut self, now: &mut Now<'_>, issued: &TokenIssued) {
        let Some(State::Task(task)) = self.streams.state(now.header.stream_id) else {
            return;
        };
        let agent_id = task.agent_id;
        self.task_unlocked(now, TaskId::from(now.header.stream_id));
        let Some(State::Task(task)) = self.streams.state(now.header.stream_id) else {
            return;
        };
        task.is_of_its_time(now, issued);
        now.expect(issued.subject == task.subject, Check::Token, || {
            format!(
                "it is bound to subject {:?}, its task to {:?}",
                issued.subject, task.subject
            )
        });
        now.expect(!task.by_key, Check::Token, || {
            "its task was opened by an agent key, and has no tokens".to_owned()
        });
        let is_first = task.tokens.is_empty();
        now.expect(is_first != issued.replaces.is_some(), Check::Token, || {
            "the first token of a task replaces none, and each later one replaces one".to_owned()
        });
        if let Some(old) = issued.replaces {
            let revoked = task.token(old).map(|old| old.revoked);
            now.expect(revoked.is_some(), Check::Reference, || {
                format!("it replaces token {old}, which was not issued in its task")
            });
            now.expect(revoked != Some(false), Check::Token, || {
                format!("it replaces token {old}, which is not revoked")
            });
        }
        let token = KnownToken {
            issued_at: now.at(),
            expires_at: issued.expires_at,
            permission_revision: issued.permission_revision,
            revoked: false,
        };
        let before = task.tokens.insert(issued.token_id, token);
        now.expect(before.is_none(), Check::Unique, || {
            format!("token {} was issued before", issued.token_id)
        });
        let revision = self.agent(agent_id).map(|agent| agent.permission_revision);
        if let Some(revision) = revision.or_tell(now, Check::Token, String::new) {
            now.expect(issued.permission_revision == revision, Check::Token, || {
                format!(
                    "it speaks for permission revision {}, the agent is at {revision}",
                    issued.permission_revision
                )
            });
        }
    }

    /// An agent.
    pub(super) fn agent(&mut self, id: AgentId) -> Seen<&AgentState> {
        self.streams.find(id, |state| match state {
            State::Agent(agent) => Some(&**agent),
            _ => None,
        })
    }

    /// A task in which something is begun: it must be known, and open.
    pub(super) fn open_task<'a>(
        &'a mut self,
        now: &mut Now<'_>,
        id: TaskId,
    ) -> Option<&'a mut TaskState> {
        enum Found<'a> {
            Open(&'a mut TaskState),
            Closed,
        }
        self.leaves_behind(id.into(), now.position());
        if let Some(State::Erased(_)) = self.streams.state(id) {
            now.wrong(Check::TaskClosed, format!("task {id} was erased before"));
            return None;
        }
        let found = self.streams.find(id, |state| match state {
            State::Task(known) => Some(Found::Open(known)),
            State::ClosedTask(_) => Some(Found::Closed),
            _ => None,
        });
        let missing = || format!("task {id} was not created before");
        match found.or_tell(now, Check::Reference, missing)? {
            Found::Open(known) => Some(known),
            Found::Closed => {
                now.wrong(Check::TaskClosed, format!("task {id} was closed before"));
                None
            }
        }
    }
}

impl TaskState {
    /// A token is issued for now, lives no longer than its task's tokens do, and ends with the task's life.
    fn is_of_its_time(&self, now: &mut Now<'_>, issued: &TokenIssued) {
        let (from, until) = (issued.issued_at, issued.expires_at);
        now.expect(from <= now.at(), Check::TokenLife, || {
            format!("it is issued as of {from}, which had not come")
        });
        let most = from.plus(self.token_ttl);
        now.expect(from < until && until <= most, Check::TokenLife, || {
            format!(
                "it ends at {until}; a token of its task that is issued at {from} ends by {most}"
            )
        });
        let end = self.created_at.plus(task_life(self.question));
        now.expect(until <= end, Check::TokenLife, || {
            format!("it ends at {until}, the life of its task at {end}")
        });
    }
}
