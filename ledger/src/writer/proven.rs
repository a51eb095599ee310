//! Kept decisions whose keys were made anew from what was decided on: neither changes while the process lives, and the
//! operations may be large.

use crate::aggregate::Clearance;
use crate::clearance_key::ClearanceKey;
use crate::id::ClearanceId;
use lru::LruCache;
use std::num::NonZeroUsize;

/// The one that was asked for the longest ago is proven again.
const MOST: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The keys that were found to be those of what was decided on.
#[derive(Debug)]
pub(crate) struct ProvenKeys(LruCache<ClearanceId, ClearanceKey>);

impl Default for ProvenKeys {
    fn default() -> Self {
        Self(LruCache::new(MOST))
    }
}

impl ProvenKeys {
    pub(crate) fn has(&mut self, clearance: &Clearance) -> bool {
        self.0.get(&clearance.id) == Some(&clearance.key)
    }

    pub(crate) fn take(&mut self, clearance: &Clearance) {
        self.0.put(clearance.id, clearance.key);
    }
}
