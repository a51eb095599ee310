//! `schedule_runs`: what became of the instants of schedules.

use crate::error::Error;
use crate::projections::Projections;
use crate::store::{Columns, Row as _, Spec, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::event::MissReason;
use ledger::{Event, EventId, ScheduleName, Timestamp};
use sqlx::{QueryBuilder, Sqlite};

const SPEC: Spec = Spec {
    name: "schedule_runs",
    revision: 1,
    definition: "(
    -- Each put of a schedule, and what became of its instants since.
    event_id    TEXT PRIMARY KEY,
    schedule_id TEXT NOT NULL,     -- the put
    name        TEXT,              -- of the schedule; only where it was put
    state       TEXT NOT NULL,     -- put, fired, missed, skipped, refused
    first       TEXT,              -- the first instant of several that were missed
    nominal     TEXT,              -- the instant, the last of several
    count       INTEGER NOT NULL,  -- how many instants
    task_id     TEXT,
    apply_id    TEXT,              -- what was fired, or what had not ended where one was skipped
    code        TEXT,              -- of the refusal
    position    INTEGER NOT NULL
) STRICT, WITHOUT ROWID",
    indexes: &[
        ("schedule_runs_by_schedule", "(schedule_id, position)"),
        (
            "schedule_runs_by_name",
            "(name, position) WHERE name IS NOT NULL",
        ),
    ],
    fold_indexes: &[],
};

row! {
    /// What became of an instant of a schedule.
    pub struct ScheduleRunView in SPEC, key (event_id: EventId = "event_id") {
        pub event_id: EventId,
        /// The put of the schedule.
        pub schedule_id: String,
        /// The name, where it was put.
        pub name: Option<String>,
        /// `put`, `fired`, `missed`, `skipped` or `refused`.
        pub state: String,
        /// The first instant of several that were missed.
        pub first: Option<Timestamp>,
        /// The instant, the last of several.
        pub nominal: Option<Timestamp>,
        /// How many instants.
        pub count: u64,
        /// The task that was opened.
        pub task_id: Option<String>,
        /// What was fired, or what had not ended where one was skipped.
        pub apply_id: Option<String>,
        /// The code of a refusal.
        pub code: Option<String>,
        pub position: u64,
    }
}

parts!(Parts: Table<ScheduleRunView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) {
    let recorded = folding.recorded;
    let row = |state: &str| ScheduleRunView {
        event_id: recorded.header.event_id,
        schedule_id: recorded.stream_id().to_string(),
        name: None,
        state: state.to_owned(),
        first: None,
        nominal: None,
        count: 0,
        task_id: None,
        apply_id: None,
        code: None,
        position: recorded.position(),
    };
    match &recorded.event {
        Event::SchedulePut(put) => folding.insert(ScheduleRunView {
            name: Some(put.name.to_string()),
            ..row("put")
        }),
        Event::ScheduleFired(fired) => folding.insert(ScheduleRunView {
            nominal: Some(fired.nominal),
            count: 1,
            task_id: Some(fired.task_id.to_string()),
            apply_id: Some(fired.apply_id.to_string()),
            ..row("fired")
        }),
        Event::ScheduleMissed(missed) => {
            let (state, apply_id, code, task_id) = match &missed.why {
                MissReason::Late => ("missed", None, None, None),
                MissReason::Overlap { apply_id } => ("skipped", Some(*apply_id), None, None),
                MissReason::Refused { code, task_id } => {
                    ("refused", None, Some(code.clone()), *task_id)
                }
            };
            folding.insert(ScheduleRunView {
                first: (missed.count > 1).then_some(missed.first),
                nominal: Some(missed.last),
                count: u64::from(missed.count),
                task_id: task_id.map(|id| id.to_string()),
                apply_id: apply_id.map(|id| id.to_string()),
                code,
                ..row(state)
            });
        }
        _ => {}
    }
}

/// The newest puts of a schedule.
pub(crate) fn puts(name: &ScheduleName, most: u32) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM schedule_runs WHERE name = ");
    query.push_bind(name.as_str().to_owned());
    query.push(" ORDER BY position DESC LIMIT ");
    query.push_bind(most);
    query
}

/// The newest instants of a put.
pub(crate) fn newest(put: &str, most: u32) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM schedule_runs WHERE schedule_id = ");
    query.push_bind(put.to_owned());
    query.push(" AND state != 'put' ORDER BY position DESC LIMIT ");
    query.push_bind(most);
    query
}

impl Projections {
    /// What became of the newest instants of a schedule, the newest first. A put has none any more once another has
    /// taken its place.
    pub async fn schedule_runs(
        &self,
        name: &ScheduleName,
        most: u32,
    ) -> Result<Vec<ScheduleRunView>, Error> {
        let mut runs = Vec::new();
        for put in self.runs_by(puts(name, most)).await? {
            let left = most.saturating_sub(u32::try_from(runs.len()).unwrap_or(u32::MAX));
            if left == 0 {
                break;
            }
            runs.extend(self.runs_by(newest(&put.schedule_id, left)).await?);
        }
        Ok(runs)
    }

    async fn runs_by(
        &self,
        mut query: QueryBuilder<Sqlite>,
    ) -> Result<Vec<ScheduleRunView>, Error> {
        let rows = query.build().fetch_all(self.readers()).await;
        let rows = rows.map_err(Error::database("reading the runs of a schedule"))?;
        rows.iter()
            .map(|row| ScheduleRunView::read(&Columns::new(row, SPEC.name)))
            .collect()
    }
}
