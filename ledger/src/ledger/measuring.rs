//! How much of what is bounded in memory is in use, for whoever watches the metrics.

use super::Ledger;
use std::sync::atomic::Ordering;

impl Ledger {
    /// Sets the gauges of the queue of commands, of what is cached, and of who waits; to be called
    /// before the metrics are read.
    pub fn measure(&self) {
        let waiting = self
            .jobs
            .max_capacity()
            .saturating_sub(self.jobs.capacity());
        gauge("ledger_commands_waiting", waiting);
        let (states, bytes) = self.shared.cache.size();
        gauge("ledger_states_cached", states);
        gauge("ledger_states_cached_bytes", bytes);
        let (events, bytes) = self.shared.recent.size();
        gauge("ledger_recent_events", events);
        gauge("ledger_recent_events_bytes", bytes);
        gauge("ledger_streams_watched", self.shared.watchers.count());
        let locks = self.locks();
        gauge("locks_in_force", locks.all_in_force(self.now()).count());
        let policy = self.policy();
        let version = usize::try_from(policy.version).unwrap_or(usize::MAX);
        gauge("policy_version", version);
        gauge("policy_in_force", usize::from(policy.in_force.is_some()));
        let sizes = &self.shared.sizes;
        gauge("ledger_keys_cached", sizes.keys.load(Ordering::Relaxed));
        let tasks = sizes.refused_tasks.load(Ordering::Relaxed);
        gauge("ledger_refused_tasks_counted", tasks);
        let tasks = sizes.charged_tasks.load(Ordering::Relaxed);
        gauge("ledger_charged_tasks", tasks);
        if let Some(free) = self.bytes_free() {
            set_bytes("ledger_free_bytes", free);
        }
        self.log.measure();
        set_bytes("ledger_min_free_bytes", self.rules.quotas.min_free_bytes);
    }
}

impl Ledger {
    /// The room on the file system that holds the ledger; `None` when it cannot be told.
    #[must_use]
    pub fn bytes_free(&self) -> Option<u64> {
        self.log.bytes_free()
    }

    /// True when there is so little room that nothing new is taken in.
    #[must_use]
    pub fn is_short_of_room(&self) -> bool {
        self.bytes_free()
            .is_some_and(|free| free < self.rules.quotas.min_free_bytes)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a double, and no disk is that exact"
)]
fn set_bytes(name: &'static str, value: u64) {
    metrics::gauge!(name).set(value as f64);
}

fn gauge(name: &'static str, value: usize) {
    metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
}
