//! `key_uses`: when an agent key last acted in a task, so that keys that nobody uses can be found.

use crate::error::Error;
use crate::projections::Projections;
use crate::store::{Columns, Spec, Table, row};
use crate::tables::applies::ApplyView;
use crate::tables::approvals::ApprovalView;
use crate::tables::fold::{Folding, parts};
use ledger::event::AggregateKind;
use ledger::{Actor, ApplyId, ApprovalId, KeyId, TaskId, Timestamp};
use std::collections::HashMap;

const SPEC: Spec = Spec {
    name: "key_uses",
    revision: 1,
    definition: "(
    -- What agent keys have caused, as far as it was not erased. Reading causes nothing.
    key_id       TEXT NOT NULL,
    task_id      TEXT NOT NULL,
    last_used_at TEXT NOT NULL,
    PRIMARY KEY (key_id, task_id)
) STRICT, WITHOUT ROWID",
    indexes: &[],
    fold_indexes: &[("key_uses_by_task", "(task_id)")],
};

row! {
    pub(crate) struct KeyUseRow in SPEC,
    key (key_id: KeyId = "key_id", task_id: TaskId = "task_id") {
        key_id: KeyId,
        task_id: TaskId,
        last_used_at: Timestamp,
    }
}

parts!(Parts: Table<ApplyView>, Table<ApprovalView>, Table<KeyUseRow>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let recorded = folding.recorded;
    let Actor::AgentKey { key_id, .. } = &recorded.envelope.actor else {
        return Ok(());
    };
    let Some(task_id) = task_of(folding)? else {
        return Ok(());
    };
    folding.part::<Table<KeyUseRow>>().put(KeyUseRow {
        key_id: *key_id,
        task_id,
        last_used_at: recorded.recorded_at(),
    });
    Ok(())
}

fn task_of(folding: &mut Folding<'_, impl Parts>) -> Result<Option<TaskId>, Error> {
    let event = &folding.recorded.event;
    if let Some(task_id) = event.task_id() {
        return Ok(Some(task_id));
    }
    let stream = folding.recorded.stream_id();
    Ok(match event.kind().map(|kind| kind.aggregate) {
        Some(AggregateKind::Task) => Some(TaskId::from(stream)),
        Some(AggregateKind::Apply) => {
            let apply = folding.get::<ApplyView>(&ApplyId::from(stream))?;
            apply.map(|apply| apply.task_id)
        }
        Some(AggregateKind::Approval) => {
            let approval = folding.get::<ApprovalView>(&ApprovalId::from(stream))?;
            approval.and_then(|approval| approval.task_id)
        }
        _ => None,
    })
}

impl Projections {
    /// When each of these keys last caused something that was not erased since.
    pub async fn last_uses(&self, keys: &[KeyId]) -> Result<HashMap<KeyId, Timestamp>, Error> {
        let keys: Vec<String> = keys.iter().map(KeyId::to_string).collect();
        let keys = serde_json::json!(keys).to_string();
        let rows = sqlx::query(
            "SELECT key_id, max(last_used_at) AS last_used_at FROM key_uses
             WHERE key_id IN (SELECT value FROM json_each(?)) GROUP BY key_id",
        )
        .bind(keys)
        .fetch_all(self.readers())
        .await
        .map_err(Error::database("reading rows"))?;
        rows.iter()
            .map(|row| Columns::new(row, SPEC.name))
            .map(|row| Ok((row.get("key_id")?, row.get("last_used_at")?)))
            .collect()
    }
}
