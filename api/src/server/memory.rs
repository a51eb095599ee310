//! A limit on memory that connections hold together: of unfinished heads, or of unread answers. When it is
//! passed, the holder with the most makes room, and of its connections the one that has held some for the
//! longest ends. So nobody is refused because of what others hold, and a holder with little is not ended for
//! one with much.

use super::signal::{Signal, Signals};
use crate::limits::counted_for::CountedFor;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(super) struct Memory {
    most: usize,
    held: Mutex<Held>,
}

/// The sums are those of the entries.
#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    next: u64,
    holders: HashMap<CountedFor, Holder>,
}

#[derive(Debug, Default)]
struct Holder {
    bytes: usize,
    entries: BTreeMap<u64, Share>,
}

#[derive(Debug)]
struct Share {
    bytes: usize,
    signals: Arc<Signals>,
}

/// The memory that one connection holds; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Holding {
    memory: Arc<Memory>,
    holder: CountedFor,
    number: u64,
}

impl Memory {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Each change is whole before anything can panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bytes(&self) -> usize {
        self.held().bytes
    }

    /// Holds so many bytes for a connection.
    pub(super) fn hold(
        self: &Arc<Self>,
        holder: &CountedFor,
        signals: &Arc<Signals>,
        bytes: usize,
    ) -> Holding {
        let mut held = self.held();
        let number = held.next;
        held.next = number.saturating_add(1);
        let signals = Arc::clone(signals);
        let entry = Share { bytes: 0, signals };
        let entries = &mut held.holders.entry(holder.clone()).or_default().entries;
        entries.insert(number, entry);
        held.set(holder, number, bytes);
        held.make_room(self.most);
        Holding {
            memory: Arc::clone(self),
            holder: holder.clone(),
            number,
        }
    }
}

impl Holding {
    /// It is so many bytes now.
    pub(super) fn set(&self, bytes: usize) {
        let mut held = self.memory.held();
        held.set(&self.holder, self.number, bytes);
        held.make_room(self.memory.most);
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.memory.held().remove(&self.holder, self.number);
    }
}

impl Held {
    /// Nothing where the entry has made room already.
    fn set(&mut self, holder: &CountedFor, number: u64, bytes: usize) {
        let Some(holder) = self.holders.get_mut(holder) else {
            return;
        };
        let Some(entry) = holder.entries.get_mut(&number) else {
            return;
        };
        let before = std::mem::replace(&mut entry.bytes, bytes);
        holder.bytes = holder.bytes.saturating_sub(before).saturating_add(bytes);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(bytes);
    }

    fn remove(&mut self, name: &CountedFor, number: u64) -> Option<Share> {
        let holder = self.holders.get_mut(name)?;
        let entry = holder.entries.remove(&number)?;
        holder.bytes = holder.bytes.saturating_sub(entry.bytes);
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if holder.entries.is_empty() {
            self.holders.remove(name);
        }
        Some(entry)
    }

    /// Those that make room count as gone: they end as soon as their tasks run.
    fn make_room(&mut self, most: usize) {
        while self.bytes > most {
            let largest = self.holders.iter().max_by_key(|(_, holder)| holder.bytes);
            let Some((name, number)) = largest.and_then(|(name, holder)| {
                let (number, _) = holder.entries.first_key_value()?;
                Some((name.clone(), *number))
            }) else {
                return;
            };
            if let Some(entry) = self.remove(&name, number) {
                entry.signals.send(Signal::YieldMemory);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Arc<Signals> {
        Arc::default()
    }

    #[test]
    fn the_oldest_makes_room_and_what_it_held_counts_no_more() {
        let memory = Arc::new(Memory::new(100));
        let all = CountedFor::default();
        let signals: Vec<_> = (0..3).map(|_| connection()).collect();
        let holdings: Vec<_> = signals
            .iter()
            .map(|one| memory.hold(&all, one, 40))
            .collect();
        let strongest = || {
            signals
                .iter()
                .map(|one| one.strongest())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            strongest(),
            [Signal::YieldMemory, Signal::Continue, Signal::Continue]
        );
        assert_eq!(memory.bytes(), 80);
        holdings[0].set(1000);
        assert_eq!(memory.bytes(), 80, "it has made room already");
        holdings[2].set(60);
        assert_eq!(strongest()[1], Signal::Continue);
        holdings[2].set(61);
        assert_eq!(strongest()[1], Signal::YieldMemory);
        drop(holdings);
        assert_eq!(memory.bytes(), 0);
        assert!(memory.held().holders.is_empty(), "nothing is kept");
    }

    #[test]
    fn a_holder_with_much_makes_room_for_one_with_little() {
        let memory = Arc::new(Memory::new(100));
        let (greedy, modest) = (CountedFor::from("greedy"), CountedFor::from("modest"));
        let (first, little, second) = (connection(), connection(), connection());
        let _little = memory.hold(&modest, &little, 10);
        let _first = memory.hold(&greedy, &first, 60);
        let _second = memory.hold(&greedy, &second, 60);
        assert_eq!(
            little.strongest(),
            Signal::Continue,
            "though it is the oldest"
        );
        assert_eq!(first.strongest(), Signal::YieldMemory);
        assert_eq!(second.strongest(), Signal::Continue);
    }

    #[test]
    fn what_is_larger_than_all_makes_room_itself() {
        let memory = Arc::new(Memory::new(100));
        let signals = connection();
        let holding = memory.hold(&"a".into(), &signals, 101);
        assert_eq!(
            (signals.strongest(), memory.bytes()),
            (Signal::YieldMemory, 0)
        );
        drop(holding);
    }
}
