//! Events of an agent key's stream. Frozen forms. The key itself is nowhere in them.

use crate::agent_key::AgentKeyHash;
use crate::id::{AgentId, KeyId};
use serde::{Deserialize, Serialize};

/// How an agent key came to be. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOrigin {
    /// Somebody asked for it, and was shown it.
    Created,
    /// The agent asked for it, and somebody confirmed the code that it showed.
    Paired,
}

/// `key.created` 1. The agent stands by its id alone, so that its name can be erased without this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCreated {
    /// The key, which is also its stream.
    pub key_id: KeyId,
    /// The agent that it proves.
    pub agent_id: AgentId,
    /// SHA-256 of the key's text.
    pub hash: AgentKeyHash,
    /// How it came to be.
    pub how: KeyOrigin,
}

/// `key.revoked` 1. Final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRevoked {
    /// Why, when somebody said so.
    pub reason: Option<String>,
}
