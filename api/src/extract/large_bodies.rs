//! How much memory large bodies may take at once. One that is read and parsed costs several times
//! its length, so without a bound a single agent could bring the whole service down.

use super::json::BODY_LIMIT;
use crate::problem::ApiError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one permit stands for, in bytes.
const UNIT: u64 = 1024 * 1024;

/// Units that are in flight at once, over all subjects.
const UNITS: usize = 64;

/// Large bodies that one subject has in flight at once.
const FOR_ONE_SUBJECT: u32 = 2;

/// When room is likely: what holds it is recorded within moments.
const PACE: Duration = Duration::from_secs(1);

/// The room that is left.
#[derive(Debug)]
pub(crate) struct LargeBodies {
    units: Arc<Semaphore>,
    subjects: Arc<Subjects>,
}

/// Large bodies in flight for each subject that has any.
#[derive(Debug, Default)]
struct Subjects(Mutex<HashMap<Box<str>, u32>>);

/// Room for one body, to be held for as long as what was read from it is in memory.
#[derive(Debug)]
pub(crate) struct Room {
    _held: Option<(Seat, OwnedSemaphorePermit)>,
}

/// One of a subject's large bodies; given back when it goes.
#[derive(Debug)]
struct Seat {
    subjects: Arc<Subjects>,
    subject: Box<str>,
}

impl LargeBodies {
    /// With all of it left.
    pub(crate) fn new() -> Self {
        Self {
            units: Arc::new(Semaphore::new(UNITS)),
            subjects: Arc::default(),
        }
    }

    /// Room for a body of so many bytes. A small one needs none.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] while the subject, or all of them together, have too much in flight.
    pub(crate) fn admit(&self, subject: &str, length: u64) -> Result<Room, ApiError> {
        let small = usize::try_from(length).is_ok_and(|length| length <= BODY_LIMIT);
        if small {
            return Ok(Room { _held: None });
        }
        let seat = Seat::take(&self.subjects, subject).ok_or_else(|| {
            busy("this subject has as many large bodies in flight as it may: send them one by one")
        })?;
        let units = u32::try_from(length.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let units = Arc::clone(&self.units)
            .try_acquire_many_owned(units)
            .map_err(|_| busy("too many large bodies are in flight: send it again in a moment"))?;
        Ok(Room {
            _held: Some((seat, units)),
        })
    }
}

fn busy(detail: &str) -> ApiError {
    ApiError::Unavailable {
        detail: detail.to_owned(),
        retry_after: PACE,
    }
}

impl Seat {
    fn take(subjects: &Arc<Subjects>, subject: &str) -> Option<Self> {
        // A panic while it was held cannot have left a count half changed.
        let mut counts = subjects.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(subject.into()).or_default();
        if *count >= FOR_ONE_SUBJECT {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Self {
            subjects: Arc::clone(subjects),
            subject: subject.into(),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let counts = self.subjects.0.lock();
        let mut counts = counts.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.subject) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: u64 = 10 * 1024 * 1024;

    #[test]
    fn a_subject_has_two_at_once_and_others_have_theirs() {
        let bodies = LargeBodies::new();
        let first = bodies.admit("a", LARGE).unwrap();
        let _second = bodies.admit("a", LARGE).unwrap();
        let refused = bodies.admit("a", LARGE).unwrap_err();
        assert_eq!(refused.status_and_code().2, "unavailable");
        assert!(bodies.admit("a", 1024 * 1024).is_ok(), "a small one");
        assert!(bodies.admit("b", LARGE).is_ok());
        drop(first);
        assert!(bodies.admit("a", LARGE).is_ok());
    }

    #[test]
    fn all_subjects_together_have_64_mib_and_nothing_is_kept_of_who_has_none() {
        let bodies = LargeBodies::new();
        let held: Vec<Room> = (0..6)
            .map(|n| bodies.admit(&n.to_string(), LARGE).unwrap())
            .collect();
        assert!(bodies.admit("more", LARGE).is_err());
        assert!(bodies.admit("more", 4 * 1024 * 1024).is_ok());
        drop(held);
        assert!(bodies.subjects.0.lock().unwrap().is_empty());
        assert_eq!(bodies.units.available_permits(), UNITS);
    }
}
