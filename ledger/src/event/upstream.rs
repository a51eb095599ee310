//! Events of another API that is opened to its own clients. Frozen forms.

use crate::id::UpstreamId;
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
