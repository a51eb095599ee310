//! The policy that holds, as the writer keeps it in memory.

use super::tree::{Policy, PolicyDigest};
use std::sync::Arc;

/// The document that decisions evaluate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInForce {
    /// Its version.
    pub version: u64,
    /// The digest of its tree.
    pub digest: PolicyDigest,
    /// The tree.
    pub policy: Arc<Policy>,
}

impl PolicyInForce {
    /// Of a version with a document.
    #[must_use]
    pub const fn new(version: u64, digest: PolicyDigest, policy: Arc<Policy>) -> Self {
        Self {
            version,
            digest,
            policy,
        }
    }
}

/// The newest version, and its document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurrentPolicy {
    /// 0 where the policy was never changed.
    pub version: u64,
    /// `None`: grants and risk alone decide.
    pub in_force: Option<Arc<PolicyInForce>>,
}
