//! What answers to calls used that were carried out after people were asked: on its way to what records it, which begins
//! after the workers do.

use super::proxied_calls::ProxiedCalls;
use gateway::Usage;
use ledger::TaskId;
use ledger::event::UpstreamKeyOwner;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whose it is, in which task where that is a token's, and what.
type Told = (UpstreamKeyOwner, Option<TaskId>, Usage);

#[derive(Default)]
pub(super) struct UsedByWrites(Mutex<Way>);

enum Way {
    /// Nothing records it yet.
    Waiting(Vec<Told>),
    To(Arc<ProxiedCalls>),
}

impl Default for Way {
    fn default() -> Self {
        Self::Waiting(Vec::new())
    }
}

impl std::fmt::Debug for UsedByWrites {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UsedByWrites").finish_non_exhaustive()
    }
}

impl UsedByWrites {
    fn way(&self) -> MutexGuard<'_, Way> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what records it.
    pub(super) fn attach(&self, calls: &Arc<ProxiedCalls>) {
        let before = std::mem::replace(&mut *self.way(), Way::To(Arc::clone(calls)));
        if let Way::Waiting(told) = before {
            for (owner, task_id, usage) in told {
                calls.used(owner, task_id, &usage);
            }
        }
    }

    pub(super) fn tell(&self, told: Told) {
        match &mut *self.way() {
            Way::Waiting(waiting) => waiting.push(told),
            Way::To(calls) => calls.used(told.0, told.1, &told.2),
        }
    }
}
