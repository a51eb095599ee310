//! `clearance_uses`: how often applies of a task ran with a kept decision, and when the last one was accepted.

use crate::error::Error;
use crate::projections::{Projections, as_list};
use crate::store::{Columns, Spec, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::event::Authorisation;
use ledger::{ClearanceId, Event, TaskId, Timestamp};
use std::collections::HashMap;

const SPEC: Spec = Spec {
    name: "clearance_uses",
    revision: 1,
    definition: "(
    -- Applies that kept decisions answered, as far as their tasks were not erased.
    clearance_id TEXT NOT NULL,
    task_id      TEXT NOT NULL,     -- of the applies
    uses         INTEGER NOT NULL,
    last_used_at TEXT NOT NULL,
    PRIMARY KEY (clearance_id, task_id)
) STRICT, WITHOUT ROWID",
    indexes: &[],
    fold_indexes: &[("clearance_uses_by_task", "(task_id)")],
};

row! {
    pub(crate) struct ClearanceUseRow in SPEC,
    key (clearance_id: ClearanceId = "clearance_id", task_id: TaskId = "task_id") {
        clearance_id: ClearanceId,
        task_id: TaskId,
        uses: u64,
        last_used_at: Timestamp,
    }
}

/// What applies that were not erased since made of a kept decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClearanceUses {
    /// How many applies it answered.
    pub uses: u64,
    /// When the last of them was accepted.
    pub last_used_at: Timestamp,
}

parts!(Parts: Table<ClearanceUseRow>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let recorded = folding.recorded;
    let Event::ApplyAccepted(accepted) = &recorded.event else {
        return Ok(());
    };
    let Authorisation::Cleared(clearance_id) = accepted.authorisation else {
        return Ok(());
    };
    let last_used_at = recorded.recorded_at();
    let key = (clearance_id, accepted.task_id);
    if let Some(known) = folding.edit::<ClearanceUseRow>(&key)? {
        known.uses += 1;
        known.last_used_at = last_used_at;
    } else {
        folding.insert(ClearanceUseRow {
            clearance_id,
            task_id: accepted.task_id,
            uses: 1,
            last_used_at,
        });
    }
    Ok(())
}

impl Projections {
    /// How these kept decisions were used by tasks that were not erased since; none of one that was not.
    pub async fn clearance_uses(
        &self,
        clearances: &[ClearanceId],
    ) -> Result<HashMap<ClearanceId, ClearanceUses>, Error> {
        let rows = sqlx::query(
            "SELECT clearance_id, sum(uses) AS uses, max(last_used_at) AS last_used_at
             FROM clearance_uses WHERE clearance_id IN (SELECT value FROM json_each(?))
             GROUP BY clearance_id",
        )
        .bind(as_list(clearances))
        .fetch_all(self.readers())
        .await
        .map_err(Error::database("reading rows"))?;
        let read = |columns: Columns<'_>| {
            let uses = ClearanceUses {
                uses: columns.get("uses")?,
                last_used_at: columns.get("last_used_at")?,
            };
            Ok((columns.get("clearance_id")?, uses))
        };
        rows.iter()
            .map(|row| read(Columns::new(row, SPEC.name)))
            .collect()
    }
}
