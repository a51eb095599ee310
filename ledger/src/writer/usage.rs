//! How many bytes of each task and agent were recorded in the last hour.
//!
//! A level rises by what is recorded, whoever recorded it: what the agent asked, what upstream answered,
//! what was tried for its callbacks. It falls steadily, by the whole quota in an hour. So a quota can be
//! used up at once, and over a long time no more than one quota an hour is kept.
//!
//! Levels live in memory. A start reads them from the newest events (see [`Usage::of_recorded`]), at most
//! 10,000 of them and 128 MiB; what lies further back counts for nothing then. What the commands of a
//! running batch record counts from the next batch on: an agent is let past its quota by no more than
//! what it has under way.

use super::Entry;
use crate::clock::Timestamp;
use crate::event::Recorded;
use crate::id::{StreamId, TaskId};
use crate::rejection::Rejection;
use crate::rules::Quotas;
use lru::LruCache;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// Tasks, and agents, whose level is known. The one that recorded nothing for the longest is forgotten.
const MOST: NonZeroUsize = NonZeroUsize::new(20_000).unwrap();

/// The most events that a start reads to find the levels.
pub(crate) const MOST_RECORDED: u32 = 10_000;
/// The most bytes of payloads that a start reads for it.
pub(crate) const MOST_RECORDED_BYTES: u64 = 128 << 20;

/// The bytes of an event on disk besides its payload: its header, its leaf, its rows in indexes.
const OVERHEAD: u64 = 512;

const HOUR: u128 = 3_600_000_000;

/// The levels.
#[derive(Debug)]
pub(crate) struct Usage {
    tasks: LruCache<TaskId, (Option<Arc<str>>, Level)>,
    agents: LruCache<Arc<str>, Level>,
}

/// Bytes as of a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    bytes: u64,
    at: Timestamp,
}

impl Level {
    /// The rest of it.
    fn now(self, now: Timestamp, quota: u64) -> u64 {
        let fallen = now.since(self.at).as_micros() * u128::from(quota) / HOUR;
        self.bytes
            .saturating_sub(u64::try_from(fallen).unwrap_or(u64::MAX))
    }

    fn raise(&mut self, bytes: u64, now: Timestamp, quota: u64) {
        self.bytes = self.now(now, quota).saturating_add(bytes);
        self.at = now;
    }

    /// How long until so many bytes more fit below the quota.
    fn wait(self, bytes: u64, now: Timestamp, quota: u64) -> Option<Duration> {
        let over = self
            .now(now, quota)
            .saturating_add(bytes)
            .saturating_sub(quota);
        if quota == 0 || over == 0 {
            return None;
        }
        let micros = u128::from(over) * HOUR / u128::from(quota);
        let seconds = u64::try_from(micros / 1_000_000).unwrap_or(u64::MAX);
        Some(Duration::from_secs(seconds.saturating_add(1)))
    }
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            tasks: LruCache::new(MOST),
            agents: LruCache::new(MOST),
        }
    }
}

impl Usage {
    /// The levels that these events leave, which are the newest of the log in their order.
    pub(crate) fn of_recorded(events: &[Recorded], quotas: &Quotas) -> Self {
        let mut usage = Self::default();
        let mut streams: HashMap<StreamId, TaskId> = HashMap::new();
        for recorded in events {
            let stream = recorded.stream_id();
            let event = &recorded.event;
            let of_stream = || streams.get(&stream).copied();
            let Some(task) = event.task_id().or_else(of_stream) else {
                continue;
            };
            let agent = event.agent();
            streams.insert(stream, task);
            let bytes = u64::from(recorded.header.payload_len);
            usage.charge(task, agent, bytes, recorded.recorded_at(), quotas);
        }
        usage
    }

    /// Takes in a recorded event; `entry` is its stream's state.
    pub(crate) fn take_in(&mut self, recorded: &Recorded, entry: Option<&Entry>, quotas: &Quotas) {
        let event = &recorded.event;
        let of_state = || entry?.state.task_id();
        if let Some(task) = event.task_id().or_else(of_state) {
            let agent = event.agent();
            let bytes = u64::from(recorded.header.payload_len);
            self.charge(task, agent, bytes, recorded.recorded_at(), quotas);
        }
    }

    fn charge(
        &mut self,
        task: TaskId,
        agent: Option<&str>,
        bytes: u64,
        now: Timestamp,
        quotas: &Quotas,
    ) {
        let bytes = bytes.saturating_add(OVERHEAD);
        let (known, level) = self.tasks.get_or_insert_mut(task, Default::default);
        level.raise(bytes, now, quotas.task_bytes);
        if let Some(agent) = agent {
            known.get_or_insert_with(|| agent.into());
        }
        if let Some(agent) = known {
            let agent = Arc::clone(agent);
            let level = self.agents.get_or_insert_mut(agent, Level::default);
            level.raise(bytes, now, quotas.agent_bytes);
        }
    }

    /// Checks that so many bytes more may be recorded for a task of an agent.
    ///
    /// # Errors
    /// [`Rejection::QuotaUsedUp`] with the time to wait.
    pub(crate) fn admit(
        &mut self,
        task: TaskId,
        agent: &str,
        bytes: usize,
        now: Timestamp,
        quotas: &Quotas,
    ) -> Result<(), Rejection> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let of_task = self.tasks.peek(&task).map(|(_, level)| *level);
        let of_agent = self.agents.peek(agent).copied();
        for (whose, level, most) in [
            ("task", of_task, quotas.task_bytes),
            ("agent", of_agent, quotas.agent_bytes),
        ] {
            if let Some(retry_after) = level.unwrap_or_default().wait(bytes, now, most) {
                metrics::counter!("ledger_quota_refusals_total", "whose" => whose).increment(1);
                return Err(Rejection::QuotaUsedUp {
                    whose,
                    most,
                    retry_after,
                });
            }
        }
        Ok(())
    }

    /// How many tasks' levels are known.
    pub(crate) fn count(&self) -> usize {
        self.tasks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: TaskId = TaskId::from_bytes([1; 16]);
    const OTHER: TaskId = TaskId::from_bytes([2; 16]);
    const QUOTAS: Quotas = Quotas {
        open_approvals: 100,
        task_bytes: 36_000,
        agent_bytes: 54_000,
        min_free_bytes: 0,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn charged(usage: &mut Usage, task: TaskId, bytes: u64, now: Timestamp) {
        usage.charge(task, Some("a"), bytes - OVERHEAD, now, &QUOTAS);
    }

    fn whose(refused: Result<(), Rejection>) -> Option<(&'static str, u64)> {
        match refused {
            Err(Rejection::QuotaUsedUp {
                whose, retry_after, ..
            }) => Some((whose, retry_after.as_secs())),
            Err(other) => panic!("{other}"),
            Ok(()) => None,
        }
    }

    #[test]
    fn a_task_has_its_quota_at_once_and_then_as_it_falls() {
        let mut usage = Usage::default();
        charged(&mut usage, TASK, 36_000, at(0));
        let asked = |usage: &mut Usage, now| whose(usage.admit(TASK, "a", 1000, now, &QUOTAS));
        assert_eq!(asked(&mut usage, at(0)), Some(("task", 101)));
        assert_eq!(asked(&mut usage, at(99)), Some(("task", 2)));
        assert_eq!(asked(&mut usage, at(100)), None);
        assert_eq!(asked(&mut usage, at(3600)), None);
        let whole = usage.admit(TASK, "a", 36_000, at(3600), &QUOTAS);
        assert_eq!(whose(whole), None, "after an hour all of it is there again");
    }

    #[test]
    fn the_tasks_of_an_agent_share_its_quota_and_other_agents_have_theirs() {
        let mut usage = Usage::default();
        charged(&mut usage, TASK, 30_000, at(0));
        charged(&mut usage, OTHER, 24_000, at(0));
        let refused = usage.admit(OTHER, "a", 1000, at(0), &QUOTAS);
        assert_eq!(whose(refused).map(|(whose, _)| whose), Some("agent"));
        let third = TaskId::from_bytes([3; 16]);
        assert_eq!(whose(usage.admit(third, "b", 30_000, at(0), &QUOTAS)), None);
    }

    #[test]
    fn what_is_recorded_for_a_task_later_counts_for_its_agent_too() {
        let mut usage = Usage::default();
        charged(&mut usage, TASK, 1000, at(0));
        usage.charge(TASK, None, 53_000, at(0), &QUOTAS);
        let refused = usage.admit(OTHER, "a", 1000, at(0), &QUOTAS);
        assert_eq!(whose(refused).map(|(whose, _)| whose), Some("agent"));
    }

    #[test]
    fn no_limit_is_none() {
        let none = Quotas {
            task_bytes: 0,
            agent_bytes: 0,
            ..QUOTAS
        };
        let mut usage = Usage::default();
        usage.charge(TASK, Some("a"), u64::MAX, at(0), &none);
        assert_eq!(
            whose(usage.admit(TASK, "a", usize::MAX, at(0), &none)),
            None
        );
    }
}
