//! `agent_keys`: the keys by which agents prove themselves.

use crate::error::Error;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::Projections;
use crate::store::{Spec, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::describe::who;
use ledger::{AgentId, Event, KeyId, Timestamp};
use sqlx::{QueryBuilder, Sqlite};

const SPEC: Spec = Spec {
    name: "agent_keys",
    revision: 1,
    definition: "(
    -- Agents' keys, by their ids. Nothing here opens anything.
    key_id     TEXT PRIMARY KEY,
    agent_id   TEXT NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,    -- who asked for it, or confirmed it
    revoked_at TEXT,             -- empty while it is in force
    position   INTEGER NOT NULL  -- of the event that made it
) STRICT, WITHOUT ROWID",
    indexes: &[("agent_keys_by_agent", "(agent_id, position)")],
    fold_indexes: &[],
};

row! {
    /// A key of an agent.
    pub struct AgentKeyView in SPEC, key (key_id: KeyId = "key_id") {
        pub key_id: KeyId,
        pub agent_id: AgentId,
        pub created_at: Timestamp,
        /// Who asked for it, or confirmed it, in a phrase.
        pub created_by: String,
        /// From when on it proves nothing.
        pub revoked_at: Option<Timestamp>,
        /// The position of the event that made it.
        pub position: u64,
    }
}

parts!(Parts: Table<AgentKeyView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let recorded = folding.recorded;
    let at = recorded.recorded_at();
    match &recorded.event {
        Event::KeyCreated(created) => {
            folding.insert(AgentKeyView {
                key_id: created.key_id,
                agent_id: created.agent_id,
                created_at: at,
                created_by: who(&recorded.envelope.actor),
                revoked_at: None,
                position: recorded.position(),
            });
        }
        Event::KeyRevoked(_) => {
            let id = KeyId::from(recorded.stream_id());
            let key = folding.edit_known::<AgentKeyView>("agent key", &id)?;
            key.revoked_at.get_or_insert(at);
        }
        _ => {}
    }
    Ok(())
}

pub(crate) fn listing(agent: AgentId, paging: Paging) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM agent_keys WHERE agent_id = ");
    query.push_bind(agent.to_string()).push(" AND position < ");
    query.push_bind(paging.below());
    query.push(" ORDER BY position DESC");
    query
}

impl Projections {
    /// Keys of an agent, revoked ones included, the newest first.
    pub async fn agent_keys(
        &self,
        agent: AgentId,
        paging: Paging,
    ) -> Result<Page<AgentKeyView>, Error> {
        let query = listing(agent, paging);
        let position = |key: &AgentKeyView| key.position;
        self.page(Projection::Agents, query, paging, position).await
    }
}
