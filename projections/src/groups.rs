//! The tables of each projection: what they share in memory, in which order they are folded, how
//! they are written.

use crate::error::Error;
use crate::fold::{Folding, Tables};
use crate::projection::Projection;
use crate::store::{Row as _, Spec, Stored, Table, append_rows};
use crate::tables::{
    self, ActiveCallbacks, AgentRow, ApplyView, ApprovalView, ApproverRow, AttemptView,
    CallbackView, CredentialView, DeliveryView, ErasedView, PermissionView, QueueRow, TaskView,
    TimelineEntry, TokenRow, TopicRow,
};
use ledger::event::{ErasedSubject, LedgerErased};
use ledger::{ApplyId, ApprovalId, Event, Recorded, TaskId};
use lru::LruCache;
use std::num::NonZeroUsize;

/// Of how many approvals it is remembered which applies wait for them, and of how many tasks which
/// callbacks are theirs.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Calls a macro with a projection's rows.
macro_rules! for_each_row {
    (Agents, $each:ident) => {
        $each!(tables::AgentRow, tables::PermissionView)
    };
    (Approvers, $each:ident) => {
        $each!(tables::ApproverRow, tables::CredentialView)
    };
    (Tasks, $each:ident) => {
        $each!(
            tables::TaskView,
            tables::TokenRow,
            tables::ApprovalView,
            tables::ApplyView,
            tables::QueueRow
        )
    };
    (Callbacks, $each:ident) => {
        $each!(
            tables::CallbackView,
            tables::DeliveryView,
            tables::AttemptView
        )
    };
    (Timeline, $each:ident) => {
        $each!(tables::TimelineEntry, tables::TopicRow, tables::ErasedView)
    };
}
pub(crate) use for_each_row;

impl Projection {
    /// What its tables are made of.
    pub(crate) fn specs(self) -> Vec<Spec> {
        macro_rules! specs {
            ($($row:ty),+) => { vec![$(<$row>::SPEC),+] };
        }
        match self {
            Self::Agents => for_each_row!(Agents, specs),
            Self::Approvers => for_each_row!(Approvers, specs),
            Self::Tasks => for_each_row!(Tasks, specs),
            Self::Callbacks => for_each_row!(Callbacks, specs),
            Self::Timeline => for_each_row!(Timeline, specs),
        }
    }

    /// Its tables, with nothing of them in memory yet.
    pub(crate) fn tables(self) -> Box<dyn Tables> {
        match self {
            Self::Agents => Box::<AgentTables>::default(),
            Self::Approvers => Box::<ApproverTables>::default(),
            Self::Tasks => Box::<TaskTables>::default(),
            Self::Callbacks => Box::<CallbackTables>::default(),
            Self::Timeline => Box::<TimelineTables>::default(),
        }
    }
}

/// Writes what is in memory and forgets it: an erasure is carried out on what stands in the file.
fn settle<T: Tables + Default>(tables: &mut T, stored: Stored<'_>) -> Result<(), Error> {
    tables.flush(stored)?;
    *tables = T::default();
    Ok(())
}

/// Takes the rows of a task from tables that name it; of nothing else that can be erased.
fn erase_of_task(stored: Stored<'_>, erased: &LedgerErased, from: &[Spec]) -> Result<(), Error> {
    if let ErasedSubject::Task(task) = erased.subject {
        for spec in from {
            let statement = "DELETE FROM {} WHERE task_id = ?";
            stored.erase(spec.name, statement, [task.to_string()])?;
        }
    }
    Ok(())
}

/// Of the projection `agents`.
#[derive(Default)]
pub(crate) struct AgentTables {
    pub(crate) agents: Table<AgentRow>,
    pub(crate) permissions: Table<PermissionView>,
}

impl Tables for AgentTables {
    fn fold(&mut self, stored: Stored<'_>, recorded: &Recorded) -> Result<(), Error> {
        if let Event::LedgerErased(erased) = &recorded.event {
            settle(self, stored)?;
            tables::permissions::erase(stored, erased)?;
            return tables::agents::erase(stored, erased);
        }
        let mut folding = Folding::of(self, stored, recorded);
        // Looks at how many there were before.
        tables::permissions::fold(&mut folding)?;
        tables::agents::fold(&mut folding)
    }

    fn flush(&mut self, to: Stored<'_>) -> Result<(), Error> {
        self.agents.flush(to)?;
        self.permissions.flush(to)
    }

    fn remembered(&self) -> usize {
        self.agents.remembered() + self.permissions.remembered()
    }
}

/// Of the projection `approvers`.
#[derive(Default)]
pub(crate) struct ApproverTables {
    pub(crate) approvers: Table<ApproverRow>,
    pub(crate) credentials: Table<CredentialView>,
}

impl Tables for ApproverTables {
    fn fold(&mut self, stored: Stored<'_>, recorded: &Recorded) -> Result<(), Error> {
        if let Event::LedgerErased(erased) = &recorded.event {
            settle(self, stored)?;
            tables::approver_credentials::erase(stored, erased)?;
            return tables::approvers::erase(stored, erased);
        }
        let mut folding = Folding::of(self, stored, recorded);
        tables::approvers::fold(&mut folding)?;
        tables::approver_credentials::fold(&mut folding)
    }

    fn flush(&mut self, to: Stored<'_>) -> Result<(), Error> {
        self.approvers.flush(to)?;
        self.credentials.flush(to)
    }

    fn remembered(&self) -> usize {
        self.approvers.remembered() + self.credentials.remembered()
    }
}

/// Of the projection `tasks`.
pub(crate) struct TaskTables {
    pub(crate) tasks: Table<TaskView>,
    pub(crate) tokens: Table<TokenRow>,
    pub(crate) approvals: Table<ApprovalView>,
    pub(crate) applies: Table<ApplyView>,
    pub(crate) queue: Table<QueueRow>,
    /// Every apply that waits for an approval; complete for those that are here.
    pub(crate) waiting: LruCache<ApprovalId, Vec<ApplyId>>,
}

impl Default for TaskTables {
    fn default() -> Self {
        Self {
            tasks: Table::default(),
            tokens: Table::default(),
            approvals: Table::default(),
            applies: Table::default(),
            queue: Table::default(),
            waiting: LruCache::new(REMEMBERED),
        }
    }
}

impl Tables for TaskTables {
    fn fold(&mut self, stored: Stored<'_>, recorded: &Recorded) -> Result<(), Error> {
        if let Event::LedgerErased(erased) = &recorded.event {
            settle(self, stored)?;
            let of_task = [
                TokenRow::SPEC,
                ApprovalView::SPEC,
                ApplyView::SPEC,
                QueueRow::SPEC,
                TaskView::SPEC,
            ];
            return erase_of_task(stored, erased, &of_task);
        }
        let mut folding = Folding::of(self, stored, recorded);
        // A table is folded after those whose newest rows it looks at.
        tables::approvals::fold(&mut folding)?;
        tables::applies::fold(&mut folding)?;
        tables::execution_queue::fold(&mut folding)?;
        tables::tasks::fold(&mut folding)?;
        tables::capability_tokens::fold(&mut folding)
    }

    fn flush(&mut self, to: Stored<'_>) -> Result<(), Error> {
        self.tasks.flush(to)?;
        self.tokens.flush(to)?;
        self.approvals.flush(to)?;
        self.applies.flush(to)?;
        self.queue.flush(to)
    }

    fn remembered(&self) -> usize {
        self.tasks.remembered()
            + self.tokens.remembered()
            + self.approvals.remembered()
            + self.applies.remembered()
            + self.queue.remembered()
    }
}

/// Of the projection `callbacks`.
pub(crate) struct CallbackTables {
    pub(crate) callbacks: Table<CallbackView>,
    pub(crate) deliveries: Table<DeliveryView>,
    pub(crate) attempts: Table<AttemptView>,
    /// The callbacks that events of a task go to.
    pub(crate) active: LruCache<TaskId, ActiveCallbacks>,
}

impl Default for CallbackTables {
    fn default() -> Self {
        Self {
            callbacks: Table::default(),
            deliveries: Table::default(),
            attempts: Table::default(),
            active: LruCache::new(REMEMBERED),
        }
    }
}

impl Tables for CallbackTables {
    fn fold(&mut self, stored: Stored<'_>, recorded: &Recorded) -> Result<(), Error> {
        if let Event::LedgerErased(erased) = &recorded.event {
            settle(self, stored)?;
            tables::delivery_attempts::erase(stored, erased)?;
            return erase_of_task(stored, erased, &[DeliveryView::SPEC, CallbackView::SPEC]);
        }
        let mut folding = Folding::of(self, stored, recorded);
        tables::callbacks::fold(&mut folding)?;
        tables::deliveries::fold(&mut folding)?;
        tables::delivery_attempts::fold(&mut folding)
    }

    fn flush(&mut self, to: Stored<'_>) -> Result<(), Error> {
        self.callbacks.flush(to)?;
        self.deliveries.flush(to)?;
        self.attempts.flush(to)
    }

    fn remembered(&self) -> usize {
        self.callbacks.remembered() + self.deliveries.remembered() + self.attempts.remembered()
    }
}

/// Of the projection `timeline`.
#[derive(Default)]
pub(crate) struct TimelineTables {
    pub(crate) timeline: Vec<TimelineEntry>,
    pub(crate) topics: Table<TopicRow>,
    pub(crate) erased: Table<ErasedView>,
}

impl Tables for TimelineTables {
    fn fold(&mut self, stored: Stored<'_>, recorded: &Recorded) -> Result<(), Error> {
        let mut folding = Folding::of(self, stored, recorded);
        tables::timeline_topics::fold(&mut folding);
        tables::audit_timeline::fold(&mut folding)?;
        if let Event::LedgerErased(erased) = &recorded.event {
            tables::erased_streams::fold(&mut folding, erased);
            settle(self, stored)?;
            tables::timeline_topics::erase(stored, erased)?;
            tables::audit_timeline::erase(stored, recorded, erased)?;
        }
        Ok(())
    }

    fn flush(&mut self, to: Stored<'_>) -> Result<(), Error> {
        self.topics.flush(to)?;
        self.erased.flush(to)?;
        append_rows(to, &mut self.timeline)
    }

    fn remembered(&self) -> usize {
        self.topics.remembered() + self.erased.remembered()
    }
}

#[cfg(test)]
mod tests;
