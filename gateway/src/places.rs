//! The places of open calls: so many of all, so many of each credential, and a quarter of all for each caller, however many
//! keys, sessions and tokens of tasks it has.

use crate::caller::{Caller, CountedFor};
use crate::refusal::{Refusal, Word};
use ledger::event::UpstreamKeyOwner;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    each: HashMap<CountedFor, usize>,
    callers: HashMap<UpstreamKeyOwner, usize>,
}

/// The place of one call; given back when it goes.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    of: CountedFor,
    caller: UpstreamKeyOwner,
}

impl Places {
    pub(crate) fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_one,
            taken: Mutex::default(),
        })
    }

    /// # Errors
    /// [`Word::Busy`] when the credential, the caller with all of its own, or all together have as many calls open as they
    /// may.
    pub(crate) fn take(self: &Arc<Self>, of: &Caller) -> Result<Place, Refusal> {
        self.take_for(of.counted_for, of.owner.recorded())
    }

    fn take_for(
        self: &Arc<Self>,
        of: CountedFor,
        caller: UpstreamKeyOwner,
    ) -> Result<Place, Refusal> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.each.get(&of).copied().unwrap_or(0);
        if own >= self.most_of_one {
            return Err(Refusal::new(
                Word::Busy,
                "this credential has as many calls open as it may: try again in a moment",
            ));
        }
        let of_caller = taken.callers.get(&caller).copied().unwrap_or(0);
        if of_caller >= self.most_of_one.max(self.most / 4) {
            return Err(Refusal::new(
                Word::Busy,
                "this caller has as many calls open as it may with all its credentials: try again in a moment",
            ));
        }
        if taken.all >= self.most {
            return Err(Refusal::new(
                Word::Busy,
                "the service has as many calls open as it may: try again in a moment",
            ));
        }
        taken.all = taken.all.saturating_add(1);
        taken.each.insert(of, own.saturating_add(1));
        taken.callers.insert(caller, of_caller.saturating_add(1));
        Ok(Place {
            places: Arc::clone(self),
            of,
            caller,
        })
    }

    /// Calls that are open.
    pub(crate) fn open(&self) -> usize {
        let taken = self.taken.lock();
        taken.unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = self.places.taken.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        give_back(&mut taken.each, &self.of);
        give_back(&mut taken.callers, &self.caller);
    }
}

fn give_back<K: Eq + Hash>(taken: &mut HashMap<K, usize>, of: &K) {
    if let Some(own) = taken.get_mut(of) {
        *own = own.saturating_sub(1);
        if *own == 0 {
            taken.remove(of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{AgentId, KeyId};

    fn key(number: u8) -> CountedFor {
        CountedFor::AgentKey(KeyId::from_bytes([number; 16]))
    }

    const fn agent(number: u8) -> UpstreamKeyOwner {
        UpstreamKeyOwner::Agent(AgentId::from_bytes([number; 16]))
    }

    #[test]
    fn a_credential_has_its_places_and_leaves_those_of_others() {
        let places = Places::new(3, 2);
        let take = |number| places.take_for(key(number), agent(number));
        let first = take(1).unwrap();
        let second = take(1).unwrap();
        assert_eq!(take(1).unwrap_err().word(), Word::Busy);
        let third = take(2).unwrap();
        assert_eq!(take(3).unwrap_err().word(), Word::Busy);
        drop(first);
        let again = take(1).unwrap();
        assert_eq!(places.open(), 3);
        drop((second, third, again));
        assert_eq!(places.open(), 0);
        assert!(places.taken.lock().unwrap().each.is_empty());
    }

    #[test]
    fn many_credentials_of_one_agent_have_a_quarter_of_the_places() {
        let places = Places::new(16, 2);
        let held: Vec<_> = (0..4)
            .map(|number| places.take_for(key(number), agent(1)).unwrap())
            .collect();
        let fifth = places.take_for(key(4), agent(1)).unwrap_err();
        assert_eq!(fifth.word(), Word::Busy);
        assert!(places.take_for(key(5), agent(2)).is_ok());
        drop(held);
        assert!(places.take_for(key(4), agent(1)).is_ok());
        assert!(places.taken.lock().unwrap().callers.is_empty());
    }
}
