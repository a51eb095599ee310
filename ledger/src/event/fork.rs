//! The event with which a ledger goes on from an older state of itself. Frozen form.

use crate::tlog::TreeHash;
use serde::{Deserialize, Serialize};

/// `ledger.forked` 1, in the ledger's own stream: a backup was restored that does not hold everything
/// that was signed, and the log goes on under another origin and key. What stood from `forked_at` on
/// in the old log is no part of this one; nothing was erased or altered before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerForked {
    /// The origin that spoke for the log until here.
    pub old_origin: String,
    /// The verifier key line of that origin.
    pub old_vkey: String,
    /// The size in the newest checkpoint of that origin that the operator knew of.
    pub old_size: u64,
    /// The root in it.
    pub old_root: TreeHash,
    /// That checkpoint as it was signed: a C2SP signed note.
    pub old_checkpoint: String,
    /// How many events both logs have in common, by what the operator restored; this event is the
    /// next one.
    pub forked_at: u64,
    /// The origin that speaks for the log from here on.
    pub new_origin: String,
    /// The verifier key line of that origin.
    pub new_vkey: String,
    /// Why, as the operator said.
    pub reason: String,
}
