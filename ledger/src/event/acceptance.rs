//! The event with which an operator takes a ledger as it is. Frozen form.

use crate::record::RecordHash;
use serde::{Deserialize, Serialize};

/// `ledger.accepted` 1, in the ledger's own stream: nothing proved that a service with its keys had
/// written the log up to here, and an operator took it as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerAccepted {
    /// How many events there were; this event is the next one.
    pub size: u64,
    /// The hash of the last of them, and so of all.
    pub record_hash: RecordHash,
    /// What was missing as a proof.
    pub unproven: String,
    /// Why, as the operator said.
    pub reason: String,
}
