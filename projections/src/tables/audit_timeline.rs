//! `audit_timeline`: one line for each event, for people.

use super::timeline_topics::task_of_stream;
use crate::error::Error;
use crate::projections::{Projections, read_all};
use crate::store::{Appended, Spec, Stored, Table, row};
use crate::tables::fold::{Folding, parts};
use crate::tables::timeline_topics::TopicRow;
use ledger::describe::{Topic, line};
use ledger::event::{AggregateKind, ErasedPayload, LedgerErased};
use ledger::{Envelope, Event, EventId, Recorded, RequestId, TaskId, Timestamp};

/// The most characters of a summary; the ledger has everything in full.
const MOST: usize = 400;

const SPEC: Spec = Spec {
    name: "audit_timeline",
    revision: 1,
    definition: "(
    -- What happened, one row for each event of the ledger. The ledger is the proof; this is its index.
    position   INTEGER PRIMARY KEY,
    at         TEXT NOT NULL,
    event      TEXT NOT NULL,
    who        TEXT NOT NULL,
    summary    TEXT NOT NULL,
    task_id    TEXT,     -- the task that it concerns, where it concerns one
    subject_id TEXT NOT NULL,  -- the task, apply, approval, agent, approver or delivery itself
    request_id TEXT,     -- as in the service's log
    cause      INTEGER,  -- the position of the event that it answers
    event_id   TEXT NOT NULL
) STRICT",
    indexes: &[
        ("audit_timeline_by_task", "(task_id, position) WHERE task_id IS NOT NULL"),
    ],
    fold_indexes: &[],
};

row! {
    /// One event of the ledger, for people.
    pub struct TimelineEntry in SPEC, key (position: u64 = "position") {
        /// The event's position.
        pub position: u64,
        pub at: Timestamp,
        /// Its name: `apply.accepted`.
        pub event: String,
        /// Who acted: `agent ci-bot`.
        pub who: String,
        /// What happened, in one line; control characters in what people and agents wrote are made
        /// visible. Still to be escaped where it is shown.
        pub summary: String,
        /// The task that it concerns, where it concerns one.
        pub task_id: Option<TaskId>,
        /// The task, apply, approval, agent, approver or delivery itself.
        pub subject_id: ledger::StreamId,
        /// The request that it was for, as in the service's log.
        pub request_id: Option<RequestId>,
        /// The position of the event that it answers.
        pub cause: Option<u64>,
        /// The event's name for good.
        pub event_id: EventId,
    }
}

/// Which part of the timeline to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineFilter {
    /// Only what concerns this task.
    pub task: Option<TaskId>,
    pub from: u64,
    /// At most so many entries.
    pub limit: u32,
}

parts!(Parts: Table<TopicRow>, Appended<TimelineEntry>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let task_id = task_of(folding)?;
    let recorded = folding.recorded;
    folding
        .part::<Appended<TimelineEntry>>()
        .push(TimelineEntry {
            position: recorded.position(),
            at: recorded.recorded_at(),
            event: recorded.event.name().to_owned(),
            who: recorded.envelope.actor.to_string(),
            summary: line(&recorded.event, &Topic::default(), MOST),
            task_id,
            subject_id: recorded.stream_id(),
            request_id: recorded.envelope.request_id,
            cause: recorded.envelope.cause,
            event_id: recorded.event_id(),
        });
    Ok(())
}

/// Makes the rows of erased events what a fold after the erasure makes them, and says whose they were.
pub(crate) fn erase(
    stored: Stored<'_>,
    recorded: &Recorded,
    erased: &LedgerErased,
) -> Result<(), Error> {
    let by = recorded.position();
    let task = erased.subject.task().map(|task| task.to_string());
    let nobody = Envelope::erased().actor.to_string();
    let gone = Event::Erased(ErasedPayload {
        event_type: 0,
        schema_version: 0,
        erased_by: by,
    });
    let gone = line(&gone, &Topic::default(), MOST);
    for range in &erased.positions {
        let (from, until) = (signed(range.from), signed(range.until));
        stored.erase(
            SPEC.name,
            "UPDATE {} SET who = ?1, summary = ?2, request_id = NULL, cause = NULL
             WHERE position >= ?3 AND position < ?4 AND summary <> ?2",
            (&nobody, &gone, from, until),
        )?;
        let table = stored.set.table(SPEC.name);
        let sql = format!("UPDATE {table} SET task_id = ?1 WHERE position >= ?2 AND position < ?3");
        let moved = stored.db.execute(&sql, (&task, from, until));
        moved.map_err(Error::sqlite("erasing rows"))?;
    }
    Ok(())
}

fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// The task that an event concerns, by what the event says or by whose stream it stands in.
fn task_of(folding: &mut Folding<'_, impl Parts>) -> Result<Option<TaskId>, Error> {
    let stream = folding.recorded.stream_id();
    let event = &folding.recorded.event;
    if let Some(task_id) = event.task_id() {
        return Ok(Some(task_id));
    }
    let (Some(kind), false) = (event.kind(), folding.recorded.is_erased()) else {
        return Ok(None);
    };
    Ok(match kind.aggregate {
        AggregateKind::Task => Some(TaskId::from(stream)),
        of @ (AggregateKind::Apply | AggregateKind::Approval | AggregateKind::Delivery) => {
            Some(task_of_stream(folding, of.as_str())?)
        }
        _ => None,
    })
}

impl Projections {
    /// The timeline in its order, from a position on.
    pub async fn timeline(&self, filter: TimelineFilter) -> Result<Vec<TimelineEntry>, Error> {
        let from = i64::try_from(filter.from).unwrap_or(i64::MAX);
        let query = match filter.task {
            None => sqlx::query(
                "SELECT * FROM audit_timeline WHERE position >= ? ORDER BY position LIMIT ?",
            ),
            Some(task) => sqlx::query(
                "SELECT * FROM audit_timeline WHERE task_id = ? AND position >= ?
                 ORDER BY position LIMIT ?",
            )
            .bind(task.to_string()),
        };
        let query = query.bind(from).bind(i64::from(filter.limit));
        read_all(self.readers(), query).await
    }
}
