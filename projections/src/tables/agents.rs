//! `agents`: who has been heard of, how they are described, and how often their grants changed.

use crate::error::Error;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::{Projections, as_list, read_all};
use crate::store::{Spec, Stored, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::event::LedgerErased;
use ledger::{AgentId, AgentName, Event, Timestamp, UserId};
use sqlx::{QueryBuilder, Sqlite};
use std::collections::HashMap;

const SPEC: Spec = Spec {
    name: "agents",
    revision: 2,
    definition: "(
    -- Agents, by the name under which they make tasks and are granted permissions.
    agent_id            TEXT PRIMARY KEY,
    agent               TEXT NOT NULL UNIQUE,
    permission_revision INTEGER NOT NULL,  -- tokens that speak for an earlier one are stale
    permission_count    INTEGER NOT NULL,
    owner               TEXT,              -- a user
    organization        TEXT,
    site                TEXT,
    tags                TEXT NOT NULL,     -- JSON
    registered_at       TEXT NOT NULL,
    updated_at          TEXT NOT NULL,
    position            INTEGER NOT NULL   -- of the event that registered it
) STRICT, WITHOUT ROWID",
    indexes: &[
        ("agents_by_position", "(position)"),
        (
            "agents_by_owner",
            "(owner, position) WHERE owner IS NOT NULL",
        ),
    ],
    fold_indexes: &[],
};

row! {
    /// An agent.
    pub struct AgentView in SPEC, key (agent_id: AgentId = "agent_id") {
        pub agent_id: AgentId,
        pub agent: AgentName,
        /// Tokens that speak for an earlier one are stale.
        pub permission_revision: u64,
        pub permission_count: u32,
        /// A user.
        pub owner: Option<UserId>,
        pub organization: Option<String>,
        pub site: Option<String>,
        pub tags: Vec<String>,
        pub registered_at: Timestamp,
        /// When it last changed.
        pub updated_at: Timestamp,
        /// The position of the event that registered it.
        pub position: u64,
    }
}

/// Which agents to list. What is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentFilter {
    pub owner: Option<UserId>,
    pub organization: Option<String>,
    pub site: Option<String>,
    pub tag: Option<String>,
}

parts!(Parts: Table<AgentView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    match &folding.recorded.event {
        Event::AgentRegistered(registered) => folding.insert(AgentView {
            agent_id: registered.agent_id,
            agent: registered.name.clone(),
            permission_revision: 0,
            permission_count: 0,
            owner: None,
            organization: None,
            site: None,
            tags: Vec::new(),
            registered_at: at,
            updated_at: at,
            position: folding.recorded.position(),
        }),
        Event::AgentDescribed(described) => {
            let id = AgentId::from(folding.recorded.stream_id());
            let agent = folding.edit_known::<AgentView>("agent", &id)?;
            agent.owner = described.owner;
            agent.organization.clone_from(&described.organization);
            agent.site.clone_from(&described.site);
            agent.tags.clone_from(&described.tags);
            agent.updated_at = at;
        }
        Event::PermissionsReplaced(replaced) => {
            let id = AgentId::from(folding.recorded.stream_id());
            let agent = folding.edit_known::<AgentView>("agent", &id)?;
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

pub(crate) fn listing(filter: AgentFilter, paging: Paging) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM agents WHERE position < ");
    query.push_bind(paging.below());
    let equal = [
        (" AND owner = ", filter.owner.map(|owner| owner.to_string())),
        (" AND organization = ", filter.organization),
        (" AND site = ", filter.site),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            query.push(column).push_bind(value);
        }
    }
    if let Some(tag) = filter.tag {
        query.push(" AND EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ");
        query.push_bind(tag).push(")");
    }
    query.push(" ORDER BY position DESC");
    query
}

impl Projections {
    /// Agents that fit, the newest first.
    pub async fn agents(
        &self,
        filter: AgentFilter,
        paging: Paging,
    ) -> Result<Page<AgentView>, Error> {
        let query = listing(filter, paging);
        let position = |agent: &AgentView| agent.position;
        self.page(Projection::Agents, query, paging, position).await
    }

    /// The names of those of these agents that were not erased.
    pub async fn agent_names(
        &self,
        agents: &[AgentId],
    ) -> Result<HashMap<AgentId, AgentName>, Error> {
        let query =
            sqlx::query("SELECT * FROM agents WHERE agent_id IN (SELECT value FROM json_each(?))");
        let query = query.bind(as_list(agents));
        let found = read_all::<AgentView>(self.readers(), query).await?;
        let names = found.into_iter().map(|agent| (agent.agent_id, agent.agent));
        Ok(names.collect())
    }
}
