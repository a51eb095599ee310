//! How fast calls go up with one stored credential: upstream counts them, and blocks whoever makes too many. Agents
//! that share a credential take turns.

use crate::refusal::{Refusal, Word};
use ledger::AgentId;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The time in which upstream counts.
const WINDOW: Duration = Duration::from_secs(300);
/// The part of what it allows that can go at once; the rest is spread.
const AT_ONCE: f64 = 1.0 / 6.0;
/// How long a call waits for its turn.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pace of calls of one upstream. Clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Pace(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    burst: f64,
    /// A second.
    rate: f64,
    /// Of credentials, which are known by a hash with a key of this process.
    hasher: RandomState,
    buckets: Mutex<HashMap<u64, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    as_of: Instant,
    /// Agents that wait, the next one first; each once.
    order: VecDeque<AgentId>,
    waiting: HashMap<AgentId, VecDeque<oneshot::Sender<()>>>,
    /// Whether a task gives out turns.
    is_served: bool,
}

impl Pace {
    /// `None` where there is no limit.
    pub(crate) fn new(calls_in_window: u32) -> Option<Self> {
        let calls = f64::from(calls_in_window);
        let burst = (calls * AT_ONCE).max(1.0);
        (calls_in_window > 0).then(|| {
            Self(Arc::new(Shared {
                burst,
                rate: (calls - burst).max(1.0) / WINDOW.as_secs_f64(),
                hasher: RandomState::new(),
                buckets: Mutex::default(),
            }))
        })
    }

    /// Waits for a turn of an agent with a credential.
    ///
    /// # Errors
    /// [`Word::Busy`] where none comes in time.
    pub(crate) async fn turn(&self, key: &SecretString, agent: AgentId) -> Result<(), Refusal> {
        let of = self.0.hasher.hash_one(key.expose_secret());
        let Some(turn) = self.ask(of, agent) else {
            return Ok(());
        };
        match tokio::time::timeout(PATIENCE, turn).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Refusal::new(
                Word::Busy,
                "upstream takes no more calls with this key for now: try again in a moment",
            )),
        }
    }

    /// `None` where the turn is there at once.
    fn ask(&self, of: u64, agent: AgentId) -> Option<oneshot::Receiver<()>> {
        let Shared { burst, rate, .. } = *self.0;
        let mut buckets = self.buckets();
        if !buckets.contains_key(&of) {
            buckets.retain(|_, bucket| {
                bucket.refill(burst, rate);
                bucket.is_served || bucket.tokens < burst
            });
        }
        let bucket = buckets.entry(of).or_insert_with(|| Bucket {
            tokens: burst,
            as_of: Instant::now(),
            order: VecDeque::new(),
            waiting: HashMap::new(),
            is_served: false,
        });
        bucket.refill(burst, rate);
        if bucket.order.is_empty() && bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return None;
        }
        let (turn, waiting) = oneshot::channel();
        let own = bucket.waiting.entry(agent).or_default();
        if own.is_empty() {
            bucket.order.push_back(agent);
        }
        own.push_back(turn);
        if !bucket.is_served {
            bucket.is_served = true;
            tokio::spawn(self.clone().serve(of));
        }
        Some(waiting)
    }

    /// Gives out turns while somebody waits.
    async fn serve(self, of: u64) {
        let Shared { burst, rate, .. } = *self.0;
        loop {
            let next = {
                let mut buckets = self.buckets();
                let Some(bucket) = buckets.get_mut(&of) else {
                    return;
                };
                bucket.refill(burst, rate);
                bucket.give();
                if bucket.order.is_empty() {
                    bucket.is_served = false;
                    return;
                }
                Duration::from_secs_f64(((1.0 - bucket.tokens) / rate).max(0.001))
            };
            tokio::time::sleep(next).await;
        }
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<u64, Bucket>> {
        self.0
            .buckets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn refill(&mut self, burst: f64, rate: f64) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.as_of).as_secs_f64();
        self.tokens = (self.tokens + passed * rate).min(burst);
        self.as_of = now;
    }

    /// Gives what there is to those who wait: one to each agent, then one to each again.
    fn give(&mut self) {
        while self.tokens >= 1.0 {
            let Some(agent) = self.order.pop_front() else {
                return;
            };
            let own = self.waiting.entry(agent).or_default();
            // Who went takes no turn.
            while let Some(turn) = own.pop_front() {
                if turn.send(()).is_ok() {
                    self.tokens -= 1.0;
                    break;
                }
            }
            match own.is_empty() {
                true => drop(self.waiting.remove(&agent)),
                false => self.order.push_back(agent),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(number: u8) -> AgentId {
        AgentId::from_bytes([number; 16])
    }

    async fn took(pace: &Pace, key: &SecretString, of: u8) -> bool {
        let turn = tokio::time::timeout(Duration::ZERO, pace.turn(key, agent(of)));
        turn.await.is_ok_and(|turn| turn.is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn a_sixth_goes_at_once_and_no_five_minutes_have_more_than_allowed() {
        let pace = Pace::new(60).unwrap();
        let key = SecretString::from("key");
        let begun = Instant::now();
        let mut at = Vec::new();
        for _ in 0..120 {
            if pace.turn(&key, agent(1)).await.is_ok() {
                at.push(begun.elapsed().as_secs());
            }
        }
        assert_eq!(at.len(), 120);
        assert!(at[9] == 0 && at[10] > 0, "{at:?}");
        for (index, first) in at.iter().enumerate() {
            let in_window = at[index..].iter().filter(|it| **it < first + 300);
            assert!(in_window.count() <= 60, "{at:?}");
        }
        assert!(Pace::new(0).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn three_hundred_reads_ten_at_a_time_all_get_their_turn() {
        let pace = Pace::new(1100).unwrap();
        let key = SecretString::from("key");
        let worker = async || {
            for _ in 0..30 {
                pace.turn(&key, agent(1)).await.unwrap();
            }
        };
        futures_util::future::join_all((0..10).map(|_| worker())).await;
    }

    #[tokio::test(start_paused = true)]
    async fn agents_take_turns_whoever_asks_for_more() {
        let pace = Pace::new(60).unwrap();
        let key = SecretString::from("key");
        while took(&pace, &key, 1).await {}
        let (told, mut turns) = tokio::sync::mpsc::unbounded_channel();
        for of in [1, 1, 1, 1, 2, 3] {
            let (pace, key, told) = (pace.clone(), key.clone(), told.clone());
            tokio::spawn(async move {
                pace.turn(&key, agent(of)).await.unwrap();
                told.send(of).unwrap();
            });
            tokio::task::yield_now().await;
        }
        let mut order = Vec::new();
        for _ in 0..3 {
            order.push(turns.recv().await.unwrap());
        }
        order.sort_unstable();
        assert_eq!(order, [1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_to_come_back_and_other_keys_are_not_slowed() {
        let pace = Pace::new(6).unwrap();
        let key = SecretString::from("key");
        assert!(took(&pace, &key, 1).await);
        let begun = Instant::now();
        let refused = pace.turn(&key, agent(1)).await.unwrap_err();
        assert_eq!(refused.word(), Word::Busy);
        assert_eq!(begun.elapsed(), PATIENCE);
        assert!(took(&pace, &SecretString::from("other"), 1).await);
    }
}
