//! How much memory bodies may take at once. One that is read and parsed costs several times its
//! length, so without a bound a single agent could bring the whole service down.
//!
//! A body takes room as it arrives: one that does not say how long it is takes no more than it is.

use crate::edge::seats::{Seat, Seats};
use crate::problem::ApiError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one permit stands for, in bytes. A body that is no longer needs none: how many of those there
/// are is bounded by how many requests there are.
const UNIT: usize = 16 * 1024;

/// What all bodies together may take.
const ALL: usize = 64 * 1024 * 1024;

/// The room for the bodies of one subject: one of the largest, and others beside it.
const FOR_ONE_SUBJECT: usize = 24 * 1024 * 1024;

/// When room is likely: what holds it is recorded within moments.
const PACE: Duration = Duration::from_secs(1);

/// The room that is left.
#[derive(Debug)]
pub(crate) struct BodyRoom {
    units: Arc<Semaphore>,
    subjects: Arc<Seats>,
}

/// Room for one body, to be held for as long as what was read from it is in memory.
#[derive(Debug)]
pub(crate) struct Room {
    all: Arc<Semaphore>,
    subjects: Arc<Seats>,
    subject: Box<str>,
    held: Vec<(Seat, OwnedSemaphorePermit)>,
    units: usize,
}

impl BodyRoom {
    /// With all of it left.
    pub(crate) fn new() -> Self {
        Self {
            units: Arc::new(Semaphore::new(ALL / UNIT)),
            subjects: Arc::new(Seats::new(FOR_ONE_SUBJECT / UNIT)),
        }
    }

    /// Room for a body of which nothing has come yet.
    pub(crate) fn none(&self, subject: &str) -> Room {
        Room {
            all: Arc::clone(&self.units),
            subjects: Arc::clone(&self.subjects),
            subject: subject.into(),
            held: Vec::new(),
            units: 0,
        }
    }

    /// Bytes that bodies hold at the moment.
    pub(crate) fn taken(&self) -> usize {
        (ALL / UNIT).saturating_sub(self.units.available_permits()) * UNIT
    }
}

impl Room {
    /// Makes it a room for so many bytes, where it is smaller.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] while the subject, or all of them together, have too much in flight.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let more = (bytes.saturating_sub(1) / UNIT).saturating_sub(self.units);
        if more == 0 {
            return Ok(());
        }
        let seat = self.subjects.take(&self.subject, more).ok_or_else(|| {
            busy("this subject has as much in flight as it may: send large bodies one by one")
        })?;
        let permits = u32::try_from(more).unwrap_or(u32::MAX);
        let units = Arc::clone(&self.all)
            .try_acquire_many_owned(permits)
            .map_err(|_| busy("too many large bodies are in flight: send it again in a moment"))?;
        self.held.push((seat, units));
        self.units = self.units.saturating_add(more);
        Ok(())
    }
}

fn busy(detail: &str) -> ApiError {
    ApiError::Unavailable {
        detail: detail.to_owned(),
        retry_after: PACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn room(bodies: &BodyRoom, subject: &str, bytes: usize) -> Result<Room, ApiError> {
        let mut room = bodies.none(subject);
        room.grow(bytes).map(|()| room)
    }

    #[test]
    fn a_subject_has_two_of_the_largest_at_once_and_others_have_theirs() {
        let bodies = BodyRoom::new();
        let first = room(&bodies, "a", 10 * MIB).unwrap();
        let _second = room(&bodies, "a", 10 * MIB).unwrap();
        let refused = room(&bodies, "a", 10 * MIB).unwrap_err();
        assert_eq!(refused.status_and_code().2, "unavailable");
        assert!(room(&bodies, "a", MIB).is_ok(), "a smaller one");
        assert!(room(&bodies, "b", 10 * MIB).is_ok());
        drop(first);
        assert!(room(&bodies, "a", 10 * MIB).is_ok());
    }

    #[test]
    fn all_subjects_together_have_64_mib_and_nothing_is_kept_of_who_has_none() {
        let bodies = BodyRoom::new();
        let held: Vec<Room> = (0..6)
            .map(|n| room(&bodies, &n.to_string(), 10 * MIB).unwrap())
            .collect();
        assert!(room(&bodies, "more", 10 * MIB).is_err());
        assert!(room(&bodies, "more", 3 * MIB).is_ok());
        assert!(bodies.taken() >= 59 * MIB);
        drop(held);
        assert_eq!(bodies.taken(), 0);
        assert_eq!(bodies.subjects.known(), 0);
    }

    #[test]
    fn a_body_that_grows_takes_what_it_is_and_gives_it_back_at_once() {
        let bodies = BodyRoom::new();
        let mut many: Vec<Room> = (0..100)
            .map(|_| room(&bodies, "a", UNIT).unwrap())
            .collect();
        assert_eq!(bodies.taken(), 0, "small ones take nothing");
        for step in 1..=10 {
            many[0].grow(step * MIB).unwrap();
            assert!(bodies.taken() < step * MIB, "the first unit is free");
        }
        assert!(many[1].grow(20 * MIB).is_err());
        assert!(bodies.taken() < 10 * MIB, "a refusal takes nothing");
        drop(many);
        assert_eq!(bodies.taken(), 0);
    }
}
