//! The places of open calls: so many of all, and so many of each credential.

use crate::caller::CountedFor;
use crate::refusal::{Refusal, Word};
use std::collections::HashMap;
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
}

/// The place of one call; given back when it goes.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    of: CountedFor,
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
    /// [`Word::Busy`] when the credential, or all together, have as many calls open as they may.
    pub(crate) fn take(self: &Arc<Self>, of: CountedFor) -> Result<Place, Refusal> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.each.get(&of).copied().unwrap_or(0);
        if own >= self.most_of_one {
            return Err(Refusal::new(
                Word::Busy,
                "this credential has as many calls open as it may: try again in a moment",
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
        Ok(Place {
            places: Arc::clone(self),
            of,
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
        let own = taken.each.get(&self.of).copied().unwrap_or(0);
        match own.saturating_sub(1) {
            0 => _ = taken.each.remove(&self.of),
            left => _ = taken.each.insert(self.of, left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::KeyId;

    fn key(number: u8) -> CountedFor {
        CountedFor::AgentKey(KeyId::from_bytes([number; 16]))
    }

    #[test]
    fn a_credential_has_its_places_and_leaves_those_of_others() {
        let places = Places::new(3, 2);
        let first = places.take(key(1)).unwrap();
        let second = places.take(key(1)).unwrap();
        assert_eq!(places.take(key(1)).unwrap_err().word(), Word::Busy);
        let third = places.take(key(2)).unwrap();
        assert_eq!(places.take(key(3)).unwrap_err().word(), Word::Busy);
        drop(first);
        let again = places.take(key(1)).unwrap();
        assert_eq!(places.open(), 3);
        drop((second, third, again));
        assert_eq!(places.open(), 0);
        assert!(places.taken.lock().unwrap().each.is_empty());
    }
}
