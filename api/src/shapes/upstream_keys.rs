//! Keys of upstreams. No answer holds one.

use ledger::Timestamp;
use ledger::aggregate::{SharedKey, UpstreamKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A key to be stored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamKeyRequest {
    /// The key, as the upstream gave it out: 1 to 256 visible ASCII characters. Nothing is trimmed.
    #[schema(min_length = 1, max_length = 256, format = Password, write_only)]
    pub(crate) api_key: String,
}

/// Whether a key is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UpstreamKeyStatus {
    /// Whether one is.
    configured: bool,
    /// When it was stored.
    #[schema(value_type = Option<String>, format = DateTime)]
    configured_at: Option<String>,
}

impl UpstreamKeyStatus {
    pub(crate) fn of(key: Option<&UpstreamKey>) -> Self {
        Self::since(key.map(|key| key.stored_at))
    }

    pub(crate) fn of_shared(key: Option<&SharedKey>) -> Self {
        Self::since(key.map(|key| key.stored_at))
    }

    fn since(stored_at: Option<Timestamp>) -> Self {
        Self {
            configured: stored_at.is_some(),
            configured_at: stored_at.map(|at| at.to_string()),
        }
    }
}
