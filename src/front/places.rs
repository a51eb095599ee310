//! How many connections there are at a time. When the last place is taken, a connection that waits for
//! nothing makes room: one of the holder with the most, and of those the one that has done nothing for the
//! longest. A connection's holder is whom its last answer was made for; all who are unknown are one.

use super::memory::Memory;
use super::standing::{Phase, Standing};
use super::told::Word;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Among how many the one is looked for that makes room. The look goes round, so everybody comes into
/// it, and its cost is bounded.
const LOOKS: usize = 64;

/// Of so many places one is kept free, and 64 at most: room is made before the last one is taken, so that
/// whoever comes need not wait for it.
const PLACES_FOR_ONE_FREE: usize = 32;
const MOST_FREE: usize = 64;

/// How long it may take until a connection that was told to leave has left.
const ROOM_PATIENCE: Duration = Duration::from_millis(250);

/// What unfinished heads may take together, beyond what is free for each: a head that means well comes in
/// one piece.
const ALL_HEADS: usize = 64 * 1024 * 1024;

/// What answers that are not read may take together.
const ALL_ANSWERS: usize = 64 * 1024 * 1024;

/// All places, and the memory that those who have one share.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    free: Arc<Semaphore>,
    begun: Instant,
    heads: Arc<Memory>,
    answers: Arc<Memory>,
    taken: Mutex<Taken>,
}

/// Never more slots than places.
#[derive(Debug, Default)]
struct Taken {
    slots: Vec<Option<Arc<Standing>>>,
    free: Vec<usize>,
    /// How many connections each holder has.
    holders: HashMap<Arc<str>, usize>,
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
            heads: Arc::new(Memory::new(ALL_HEADS)),
            answers: Arc::new(Memory::new(ALL_ANSWERS)),
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
        let spare = (self.most / PLACES_FOR_ONE_FREE).min(MOST_FREE);
        if (1..=spare).contains(&self.free.available_permits()) {
            self.make_room();
        }
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
        taken.count(standing.holder());
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
            .filter(|standing| standing.told.word() < Word::GivePlace)
            .filter_map(|standing| match standing.look() {
                (Phase::Busy, _) => None,
                (Phase::Idle | Phase::Head, since) => {
                    let beside = taken.holders.get(&standing.holder()).copied();
                    Some(((Reverse(beside), since), standing))
                }
            })
            .min_by_key(|(order, _)| *order);
        let is_found = found.is_some();
        if let Some((_, standing)) = found {
            standing.told.tell(Word::GivePlace);
        }
        taken.hand = begin.wrapping_add(LOOKS).checked_rem(all).unwrap_or(0);
        is_found
    }

    /// Tells everybody.
    pub(super) fn tell_all(&self, word: Word) {
        for standing in self.taken().slots.iter().flatten() {
            standing.told.tell(word);
        }
    }

    /// Sets the gauges.
    pub(super) fn measure(&self) {
        let taken = self.most.saturating_sub(self.free.available_permits());
        gauge("http_connections", taken);
        gauge("http_connections_limit", self.most);
        gauge("http_unfinished_head_bytes", self.heads.bytes());
        gauge("http_unread_answer_bytes", self.answers.bytes());
    }
}

impl Taken {
    fn count(&mut self, holder: Arc<str>) {
        let count = self.holders.entry(holder).or_default();
        *count = count.saturating_add(1);
    }

    fn discount(&mut self, holder: &str) {
        if let Some(count) = self.holders.get_mut(holder) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.holders.remove(holder);
            }
        }
    }
}

fn gauge(name: &'static str, value: usize) {
    metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
}

impl Place {
    pub(super) const fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// An answer was made for this holder.
    pub(super) fn belongs_to(&self, holder: &Arc<str>) {
        if self.standing.holder() == *holder {
            return;
        }
        let mut taken = self.places.taken();
        taken.discount(&self.standing.hold_for(Arc::clone(holder)));
        taken.count(Arc::clone(holder));
    }

    /// What holds the answers that nobody has read.
    pub(super) fn answers(&self) -> &Arc<Memory> {
        &self.places.answers
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.discount(&self.standing.holder());
        if let Some(slot) = taken.slots.get_mut(self.slot) {
            *slot = None;
        }
        taken.free.push(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::super::standing::Framing;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_the_longest_makes_room_and_who_is_busy_does_not() {
        let places = Arc::new(Places::new(3));
        let first = places.take().await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = places.take().await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let third = places.take().await.unwrap();
        first.standing().begin_request(Framing::Last).unwrap();
        third.standing().begin_head();

        let leaving = Arc::clone(second.standing());
        let left = tokio::spawn(async move {
            leaving.told.to_leave().await;
            assert_eq!(leaving.told.word(), Word::GivePlace);
            drop(second);
        });
        let fourth = places.take().await.unwrap();
        left.await.unwrap();
        assert_eq!(third.standing().told.word(), Word::Stay);
        fourth.standing().begin_request(Framing::Last).unwrap();
        third.standing().begin_request(Framing::Last).unwrap();
        assert!(places.take().await.is_none(), "all are busy");
        drop((first, third, fourth));
        assert_eq!(places.free.available_permits(), 3);
        assert!(places.taken().slots.iter().all(Option::is_none));
        assert_eq!(places.taken().slots.len(), 3, "slots are used again");
    }

    #[tokio::test(start_paused = true)]
    async fn of_those_at_rest_one_of_the_holder_with_the_most_makes_room() {
        let places = Arc::new(Places::new(3));
        let known = places.take().await.unwrap();
        known.belongs_to(&"agent".into());
        tokio::time::advance(Duration::from_secs(1)).await;
        let (first, second) = (places.take().await.unwrap(), places.take().await.unwrap());
        assert!(places.take().await.is_none(), "it does not leave in time");
        let words = [&known, &first, &second].map(|place| place.standing().told.word());
        assert_eq!(words, [Word::Stay, Word::GivePlace, Word::Stay]);
        drop((known, first, second));
        assert!(places.taken().holders.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_told_and_does_not_leave_is_not_waited_for_long() {
        let places = Arc::new(Places::new(1));
        let _stays = places.take().await.unwrap();
        assert!(places.take().await.is_none());
        assert!(places.take().await.is_none(), "and is not told twice");
    }
}
