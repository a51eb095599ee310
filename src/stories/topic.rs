//! What a stream is about, as far as lines and choices need it.

use ledger::{CallbackId, StreamId, TaskId};

/// Where a task's callbacks go is remembered for so many registrations.
const MAX_HOSTS: usize = 16;

/// Everything that later events of a stream do not say again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topic {
    /// The task that it belongs to.
    pub(crate) task_id: Option<TaskId>,
    /// The agent that it belongs to.
    pub(crate) agent: Option<String>,
    /// The approver whose stream it is.
    pub(crate) approver: Option<String>,
    /// Those whom an approval was put to.
    pub(crate) asked: Vec<String>,
    /// Who approved it: an approval, or the apply that it was consumed for.
    pub(crate) approved_by: Option<String>,
    /// What an apply asks for, or an approval is about, one phrase each.
    pub(crate) operations: Vec<String>,
    /// The event and the host that a delivery is about.
    pub(crate) tells: Option<(String, String)>,
    /// The hosts of a task's callbacks.
    pub(super) hosts: Vec<(CallbackId, String)>,
}

impl Topic {
    /// A topic of that task and agent.
    pub(super) fn of(task_id: TaskId, agent: &str) -> Self {
        Self {
            task_id: Some(task_id),
            agent: Some(agent.to_owned()),
            ..Self::default()
        }
    }

    pub(super) fn add_host(&mut self, callback: CallbackId, host: String) {
        if self.hosts.len() == MAX_HOSTS {
            self.hosts.remove(0);
        }
        self.hosts.push((callback, host));
    }

    pub(super) fn host(&self, callback: CallbackId) -> Option<&str> {
        self.hosts
            .iter()
            .find(|(known, _)| *known == callback)
            .map(|(_, host)| host.as_str())
    }
}

/// The host of a URL; the rest of it may be a secret.
pub(super) fn host(url: &str) -> String {
    url::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "an unreadable address".to_owned())
}

/// A task's stream has the task's id.
pub(super) const fn stream_of(task: TaskId) -> StreamId {
    StreamId::from_bytes(*task.as_bytes())
}
