//! Rebuilds of the read tables.

use app::read_tables::Rebuild;
use serde::Serialize;
use utoipa::ToSchema;

/// A rebuild that is under way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RebuildUnderWay {
    /// Whether this request has begun it; no where one was under way.
    begun: bool,
    /// How many events the new tables hold.
    done: u64,
    /// How many events the ledger held when it began; 0 while it has not been counted.
    total: u64,
}

impl From<Rebuild> for RebuildUnderWay {
    fn from(rebuild: Rebuild) -> Self {
        Self {
            begun: rebuild.begun,
            done: rebuild.progress.done,
            total: rebuild.progress.total,
        }
    }
}
