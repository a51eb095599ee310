//! The hash by which the ledger knows an agent key.

use crate::digest::digest;
use crate::id::KeyId;
use sha2::{Digest as _, Sha256};

digest!(
    /// SHA-256 of an agent key's text. The key has 256 random bits, so that its hash tells nobody what it
    /// is.
    AgentKeyHash
);

impl AgentKeyHash {
    /// Of a key's whole text, checksum included.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

/// The id by which events name the one key that all agents have together (`AGENT_API_KEY`). No key of an
/// agent's own has it.
pub const SHARED_KEY: KeyId = KeyId::from_bytes([0; 16]);
