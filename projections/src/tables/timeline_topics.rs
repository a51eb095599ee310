//! `timeline_topics`: which task a stream is about, so that the timeline needs no other projection.

use crate::error::Error;
use crate::store::{Spec, Stored, Table, row};
use crate::tables::fold::{Folding, missing, parts};
use ledger::event::{AggregateKind, EventKind, LedgerErased};
use ledger::{StreamId, TaskId};

const SPEC: Spec = Spec {
    name: "timeline_topics",
    revision: 1,
    definition: "(
    -- The task of each apply, approval and delivery, known from its first event.
    subject_id TEXT PRIMARY KEY,
    task_id    TEXT NOT NULL
) STRICT, WITHOUT ROWID",
    indexes: &[],
    fold_indexes: &[],
};

row! {
    pub(crate) struct TopicRow in SPEC, key (subject_id: StreamId = "subject_id") {
        subject_id: StreamId,
        task_id: TaskId,
    }
}

parts!(Parts: Table<TopicRow>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) {
    let event = &folding.recorded.event;
    // A task's stream has its id, and nothing follows a refusal.
    let goes_on = |kind: &&EventKind| kind.aggregate != AggregateKind::Task && !kind.traits.alone;
    let (Some(task_id), Some(_)) = (event.task_id(), event.kind().filter(goes_on)) else {
        return;
    };
    folding.insert(TopicRow {
        subject_id: folding.recorded.stream_id(),
        task_id,
    });
}

pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    for stream in &erased.streams {
        let statement = "DELETE FROM {} WHERE subject_id = ?";
        stored.erase(SPEC.name, statement, [stream.stream_id.to_string()])?;
    }
    Ok(())
}

/// The task that the event's stream is about.
pub(super) fn task_of_stream(
    folding: &mut Folding<'_, impl Parts>,
    what: &str,
) -> Result<TaskId, Error> {
    let stream = folding.recorded.stream_id();
    match folding.get::<TopicRow>(&stream)? {
        Some(topic) => Ok(topic.task_id),
        None => Err(missing(folding.recorded, what, stream)),
    }
}
