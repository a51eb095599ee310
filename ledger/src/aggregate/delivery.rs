//! One event for one callback, and its tries.

use super::Aggregate;
use crate::clock::Timestamp;
use crate::event::{AfterAttempt, DeliveryOwed, Event};
use crate::id::DeliveryId;
use crate::rejection::Rejection;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// A try is due at that moment.
    Due(Timestamp),
    /// A try is under way, or was when the service stopped.
    UnderWay,
    /// It arrived.
    Delivered,
    /// Its tries are used up, or its receiver wants it no more (410).
    GivenUp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event that owed it.
    pub owed: DeliveryOwed,
    pub state: DeliveryState,
    /// Tries started so far, all in all.
    pub attempts: u32,
    /// Tries started since it was owed, or since the last retry by hand.
    pub attempts_in_round: u32,
}

impl Aggregate for Delivery {
    type Id = DeliveryId;

    const NOT_FOUND: Rejection = Rejection::DeliveryNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        if let Event::DeliveryOwed(owed) = event {
            *state = Some(Self {
                owed: owed.clone(),
                state: DeliveryState::Due(at),
                attempts: 0,
                attempts_in_round: 0,
            });
            return;
        }
        let Some(delivery) = state else { return };
        match event {
            Event::AttemptStarted(started) => {
                delivery.state = DeliveryState::UnderWay;
                delivery.attempts = started.attempt;
                delivery.attempts_in_round = delivery.attempts_in_round.saturating_add(1);
            }
            Event::AttemptEnded(ended) => {
                delivery.state = match ended.after {
                    AfterAttempt::Done => DeliveryState::Delivered,
                    AfterAttempt::RetryAt(due) => DeliveryState::Due(due),
                    AfterAttempt::GivenUp => DeliveryState::GivenUp,
                };
            }
            Event::RetryRequested(_) => {
                delivery.state = DeliveryState::Due(at);
                delivery.attempts_in_round = 0;
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        512 + self.owed.event.len()
    }
}
