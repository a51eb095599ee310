//! How much of something each subject has at the moment, within a bound. Nothing is kept of a subject
//! that has none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What each subject has.
#[derive(Debug)]
pub(crate) struct Seats {
    each: usize,
    taken: Mutex<HashMap<Box<str>, usize>>,
}

/// Some of a subject's; given back when it goes.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    subject: Box<str>,
    count: usize,
}

impl Seats {
    /// So many for each.
    pub(crate) fn new(each: usize) -> Self {
        Self {
            each,
            taken: Mutex::default(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Box<str>, usize>> {
        // A panic while it was held cannot have left a count half changed.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many more for a subject; `None` when it would have more than it may.
    pub(crate) fn take(self: &Arc<Self>, subject: &str, count: usize) -> Option<Seat> {
        let mut taken = self.taken();
        let has = taken.get(subject).copied().unwrap_or(0);
        let will = has.saturating_add(count);
        if will > self.each {
            return None;
        }
        match taken.get_mut(subject) {
            Some(has) => *has = will,
            None => {
                taken.insert(subject.into(), will);
            }
        }
        Some(Seat {
            seats: Arc::clone(self),
            subject: subject.into(),
            count,
        })
    }

    /// How many subjects have any.
    pub(crate) fn known(&self) -> usize {
        self.taken().len()
    }
}

impl Seat {
    /// Whose it is.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        if let Some(has) = taken.get_mut(&self.subject) {
            *has = has.saturating_sub(self.count);
            if *has == 0 {
                taken.remove(&self.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_its_share_and_nothing_is_kept_of_who_has_none() {
        let seats = Arc::new(Seats::new(3));
        let two = seats.take("a", 2).unwrap();
        assert!(seats.take("a", 2).is_none(), "a refusal takes nothing");
        let one = seats.take("a", 1).unwrap();
        assert!(seats.take("b", 3).is_some(), "others have theirs");
        drop(two);
        let again = seats.take("a", 2).unwrap();
        assert_eq!(seats.known(), 1);
        drop((one, again));
        assert_eq!(seats.known(), 0);
    }
}
