//! Events of an upstream's key that is stored for a user or an agent. Frozen forms.
//!
//! The sealed key stands in a stream of its own, so that it can be erased while these events go on saying who
//! stored which key and when.

use crate::blob::Blob;
use crate::id::{AgentId, StreamId, UpstreamKeyId, UpstreamSecretId, UserId};
use crate::name::UpstreamName;
use serde::{Deserialize, Serialize};

/// Whose calls a stored key is for. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamKeyOwner {
    /// A user, in sessions of theirs.
    User(UserId),
    /// An agent, with its keys and its capability tokens.
    Agent(AgentId),
}

impl UpstreamKeyOwner {
    /// The stream of the user or agent.
    #[must_use]
    pub fn stream(self) -> StreamId {
        match self {
            Self::User(id) => id.into(),
            Self::Agent(id) => id.into(),
        }
    }

    /// The word of its kind, which is authenticated with the sealed key.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Agent(_) => "agent",
        }
    }
}

/// Why a stored key is not used any more. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamKeyEnd {
    /// Somebody removed it.
    Removed,
    /// Another was stored in its place.
    Replaced,
    /// Its user was deleted.
    OwnerDeleted,
    /// The upstream was removed, or described at another address.
    UpstreamEnded,
}

impl UpstreamKeyEnd {
    /// The reason in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Replaced => "replaced",
            Self::OwnerDeleted => "removed with its user",
            Self::UpstreamEnded => "removed with its upstream",
        }
    }
}

/// `upstream_key.stored` 1. No part of the key is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamKeyStored {
    /// The stored key, which is also its stream.
    pub key_id: UpstreamKeyId,
    /// Whose calls it is for.
    pub owner: UpstreamKeyOwner,
    /// The upstream that it opens.
    pub upstream: UpstreamName,
    /// The stream that holds it sealed.
    pub secret_id: UpstreamSecretId,
}

/// `upstream_key.removed` 1. Final. By the same command the sealed key is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamKeyRemoved {
    /// Whose calls it was for.
    pub owner: UpstreamKeyOwner,
    /// The upstream that it opened.
    pub upstream: UpstreamName,
    /// Why.
    pub why: UpstreamKeyEnd,
}

/// `upstream_secret.sealed` 1: the only event of its stream, by the command that stores the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamKeySealed {
    /// Its stream.
    pub secret_id: UpstreamSecretId,
    /// The key, sealed for its owner and its upstream.
    pub sealed: Blob,
}
