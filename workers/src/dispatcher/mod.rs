//! Sends the callbacks that events owe, several at a time and each URL by itself.
//!
//! | file | holds |
//! |---|---|
//! | `delivery` | one try, from its claim to its recorded end |
//! | `endpoints` | how many tries go to each URL and host at a time |

mod delivery;
mod endpoints;

use crate::error::Error;
use crate::in_flight::{Changed, InFlight};
use crate::push::Pusher;
use crate::recording::Recorder;
use crate::supervisor::WorkersConfig;
use crate::worker::{Signals, Worker, paced};
use delivery::Courier;
use endpoints::{Endpoints, Full, MOST, MOST_OF_HOST, Target};
use futures_util::future::try_join_all;
use ledger::{Checkpoints, DeliveryId, Ledger, SignedCheckpoint, Timestamp};
use projections::{DueSearch, Projection, Projections, Unproven};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How many interrupted tries are ended in one commit.
const INTERRUPTED_BATCH: u32 = 256;
const FOLD_PATIENCE: Duration = Duration::from_secs(5);
/// Before the next look when something is due that could not be taken.
const BLOCKED_SLEEP: Duration = Duration::from_millis(250);
/// How long a delivery is left for the checkpoint that proves it. With the sleep of a look that comes
/// just too early, it is two seconds at most.
const PROOF_PATIENCE: Duration = Duration::from_millis(1750);

/// Wakes when something has been folded, when a delivery is due, and at an interval.
pub(crate) struct Dispatcher {
    courier: Courier,
    projections: Projections,
    deliveries: InFlight<DeliveryId>,
    endpoints: Endpoints,
    batch_size: usize,
    interval: Duration,
    drain: Duration,
}

struct Look {
    /// Something due was left: its URL or host has its share, or the batch was full.
    left_some: bool,
    sleep: Duration,
}

impl Dispatcher {
    pub(crate) fn new(config: WorkersConfig, ledger: &Ledger, projections: &Projections) -> Self {
        Self {
            courier: Courier {
                recorder: Recorder::new(ledger.clone(), Self::NAME),
                pusher: Pusher::new(&config.callbacks, &ledger.rules().push, config.push_contact),
                sender: config.callbacks,
                approval_urls: config.approval_urls,
                places: config.places,
                keys: Arc::clone(&ledger.rules().master_keys),
            },
            projections: projections.clone(),
            deliveries: InFlight::new(MOST),
            endpoints: Endpoints::default(),
            batch_size: usize::try_from(config.callback_batch_size).unwrap_or(usize::MAX),
            interval: config.callback_interval,
            drain: config.drain,
        }
    }

    /// Ends the tries that were under way when the service stopped: their receivers may have got
    /// them, and get them again.
    async fn end_interrupted(&self) -> Result<(), Error> {
        let projections = &self.projections;
        loop {
            let found = projections
                .interrupted_deliveries(INTERRUPTED_BATCH)
                .await?;
            if found.is_empty() {
                return Ok(());
            }
            let ended = found
                .iter()
                .map(|(delivery_id, _)| self.courier.end_interrupted(*delivery_id));
            try_join_all(ended).await?;
            // Otherwise the same ones would be found again.
            projections
                .caught_up(&[Projection::Callbacks], FOLD_PATIENCE)
                .await?;
        }
    }

    /// What is left for the next checkpoint, which is about a second away. Nobody waits for it with a
    /// permit at an endpoint, so what can be proven is not held up.
    fn unproven(&self, now: Timestamp) -> Option<Unproven> {
        let checkpoints = self.courier.recorder.ledger().checkpoints()?;
        Some(Unproven {
            from: checkpoints.newest().map_or(0, |newest| newest.size()),
            owed_after: now.minus(PROOF_PATIENCE),
        })
    }

    /// Takes of what is seen at one look; whether there may be more behind what it left.
    async fn take_some(
        &mut self,
        now: Timestamp,
        taken: &mut usize,
        left_some: &mut bool,
    ) -> Result<bool, Error> {
        let each = 2 * MOST_OF_HOST;
        // Rows of hosts that have their share must not crowd out those of others.
        let limit = self.batch_size + self.endpoints.busy() * each + self.deliveries.held();
        let full = self.endpoints.full_urls();
        *left_some |= !full.is_empty();
        let search = DueSearch {
            now,
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            per_host: u32::try_from(each).unwrap_or(u32::MAX),
            unproven: self.unproven(now),
            without: full,
        };
        let mut hidden = false;
        for delivery in self.projections.due_deliveries(search).await? {
            let delivery_id = delivery.delivery_id;
            if !self.deliveries.is_free(&delivery_id) {
                continue;
            }
            if *taken >= self.batch_size {
                *left_some = true;
                break;
            }
            let target = Target {
                host: delivery.endpoint.clone(),
                url: delivery.url_digest.clone(),
            };
            match self.endpoints.enter(target) {
                Ok(permit) => {
                    *taken += 1;
                    let courier = self.courier.clone();
                    self.deliveries
                        .spawn(delivery_id, courier.deliver(delivery, permit));
                }
                Err(full) => {
                    *left_some = true;
                    hidden |= full == Full::Url;
                }
            }
        }
        Ok(hidden)
    }

    /// Takes what is due, of each URL and host no more than its share.
    async fn take(&mut self) -> Result<Look, Error> {
        let now = self.courier.recorder.ledger().now();
        let mut taken = 0;
        let mut left_some = false;
        loop {
            let before = taken;
            let hidden = self.take_some(now, &mut taken, &mut left_some).await?;
            // What a URL that has its share now stood in front of is seen without it.
            if !hidden || taken == before || taken >= self.batch_size {
                break;
            }
        }
        let next = self.projections.next_delivery_due().await?;
        let in_flight = u32::try_from(self.deliveries.len()).unwrap_or(u32::MAX);
        metrics::gauge!("dispatcher_deliveries_in_flight").set(f64::from(in_flight));
        self.deliveries.measure(Self::NAME);
        let sleep = match next.map(|next| next.since(now)) {
            // Due and taken, or due and left: what comes after it is not known.
            Some(Duration::ZERO) => BLOCKED_SLEEP,
            Some(wait) => wait,
            None => self.interval,
        };
        Ok(Look {
            left_some,
            sleep: sleep.min(self.interval),
        })
    }
}

impl Dispatcher {
    /// Ends tries whose tasks failed; whether it is time for another look.
    async fn take_note(
        &self,
        change: Changed<DeliveryId>,
        left_some: bool,
        signals: &Signals,
    ) -> Result<bool, Error> {
        for failed in &change.failed {
            let ending = self.courier.end_interrupted(failed.key);
            if let Some(ended) = signals.stop.run_until_cancelled(ending).await {
                ended?;
            }
        }
        signals.note(Self::NAME, change.failed)?;
        Ok(left_some || change.has_rested)
    }
}

impl Worker for Dispatcher {
    const NAME: &'static str = "dispatcher";
    const READS: &'static [Projection] = &[Projection::Callbacks];

    async fn run(&mut self, signals: &Signals) -> Result<(), Error> {
        self.deliveries.abort().await;
        // Recording takes as long as it takes; being told to stop ends the wait.
        let settled = signals.stop.run_until_cancelled(self.end_interrupted());
        match settled.await {
            Some(settled) => settled?,
            None => return Ok(()),
        }
        let mut progress = self.projections.progress(Projection::Callbacks);
        let mut wake = signals.wake.clone();
        let ledger = self.courier.recorder.ledger();
        let mut checkpoints = ledger.checkpoints().map(Checkpoints::subscribe);
        let mut has_ended = false;
        while !signals.stop.is_cancelled() {
            if std::mem::take(&mut has_ended) {
                // What has ended would be found once more, in the place of what has not.
                let reading = self.projections.caught_up(Self::READS, FOLD_PATIENCE);
                // In vain where they are not kept up: what they show is due all the same.
                if signals.stop.run_until_cancelled(reading).await.is_none() {
                    break;
                }
            }
            progress.borrow_and_update();
            wake.borrow_and_update();
            if let Some(newest) = &mut checkpoints {
                newest.borrow_and_update();
            }
            let looked = Instant::now();
            let look = self.take().await?;
            signals.pulse.beat();
            let sleep = tokio::time::sleep(look.sleep);
            tokio::pin!(sleep);
            loop {
                tokio::select! {
                    () = signals.stop.cancelled() => break,
                    changed = paced(&mut progress, looked) => { changed?; break }
                    Ok(()) = wake.changed() => break,
                    Ok(()) = signed(&mut checkpoints) => break,
                    () = &mut sleep => break,
                    change = self.deliveries.changed() => {
                        has_ended = true;
                        if self.take_note(change, look.left_some, signals).await? {
                            break;
                        }
                    }
                }
            }
        }
        self.deliveries.drain(self.drain).await;
        Ok(())
    }
}

/// Waits for the next checkpoint, for ever where none are signed.
async fn signed(
    checkpoints: &mut Option<watch::Receiver<Option<Arc<SignedCheckpoint>>>>,
) -> Result<(), watch::error::RecvError> {
    match checkpoints {
        Some(newest) => newest.changed().await,
        None => std::future::pending().await,
    }
}
