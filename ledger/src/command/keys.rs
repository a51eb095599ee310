//! Agent keys: made and taken away.

use super::Command;
use super::acting::still_acts;
use super::agents::find;
use crate::agent_key::AgentKeyHash;
use crate::aggregate::Key;
use crate::error::Error;
use crate::event::{KeyCreated, KeyOrigin, KeyRevoked, Role};
use crate::id::{AgentId, KeyId};
use crate::name::AgentName;
use crate::rejection::Rejection;
use crate::storage::{LookupKey, NewEvent};
use crate::writer::{Context, Transaction};
use std::sync::Arc;

/// Makes a key of an agent.
#[derive(Debug, Clone)]
pub struct CreateKey {
    /// The agent's name.
    pub agent: AgentName,
    /// SHA-256 of the key's text, which the ledger never sees.
    pub hash: AgentKeyHash,
    /// How it came to be.
    pub how: KeyOrigin,
}

impl Command for CreateKey {
    type Answer = Arc<Key>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Key>, Error> {
        still_acts(tx, Role::Admin).await?;
        let agent = find(tx, &self.agent).await?;
        let agent = agent.ok_or(Rejection::AgentNotFound)?;
        if tx.find(&LookupKey::agent_key(&self.hash)).await?.is_some() {
            return Err(Error::defect("two agent keys have the same text"));
        }
        let (key_id, event) = create(&tx.context(), agent.id, self.hash, self.how);
        tx.append(vec![event]).await?;
        tx.existing::<Key>(key_id).await
    }
}

fn create(
    context: &Context<'_>,
    agent_id: AgentId,
    hash: AgentKeyHash,
    how: KeyOrigin,
) -> (KeyId, NewEvent) {
    let key_id: KeyId = context.id();
    let created = KeyCreated {
        key_id,
        agent_id,
        hash,
        how,
    };
    (key_id, context.event(key_id, created))
}

/// Takes an agent's key away: from this commit on it proves nothing. A second time changes nothing.
#[derive(Debug, Clone)]
pub struct RevokeKey {
    /// The agent's name.
    pub agent: AgentName,
    /// Its key.
    pub key_id: KeyId,
    /// The reason, when somebody gave one.
    pub reason: Option<String>,
}

impl Command for RevokeKey {
    type Answer = Arc<Key>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Key>, Error> {
        still_acts(tx, Role::Operator).await?;
        let agent = find(tx, &self.agent).await?;
        let agent = agent.ok_or(Rejection::AgentNotFound)?;
        let key = tx.named::<Key>(self.key_id).await?;
        if key.agent_id != agent.id {
            return Err(Rejection::KeyNotFound.into());
        }
        if key.revoked_at.is_some() {
            return Ok(key);
        }
        let reason = self.reason;
        let event = tx.context().event(key.id, KeyRevoked { reason });
        tx.append(vec![event]).await?;
        tx.existing::<Key>(key.id).await
    }
}
