//! Agent keys: made and taken away.

use super::Command;
use super::acting::still_acts;
use super::agents::{find, register_agent};
use super::locked::admit_agent_of;
use crate::agent_key::AgentKeyHash;
use crate::aggregate::{Key, Session};
use crate::error::Error;
use crate::event::{Actor, AgentDescribed, KeyCreated, KeyOrigin, KeyRevoked, Role};
use crate::id::{AgentId, KeyId, UserId};
use crate::name::AgentName;
use crate::rejection::Rejection;
use crate::storage::{LookupKey, LookupKind, NewEvent};
use crate::writer::{Context, Transaction};
use std::sync::Arc;

/// Makes a key of an agent. One that the agent's machine asked for may be of an agent that nobody has heard of:
/// it is then made, and is the confirmer's.
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
        let (agent_id, mut events) = match self.how {
            KeyOrigin::Created => {
                still_acts(tx, Role::Admin).await?;
                let agent = find(tx, &self.agent).await?;
                (agent.ok_or(Rejection::AgentNotFound)?.id, Vec::new())
            }
            KeyOrigin::Paired => confirmed(tx, &self.agent).await?,
        };
        admit_agent_of(tx, agent_id, &[]).await?;
        if tx.find(&LookupKey::agent_key(&self.hash)).await?.is_some() {
            return Err(Error::defect("two agent keys have the same text"));
        }
        let (key_id, event) = create(&tx.context(), agent_id, self.hash, self.how);
        events.push(event);
        tx.append(events).await?;
        tx.existing::<Key>(key_id).await
    }
}

/// The agent of a pairing that somebody confirms, and what makes it where it is new. Operators confirm new agents
/// and their own. What is beyond that is an administrator's, with a passkey.
async fn confirmed(
    tx: &mut Transaction<'_>,
    name: &AgentName,
) -> Result<(AgentId, Vec<NewEvent>), Error> {
    let confirmer = match tx.envelope().actor {
        Actor::User {
            user_id, via_id, ..
        } => Some((user_id, via_id)),
        _ => None,
    };
    // Who may not ask learns nothing of the agent.
    still_acts(tx, Role::Operator).await?;
    let owner = confirmer.map(|(user_id, _)| user_id);
    let Some(agent) = find(tx, name).await? else {
        let context = tx.context();
        let (agent_id, registered) = register_agent(&context, name);
        let described = AgentDescribed {
            owner,
            ..AgentDescribed::default()
        };
        let described = owner.map(|_| context.event(agent_id, described));
        return Ok((
            agent_id,
            [Some(registered), described]
                .into_iter()
                .flatten()
                .collect(),
        ));
    };
    if let Some((user_id, session_id)) = confirmer
        && agent.described.owner != Some(user_id)
    {
        still_acts(tx, Role::Admin).await?;
        let session = tx.existing::<Session>(session_id).await?;
        if !session.is_stepped_up(tx.context().now) {
            return Err(Rejection::StepUpRequired.into());
        }
    }
    Ok((agent.id, Vec::new()))
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

/// The keys in force that a user has made or confirmed, oldest first. What was decided before in this batch
/// counts.
pub(super) async fn minted_by(
    tx: &mut Transaction<'_>,
    user: UserId,
) -> Result<Vec<Arc<Key>>, Error> {
    let mut keys = Vec::new();
    for (row, minter) in tx.all_lookups(LookupKind::MintedKey).await? {
        if minter != user.as_bytes() {
            continue;
        }
        let key = match KeyId::from_slice(row.parts().1) {
            Some(id) => tx.load::<Key>(id).await?,
            None => None,
        };
        let key = key.filter(|key| key.revoked_at.is_none());
        keys.push(key.ok_or_else(|| row.misleads())?);
    }
    Ok(keys)
}

/// Takes keys away that are in force, and gives them as they are then.
pub(super) async fn revoke_all(
    tx: &mut Transaction<'_>,
    keys: Vec<Arc<Key>>,
    reason: Option<&String>,
) -> Result<Vec<Arc<Key>>, Error> {
    let mut revoked = Vec::with_capacity(keys.len());
    for key in keys {
        let reason = reason.cloned();
        let event = tx.context().event(key.id, KeyRevoked { reason });
        tx.append(vec![event]).await?;
        revoked.push(tx.existing::<Key>(key.id).await?);
    }
    Ok(revoked)
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
