//! Agent keys.

use super::lists::next;
use app::keys::{ListedKey, NewKey};
use projections::Page;
use serde::Serialize;
use utoipa::ToSchema;

/// A key that was made. Its text is shown once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyCreated {
    /// The key's id.
    id: String,
    /// The agent's name.
    agent: String,
    /// Shown once: `authorization: Bearer KEY` proves the agent.
    #[schema(example = "cak_1fJjkkpe9PiTw9KSulA8Ghct30vZz4HpdQ5c5b9cPF14OibJk")]
    key: String,
    created_at: String,
}

impl KeyCreated {
    pub(crate) fn of(agent: String, new: NewKey) -> Self {
        Self {
            id: new.key.id.to_string(),
            agent,
            key: new.text.into_revealed(),
            created_at: new.key.created_at.to_string(),
        }
    }
}

/// A key of an agent, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentKey {
    /// The key's id.
    id: String,
    /// The agent's name.
    agent: String,
    created_at: String,
    /// Who asked for it, or confirmed it.
    created_by: String,
    /// When it last caused something; null where it never did, or that was erased. Reading causes nothing.
    last_used_at: Option<String>,
    /// From when on it proves nothing; null while it is in force.
    revoked_at: Option<String>,
}

/// Keys of an agent, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentKeys {
    keys: Vec<AgentKey>,
    /// The size of the ledger that the list stands for.
    as_of: u64,
    /// The `after` of the next page; null after the last one.
    next: Option<String>,
}

impl AgentKeys {
    pub(crate) fn of(agent: &str, page: Page<ListedKey>) -> Self {
        let keys = page.rows.into_iter();
        let keys = keys.map(|ListedKey { view, last_used_at }| AgentKey {
            id: view.key_id.to_string(),
            agent: agent.to_owned(),
            created_at: view.created_at.to_string(),
            created_by: view.created_by,
            last_used_at: last_used_at.map(|at| at.to_string()),
            revoked_at: view.revoked_at.map(|at| at.to_string()),
        });
        Self {
            keys: keys.collect(),
            as_of: page.as_of,
            next: next(page.next),
        }
    }
}
