//! The topic of a stream: what its later events do not say again.

use crate::id::{CallbackId, StreamId, TaskId};

/// Where a task's callbacks go is remembered for so many registrations.
const MAX_HOSTS: usize = 16;

/// The subject of a stream, learnt from its earlier events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topic {
    /// The task that it belongs to.
    pub task_id: Option<TaskId>,
    /// The agent that it belongs to.
    pub agent: Option<String>,
    /// The approver whose stream it is.
    pub approver: Option<String>,
    /// The user whose stream it is, or whose session.
    pub user: Option<String>,
    /// Those whom an approval was put to.
    pub asked: Vec<String>,
    /// The approver: of an approval, or of the apply that it was consumed for.
    pub approved_by: Option<String>,
    /// The operations of an apply or of an approval, one phrase each.
    pub operations: Vec<String>,
    /// The event and the host that a delivery is about.
    pub tells: Option<(String, String)>,
    /// All that an event says is to be told, and not only what stands in the timeline.
    pub detailed: bool,
    /// The operations of an approval have no line of their own, and are told with the question.
    pub alone: bool,
    /// The hosts of a task's callbacks.
    pub(super) hosts: Vec<(CallbackId, String)>,
}

impl Topic {
    /// A topic of that task and agent.
    pub(super) fn of(task_id: TaskId, agent: Option<&str>) -> Self {
        Self {
            task_id: Some(task_id),
            agent: agent.map(str::to_owned),
            ..Self::default()
        }
    }

    /// A topic that is a task's and no more, as of an erased stream.
    #[must_use]
    pub fn of_task(task_id: TaskId) -> Self {
        Self::of(task_id, None)
    }

    pub(super) fn add_host(&mut self, callback: CallbackId, host: String) {
        if self.hosts.len() == MAX_HOSTS {
            self.hosts.remove(0);
        }
        self.hosts.push((callback, host));
    }

    pub(super) fn host(&self, callback: CallbackId) -> Option<&str> {
        let mut hosts = self.hosts.iter();
        let host = hosts.find(|(known, _)| *known == callback);
        host.map(|(_, host)| host.as_str())
    }
}

/// The topics of streams, as far as they are remembered or can be read again.
pub trait Topics {
    /// The topic of a stream; an empty one where nothing is to be had.
    fn of(&mut self, stream: StreamId) -> Topic;

    /// The topic of a stream where it is remembered.
    fn known(&mut self, stream: StreamId) -> Option<&mut Topic>;

    /// Remembers the topic of a stream from here on.
    fn put(&mut self, stream: StreamId, topic: Topic);
}
