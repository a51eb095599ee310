//! `clearances`: decisions that are kept.

use super::operation_summary::OperationSummary;
use crate::error::Error;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::{Projections, as_list, read_all, read_one};
use crate::store::{Columns, Spec, Stored, Table, row};
use crate::tables::applies::ApplyView;
use crate::tables::approvals::ApprovalView;
use crate::tables::fold::{Folding, parts};
use ledger::event::ClearanceMade;
use ledger::{AgentName, ApplyId, ApprovalId, Binding, ClearanceId, Event, TaskId, Timestamp};
use sqlx::{QueryBuilder, Sqlite};

const SPEC: Spec = Spec {
    name: "clearances",
    revision: 3,
    definition: "(
    -- Decisions that are kept beyond their question, as far as that was not erased.
    clearance_id TEXT PRIMARY KEY,
    decision     TEXT NOT NULL,     -- approve or deny
    agent        TEXT NOT NULL,
    task_id      TEXT NOT NULL,     -- of the question
    approval_id  TEXT NOT NULL,     -- the question
    mode         TEXT NOT NULL,     -- cache or permanent
    breadth      TEXT NOT NULL,     -- exact: the same params; scope: any params
    binding      TEXT NOT NULL,     -- task: it ends with the task; agent: any task of the agent
    operations   TEXT NOT NULL,     -- JSON list: what was decided on
    made_by      TEXT NOT NULL,     -- the principal that decided
    made_at      TEXT NOT NULL,
    until        TEXT,              -- when it ends by itself
    ended_at     TEXT,              -- when somebody ended it, or its task was closed
    end_reason   TEXT,              -- ended or task_closed
    position     INTEGER NOT NULL   -- of the event that made it
) STRICT, WITHOUT ROWID",
    indexes: &[
        ("clearances_by_position", "(position)"),
        ("clearances_by_question", "(approval_id)"),
    ],
    fold_indexes: &[("clearances_by_task", "(task_id)")],
};

row! {
    /// A decision that is kept.
    pub struct ClearanceView in SPEC, key (clearance_id: ClearanceId = "clearance_id") {
        pub clearance_id: ClearanceId,
        /// `approve` or `deny`.
        pub decision: String,
        pub agent: AgentName,
        /// The task of the question.
        pub task_id: TaskId,
        pub approval_id: ApprovalId,
        /// `cache` or `permanent`.
        pub mode: String,
        /// `exact` or `scope`.
        pub breadth: String,
        /// `task` or `agent`.
        pub binding: String,
        /// What was decided on.
        pub operations: Vec<OperationSummary>,
        /// The principal that decided.
        pub made_by: String,
        pub made_at: Timestamp,
        /// When it ends by itself.
        pub until: Option<Timestamp>,
        /// When somebody ended it, or its task was closed.
        pub ended_at: Option<Timestamp>,
        /// `ended` or `task_closed`.
        pub end_reason: Option<String>,
        /// The position of the event that made it.
        pub position: u64,
    }
}

impl ClearanceView {
    fn end(&mut self, at: Timestamp, reason: &str) {
        if self.ended_by(at).is_none() {
            self.ended_at = Some(at);
            self.end_reason = Some(reason.to_owned());
        }
    }

    /// When it ended, by itself too; `None` while its time lasts.
    #[must_use]
    pub fn ended_by(&self, now: Timestamp) -> Option<(Timestamp, &str)> {
        match (self.ended_at, self.until) {
            (Some(at), _) => Some((at, self.end_reason.as_deref().unwrap_or("ended"))),
            (None, Some(until)) if until <= now => Some((until, "expired")),
            _ => None,
        }
    }
}

parts!(Parts: Table<ApplyView>, Table<ApprovalView>, Table<ClearanceView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let recorded = folding.recorded;
    let at = recorded.recorded_at();
    match &recorded.event {
        Event::ClearanceMade(made) => insert(folding, made),
        Event::ClearanceEnded(_) => {
            // What was erased has no row any more.
            let id = ClearanceId::from(recorded.stream_id());
            if let Some(clearance) = folding.edit::<ClearanceView>(&id)? {
                clearance.end(at, "ended");
            }
            Ok(())
        }
        Event::TaskClosed(_) => end_with_task(folding, at),
        _ => Ok(()),
    }
}

fn insert(folding: &mut Folding<'_, impl Parts>, made: &ClearanceMade) -> Result<(), Error> {
    let recorded = folding.recorded;
    // A question that was erased is not told of again.
    let Some(approval) = folding.get::<ApprovalView>(&made.approval_id)? else {
        return Ok(());
    };
    let asked: Option<(AgentName, ApplyId)> = approval.agent.clone().zip(approval.apply_id);
    let made_by = approval.decided_by.clone();
    let Some((agent, apply_id)) = asked else {
        return Ok(());
    };
    let Some(apply) = folding.get::<ApplyView>(&apply_id)? else {
        return Ok(());
    };
    let asked = apply.operations.iter();
    let operations = asked.map(OperationSummary::untried).collect();
    folding.insert(ClearanceView {
        clearance_id: made.clearance_id,
        decision: made.decision.as_str().to_owned(),
        agent,
        task_id: made.task_id,
        approval_id: made.approval_id,
        mode: made.mode.as_str().to_owned(),
        breadth: made.breadth.as_str().to_owned(),
        binding: made.binding.as_str().to_owned(),
        operations,
        made_by: made_by.map(|by| by.to_string()).unwrap_or_default(),
        made_at: recorded.recorded_at(),
        until: made.until,
        ended_at: None,
        end_reason: None,
        position: recorded.position(),
    });
    Ok(())
}

/// Ends what was bound to the task of the event.
fn end_with_task(folding: &mut Folding<'_, impl Parts>, at: Timestamp) -> Result<(), Error> {
    let task_id = TaskId::from(folding.recorded.stream_id());
    let mut ids = stored_of(folding.stored, task_id)?;
    for row in folding.part::<Table<ClearanceView>>().unwritten() {
        if row.task_id == task_id && !ids.contains(&row.clearance_id) {
            ids.push(row.clearance_id);
        }
    }
    for id in ids {
        if let Some(clearance) = folding.edit::<ClearanceView>(&id)?
            && clearance.binding == Binding::Task.as_str()
        {
            clearance.end(at, "task_closed");
        }
    }
    Ok(())
}

fn stored_of(stored: Stored<'_>, task: TaskId) -> Result<Vec<ClearanceId>, Error> {
    let failed = || Error::sqlite("reading the clearances of a task");
    let table = stored.set.table(SPEC.name);
    let sql = format!("SELECT clearance_id FROM {table} WHERE task_id = ? ORDER BY position");
    let mut query = stored.db.prepare_cached(&sql).map_err(failed())?;
    let mut rows = query.query([task.to_string()]).map_err(failed())?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next().map_err(failed())? {
        ids.push(Columns::folded(row, SPEC.name).get("clearance_id")?);
    }
    Ok(ids)
}

pub(crate) fn listing(paging: Paging) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM clearances WHERE position < ");
    query.push_bind(paging.below());
    query.push(" ORDER BY position DESC");
    query
}

impl Projections {
    /// Kept decisions, those that have ended too, the newest first.
    pub async fn clearances(&self, paging: Paging) -> Result<Page<ClearanceView>, Error> {
        let position = |clearance: &ClearanceView| clearance.position;
        self.page(Projection::Tasks, listing(paging), paging, position)
            .await
    }

    /// Those that the decisions of these questions made.
    pub async fn clearances_of(
        &self,
        questions: &[ApprovalId],
    ) -> Result<Vec<ClearanceView>, Error> {
        let query = sqlx::query(
            "SELECT * FROM clearances WHERE approval_id IN (SELECT value FROM json_each(?))",
        );
        read_all(self.readers(), query.bind(as_list(questions))).await
    }

    /// One of them, unless its task was erased.
    pub async fn clearance(&self, id: ClearanceId) -> Result<Option<ClearanceView>, Error> {
        read_one(self.readers(), &id).await
    }
}
