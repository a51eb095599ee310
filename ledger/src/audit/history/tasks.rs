//! Tasks and agents.

use super::streams::{Seen, State};
use super::{History, Now};
use crate::aggregate::{Agent, Aggregate as _, Task};
use crate::audit::check::Check;
use crate::event::{Event, RegisteredCallback, TaskCreated, TokenIssued};
use crate::id::{AgentId, TaskId};
use std::collections::HashSet;

/// A task that is open.
#[derive(Debug)]
pub(super) struct TaskState {
    pub(super) task: Task,
    /// The idempotency keys of its applies.
    pub(super) keys: HashSet<String>,
}

/// What later events may refer to in a task that was closed.
#[derive(Debug)]
pub(super) struct ClosedTask {
    pub(super) callback: Option<RegisteredCallback>,
}

impl History {
    pub(super) fn task_event(&mut self, now: &mut Now<'_>, event: &Event) {
        if let Event::TaskCreated(created) = event {
            self.task_created(now, created, event);
            return;
        }
        let stream = now.header.stream_id;
        if let Event::TokenIssued(issued) = event {
            self.token_issued(now, issued);
        }
        let Some(State::Task(known)) = self.streams.state(stream) else {
            return;
        };
        match event {
            Event::TokenRevoked(revoked) => {
                let token = known.task.token(revoked.token_id);
                now.expect(token.is_some(), Check::Reference, || {
                    format!("token {} was not issued in its task", revoked.token_id)
                });
                now.expect(
                    token.is_none_or(|token| token.revoked_at.is_none()),
                    Check::Token,
                    || format!("token {} was revoked before", revoked.token_id),
                );
            }
            Event::TaskClosed(_) => {
                let left = known
                    .task
                    .tokens
                    .iter()
                    .find(|token| token.revoked_at.is_none());
                if let Some(left) = left {
                    let reason = format!("the task was closed and token {} not revoked", left.id);
                    now.wrong(Check::Token, reason);
                }
                let callback = known.task.callback.take();
                self.counts.tasks_closed += 1;
                self.streams
                    .put(stream, State::ClosedTask(Box::new(ClosedTask { callback })));
                return;
            }
            _ => {}
        }
        evolve(&mut known.task, event, now);
    }

    fn task_created(&mut self, now: &mut Now<'_>, created: &TaskCreated, event: &Event) {
        self.counts.tasks += 1;
        let stream = now.header.stream_id;
        now.expect(
            created.task_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins task {} in stream {stream}", created.task_id),
        );
        let name = self.agent(created.agent_id).map(|agent| agent.name.clone());
        let missing = || format!("agent {} was not registered before", created.agent_id);
        if let Some(name) = name.or_tell(now, Check::Reference, missing) {
            now.expect(name == created.agent, Check::Reference, || {
                format!(
                    "agent {} is {name:?}, not {:?}",
                    created.agent_id, created.agent
                )
            });
        }
        for allowed in &created.allowed {
            let least = allowed.operation.entry();
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
        let mut task = None;
        Task::evolve(&mut task, event, now.at());
        if let Some(task) = task {
            let keys = HashSet::new();
            self.streams
                .put(stream, State::Task(Box::new(TaskState { task, keys })));
        }
    }

    fn token_issued(&mut self, now: &mut Now<'_>, issued: &TokenIssued) {
        let Some(State::Task(known)) = self.streams.state(now.header.stream_id) else {
            return;
        };
        let task = &known.task;
        let agent_id = task.agent_id;
        now.expect(task.token(issued.token_id).is_none(), Check::Unique, || {
            format!("token {} was issued before", issued.token_id)
        });
        if let Some(old) = issued.replaces {
            let revoked = task.token(old).map(|old| old.revoked_at.is_some());
            now.expect(revoked.is_some(), Check::Reference, || {
                format!("it replaces token {old}, which was not issued in its task")
            });
            now.expect(revoked != Some(false), Check::Token, || {
                format!("it replaces token {old}, which is not revoked")
            });
        }
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
    pub(super) fn agent(&mut self, id: AgentId) -> Seen<&Agent> {
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

    pub(super) fn agent_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        match event {
            Event::AgentRegistered(registered) => {
                self.counts.agents += 1;
                now.expect(
                    registered.agent_id.as_bytes() == stream.as_bytes(),
                    Check::StreamIdentity,
                    || format!("it begins agent {} in stream {stream}", registered.agent_id),
                );
                let before = self.agents.insert(registered.name.clone(), stream);
                now.expect(before.is_none(), Check::Unique, || {
                    format!("agent {:?} was registered before", registered.name)
                });
                let mut agent = None;
                Agent::evolve(&mut agent, event, now.at());
                if let Some(agent) = agent {
                    self.streams.put(stream, State::Agent(Box::new(agent)));
                }
            }
            Event::PermissionsReplaced(replaced) => {
                let Some(State::Agent(agent)) = self.streams.state(stream) else {
                    return;
                };
                let before = agent.permission_revision;
                now.expect(
                    Some(replaced.revision) == before.checked_add(1),
                    Check::PermissionRevision,
                    || {
                        format!(
                            "revision {} comes after revision {before}",
                            replaced.revision
                        )
                    },
                );
                agent.grants.clone_from(&replaced.grants);
                agent.permission_revision = replaced.revision;
            }
            _ => {}
        }
    }
}

fn evolve(task: &mut Task, event: &Event, now: &Now<'_>) {
    // `evolve` works on a place that may still be empty.
    let mut place = Some(task.clone());
    Task::evolve(&mut place, event, now.at());
    if let Some(next) = place {
        *task = next;
    }
}
