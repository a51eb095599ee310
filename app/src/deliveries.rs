//! Deliveries of callbacks.

use crate::app::App;
use crate::principal::Acting;
use crate::refusal::Error;
use futures_util::future::join_all;
use ledger::aggregate::{Delivery, Task};
use ledger::command::RetryDelivery;
use ledger::{DeliveryId, Ledger, Rejection, TaskId};
use projections::{DeliveryView, Projection, Projections};
use std::sync::Arc;
use std::time::Duration;

const MOST: u32 = 100;

/// The most deliveries that are tried again at a time: each is an event in the ledger.
const MOST_RETRIED: u32 = 1_000;

/// How long the read tables may take to show what was just recorded.
const PATIENCE: Duration = Duration::from_secs(5);

/// The newest hundred deliveries that a task is owed, newest first.
pub async fn list(app: &App, _: &Acting, task_id: TaskId) -> Result<Vec<DeliveryView>, Error> {
    let read = [Projection::Tasks, Projection::Callbacks];
    let views = app.current_views(&read).await?;
    if views.task(task_id).await?.is_none() {
        // Says so when it was erased.
        app.ledger.load::<Task>(task_id).await?;
        return Err(Rejection::TaskNotFound.into());
    }
    Ok(views.deliveries(task_id, MOST).await?)
}

/// Has one delivery tried again that was given up.
pub async fn retry(
    ledger: &Ledger,
    who: Acting,
    delivery_id: DeliveryId,
    reason: Option<String>,
) -> Result<Arc<Delivery>, Error> {
    let command = RetryDelivery {
        delivery_id,
        reason,
    };
    Ok(ledger.execute(who.origin, command).await?)
}

/// How many deliveries are due again.
#[derive(Debug, Clone, Copy)]
pub struct Retried {
    pub retried: u32,
    /// Whether there are more, to be asked for again.
    pub left: bool,
}

/// Has deliveries tried again that were given up, of one task or of all: those given up longest, at most a
/// thousand.
pub async fn retry_given_up(
    ledger: &Ledger,
    projections: &Projections,
    who: &Acting,
    task: Option<TaskId>,
    reason: Option<&str>,
) -> Result<Retried, Error> {
    let read = [Projection::Callbacks];
    projections.caught_up(&read, PATIENCE).await?;
    let found = projections.given_up_deliveries(task, MOST_RETRIED + 1);
    let mut found = found.await?;
    let most = usize::try_from(MOST_RETRIED).unwrap_or(usize::MAX);
    let left = found.len() > most;
    found.truncate(most);
    let retries = found.into_iter().map(|delivery_id| {
        let command = RetryDelivery {
            delivery_id,
            reason: reason.map(str::to_owned),
        };
        ledger.execute(who.origin.clone(), command)
    });
    let mut retried = 0;
    for outcome in join_all(retries).await {
        match outcome {
            Ok(_) => retried += 1,
            // Somebody else was quicker, or it was erased.
            Err(ledger::Error::Rejected(
                Rejection::DeliveryNotGivenUp | Rejection::DeliveryNotFound | Rejection::Erased,
            )) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Retried { retried, left })
}
