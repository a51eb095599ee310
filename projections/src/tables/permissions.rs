//! `permissions`: what agents are granted beforehand.

use crate::error::Error;
use crate::projections::{Projections, read_all};
use crate::store::{Spec, Stored, Table, row};
use crate::tables::agents::AgentView;
use crate::tables::fold::{Folding, parts};
use ledger::event::LedgerErased;
use ledger::{AgentId, AgentName, Event, Level, OperationId, ScopePattern, ScopeType, Timestamp};

const SPEC: Spec = Spec {
    name: "permissions",
    revision: 1,
    definition: "(
    -- Grants. An operation that a grant covers, and that is not sensitive, needs no human.
    agent         TEXT NOT NULL,
    number        INTEGER NOT NULL,  -- its place in the set, from 1
    operation_id  TEXT NOT NULL,
    scope_type    TEXT NOT NULL,
    scope_id      TEXT NOT NULL,     -- '*' covers every one of that type
    granted_level TEXT NOT NULL,
    expires_at    TEXT,              -- empty: for good
    granted_at    TEXT NOT NULL,
    PRIMARY KEY (agent, number)
) STRICT, WITHOUT ROWID",
    indexes: &[],
    fold_indexes: &[],
};

row! {
    /// A grant of an agent.
    pub struct PermissionView in SPEC,
    key (agent: AgentName = "agent", number: u32 = "number") {
        pub agent: AgentName,
        /// Its place in the agent's set, from 1.
        pub number: u32,
        pub operation: OperationId = "operation_id",
        pub scope_type: ScopeType,
        /// The object, or `*`.
        pub scope_id: ScopePattern,
        pub granted_level: Level,
        /// Until when; for good when absent. A grant that has ended stays in the set.
        pub expires_at: Option<Timestamp>,
        /// Since when it stands in the set as it is.
        pub granted_at: Timestamp,
    }
}

parts!(Parts: Table<AgentView>, Table<PermissionView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let Event::PermissionsReplaced(replaced) = &folding.recorded.event else {
        return Ok(());
    };
    let id = AgentId::from(folding.recorded.stream_id());
    let agent = folding.known::<AgentView>("agent", &id)?;
    let (name, before) = (agent.agent.clone(), agent.permission_count);
    let granted_at = folding.recorded.recorded_at();
    let permissions = folding.part::<Table<PermissionView>>();
    let mut number = 0_u32;
    for grant in &replaced.grants {
        number = number.saturating_add(1);
        permissions.put(PermissionView {
            agent: name.clone(),
            number,
            operation: grant.operation,
            scope_type: grant.scope_type,
            scope_id: grant.scope_id.clone(),
            granted_level: grant.granted_level,
            expires_at: grant.expires_at,
            granted_at,
        });
    }
    for left_over in number.saturating_add(1)..=before {
        permissions.remove(&(name.clone(), left_over));
    }
    Ok(())
}

/// Before the agent's row goes, which says whose they are.
pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    let Some(id) = erased.subject.agent() else {
        return Ok(());
    };
    let agents = stored.set.table("agents");
    let statement =
        format!("DELETE FROM {{}} WHERE agent = (SELECT agent FROM {agents} WHERE agent_id = ?)");
    stored.erase(SPEC.name, &statement, [id.to_string()])
}

impl Projections {
    /// An agent's grants in their order; none for an agent that was not heard of.
    pub async fn permissions(&self, agent: &AgentName) -> Result<Vec<PermissionView>, Error> {
        let query = sqlx::query("SELECT * FROM permissions WHERE agent = ? ORDER BY number");
        read_all(self.readers(), query.bind(agent.as_str().to_owned())).await
    }
}
