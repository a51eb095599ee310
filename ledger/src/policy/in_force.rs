//! The policy that holds, as the writer keeps it in memory.

use super::prepared::Prepared;
use super::tree::{Policy, PolicyDigest};
use std::sync::Arc;

/// The document that decisions evaluate.
#[derive(Debug, Clone)]
pub struct PolicyInForce {
    /// Its version.
    pub version: u64,
    /// The digest of its tree.
    pub digest: PolicyDigest,
    /// The tree.
    pub policy: Arc<Policy>,
    /// The tree, ready to be evaluated; `None`: it is beyond the bounds, and everything is refused.
    pub prepared: Option<Arc<Prepared>>,
}

/// Versions are equal as their trees are.
impl PartialEq for PolicyInForce {
    fn eq(&self, other: &Self) -> bool {
        (self.version, self.digest) == (other.version, other.digest)
    }
}

impl Eq for PolicyInForce {}

impl PolicyInForce {
    /// Of a version with a document.
    #[must_use]
    pub fn new(version: u64, digest: PolicyDigest, policy: Arc<Policy>) -> Self {
        let prepared = Prepared::new(Arc::clone(&policy));
        Self {
            version,
            digest,
            policy,
            prepared: prepared.ok().map(Arc::new),
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
