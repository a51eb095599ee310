//! The limit on connections. When the last slot is taken, a connection that waits for nothing makes room: one
//! of the holder with the most, and of those the one that has done nothing for the longest. A connection's
//! holder is whom its last answer was made for; all who are unknown are one.

use super::memory::Memory;
use super::signal::Signal;
use super::state::{ConnectionState, Phase};
use crate::limits::counted_for::CountedFor;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Among how many the one is looked for that makes room. The look goes round, so everybody comes into
/// it, and its cost is bounded.
const LOOKS: usize = 64;

/// Of so many slots one is kept free, and 64 at most: room is made before the last one is taken, so that
/// whoever comes need not wait for it.
const SLOTS_FOR_ONE_FREE: usize = 32;
const MOST_FREE: usize = 64;

/// How long it may take until a connection that was told to end has left.
const END_TIMEOUT: Duration = Duration::from_millis(250);

/// What unfinished heads may take together, beyond what is free for each: a head that means well comes in
/// one piece.
const ALL_HEADS: usize = 64 * 1024 * 1024;

/// The most bytes that answers that are not read may take together.
const ALL_ANSWERS: usize = 64 * 1024 * 1024;

/// All slots, and the memory that their connections share.
#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    free: Arc<Semaphore>,
    begun: Instant,
    heads: Arc<Memory>,
    answers: Arc<Memory>,
    taken: Mutex<Taken>,
}

/// Never more slots than slots.
#[derive(Debug, Default)]
struct Taken {
    slots: Vec<Option<Arc<ConnectionState>>>,
    free: Vec<usize>,
    /// How many connections each holder has.
    holders: HashMap<CountedFor, usize>,
    /// Where the next look begins.
    hand: usize,
}

/// One slot; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    index: usize,
    state: Arc<ConnectionState>,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
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

    /// A slot, if need be that of a connection that waits for nothing; `None` when all are busy.
    pub(super) async fn take(self: &Arc<Self>) -> Option<Slot> {
        metrics::counter!("http_connections_total").increment(1);
        let spare = (self.most / SLOTS_FOR_ONE_FREE).min(MOST_FREE);
        if (1..=spare).contains(&self.free.available_permits()) {
            self.end_one();
        }
        let permit = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                if !self.end_one() {
                    return None;
                }
                let freed = Arc::clone(&self.free).acquire_owned();
                tokio::time::timeout(END_TIMEOUT, freed).await.ok()?.ok()?
            }
        };
        let state = Arc::new(ConnectionState::new(self.begun, Arc::clone(&self.heads)));
        let mut taken = self.taken();
        taken.count(state.holder());
        let entry = Some(Arc::clone(&state));
        let index = match taken.free.pop() {
            Some(index) => {
                if let Some(free) = taken.slots.get_mut(index) {
                    *free = entry;
                }
                index
            }
            None => {
                taken.slots.push(entry);
                taken.slots.len().saturating_sub(1)
            }
        };
        Some(Slot {
            slots: Arc::clone(self),
            index,
            state,
            _permit: permit,
        })
    }

    /// Tells the one to leave who has waited the longest among some; `false` when all of those are
    /// busy.
    fn end_one(&self) -> bool {
        let mut taken = self.taken();
        let all = taken.slots.len();
        let begin = taken.hand;
        let found = (0..all.min(LOOKS))
            .filter_map(|step| {
                let slot = begin.wrapping_add(step).checked_rem(all)?;
                taken.slots.get(slot)?.as_ref()
            })
            .filter(|state| state.signals.strongest() < Signal::YieldSlot)
            .filter_map(|state| match state.look() {
                (Phase::Busy, _) => None,
                // A stream is taken up again elsewhere.
                (Phase::Idle | Phase::Head | Phase::Streaming, since) => {
                    let beside = taken.holders.get(&state.holder()).copied();
                    Some(((Reverse(beside), since), state))
                }
            })
            .min_by_key(|(order, _)| *order);
        let is_found = found.is_some();
        if let Some((_, state)) = found {
            state.signals.send(Signal::YieldSlot);
        }
        taken.hand = begin.wrapping_add(LOOKS).checked_rem(all).unwrap_or(0);
        is_found
    }

    /// Tells everybody.
    pub(super) fn signal_all(&self, signal: Signal) {
        for state in self.taken().slots.iter().flatten() {
            state.signals.send(signal);
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
    fn count(&mut self, holder: CountedFor) {
        let count = self.holders.entry(holder).or_default();
        *count = count.saturating_add(1);
    }

    fn discount(&mut self, holder: &CountedFor) {
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

impl Slot {
    pub(super) const fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }

    pub(super) fn assign_to(&self, holder: &CountedFor) {
        if self.state.holder() == *holder {
            return;
        }
        let mut taken = self.slots.taken();
        taken.discount(&self.state.hold_for(holder.clone()));
        taken.count(holder.clone());
    }

    /// The memory of the answers that nobody has read.
    pub(super) fn answers(&self) -> &Arc<Memory> {
        &self.slots.answers
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        taken.discount(&self.state.holder());
        if let Some(slot) = taken.slots.get_mut(self.index) {
            *slot = None;
        }
        taken.free.push(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::Framing;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_the_longest_makes_room_and_who_is_busy_does_not() {
        let slots = Arc::new(Slots::new(3));
        let first = slots.take().await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = slots.take().await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let third = slots.take().await.unwrap();
        first.state().begin_request(Framing::Last).unwrap();
        third.state().begin_head();

        let leaving = Arc::clone(second.state());
        let left = tokio::spawn(async move {
            leaving.signals.end_requested().await;
            assert_eq!(leaving.signals.strongest(), Signal::YieldSlot);
            drop(second);
        });
        let fourth = slots.take().await.unwrap();
        left.await.unwrap();
        assert_eq!(third.state().signals.strongest(), Signal::Continue);
        fourth.state().begin_request(Framing::Last).unwrap();
        third.state().begin_request(Framing::Last).unwrap();
        assert!(slots.take().await.is_none(), "all are busy");
        drop((first, third, fourth));
        assert_eq!(slots.free.available_permits(), 3);
        assert!(slots.taken().slots.iter().all(Option::is_none));
        assert_eq!(slots.taken().slots.len(), 3, "slots are used again");
    }

    #[tokio::test(start_paused = true)]
    async fn of_those_at_rest_one_of_the_holder_with_the_most_makes_room() {
        let slots = Arc::new(Slots::new(3));
        let known = slots.take().await.unwrap();
        known.assign_to(&"agent".into());
        tokio::time::advance(Duration::from_secs(1)).await;
        let (first, second) = (slots.take().await.unwrap(), slots.take().await.unwrap());
        assert!(slots.take().await.is_none(), "it does not leave in time");
        let strongest = [&known, &first, &second].map(|slot| slot.state().signals.strongest());
        assert_eq!(
            strongest,
            [Signal::Continue, Signal::YieldSlot, Signal::Continue]
        );
        drop((known, first, second));
        assert!(slots.taken().holders.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_told_and_does_not_leave_is_not_waited_for_long() {
        let slots = Arc::new(Slots::new(1));
        let _stays = slots.take().await.unwrap();
        assert!(slots.take().await.is_none());
        assert!(slots.take().await.is_none(), "and is not signalled twice");
    }
}
