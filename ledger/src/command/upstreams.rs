//! Other APIs: described by administrators, and taken away. Keys that are stored for one stay while the API is at
//! the address that they were stored for, and are erased otherwise: nobody leads them elsewhere. Grants of an operation end
//! with it, so that one which is described later under its name is granted to nobody.

use super::Command;
use super::acting::still_acts;
use super::shared_keys::unshare;
use super::upstream_keys::{end, erase, keys_for};
use crate::aggregate::{Agent, Upstream};
use crate::catalog::OperationId;
use crate::error::Error;
use crate::event::{
    PermissionsReplaced, Role, UpstreamDefined, UpstreamEnd, UpstreamEnded, UpstreamKeyEnd,
    UpstreamKeyShared,
};
use crate::id::{UpstreamId, UpstreamSecretId};
use crate::name::UpstreamName;
use crate::rejection::Rejection;
use crate::storage::{LookupKey, LookupKind, NewEvent};
use crate::upstream_api::UpstreamApi;
use crate::writer::Transaction;
use std::sync::Arc;

/// The most APIs that are open at a time.
const MOST: usize = 100;

/// Opens an API as a description says, in the place of the one that has its name.
#[derive(Debug, Clone)]
pub struct PutUpstream {
    /// Its name.
    pub name: UpstreamName,
    /// The description.
    pub api: UpstreamApi,
}

impl Command for PutUpstream {
    type Answer = Arc<Upstream>;

    // It erases a key that was stored for another address, which must stand in the file.
    const IS_ALONE: bool = true;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Upstream>, Error> {
        still_acts(tx, Role::Admin).await?;
        tx.needs_room()?;
        let known = standing(tx, &self.name).await?;
        if let Some(known) = &known
            && known.api.as_deref() == Some(&self.api)
        {
            return Ok(Arc::clone(known));
        }
        let own = self.api.catalog();
        let mut count = 0_usize;
        for (row, _) in tx.all_lookups(LookupKind::Upstream).await? {
            let Some(other) = tx.find_state::<Upstream>(&row).await? else {
                continue;
            };
            if other.name == self.name {
                continue;
            }
            count += 1;
            let Some(api) = &other.api else { continue };
            let theirs = api.catalog();
            if let Some(taken) = own
                .iter()
                .find(|own| theirs.iter().any(|it| it.id == own.id))
            {
                return Err(Rejection::Invalid {
                    code: "invalid_upstream",
                    detail: format!(
                        "routes: operation {} is upstream {}'s",
                        taken.id, other.name
                    ),
                }
                .into());
            }
        }
        if count >= MOST {
            return Err(Rejection::Invalid {
                code: "too_many_upstreams",
                detail: format!("there are {MOST} upstreams, which is the most; remove one first"),
            }
            .into());
        }
        let providers = &tx.context().rules.providers;
        if let Some(taken) = own
            .iter()
            .find(|own| providers.find(own.id.as_str()).is_some())
        {
            return Err(Rejection::Invalid {
                code: "invalid_upstream",
                detail: format!("routes: operation {} is this service's own", taken.id),
            }
            .into());
        }
        let base_url = self.api.described().base_url.as_str();
        let is_there = known
            .as_ref()
            .is_some_and(|known| known.base_url() == Some(base_url));
        let secrets = match is_there {
            true => Vec::new(),
            false => end_keys(tx, known.as_deref(), &self.name).await?,
        };
        let kept = known.as_ref().and_then(|known| known.key.clone());
        let kept = kept.filter(|_| is_there);
        let gone = operations(known.as_deref());
        let gone = gone.filter(|gone| own.iter().all(|own| own.id != *gone));
        let mut events = grants_end(tx, &gone.collect::<Vec<_>>(), &self.name).await?;
        let context = tx.context();
        let upstream_id: UpstreamId = context.id();
        if let Some(known) = known {
            let ended = UpstreamEnded {
                name: self.name.clone(),
                why: UpstreamEnd::Replaced,
            };
            events.push(context.event(known.id, ended));
        }
        let shared = kept.map(|key| UpstreamKeyShared {
            name: self.name.clone(),
            secret_id: key.secret_id,
            stored_at: key.stored_at,
        });
        let defined = UpstreamDefined {
            upstream_id,
            name: self.name,
            document: self.api.text(),
        };
        events.push(context.event(upstream_id, defined));
        events.extend(shared.map(|shared| context.event(upstream_id, shared)));
        tx.append(events).await?;
        erase(tx, secrets, UpstreamKeyEnd::UpstreamEnded).await?;
        tx.existing::<Upstream>(upstream_id).await
    }
}

/// Takes an API away. Nothing is open under its name from then on.
#[derive(Debug, Clone)]
pub struct RemoveUpstream {
    /// Its name.
    pub name: UpstreamName,
}

impl Command for RemoveUpstream {
    type Answer = ();

    const IS_ALONE: bool = true;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        still_acts(tx, Role::Admin).await?;
        let known = standing(tx, &self.name).await?;
        let known = known.ok_or(Rejection::NoSuchUpstream)?;
        let secrets = end_keys(tx, Some(&known), &self.name).await?;
        let gone: Vec<OperationId> = operations(Some(&known)).collect();
        let mut events = grants_end(tx, &gone, &self.name).await?;
        let ended = UpstreamEnded {
            name: self.name,
            why: UpstreamEnd::Removed,
        };
        events.push(tx.context().event(known.id, ended));
        tx.append(events).await?;
        erase(tx, secrets, UpstreamKeyEnd::UpstreamEnded).await
    }
}

/// The operations of an API.
fn operations(of: Option<&Upstream>) -> impl Iterator<Item = OperationId> {
    let api = of.and_then(|upstream| upstream.api.as_deref());
    let catalog = api.map(UpstreamApi::catalog).into_iter().flatten();
    catalog.map(|entry| entry.id)
}

/// Takes the grants of operations that are gone away from every agent that has some.
async fn grants_end(
    tx: &mut Transaction<'_>,
    gone: &[OperationId],
    name: &UpstreamName,
) -> Result<Vec<NewEvent>, Error> {
    let mut events = Vec::new();
    if gone.is_empty() {
        return Ok(events);
    }
    for (row, _) in tx.all_lookups(LookupKind::Agent).await? {
        let Some(agent) = tx.find_state::<Agent>(&row).await? else {
            continue;
        };
        let mut grants = agent.grants.clone();
        grants.retain(|grant| !gone.contains(&grant.operation));
        if grants.len() == agent.grants.len() {
            continue;
        }
        let replaced = PermissionsReplaced {
            grants,
            revision: agent.permission_revision.saturating_add(1),
            reason: Some(format!("{name} does not have the operation any more")),
        };
        events.push(tx.context().event(agent.id, replaced));
    }
    Ok(events)
}

/// Ends the keys that are stored for an API, of agents and of all of them.
async fn end_keys(
    tx: &mut Transaction<'_>,
    known: Option<&Upstream>,
    name: &UpstreamName,
) -> Result<Vec<UpstreamSecretId>, Error> {
    let keys = keys_for(tx, name).await?;
    let mut secrets = end(tx, keys, UpstreamKeyEnd::UpstreamEnded).await?;
    if let Some(known) = known {
        secrets.extend(unshare(tx, known, UpstreamKeyEnd::UpstreamEnded).await?);
    }
    Ok(secrets)
}

/// The API that has a name now.
pub(super) async fn standing(
    tx: &mut Transaction<'_>,
    name: &UpstreamName,
) -> Result<Option<Arc<Upstream>>, Error> {
    tx.find_state::<Upstream>(&LookupKey::upstream(name)).await
}

/// The API that has an operation now.
pub(super) async fn with_operation(
    tx: &mut Transaction<'_>,
    operation: OperationId,
) -> Result<Option<Arc<Upstream>>, Error> {
    for (row, _) in tx.all_lookups(LookupKind::Upstream).await? {
        let upstream = tx.find_state::<Upstream>(&row).await?;
        let upstream =
            upstream.filter(|upstream| operations(Some(upstream)).any(|it| it == operation));
        if upstream.is_some() {
            return Ok(upstream);
        }
    }
    Ok(None)
}
