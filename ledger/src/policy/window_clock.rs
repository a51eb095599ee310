//! Which windows of a policy are open at a moment.

use super::tree::Policy;
use crate::clock::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

type Look = dyn Fn(&Policy, Timestamp) -> BTreeMap<String, bool> + Send + Sync;

/// Says which windows of a policy are open at a moment. The data of time zones stands outside of the ledger,
/// which records what it was told; a window that is not told of is unknown.
#[derive(Clone)]
pub struct WindowClock(Arc<Look>);

impl WindowClock {
    /// One that looks by that function, which answers the same for the same policy and moment.
    #[must_use]
    pub fn new(
        look: impl Fn(&Policy, Timestamp) -> BTreeMap<String, bool> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(look))
    }

    /// The windows that are open then, and those that are not.
    #[must_use]
    pub fn look(&self, policy: &Policy, now: Timestamp) -> BTreeMap<String, bool> {
        (self.0)(policy, now)
    }
}

/// One that tells of no window.
impl Default for WindowClock {
    fn default() -> Self {
        Self::new(|_, _| BTreeMap::new())
    }
}

impl fmt::Debug for WindowClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WindowClock")
    }
}
