//! Finding what goes with a task, an agent or a user, by what streams say in their first events.

use crate::event::{AggregateKind, Event};
use crate::id::{AgentId, StreamId, TaskId, UserId};
use std::collections::BTreeSet;

/// Which streams to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sought {
    /// Those of a task, without the task's own.
    Task(TaskId),
    /// The tasks of an agent, and all agent keys.
    Agent(AgentId),
    /// The sessions of a user, and the logins that failed.
    User(UserId),
}

/// Streams that were found, and up to which size of the log they were sought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub(crate) streams: BTreeSet<StreamId>,
    /// All users, where a user is sought.
    pub(crate) users: BTreeSet<StreamId>,
    pub(crate) size: u64,
}

impl Found {
    /// Takes the first events of streams.
    pub(crate) fn take(&mut self, sought: Sought) -> impl FnMut(StreamId, Event) + Send {
        move |stream, first| {
            let is_user = first.begins()
                && first.kind().map(|kind| kind.aggregate) == Some(AggregateKind::User);
            if is_user && matches!(sought, Sought::User(_)) {
                self.users.insert(stream);
            }
            if belongs(&first, sought) {
                self.streams.insert(stream);
            }
        }
    }
}

fn belongs(first: &Event, sought: Sought) -> bool {
    match sought {
        Sought::Task(task) => {
            let own = matches!(first, Event::TaskCreated(_));
            !own && first.task_id() == Some(task)
        }
        Sought::Agent(agent) => match first {
            Event::TaskCreated(created) => created.agent_id == agent,
            first => AggregateKind::of(first.event_type()) == Some(AggregateKind::Key),
        },
        Sought::User(user) => first.logs_in() == Some(user),
    }
}
