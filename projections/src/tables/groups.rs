//! The tables of each projection: what they share in memory, in which order they are folded, how
//! they are written.

use crate::error::Error;
use crate::projection::Projection;
use crate::store::{Appended, Row as _, Spec, Stored, Table};
use crate::tables::applies::Waiting;
use crate::tables::callbacks::ActiveCallbacks;
use crate::tables::fold::{Folding, Has, Tables};
use crate::tables::{
    self, AdmissionView, AgentKeyView, AgentView, AnswerRow, ApplyView, ApprovalView, ApproverView,
    AttemptView, CallbackView, ClearanceUseRow, ClearanceView, CredentialView, DeciderRow,
    DeliveryView, ErasedView, KeyUseRow, LockView, MentionRow, PermissionView, QueueRow,
    ScheduleRunView, SessionRow, TaskView, TemplateView, TimelineEntry, TokenRow, TopicRow,
    UsageView,
};
use ledger::event::LedgerErased;
use ledger::{Event, Recorded};
use lru::LruCache;
use std::num::NonZeroUsize;

/// Of how many approvals it is remembered which applies wait for them, and of how many tasks which
/// callbacks are theirs.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Calls a macro with a projection's rows.
macro_rules! for_each_row {
    (Agents, $each:ident) => {
        $each!(
            tables::AgentView,
            tables::PermissionView,
            tables::AgentKeyView,
            tables::TemplateView,
            tables::LockView,
            tables::AdmissionView,
            tables::ScheduleRunView,
            tables::UsageView
        )
    };
    (Approvers, $each:ident) => {
        $each!(
            tables::ApproverView,
            tables::CredentialView,
            tables::SessionRow
        )
    };
    (Tasks, $each:ident) => {
        $each!(
            tables::TaskView,
            tables::TokenRow,
            tables::ApprovalView,
            tables::DeciderRow,
            tables::AnswerRow,
            tables::ApplyView,
            tables::QueueRow,
            tables::ClearanceView,
            tables::ClearanceUseRow,
            tables::KeyUseRow
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
        $each!(
            tables::TimelineEntry,
            tables::MentionRow,
            tables::TopicRow,
            tables::ErasedView
        )
    };
}
pub(crate) use for_each_row;

impl Projection {
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
    if let Some(task) = erased.subject.task() {
        for spec in from {
            let statement = "DELETE FROM {} WHERE task_id = ?";
            stored.erase(spec.name, statement, [task.to_string()])?;
        }
    }
    Ok(())
}

/// Makes the tables of a projection: those that are flushed, in this order, what is only remembered, and
/// the function that folds into them.
macro_rules! tables {
    (
        $(#[$doc:meta])*
        $name:ident folded by $fold:ident {
            $($table:ident: $table_type:ty,)+
        }
        $(remembering { $($part:ident: $part_type:ty = $new:expr,)+ })?
    ) => {
        $(#[$doc])*
        struct $name {
            $($table: $table_type,)+
            $($($part: $part_type,)+)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($table: Default::default(),)+
                    $($($part: $new,)+)?
                }
            }
        }

        $(impl Has<$table_type> for $name {
            fn part(&mut self) -> &mut $table_type {
                &mut self.$table
            }
        })+
        $($(impl Has<$part_type> for $name {
            fn part(&mut self) -> &mut $part_type {
                &mut self.$part
            }
        })+)?

        impl Tables for $name {
            fn fold(&mut self, stored: Stored<'_>, recorded: &Recorded) -> Result<(), Error> {
                $fold(self, stored, recorded)
            }

            fn flush(&mut self, to: Stored<'_>) -> Result<(), Error> {
                $(self.$table.flush(to)?;)+
                Ok(())
            }

            fn remembered(&self) -> usize {
                [$(self.$table.remembered()),+].into_iter().sum()
            }
        }
    };
}

tables! {
    /// Of the projection `agents`.
    AgentTables folded by fold_agents {
        agents: Table<AgentView>,
        permissions: Table<PermissionView>,
        keys: Table<AgentKeyView>,
        templates: Table<TemplateView>,
        locks: Table<LockView>,
        admissions: Table<AdmissionView>,
        schedule_runs: Table<ScheduleRunView>,
        usage_hours: Table<UsageView>,
    }
}

tables! {
    /// Of the projection `approvers`.
    ApproverTables folded by fold_approvers {
        approvers: Table<ApproverView>,
        credentials: Table<CredentialView>,
        sessions: Table<SessionRow>,
    }
}

tables! {
    /// Of the projection `tasks`.
    TaskTables folded by fold_tasks {
        tasks: Table<TaskView>,
        tokens: Table<TokenRow>,
        approvals: Table<ApprovalView>,
        deciders: Table<DeciderRow>,
        answers: Table<AnswerRow>,
        applies: Table<ApplyView>,
        queue: Table<QueueRow>,
        clearances: Table<ClearanceView>,
        clearance_uses: Table<ClearanceUseRow>,
        key_uses: Table<KeyUseRow>,
    }
    remembering { waiting: Waiting = LruCache::new(REMEMBERED), }
}

tables! {
    /// Of the projection `callbacks`.
    CallbackTables folded by fold_callbacks {
        callbacks: Table<CallbackView>,
        deliveries: Table<DeliveryView>,
        attempts: Table<AttemptView>,
    }
    remembering { active: ActiveCallbacks = LruCache::new(REMEMBERED), }
}

tables! {
    /// Of the projection `timeline`.
    TimelineTables folded by fold_timeline {
        topics: Table<TopicRow>,
        erased: Table<ErasedView>,
        mentions: Appended<MentionRow>,
        timeline: Appended<TimelineEntry>,
    }
}

fn fold_agents(of: &mut AgentTables, stored: Stored<'_>, recorded: &Recorded) -> Result<(), Error> {
    if let Event::LedgerErased(erased) = &recorded.event {
        settle(of, stored)?;
        tables::permissions::erase(stored, erased)?;
        tables::usage_hours::erase(stored, erased)?;
        return tables::agents::erase(stored, erased);
    }
    let mut folding = Folding::of(of, stored, recorded);
    // Looks at how many there were before.
    tables::permissions::fold(&mut folding)?;
    tables::agent_keys::fold(&mut folding)?;
    tables::task_templates::fold(&mut folding);
    tables::locks::fold(&mut folding)?;
    tables::admissions::fold(&mut folding)?;
    tables::schedule_runs::fold(&mut folding);
    tables::usage_hours::fold(&mut folding)?;
    tables::agents::fold(&mut folding)
}

fn fold_approvers(
    of: &mut ApproverTables,
    stored: Stored<'_>,
    recorded: &Recorded,
) -> Result<(), Error> {
    if let Event::LedgerErased(erased) = &recorded.event {
        settle(of, stored)?;
        tables::approver_credentials::erase(stored, erased)?;
        tables::sessions::erase(stored, erased)?;
        return tables::approvers::erase(stored, erased);
    }
    let mut folding = Folding::of(of, stored, recorded);
    tables::sessions::fold(&mut folding);
    tables::approvers::fold(&mut folding)?;
    tables::approver_credentials::fold(&mut folding)
}

fn fold_tasks(of: &mut TaskTables, stored: Stored<'_>, recorded: &Recorded) -> Result<(), Error> {
    if let Event::LedgerErased(erased) = &recorded.event {
        settle(of, stored)?;
        tables::approval_deciders::erase(stored, erased)?;
        tables::approval_answers::erase(stored, erased)?;
        let of_task = [
            TokenRow::SPEC,
            ApprovalView::SPEC,
            ApplyView::SPEC,
            QueueRow::SPEC,
            ClearanceView::SPEC,
            ClearanceUseRow::SPEC,
            KeyUseRow::SPEC,
            TaskView::SPEC,
        ];
        return erase_of_task(stored, erased, &of_task);
    }
    let mut folding = Folding::of(of, stored, recorded);
    // A table is folded after those whose newest rows it looks at, and these two before.
    tables::approval_deciders::fold(&mut folding)?;
    tables::approval_answers::fold(&mut folding)?;
    tables::approvals::fold(&mut folding)?;
    tables::applies::fold(&mut folding)?;
    tables::execution_queue::fold(&mut folding)?;
    tables::clearances::fold(&mut folding)?;
    tables::clearance_uses::fold(&mut folding)?;
    tables::tasks::fold(&mut folding)?;
    tables::key_uses::fold(&mut folding)?;
    tables::capability_tokens::fold(&mut folding)
}

fn fold_callbacks(
    of: &mut CallbackTables,
    stored: Stored<'_>,
    recorded: &Recorded,
) -> Result<(), Error> {
    if let Event::LedgerErased(erased) = &recorded.event {
        settle(of, stored)?;
        tables::delivery_attempts::erase(stored, erased)?;
        return erase_of_task(stored, erased, &[DeliveryView::SPEC, CallbackView::SPEC]);
    }
    let mut folding = Folding::of(of, stored, recorded);
    tables::callbacks::fold(&mut folding)?;
    tables::deliveries::fold(&mut folding)?;
    tables::delivery_attempts::fold(&mut folding)
}

fn fold_timeline(
    of: &mut TimelineTables,
    stored: Stored<'_>,
    recorded: &Recorded,
) -> Result<(), Error> {
    let mut folding = Folding::of(of, stored, recorded);
    tables::timeline_topics::fold(&mut folding)?;
    tables::timeline_mentions::fold(&mut folding)?;
    tables::audit_timeline::fold(&mut folding)?;
    if let Event::LedgerErased(erased) = &recorded.event {
        tables::erased_streams::fold(&mut folding, erased);
        settle(of, stored)?;
        tables::audit_timeline::forget_agent(stored, erased)?;
        tables::timeline_topics::erase(stored, erased)?;
        tables::timeline_mentions::erase(stored, erased)?;
        tables::audit_timeline::erase(stored, recorded, erased)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
