//! The subject of a narrative.

use super::entry::StoryRecord;
use ledger::describe::Topic;
use ledger::{Actor, ApproverName, Event, TaskId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// One task with its applies, questions and callbacks.
    Task(TaskId),
    /// One agent: its grants, and every task of it.
    Agent(String),
    /// One approver: their keys, what was put to them, and what came of what they approved.
    Approver(String),
    Everything,
}

impl Subject {
    /// The first of these that is named; everything where none is.
    pub(crate) fn named(
        task: Option<TaskId>,
        agent: Option<&String>,
        approver: Option<&String>,
    ) -> Self {
        match (task, agent, approver) {
            (Some(task), ..) => Self::Task(task),
            (None, Some(agent), _) => Self::Agent(agent.clone()),
            (None, None, Some(approver)) => Self::Approver(approver.clone()),
            (None, None, None) => Self::Everything,
        }
    }

    /// Whether a record, of a stream that is about this, belongs to it.
    pub(crate) fn concerns(&self, entry: &StoryRecord, topic: &Topic) -> bool {
        match self {
            Self::Everything => true,
            Self::Task(task) => {
                let erased = matches!(
                    entry.event(),
                    Some((_, Event::LedgerErased(erased)))
                        if erased.subject.task() == Some(*task)
                );
                erased || topic.task_id == Some(*task)
            }
            Self::Agent(name) => {
                let acted = matches!(
                    entry.actor(),
                    Some(Actor::Agent { agent, .. } | Actor::AgentKey { name: agent, .. })
                        if agent.as_str() == name
                );
                acted || topic.agent.as_ref() == Some(name)
            }
            Self::Approver(name) => {
                // Older ledgers may have it in another form than the one that it is asked for in.
                let is = |known: &str| {
                    known == name || ApproverName::composed(known) == ApproverName::composed(name)
                };
                let acted = matches!(
                    entry.actor(), Some(Actor::Approver { principal, .. }) if is(principal.as_str())
                );
                acted
                    || topic.approver.as_deref().is_some_and(is)
                    || topic.approved_by.as_deref().is_some_and(is)
                    || topic.asked.iter().any(|asked| is(asked))
            }
        }
    }

    /// Whether lines of several tasks stand side by side.
    pub(crate) const fn mixes_tasks(&self) -> bool {
        !matches!(self, Self::Task(_))
    }

    /// Whether the applies that questions are about have lines of their own.
    pub(crate) const fn shows_applies(&self) -> bool {
        !matches!(self, Self::Approver(_))
    }
}
