//! The key of an opened API that agents share: calls of those that have none of their own go with it.
//!
//! It is sealed for the address that the API has when it is stored, so that nobody leads it elsewhere by describing the
//! API anew. With a key that is not used any more its sealed bytes are erased in the same commit.

use super::Command;
use super::acting::still_acts;
use super::upstream_keys::erase;
use super::upstreams::standing;
use crate::aggregate::Upstream;
use crate::error::Error;
use crate::event::{
    Role, UpstreamKeyEnd, UpstreamKeySealed, UpstreamKeyShared, UpstreamKeyUnshared,
};
use crate::id::UpstreamSecretId;
use crate::name::UpstreamName;
use crate::rejection::Rejection;
use crate::upstream_key::{UpstreamApiKey, shared_field, shared_place};
use crate::writer::Transaction;
use std::sync::Arc;

/// Stores a key, in the place of the one that is there.
#[derive(Debug, Clone)]
pub struct PutSharedKey {
    /// The name of the upstream.
    pub name: UpstreamName,
    /// The key.
    pub api_key: UpstreamApiKey,
}

impl Command for PutSharedKey {
    type Answer = Arc<Upstream>;

    // It erases what it replaces, which must stand in the file.
    const IS_ALONE: bool = true;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Upstream>, Error> {
        still_acts(tx, Role::Admin).await?;
        tx.needs_room()?;
        let upstream = standing(tx, &self.name).await?;
        let upstream = upstream.ok_or(Rejection::NoSuchUpstream)?;
        let base_url = upstream.base_url().ok_or(Rejection::NoSuchUpstream)?;
        let before = unshare(tx, &upstream, UpstreamKeyEnd::Replaced).await?;
        let context = tx.context();
        let secret_id: UpstreamSecretId = context.id();
        let field = shared_field(&self.name, base_url);
        let place = shared_place(context.ledger_id, secret_id, &field);
        let keys = &context.rules.master_keys;
        let sealed = keys.seal(context.random, &place, self.api_key.expose().as_bytes());
        let sealed = sealed.map_err(|error| Rejection::Invalid {
            code: "invalid_key",
            detail: error.to_string(),
        })?;
        let shared = UpstreamKeyShared {
            name: self.name,
            secret_id,
            stored_at: context.now,
        };
        let sealed = UpstreamKeySealed {
            secret_id,
            sealed: sealed.as_bytes().into(),
        };
        let events = vec![
            context.event(upstream.id, shared),
            context.event(secret_id, sealed),
        ];
        tx.append(events).await?;
        erase(tx, before, UpstreamKeyEnd::Replaced).await?;
        tx.existing::<Upstream>(upstream.id).await
    }
}

/// Removes the key. Nothing happens where there is none.
#[derive(Debug, Clone)]
pub struct RemoveSharedKey {
    /// The name of the upstream.
    pub name: UpstreamName,
}

impl Command for RemoveSharedKey {
    type Answer = ();

    const IS_ALONE: bool = true;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        still_acts(tx, Role::Admin).await?;
        let upstream = standing(tx, &self.name).await?;
        let upstream = upstream.ok_or(Rejection::NoSuchUpstream)?;
        let secret = unshare(tx, &upstream, UpstreamKeyEnd::Removed).await?;
        erase(tx, secret, UpstreamKeyEnd::Removed).await
    }
}

/// Ends the key of an upstream, where it has one; [`erase`] follows in the same command, for its sealed bytes.
pub(super) async fn unshare(
    tx: &mut Transaction<'_>,
    upstream: &Upstream,
    why: UpstreamKeyEnd,
) -> Result<Option<UpstreamSecretId>, Error> {
    let Some(key) = &upstream.key else {
        return Ok(None);
    };
    let unshared = UpstreamKeyUnshared {
        name: upstream.name.clone(),
        why,
    };
    let unshared = tx.context().event(upstream.id, unshared);
    tx.append(vec![unshared]).await?;
    Ok(Some(key.secret_id))
}
