//! The limit on memory that request bodies take at once, of all subjects and of each. One that is read and
//! parsed costs several times its length, so without a bound a single agent could bring the whole service
//! down.
//!
//! A body takes memory as it arrives: one without a stated length takes no more than it is.

use super::concurrency::{Permit, SubjectLimit};
use super::counted_for::CountedFor;
use crate::problem::ApiError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one permit stands for, in bytes. A body that is no longer needs none: how many of those there
/// are is bounded by how many requests there are.
const UNIT: usize = 16 * 1024;

/// The most bytes that all bodies together may take.
const ALL: usize = 64 * 1024 * 1024;

/// The memory for the bodies of one subject: one of the largest, and others beside it.
const FOR_ONE_SUBJECT: usize = 24 * 1024 * 1024;

/// When memory is free again, most likely: what holds it is recorded within moments.
const PACE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct BodyMemory {
    units: Arc<Semaphore>,
    subjects: Arc<SubjectLimit>,
}

/// The memory of one body, to be held for as long as what was read from it is in memory.
#[derive(Debug)]
pub(crate) struct BodyPermit {
    all: Arc<Semaphore>,
    subjects: Arc<SubjectLimit>,
    subject: CountedFor,
    held: Vec<(Permit, OwnedSemaphorePermit)>,
    units: usize,
}

impl BodyMemory {
    pub(crate) fn new() -> Self {
        Self {
            units: Arc::new(Semaphore::new(ALL / UNIT)),
            subjects: Arc::new(SubjectLimit::new(FOR_ONE_SUBJECT / UNIT)),
        }
    }

    /// The permit of a body of which nothing has come yet.
    pub(crate) fn none(&self, subject: CountedFor) -> BodyPermit {
        BodyPermit {
            all: Arc::clone(&self.units),
            subjects: Arc::clone(&self.subjects),
            subject,
            held: Vec::new(),
            units: 0,
        }
    }

    /// Bytes that bodies hold at the moment.
    pub(crate) fn taken(&self) -> usize {
        (ALL / UNIT).saturating_sub(self.units.available_permits()) * UNIT
    }
}

impl BodyPermit {
    /// Grows to so many bytes, where it is smaller.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] while the subject, or all of them together, have too much in flight.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let more = (bytes.saturating_sub(1) / UNIT).saturating_sub(self.units);
        if more == 0 {
            return Ok(());
        }
        let permit = self.subjects.take(&self.subject, more).ok_or_else(|| {
            busy("this subject has reached its limit of large bodies: send them one at a time")
        })?;
        let permits = u32::try_from(more).unwrap_or(u32::MAX);
        let units = Arc::clone(&self.all)
            .try_acquire_many_owned(permits)
            .map_err(|_| busy("the service has reached its limit of large bodies: send this one again in a moment"))?;
        self.held.push((permit, units));
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

    fn permit(bodies: &BodyMemory, subject: &str, bytes: usize) -> Result<BodyPermit, ApiError> {
        let mut permit = bodies.none(subject.into());
        permit.grow(bytes).map(|()| permit)
    }

    #[test]
    fn a_subject_has_two_of_the_largest_at_once_and_others_have_theirs() {
        let bodies = BodyMemory::new();
        let first = permit(&bodies, "a", 10 * MIB).unwrap();
        let _second = permit(&bodies, "a", 10 * MIB).unwrap();
        let refused = permit(&bodies, "a", 10 * MIB).unwrap_err();
        assert_eq!(refused.status_and_code().2, "unavailable");
        assert!(permit(&bodies, "a", MIB).is_ok(), "a smaller one");
        assert!(permit(&bodies, "b", 10 * MIB).is_ok());
        drop(first);
        assert!(permit(&bodies, "a", 10 * MIB).is_ok());
    }

    #[test]
    fn all_subjects_together_have_64_mib_and_nothing_is_kept_of_who_has_none() {
        let bodies = BodyMemory::new();
        let held: Vec<BodyPermit> = (0..6)
            .map(|n| permit(&bodies, &n.to_string(), 10 * MIB).unwrap())
            .collect();
        assert!(permit(&bodies, "more", 10 * MIB).is_err());
        assert!(permit(&bodies, "more", 3 * MIB).is_ok());
        assert!(bodies.taken() >= 59 * MIB);
        drop(held);
        assert_eq!(bodies.taken(), 0);
        assert_eq!(bodies.subjects.known(), 0);
    }

    #[test]
    fn a_body_that_grows_takes_what_it_is_and_gives_it_back_at_once() {
        let bodies = BodyMemory::new();
        let mut many: Vec<BodyPermit> = (0..100)
            .map(|_| permit(&bodies, "a", UNIT).unwrap())
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
