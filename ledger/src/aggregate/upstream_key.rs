//! A key of an upstream that is stored for a user or an agent, and where it stands sealed.

use super::Aggregate;
use crate::blob::Blob;
use crate::clock::Timestamp;
use crate::event::{Event, UpstreamKeyOwner};
use crate::id::{UpstreamKeyId, UpstreamSecretId};
use crate::name::UpstreamName;
use crate::rejection::Rejection;

/// The state of a stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamKey {
    /// Its id.
    pub id: UpstreamKeyId,
    /// Whose calls it is for.
    pub owner: UpstreamKeyOwner,
    /// The upstream that it opens.
    pub upstream: UpstreamName,
    /// The stream that holds it sealed, until it is removed.
    pub secret_id: UpstreamSecretId,
    /// The time at which it was stored.
    pub stored_at: Timestamp,
    /// The time from which on it is not used.
    pub removed_at: Option<Timestamp>,
}

impl Aggregate for UpstreamKey {
    type Id = UpstreamKeyId;

    const NOT_FOUND: Rejection = Rejection::UpstreamKeyNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        match (event, state) {
            (Event::UpstreamKeyStored(stored), state) => {
                *state = Some(Self {
                    id: stored.key_id,
                    owner: stored.owner,
                    upstream: stored.upstream.clone(),
                    secret_id: stored.secret_id,
                    stored_at: at,
                    removed_at: None,
                });
            }
            (Event::UpstreamKeyRemoved(_), Some(key)) => {
                key.removed_at.get_or_insert(at);
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        256
    }
}

/// A sealed key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSecret {
    /// Its id.
    pub id: UpstreamSecretId,
    /// The sealed key; [`crate::Ledger::upstream_api_key`] opens it.
    pub sealed: Blob,
}

impl Aggregate for UpstreamSecret {
    type Id = UpstreamSecretId;

    const NOT_FOUND: Rejection = Rejection::UpstreamKeyNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, _: Timestamp) {
        if let Event::UpstreamKeySealed(sealed) = event {
            *state = Some(Self {
                id: sealed.secret_id,
                sealed: sealed.sealed.clone(),
            });
        }
    }

    fn weight(&self) -> usize {
        128 + self.sealed.as_slice().len()
    }
}
