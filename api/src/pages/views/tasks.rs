//! Tasks: the list of them, and one with its applies and what happened in it.

use super::events::EventRow;
use super::frame::Frame;
use crate::pages::{Acts, Beside, Says, Short};
use askama::Template;
use projections::{OperationProgress, TaskStatus};
use std::sync::Arc;

/// Tasks, the newest first.
#[derive(Debug, Clone, Template)]
#[template(path = "views/tasks.html")]
pub(crate) struct TasksPage {
    pub(crate) frame: Frame,
    /// The list that has only those of one state, by its word; all where there is none.
    pub(crate) state: Option<Standing>,
    /// Whose tasks these are, where they are those of one agent.
    pub(crate) agent: Option<Short>,
    pub(crate) rows: Vec<TaskRow>,
    /// The address of those that are older.
    pub(crate) older: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct TaskRow {
    pub(crate) id: String,
    pub(crate) name: Short,
    pub(crate) agent: Short,
    pub(crate) status: Standing,
    /// Operations of its newest apply that are done, and how many it has.
    pub(crate) progress: Option<(usize, usize)>,
    /// The request of that apply in words.
    pub(crate) acts: Option<Arc<Acts>>,
    pub(crate) opened: Beside,
    pub(crate) changed: Beside,
}

/// One task.
#[derive(Debug, Clone, Template)]
#[template(path = "views/task.html")]
pub(crate) struct TaskPage {
    pub(crate) frame: Frame,
    pub(crate) task: TaskRow,
    /// The words with which it was opened.
    pub(crate) says: Says,
    pub(crate) close_reason: Option<Short>,
    /// What it may do, and how many entries more there are.
    pub(crate) allowed: Vec<Short>,
    pub(crate) allowed_more: usize,
    pub(crate) applies: Vec<ApplyRow>,
    pub(crate) events: Vec<EventRow>,
    pub(crate) older: Option<String>,
}

/// One apply of a task.
#[derive(Debug, Clone)]
pub(crate) struct ApplyRow {
    pub(crate) key: Short,
    pub(crate) status: Standing,
    pub(crate) accepted: Beside,
    pub(crate) simulated: bool,
    /// The question that it waited for.
    pub(crate) question: Option<String>,
    /// Its request in words; absent where that cannot be read any more.
    pub(crate) acts: Option<Arc<Acts>>,
    pub(crate) operations: Vec<OperationRow>,
    pub(crate) more: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct OperationRow {
    /// Its effect in words; absent where its apply says that.
    pub(crate) act: Option<Short>,
    /// Its name in the catalog, and its scope.
    pub(crate) what: Short,
    pub(crate) progress: OperationProgress,
    /// The reason of its failure, or of an outcome that is not known.
    pub(crate) why: Option<Short>,
}

impl TasksPage {
    fn states(&self) -> impl Iterator<Item = Standing> {
        TaskStatus::ALL.iter().copied().map(Standing)
    }

    fn assets(&self) -> String {
        self.frame.assets()
    }

    fn is_of(&self, state: &Standing) -> bool {
        self.state == Some(*state)
    }
}

impl TaskPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}

/// Where a task or an apply stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing(pub(crate) TaskStatus);

impl Standing {
    /// Its word, as people read it.
    fn words(self) -> String {
        self.0.as_str().replace('_', " ")
    }

    const fn tone(self) -> &'static str {
        match self.0 {
            TaskStatus::Completed => "good",
            TaskStatus::Failed | TaskStatus::Unknown | TaskStatus::Denied => "bad",
            TaskStatus::Open
            | TaskStatus::RequiresApproval
            | TaskStatus::Approved
            | TaskStatus::Applying
            | TaskStatus::Expired
            | TaskStatus::Closed => "neutral",
        }
    }
}

impl OperationRow {
    /// Where it stands: one that waits for nothing any more was not tried.
    fn word(&self, apply: &Standing) -> &'static str {
        let is_over = matches!(
            apply.0,
            TaskStatus::Denied
                | TaskStatus::Expired
                | TaskStatus::Closed
                | TaskStatus::Failed
                | TaskStatus::Unknown
                | TaskStatus::Completed
        );
        match self.progress {
            OperationProgress::Waiting if is_over => "not tried",
            progress => progress.as_str(),
        }
    }

    const fn tone(&self) -> &'static str {
        match self.progress {
            OperationProgress::Succeeded => "good",
            OperationProgress::Failed | OperationProgress::Unknown => "bad",
            OperationProgress::Waiting | OperationProgress::Started => "neutral",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_waits_for_nothing_any_more_was_not_tried() {
        let row = OperationRow {
            act: None,
            what: Short::line("dns.record.write", 100),
            progress: OperationProgress::Waiting,
            why: None,
        };
        for status in TaskStatus::ALL {
            let waits = matches!(
                status,
                TaskStatus::Open
                    | TaskStatus::RequiresApproval
                    | TaskStatus::Approved
                    | TaskStatus::Applying
            );
            let expected = if waits { "waiting" } else { "not tried" };
            assert_eq!(row.word(&Standing(*status)), expected, "{status:?}");
        }
    }
}
