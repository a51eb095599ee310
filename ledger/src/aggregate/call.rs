//! A call that changes something upstream, from its beginning to its end.

use super::Aggregate;
use crate::clock::Timestamp;
use crate::event::{CallSubject, Event};
use crate::id::CallId;
use crate::rejection::Rejection;

/// The state of such a call. One that changes nothing leaves none: nothing is decided on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its id.
    pub id: CallId,
    /// Whose it is, and what it asks for.
    pub subject: CallSubject,
    /// The time from which on it may have reached upstream.
    pub begun_at: Timestamp,
    /// The time at which its end was recorded; none where the service stopped before.
    pub ended_at: Option<Timestamp>,
}

impl Aggregate for Call {
    type Id = CallId;

    const NOT_FOUND: Rejection = Rejection::CallNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        match (event, state) {
            (Event::CallBegun(begun), state) => {
                *state = Some(Self {
                    id: begun.call_id,
                    subject: begun.subject.clone(),
                    begun_at: at,
                    ended_at: None,
                });
            }
            (Event::CallEnded(_), Some(call)) => {
                call.ended_at.get_or_insert(at);
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        384
    }
}
