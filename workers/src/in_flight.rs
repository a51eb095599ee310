//! Work that is taken and not finished: one task for each key, within a bound.

use crate::error::Error;
use std::collections::{HashMap, HashSet};
use std::future::{Future, pending};
use std::hash::Hash;
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Of how many keys it is remembered that they have failed. Beyond them those that have rested are
/// forgotten, and begin anew with a short rest.
const MOST_RESTING: usize = 10_000;

/// Tasks by key. A key whose task failed rests for a while, so that what cannot succeed does not
/// keep the machine busy. Dropping it aborts the tasks.
pub(crate) struct InFlight<K> {
    most: usize,
    tasks: JoinSet<Result<(), Error>>,
    keys: HashMap<Id, K>,
    taken: HashSet<K>,
    resting: HashMap<K, Rest>,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    failures: u32,
    /// `None` when it has rested.
    until: Option<Instant>,
}

/// A change among the tasks.
pub(crate) struct Changed<K> {
    pub(crate) failed: Vec<Failed<K>>,
    /// A key that had failed may be taken again.
    pub(crate) has_rested: bool,
}

/// A task that did not end well.
pub(crate) struct Failed<K> {
    pub(crate) key: K,
    pub(crate) error: Error,
}

impl<K: Copy + Eq + Hash> InFlight<K> {
    /// At most `most` tasks at a time.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            tasks: JoinSet::new(),
            keys: HashMap::new(),
            taken: HashSet::new(),
            resting: HashMap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.taken.len()
    }

    /// Sets the gauges of a worker's keys: those that are taken, and those that have failed.
    pub(crate) fn measure(&self, worker: &'static str) {
        for (state, count) in [("taken", self.taken.len()), ("resting", self.resting.len())] {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            metrics::gauge!("worker_keys", "worker" => worker, "state" => state)
                .set(f64::from(count));
        }
    }

    /// How many more can be taken.
    pub(crate) fn room(&self) -> usize {
        self.most.saturating_sub(self.taken.len())
    }

    /// How many rows of what is owed may be of keys that cannot be taken now.
    pub(crate) fn held(&self) -> usize {
        let resting = self.resting.values().filter(|rest| rest.until.is_some());
        self.taken.len() + resting.count()
    }

    /// True when nobody works on the key and it does not rest.
    pub(crate) fn is_free(&self, key: &K) -> bool {
        let rests = |rest: &Rest| rest.until.is_some();
        !self.taken.contains(key) && !self.resting.get(key).is_some_and(rests)
    }

    /// How often its task has failed in a row.
    pub(crate) fn failures(&self, key: &K) -> u32 {
        self.resting.get(key).map_or(0, |rest| rest.failures)
    }

    /// Takes the key and starts its task.
    pub(crate) fn spawn(
        &mut self,
        key: K,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) {
        if let Some(rest) = self.resting.get_mut(&key) {
            rest.until = None;
        }
        let task = self.tasks.spawn(work);
        self.keys.insert(task.id(), key);
        self.taken.insert(key);
    }

    /// Waits until a task ends or a key has rested, for ever when there is neither; takes in all
    /// tasks that have ended by then. Nothing is lost when the future is dropped.
    pub(crate) async fn changed(&mut self) -> Changed<K> {
        let mut changed = Changed {
            failed: Vec::new(),
            has_rested: false,
        };
        let rested_at = self.resting.values().filter_map(|rest| rest.until).min();
        let rested = async {
            match rested_at {
                Some(until) => tokio::time::sleep_until(until).await,
                None => pending().await,
            }
        };
        let ended = async {
            match self.tasks.join_next_with_id().await {
                Some(ended) => ended,
                None => pending().await,
            }
        };
        tokio::select! {
            first = ended => {
                self.take_in(first, &mut changed.failed);
                while let Some(next) = self.tasks.try_join_next_with_id() {
                    self.take_in(next, &mut changed.failed);
                }
            }
            () = rested => {
                let now = Instant::now();
                for rest in self.resting.values_mut() {
                    rest.until = rest.until.filter(|until| *until > now);
                }
                changed.has_rested = true;
            }
        }
        changed
    }

    fn take_in(
        &mut self,
        ended: Result<(Id, Result<(), Error>), JoinError>,
        failed: &mut Vec<Failed<K>>,
    ) {
        let (id, result) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let id = error.id();
                let error = match error.try_into_panic() {
                    Ok(payload) => Error::of_panic(&*payload),
                    Err(cancelled) => Error::Panicked {
                        what: cancelled.to_string(),
                    },
                };
                (id, Err(error))
            }
        };
        let Some(key) = self.keys.remove(&id) else {
            return;
        };
        self.taken.remove(&key);
        let Err(error) = result else {
            self.resting.remove(&key);
            return;
        };
        let failures = self.failures(&key).saturating_add(1);
        let factor = 1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX);
        let rest = FIRST_REST.saturating_mul(factor).min(LONGEST_REST);
        let until = Some(Instant::now() + rest);
        if self.resting.len() >= MOST_RESTING {
            self.resting.retain(|_, rest| rest.until.is_some());
        }
        self.resting.insert(key, Rest { failures, until });
        failed.push(Failed { key, error });
    }

    /// Lets the tasks end, at most for `patience`, then aborts what is left. Gives how many that were.
    pub(crate) async fn drain(&mut self, patience: Duration) -> usize {
        let all_ended = async {
            while !self.tasks.is_empty() {
                self.changed().await;
            }
        };
        // In time or not, what is left now is counted.
        drop(tokio::time::timeout(patience, all_ended).await);
        let left = self.tasks.len();
        self.abort().await;
        left
    }

    /// Aborts every task and waits until none runs any more.
    pub(crate) async fn abort(&mut self) {
        self.tasks.shutdown().await;
        self.keys.clear();
        self.taken.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    struct OnDrop(Arc<AtomicBool>);

    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_taken_once_and_free_again_at_its_end() {
        let mut in_flight = InFlight::new(2);
        in_flight.spawn(1, async { Ok(()) });
        assert!(!in_flight.is_free(&1) && in_flight.is_free(&2));
        assert_eq!((in_flight.len(), in_flight.room()), (1, 1));
        assert!(in_flight.changed().await.failed.is_empty());
        assert!(in_flight.is_free(&1));
        assert_eq!(in_flight.room(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_fails_rests_longer_each_time() {
        let mut in_flight = InFlight::new(2);
        let mut rests = Vec::new();
        for failures in 1..=8 {
            in_flight.spawn(7, async {
                if true {
                    panic!("a defect");
                }
                Ok(())
            });
            let failed = in_flight.changed().await.failed;
            assert!(matches!(
                &failed[..],
                [Failed {
                    key: 7,
                    error: Error::Panicked { .. }
                }]
            ));
            assert_eq!(in_flight.failures(&7), failures);
            assert!(!in_flight.is_free(&7));
            let began = Instant::now();
            assert!(in_flight.changed().await.has_rested);
            assert!(in_flight.is_free(&7));
            rests.push(began.elapsed().as_secs());
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
        in_flight.spawn(7, async { Ok(()) });
        in_flight.changed().await;
        assert_eq!(in_flight.failures(&7), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_have_failed_are_not_remembered_without_end() {
        let mut in_flight = InFlight::new(1);
        let rested = Rest {
            failures: 1,
            until: None,
        };
        in_flight
            .resting
            .extend((0..MOST_RESTING).map(|key| (key, rested)));
        in_flight.spawn(MOST_RESTING, async { Err(Error::ReadTablesStopped) });
        assert_eq!(in_flight.changed().await.failed.len(), 1);
        assert_eq!(in_flight.resting.len(), 1);
        assert_eq!(in_flight.failures(&MOST_RESTING), 1);
        assert!(in_flight.is_free(&0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_within_its_bound_and_leaves_nothing_running() {
        let mut in_flight = InFlight::new(3);
        in_flight.spawn(1, async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(())
        });
        let is_gone = Arc::new(AtomicBool::new(false));
        let held = OnDrop(Arc::clone(&is_gone));
        in_flight.spawn(2, async move {
            let _held = held;
            pending().await
        });
        let began = Instant::now();
        assert_eq!(in_flight.drain(Duration::from_secs(20)).await, 1);
        assert_eq!(began.elapsed(), Duration::from_secs(20));
        assert!(is_gone.load(Ordering::SeqCst));
        assert_eq!(in_flight.len(), 0);
    }
}
