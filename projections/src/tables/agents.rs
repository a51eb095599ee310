//! `agents`: who has been heard of, and how often their grants changed.

use crate::error::Error;
use crate::store::{Spec, Stored, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::event::LedgerErased;
use ledger::{AgentId, AgentName, Event, Timestamp};

const SPEC: Spec = Spec {
    name: "agents",
    revision: 1,
    definition: "(
    -- Agents, by the name under which they make tasks and are granted permissions.
    agent_id            TEXT PRIMARY KEY,
    agent               TEXT NOT NULL UNIQUE,
    permission_revision INTEGER NOT NULL,  -- tokens that speak for an earlier one are stale
    permission_count    INTEGER NOT NULL,
    registered_at       TEXT NOT NULL,
    updated_at          TEXT NOT NULL
) STRICT, WITHOUT ROWID",
    indexes: &[],
    fold_indexes: &[],
};

row! {
    pub(crate) struct AgentRow in SPEC, key (agent_id: AgentId = "agent_id") {
        agent_id: AgentId,
        pub(crate) agent: AgentName,
        pub(crate) permission_revision: u64,
        pub(crate) permission_count: u32,
        registered_at: Timestamp,
        updated_at: Timestamp,
    }
}

parts!(Parts: Table<AgentRow>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    match &folding.recorded.event {
        Event::AgentRegistered(registered) => folding.insert(AgentRow {
            agent_id: registered.agent_id,
            agent: registered.name.clone(),
            permission_revision: 0,
            permission_count: 0,
            registered_at: at,
            updated_at: at,
        }),
        Event::PermissionsReplaced(replaced) => {
            let id = AgentId::from(folding.recorded.stream_id());
            let agent = folding.edit_known::<AgentRow>("agent", &id)?;
            agent.permission_revision = replaced.revision;
            agent.permission_count = u32::try_from(replaced.grants.len()).unwrap_or(u32::MAX);
            agent.updated_at = at;
        }
        _ => {}
    }
    Ok(())
}

pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    let Some(id) = erased.subject.agent() else {
        return Ok(());
    };
    let sql = "DELETE FROM {} WHERE agent_id = ?";
    stored.erase(SPEC.name, sql, [id.to_string()])
}
