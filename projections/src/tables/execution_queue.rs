//! `execution_queue`: what the executor owes. A row comes when an apply may run and goes when it ends,
//! or when people are asked about it anew.

use crate::error::Error;
use crate::projections::{Projections, read_ids};
use crate::store::{Columns, Spec, Table, row};
use crate::tables::applies::ApplyView;
use crate::tables::fold::{Folding, parts};
use ledger::{AgentName, ApplyId, Event, TaskId, Timestamp};

const SPEC: Spec = Spec {
    name: "execution_queue",
    revision: 2,
    definition: "(
    -- Applies that may run and have not ended, whether or not they have begun.
    apply_id      TEXT PRIMARY KEY,
    task_id       TEXT NOT NULL,
    agent         TEXT NOT NULL,
    authorised_at TEXT NOT NULL,
    position      INTEGER NOT NULL  -- of the event that authorised it; the oldest goes first
) STRICT, WITHOUT ROWID",
    indexes: &[("execution_queue_in_order", "(position, agent)")],
    fold_indexes: &[],
};

row! {
    /// An apply that waits to be executed or is being executed.
    pub(crate) struct QueueRow in SPEC, key (apply_id: ApplyId = "apply_id") {
        apply_id: ApplyId,
        task_id: TaskId,
        agent: AgentName,
        authorised_at: Timestamp,
        position: u64,
    }
}

/// An apply that may run and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyApply {
    pub apply_id: ApplyId,
    /// Whose it is.
    pub agent: AgentName,
}

parts!(Parts: Table<ApplyView>, Table<QueueRow>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let apply_id = ApplyId::from(folding.recorded.stream_id());
    match &folding.recorded.event {
        Event::ApplyAccepted(accepted) if accepted.authorisation.runs_at_once() => {
            enqueue(
                folding,
                apply_id,
                (accepted.task_id, accepted.agent.clone()),
            );
        }
        Event::ApplyAuthorised(_) => {
            let apply = folding.known::<ApplyView>("apply", &apply_id)?;
            let of = (apply.task_id, apply.agent.clone());
            enqueue(folding, apply_id, of);
        }
        Event::ApplyEnded(_) | Event::ApplyAskedAnew(_) => {
            folding.part::<Table<QueueRow>>().remove(&apply_id)
        }
        _ => {}
    }
    Ok(())
}

fn enqueue(
    folding: &mut Folding<'_, impl Parts>,
    apply_id: ApplyId,
    (task_id, agent): (TaskId, AgentName),
) {
    folding.insert(QueueRow {
        apply_id,
        task_id,
        agent,
        authorised_at: folding.recorded.recorded_at(),
        position: folding.recorded.position(),
    });
}

impl Projections {
    /// Applies that may run and have not ended, oldest first.
    pub async fn ready_applies(&self, limit: u32) -> Result<Vec<ApplyId>, Error> {
        let query = sqlx::query("SELECT apply_id FROM execution_queue ORDER BY position LIMIT ?");
        let query = query.bind(i64::from(limit));
        read_ids(self.readers(), query, SPEC.name, "apply_id").await
    }

    /// As [`Self::ready_applies`], without those of the agents `full` and, where a size is given, without those that an
    /// approval authorised at that position or later, unless they have begun.
    pub async fn ready_applies_besides(
        &self,
        full: &[AgentName],
        approved_before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<ReadyApply>, Error> {
        let query = match approved_before {
            None => sqlx::query(
                "SELECT apply_id, agent FROM execution_queue
                 WHERE agent NOT IN (SELECT value FROM json_each(?)) ORDER BY position LIMIT ?",
            ),
            Some(_) => sqlx::query(
                "SELECT apply_id, queue.agent FROM execution_queue AS queue JOIN applies USING (apply_id)
                 WHERE queue.agent NOT IN (SELECT value FROM json_each(?))
                   AND (approval_id IS NULL OR execution_id IS NOT NULL OR queue.position < ?)
                 ORDER BY queue.position LIMIT ?",
            ),
        };
        let full: Vec<&str> = full.iter().map(AgentName::as_str).collect();
        let query = query.bind(serde_json::to_string(&full).unwrap_or_default());
        let query = match approved_before {
            None => query,
            Some(size) => query.bind(i64::try_from(size).unwrap_or(i64::MAX)),
        };
        let rows = query
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await
            .map_err(Error::database("reading what may run"))?;
        let ready = rows.iter().map(|row| {
            let columns = Columns::new(row, SPEC.name);
            Ok(ReadyApply {
                apply_id: columns.get("apply_id")?,
                agent: columns.get("agent")?,
            })
        });
        ready.collect()
    }

    /// How many [`Self::ready_applies_besides`] leaves out for the sake of a size.
    pub async fn applies_approved_from(&self, size: u64) -> Result<u64, Error> {
        let query = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM execution_queue AS queue JOIN applies USING (apply_id)
             WHERE approval_id IS NOT NULL AND execution_id IS NULL AND queue.position >= ?",
        );
        let query = query.bind(i64::try_from(size).unwrap_or(i64::MAX));
        let count = query.fetch_one(self.readers()).await;
        let count = count.map_err(Error::database("counting what waits"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
