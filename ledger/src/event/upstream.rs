//! Events of another API that is opened to its own clients. Frozen forms.

use super::UpstreamKeyEnd;
use crate::clock::Timestamp;
use crate::id::{UpstreamId, UpstreamSecretId};
use crate::name::UpstreamName;
use serde::{Deserialize, Serialize};

/// Why a description does not hold any more. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamEnd {
    /// Somebody removed it.
    Removed,
    /// Another was put in its place.
    Replaced,
}

/// `upstream.defined` 1: from here on the API is open as the description says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamDefined {
    /// The description, which is also its stream.
    pub upstream_id: UpstreamId,
    /// Its name, which no other has while this one holds.
    pub name: UpstreamName,
    /// The description: JSON, as [`crate::UpstreamApi`] writes it.
    pub document: String,
}

/// `upstream.ended` 1. Final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamEnded {
    /// Its name.
    pub name: UpstreamName,
    /// Why.
    pub why: UpstreamEnd,
}

/// `upstream.key_stored` 1: calls of agents for which no key of their own is stored go with this one. No part of it is
/// in the event. A description that takes the place of another at the same address says it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamKeyShared {
    /// The name of the upstream.
    pub name: UpstreamName,
    /// The stream that holds the key sealed.
    pub secret_id: UpstreamSecretId,
    /// When somebody stored it.
    pub stored_at: Timestamp,
}

/// `upstream.key_removed` 1. By the same command the sealed key is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamKeyUnshared {
    /// The name of the upstream.
    pub name: UpstreamName,
    /// Why.
    pub why: UpstreamKeyEnd,
}
