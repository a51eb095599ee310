//! A lock: what it stops, and since when.

use super::Aggregate;
use crate::clock::Timestamp;
use crate::event::{Event, LockTarget};
use crate::id::LockId;
use crate::rejection::Rejection;

/// The state of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Its id.
    pub id: LockId,
    /// What it stops.
    pub target: LockTarget,
    /// The reason, which an operator gave.
    pub reason: String,
    /// The time of its event. What was made until then stays dead.
    pub set_at: Timestamp,
    /// When it ends by itself; `None`: when it is lifted.
    pub until: Option<Timestamp>,
    /// The time at which it was lifted.
    pub lifted_at: Option<Timestamp>,
}

impl Lock {
    /// Whether it stops its target at that time.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.lifted_at.is_none() && self.until.is_none_or(|until| now < until)
    }
}

impl Aggregate for Lock {
    type Id = LockId;

    const NOT_FOUND: Rejection = Rejection::LockNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        match (event, state) {
            (Event::LockSet(set), state) => {
                *state = Some(Self {
                    id: set.lock_id,
                    target: set.target.clone(),
                    reason: set.reason.clone(),
                    set_at: at,
                    until: set.until,
                    lifted_at: None,
                });
            }
            (Event::LockLifted(_), Some(lock)) => {
                lock.lifted_at.get_or_insert(at);
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        192 + self.reason.len()
    }
}
