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
        let kept = &self.shared.kept;
        gauge("ledger_keys_cached", kept.keys.load(Ordering::Relaxed));
        let tasks = kept.refused_tasks.load(Ordering::Relaxed);
        gauge("ledger_refused_tasks_counted", tasks);
    }
}

fn gauge(name: &'static str, value: usize) {
    metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
}
