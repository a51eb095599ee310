//! Keys of upstreams: stored for users and agents, replaced and removed.
//!
//! With a key that is not used any more its sealed bytes are erased in the same commit, so that a copy of the
//! file and the master key together do not open it.

use super::Command;
use super::acting::still_acts;
use super::agents::find;
use super::erasures::{ranges, record};
use crate::aggregate::{UpstreamKey, UpstreamSecret};
use crate::error::Error;
use crate::event::{
    Actor, ErasedStream, ErasedSubject, LedgerErased, Recorded, Role, StreamKind, UpstreamKeyEnd,
    UpstreamKeyOwner, UpstreamKeyRemoved, UpstreamKeySealed, UpstreamKeyStored,
};
use crate::id::{StreamId, UpstreamKeyId, UpstreamSecretId};
use crate::name::{AgentName, UpstreamName};
use crate::rejection::Rejection;
use crate::storage::{LookupKey, LookupKind};
use crate::upstream_key::{UpstreamApiKey, field, place};
use crate::writer::Transaction;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Whose key it is, as who asks says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamKeyHolder {
    /// The user who asks.
    Own,
    /// The agent of that name.
    Agent(AgentName),
}

impl UpstreamKeyHolder {
    /// The owner, where the user who asks may change its keys: any user their own, an administrator an agent's.
    async fn owner(&self, tx: &mut Transaction<'_>) -> Result<UpstreamKeyOwner, Error> {
        match self {
            Self::Own => {
                still_acts(tx, Role::Viewer).await?;
                match tx.envelope().actor {
                    Actor::User { user_id, .. } => Ok(UpstreamKeyOwner::User(user_id)),
                    _ => Err(Rejection::SessionEnded.into()),
                }
            }
            Self::Agent(name) => {
                still_acts(tx, Role::Admin).await?;
                let agent = find(tx, name).await?;
                let agent = agent.ok_or(Rejection::AgentNotFound)?;
                Ok(UpstreamKeyOwner::Agent(agent.id))
            }
        }
    }
}

/// Stores a key, in the place of the one that is there.
#[derive(Debug, Clone)]
pub struct PutUpstreamKey {
    /// Whose.
    pub holder: UpstreamKeyHolder,
    /// The upstream that it opens.
    pub upstream: UpstreamName,
    /// The key.
    pub api_key: UpstreamApiKey,
}

impl Command for PutUpstreamKey {
    type Answer = Arc<UpstreamKey>;

    // It erases what it replaces, which must stand in the file.
    const IS_ALONE: bool = true;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<UpstreamKey>, Error> {
        let owner = self.holder.owner(tx).await?;
        tx.needs_room()?;
        let known = stored(tx, owner, &self.upstream).await?;
        let secrets = end(tx, known, UpstreamKeyEnd::Replaced).await?;
        let context = tx.context();
        let (key_id, secret_id): (UpstreamKeyId, UpstreamSecretId) = (context.id(), context.id());
        let field = field(owner, &self.upstream);
        let place = place(context.ledger_id, owner, &field);
        let keys = &context.rules.master_keys;
        let sealed = keys.seal(context.random, &place, self.api_key.expose().as_bytes());
        let sealed = sealed.map_err(|error| Rejection::Invalid {
            code: "invalid_key",
            detail: error.to_string(),
        })?;
        let stored = UpstreamKeyStored {
            key_id,
            owner,
            upstream: self.upstream,
            secret_id,
        };
        let sealed = UpstreamKeySealed {
            secret_id,
            sealed: sealed.as_bytes().into(),
        };
        let events = vec![
            context.event(key_id, stored),
            context.event(secret_id, sealed),
        ];
        tx.append(events).await?;
        erase(tx, secrets, UpstreamKeyEnd::Replaced).await?;
        tx.existing::<UpstreamKey>(key_id).await
    }
}

/// Removes a stored key. Nothing happens where there is none.
#[derive(Debug, Clone)]
pub struct RemoveUpstreamKey {
    /// Whose.
    pub holder: UpstreamKeyHolder,
    /// The upstream that it opens.
    pub upstream: UpstreamName,
}

impl Command for RemoveUpstreamKey {
    type Answer = ();

    const IS_ALONE: bool = true;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let owner = self.holder.owner(tx).await?;
        let known = stored(tx, owner, &self.upstream).await?;
        let secrets = end(tx, known, UpstreamKeyEnd::Removed).await?;
        erase(tx, secrets, UpstreamKeyEnd::Removed).await
    }
}

/// The key that is stored for an owner and an upstream.
async fn stored(
    tx: &mut Transaction<'_>,
    owner: UpstreamKeyOwner,
    upstream: &UpstreamName,
) -> Result<Option<Arc<UpstreamKey>>, Error> {
    tx.find_state::<UpstreamKey>(&LookupKey::upstream_key(owner, upstream))
        .await
}

/// All keys that are stored for an owner.
pub(super) async fn keys_of(
    tx: &mut Transaction<'_>,
    owner: UpstreamKeyOwner,
) -> Result<Vec<Arc<UpstreamKey>>, Error> {
    let mut keys = Vec::new();
    for (row, _) in tx.all_lookups(LookupKind::UpstreamKey).await? {
        if row.is_of_owner(owner) {
            keys.extend(tx.find_state::<UpstreamKey>(&row).await?);
        }
    }
    Ok(keys)
}

/// All keys that are stored for an upstream.
pub(super) async fn keys_for(
    tx: &mut Transaction<'_>,
    upstream: &UpstreamName,
) -> Result<Vec<Arc<UpstreamKey>>, Error> {
    let mut keys = Vec::new();
    for (row, _) in tx.all_lookups(LookupKind::UpstreamKey).await? {
        let key = tx.find_state::<UpstreamKey>(&row).await?;
        keys.extend(key.filter(|key| key.upstream == *upstream));
    }
    Ok(keys)
}

/// Ends stored keys; [`erase`] follows in the same command, for their sealed bytes.
pub(super) async fn end(
    tx: &mut Transaction<'_>,
    keys: impl IntoIterator<Item = Arc<UpstreamKey>>,
    why: UpstreamKeyEnd,
) -> Result<Vec<UpstreamSecretId>, Error> {
    let mut secrets = Vec::new();
    for key in keys {
        let removed = UpstreamKeyRemoved {
            owner: key.owner,
            upstream: key.upstream.clone(),
            why,
        };
        let removed = tx.context().event(key.id, removed);
        tx.append(vec![removed]).await?;
        secrets.push(key.secret_id);
    }
    Ok(secrets)
}

/// Erases sealed keys, and says so. They were committed before: the command is alone in its batch.
pub(super) async fn erase(
    tx: &mut Transaction<'_>,
    secrets: impl IntoIterator<Item = UpstreamSecretId>,
    why: UpstreamKeyEnd,
) -> Result<(), Error> {
    let secrets: Vec<UpstreamSecretId> = secrets.into_iter().collect();
    let Some(first) = secrets.first().copied() else {
        return Ok(());
    };
    let mut positions = BTreeSet::new();
    let mut streams = Vec::with_capacity(secrets.len());
    for secret in secrets {
        // Nobody else erases it, so it is there.
        tx.existing::<UpstreamSecret>(secret).await?;
        let events = tx.read_stream(secret.into()).await?;
        positions.extend(events.iter().map(Recorded::position));
        streams.push(ErasedStream {
            stream_id: StreamId::from(secret),
            kind: StreamKind::UpstreamSecret,
            events: u64::try_from(events.len()).unwrap_or(u64::MAX),
        });
    }
    let erased = LedgerErased {
        subject: ErasedSubject::UpstreamSecret(first),
        reason: format!("the stored key was {}", why.as_str()),
        positions: ranges(&positions),
        streams,
        names: Vec::new(),
        name_key: None,
        counters: Vec::new(),
        keys: Vec::new(),
    };
    record(tx, erased, (positions, BTreeMap::new()), true).await
}
