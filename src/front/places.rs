//! How many connections there are at a time. When the last place is taken, whoever has done nothing
//! for the longest makes room: idle connections cannot keep others out.

use super::standing::{Heads, Phase, Standing, Word};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Among how many the one is looked for that makes room. The look goes round, so everybody comes into
/// it, and its cost is bounded.
const LOOKS: usize = 64;

/// How long it may take until a connection that was told to leave has left.
const ROOM_PATIENCE: Duration = Duration::from_millis(250);

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    free: Arc<Semaphore>,
    begun: Instant,
    heads: Arc<Heads>,
    taken: Mutex<Taken>,
}

/// Never more slots than places.
#[derive(Debug, Default)]
struct Taken {
    slots: Vec<Option<Arc<Standing>>>,
    free: Vec<usize>,
    /// Where the next look begins.
    hand: usize,
}

/// One place; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    slot: usize,
    standing: Arc<Standing>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            most,
            free: Arc::new(Semaphore::new(most)),
            begun: Instant::now(),
            heads: Arc::default(),
            taken: Mutex::default(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Each change is whole before anything can panic.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, if need be of somebody who waits for nothing; `None` when all are busy.
    pub(super) async fn take(self: &Arc<Self>) -> Option<Place> {
        metrics::counter!("http_connections_total").increment(1);
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                if !self.make_room() {
                    return None;
                }
                let freed = Arc::clone(&self.free).acquire_owned();
                tokio::time::timeout(ROOM_PATIENCE, freed)
                    .await
                    .ok()?
                    .ok()?
            }
        };
        let standing = Arc::new(Standing::new(self.begun, Arc::clone(&self.heads)));
        let mut taken = self.taken();
        let entry = Some(Arc::clone(&standing));
        let slot = match taken.free.pop() {
            Some(slot) => {
                if let Some(free) = taken.slots.get_mut(slot) {
                    *free = entry;
                }
                slot
            }
            None => {
                taken.slots.push(entry);
                taken.slots.len().saturating_sub(1)
            }
        };
        Some(Place {
            places: Arc::clone(self),
            slot,
            standing,
            _permit: permit,
        })
    }

    /// Tells the one to leave who has waited the longest among some; `false` when all of those are
    /// busy.
    fn make_room(&self) -> bool {
        let mut taken = self.taken();
        let all = taken.slots.len();
        let begin = taken.hand;
        let found = (0..all.min(LOOKS))
            .filter_map(|step| {
                let slot = begin.wrapping_add(step).checked_rem(all)?;
                taken.slots.get(slot)?.as_ref()
            })
            .filter(|standing| standing.word() != Word::Leave)
            .filter_map(|standing| match standing.look() {
                (Phase::Busy, _) => None,
                (Phase::Idle | Phase::Head, since) => Some((since, standing)),
            })
            .min_by_key(|(since, _)| *since);
        let is_found = found.is_some();
        if let Some((_, standing)) = found {
            standing.tell(Word::Leave);
        }
        taken.hand = begin.wrapping_add(LOOKS).checked_rem(all).unwrap_or(0);
        is_found
    }

    /// Tells everybody.
    pub(super) fn tell_all(&self, word: Word) {
        for standing in self.taken().slots.iter().flatten() {
            standing.tell(word);
        }
    }

    /// Sets the gauges.
    pub(super) fn measure(&self) {
        let taken = self.most.saturating_sub(self.free.available_permits());
        gauge("http_connections", taken);
        gauge("http_connections_limit", self.most);
        gauge("http_unfinished_head_bytes", self.heads.bytes());
    }
}

fn gauge(name: &'static str, value: usize) {
    metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
}

impl Place {
    pub(super) const fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(slot) = taken.slots.get_mut(self.slot) {
            *slot = None;
        }
        taken.free.push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_the_longest_makes_room_and_who_is_busy_does_not() {
        let places = Arc::new(Places::new(3));
        let first = places.take().await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = places.take().await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let third = places.take().await.unwrap();
        first.standing().begin_request();
        assert!(third.standing().received(1), "a head has begun");

        let leaving = Arc::clone(second.standing());
        let left = tokio::spawn(async move {
            leaving.told.notified().await;
            assert_eq!(leaving.word(), Word::Leave);
            drop(second);
        });
        let fourth = places.take().await.unwrap();
        left.await.unwrap();
        assert_eq!(third.standing().word(), Word::Stay);
        fourth.standing().begin_request();
        third.standing().begin_request();
        assert!(places.take().await.is_none(), "all are busy");
        drop((first, third, fourth));
        assert_eq!(places.free.available_permits(), 3);
        assert!(places.taken().slots.iter().all(Option::is_none));
        assert_eq!(places.taken().slots.len(), 3, "slots are used again");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_told_and_does_not_leave_is_not_waited_for_long() {
        let places = Arc::new(Places::new(1));
        let _stays = places.take().await.unwrap();
        assert!(places.take().await.is_none());
        assert!(places.take().await.is_none(), "and is not told twice");
    }
}
