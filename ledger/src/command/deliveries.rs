//! Trying deliveries: every try begins and ends in the log.

use super::Command;
use super::acting::still_acts;
use crate::aggregate::{Delivery, DeliveryState};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{
    AfterAttempt, AttemptEnded, AttemptOutcome, AttemptStarted, RetryRequested, Role,
};
use crate::id::DeliveryId;
use crate::rejection::Rejection;
use crate::storage::NewEvent;
use crate::writer::{Context, Transaction};
use std::sync::Arc;
use std::time::Duration;

/// Claims a delivery that is due. Only who gets the answer may send it.
#[derive(Debug, Clone, Copy)]
pub struct StartAttempt {
    pub delivery_id: DeliveryId,
}

#[derive(Debug, Clone)]
pub struct Started {
    pub delivery: Arc<Delivery>,
    pub attempt: u32,
}

impl Command for StartAttempt {
    type Answer = Started;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Started, Error> {
        let delivery = tx.named::<Delivery>(self.delivery_id).await?;
        let context = tx.context();
        match delivery.state {
            DeliveryState::Due(due) if context.now >= due => {}
            _ => return Err(Rejection::DeliveryNotDue.into()),
        }
        let attempt = delivery.attempts.saturating_add(1);
        tx.append(vec![
            context.event(self.delivery_id, AttemptStarted { attempt }),
        ])
        .await?;
        let delivery = tx.existing::<Delivery>(self.delivery_id).await?;
        Ok(Started { delivery, attempt })
    }
}

/// Records how a try ended. The number of tries is bounded here.
#[derive(Debug, Clone)]
pub struct EndAttempt {
    pub delivery_id: DeliveryId,
    pub attempt: u32,
    pub outcome: AttemptOutcome,
    /// The time of the next try, if there is one.
    pub retry_at: Timestamp,
    pub duration: Duration,
}

impl Command for EndAttempt {
    type Answer = AfterAttempt;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<AfterAttempt, Error> {
        let delivery = tx.named::<Delivery>(self.delivery_id).await?;
        let (event, after) = decide_end(self, &delivery, &tx.context())?;
        tx.append(vec![event]).await?;
        Ok(after)
    }
}

fn decide_end(
    command: EndAttempt,
    delivery: &Delivery,
    context: &Context<'_>,
) -> Result<(NewEvent, AfterAttempt), Rejection> {
    if delivery.state != DeliveryState::UnderWay || delivery.attempts != command.attempt {
        return Err(Rejection::DeliveryNotDue);
    }
    let after = match command.outcome {
        AttemptOutcome::Delivered { .. } => AfterAttempt::Done,
        AttemptOutcome::Failed { .. } | AttemptOutcome::Interrupted
            if delivery.attempts_in_round >= delivery.owed.max_attempts
                || command.outcome.is_gone() =>
        {
            AfterAttempt::GivenUp
        }
        AttemptOutcome::Failed { .. } | AttemptOutcome::Interrupted => {
            AfterAttempt::RetryAt(command.retry_at.max(context.now))
        }
    };
    let ended = AttemptEnded {
        attempt: command.attempt,
        outcome: command.outcome,
        after,
        duration_micros: u64::try_from(command.duration.as_micros()).unwrap_or(u64::MAX),
    };
    Ok((context.event(delivery.owed.delivery_id, ended), after))
}

/// Tries a delivery again that was given up.
#[derive(Debug, Clone)]
pub struct RetryDelivery {
    pub delivery_id: DeliveryId,
    pub reason: Option<String>,
}

impl Command for RetryDelivery {
    type Answer = Arc<Delivery>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Delivery>, Error> {
        still_acts(tx, Role::Operator).await?;
        let delivery = tx.named::<Delivery>(self.delivery_id).await?;
        if delivery.state != DeliveryState::GivenUp {
            return Err(Rejection::DeliveryNotGivenUp.into());
        }
        let requested = RetryRequested {
            reason: self.reason,
        };
        let event = tx.context().event(self.delivery_id, requested);
        tx.append(vec![event]).await?;
        tx.existing::<Delivery>(self.delivery_id).await
    }
}
