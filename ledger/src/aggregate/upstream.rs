//! Another API that is opened to its own clients.

use super::Aggregate;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::id::{UpstreamId, UpstreamSecretId};
use crate::name::UpstreamName;
use crate::rejection::Rejection;
use crate::upstream_api::UpstreamApi;
use std::sync::Arc;

/// The state of a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its id.
    pub id: UpstreamId,
    /// Its name.
    pub name: UpstreamName,
    /// What it says; `None` where this version cannot read it, and nothing is open.
    pub api: Option<Arc<UpstreamApi>>,
    /// The bytes of its text.
    bytes: usize,
    /// The time from which on it holds.
    pub defined_at: Timestamp,
    /// The time from which on it does not.
    pub ended_at: Option<Timestamp>,
    /// The key with which calls of agents go that have none of their own.
    pub key: Option<SharedKey>,
}

/// A key that agents share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedKey {
    /// The stream that holds it sealed, until it is removed.
    pub secret_id: UpstreamSecretId,
    /// The time at which it was stored.
    pub stored_at: Timestamp,
}

impl Upstream {
    /// Where the API is; `None` where this version cannot read the description.
    #[must_use]
    pub fn base_url(&self) -> Option<&str> {
        let api = self.api.as_ref()?;
        Some(&api.described().base_url)
    }
}

impl Aggregate for Upstream {
    type Id = UpstreamId;

    const NOT_FOUND: Rejection = Rejection::NoSuchUpstream;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        match (event, state) {
            (Event::UpstreamDefined(defined), state) => {
                *state = Some(Self {
                    id: defined.upstream_id,
                    name: defined.name.clone(),
                    api: UpstreamApi::parse(&defined.document).ok().map(Arc::new),
                    bytes: defined.document.len(),
                    defined_at: at,
                    ended_at: None,
                    key: None,
                });
            }
            (Event::UpstreamEnded(_), Some(upstream)) => {
                upstream.ended_at.get_or_insert(at);
            }
            (Event::UpstreamKeyShared(shared), Some(upstream)) => {
                upstream.key = Some(SharedKey {
                    secret_id: shared.secret_id,
                    stored_at: shared.stored_at,
                });
            }
            (Event::UpstreamKeyUnshared(_), Some(upstream)) => upstream.key = None,
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        // The text and what is read of it.
        256 + self.bytes.saturating_mul(3)
    }
}
