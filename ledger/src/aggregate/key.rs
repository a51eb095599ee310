//! An agent key.

use super::Aggregate;
use crate::agent_key::AgentKeyHash;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::id::{AgentId, KeyId};
use crate::rejection::Rejection;

/// The state of an agent key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// The agent that it proves.
    pub agent_id: AgentId,
    /// SHA-256 of its text.
    pub hash: AgentKeyHash,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time from which on it proves nothing.
    pub revoked_at: Option<Timestamp>,
}

impl Aggregate for Key {
    type Id = KeyId;

    const NOT_FOUND: Rejection = Rejection::KeyNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        match (event, state) {
            (Event::KeyCreated(created), state) => {
                *state = Some(Self {
                    id: created.key_id,
                    agent_id: created.agent_id,
                    hash: created.hash,
                    created_at: at,
                    revoked_at: None,
                });
            }
            (Event::KeyRevoked(_), Some(key)) => {
                key.revoked_at.get_or_insert(at);
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        192
    }
}
