//! Agents that prove themselves by a key.

use crate::refusal::{Error, Unauthorized};
use ledger::aggregate::{Agent, Key, Task};
use ledger::command::{PresentedKey, check_opened_by_key};
use ledger::{
    Actor, AgentId, AgentKeyHash, AgentName, ClientSubject, KeyId, Ledger, Rejection, SHARED_KEY,
    TaskId,
};
use std::sync::Arc;
use std::time::Duration;

/// What a request presents as an agent's key, before the ledger was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresentedProof {
    /// A key of the right form.
    Own(AgentKeyHash),
    /// The one key that all agents have, and the agent that the request says it is from.
    Shared(AgentName),
}

/// A client with a key of an agent, as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHolder {
    agent_id: AgentId,
    name: AgentName,
    key_id: KeyId,
    subject: Option<ClientSubject>,
}

/// The key as the ledger has it now; none of [`SHARED_KEY`], which no stream holds.
///
/// # Errors
/// Erased, and when the ledger cannot be read.
pub(crate) async fn load_key(
    ledger: &Ledger,
    key_id: KeyId,
) -> Result<Option<Arc<Key>>, ledger::Error> {
    match key_id {
        SHARED_KEY => Ok(None),
        _ => ledger.load::<Key>(key_id).await,
    }
}

impl KeyHolder {
    /// The agent that a key proves. A key that was revoked is told from one that never was.
    ///
    /// # Errors
    /// [`Unauthorized::TokenInvalid`] for a key or an agent that there is not, [`Rejection::KeyRevoked`].
    pub async fn find(
        ledger: &Ledger,
        proof: PresentedProof,
        subject: Option<ClientSubject>,
    ) -> Result<Self, Error> {
        let (key_id, agent) = match proof {
            PresentedProof::Own(hash) => {
                let key = ledger.agent_key(&hash).await?;
                let key = key.ok_or(Unauthorized::TokenInvalid)?;
                if key.revoked_at.is_some() {
                    return Err(Rejection::KeyRevoked.into());
                }
                (key.id, ledger.existing::<Agent>(key.agent_id).await?)
            }
            PresentedProof::Shared(name) => {
                let agent = ledger.agent(&name).await?;
                (SHARED_KEY, agent.ok_or(Unauthorized::TokenInvalid)?)
            }
        };
        Ok(Self {
            agent_id: agent.id,
            name: agent.name.clone(),
            key_id,
            subject,
        })
    }

    #[must_use]
    pub const fn agent_id(&self) -> AgentId {
        self.agent_id
    }

    /// [`SHARED_KEY`] for the one that all agents have.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    #[must_use]
    pub const fn agent(&self) -> &AgentName {
        &self.name
    }

    pub(crate) const fn subject(&self) -> Option<&ClientSubject> {
        self.subject.as_ref()
    }

    /// Waits until the key is revoked, which nobody does for longer than `patience`. The one that all
    /// agents have never is.
    pub(crate) async fn ended(&self, ledger: &Ledger, patience: Duration) -> Error {
        if self.key_id == SHARED_KEY {
            return std::future::pending().await;
        }
        let is_revoked = |key: &Key| key.revoked_at.is_some();
        match ledger.wait_for(self.key_id, patience, is_revoked).await {
            Ok(_) => Rejection::KeyRevoked.into(),
            Err(error) => error.into(),
        }
    }

    /// Waits until a task's time for keys is over, which nobody does for longer than `patience`.
    pub(crate) async fn ended_in(&self, task: &Task, ledger: &Ledger, patience: Duration) -> Error {
        loop {
            let now = ledger.now();
            if let Err(ended) = check_opened_by_key(self.agent_id, Some(task), now) {
                return ended.into();
            }
            let left = task.end_for_keys().map_or(patience, |end| end.since(now));
            tokio::time::sleep(left.min(patience)).await;
        }
    }

    /// The key as the ledger wants to see it in a task.
    pub(crate) const fn presented_in(&self, task_id: TaskId) -> PresentedKey {
        PresentedKey {
            key_id: self.key_id,
            agent_id: self.agent_id,
            task_id,
        }
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor::AgentKey {
            agent_id: self.agent_id,
            name: self.name.clone(),
            key_id: self.key_id,
            subject: self.subject.clone(),
        }
    }
}
