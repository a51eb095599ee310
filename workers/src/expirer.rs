//! Records that the deadlines of approvals have passed. Decisions see a deadline by themselves;
//! this lets callbacks and read tables hear of it.

use crate::error::Error;
use crate::recording::Recorder;
use crate::worker::{Signals, Worker};
use futures_util::future::join_all;
use ledger::command::ExpireApproval;
use ledger::{ApprovalId, Ledger};
use projections::{Projection, Projections};
use std::time::Duration;

/// How many are expired in one look; they share a commit.
const BATCH: u32 = 256;
/// The longest sleep, so that a wall clock that was set forward is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(15);
/// Before the next look when the read tables show a deadline that the ledger does not know of.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);
/// How long to wait for the read tables to show what was just recorded.
const FOLD_PATIENCE: Duration = Duration::from_secs(2);

/// Wakes at the next deadline. A question that is asked, or approved, while it sleeps has its deadline a minute
/// later at least, or a whole approval TTL where that is the time of its task, so it need not look at every commit.
pub(crate) struct Expirer {
    recorder: Recorder,
    projections: Projections,
}

impl Expirer {
    pub(crate) fn new(ledger: &Ledger, projections: &Projections) -> Self {
        Self {
            recorder: Recorder::new(ledger.clone(), Self::NAME),
            projections: projections.clone(),
        }
    }

    async fn expire(&self, approval_id: ApprovalId) -> Result<bool, Error> {
        match self.recorder.record(ExpireApproval { approval_id }).await {
            Ok(expired) => {
                if expired {
                    tracing::info!(approval.id = %approval_id, "approval expired");
                }
                Ok(expired)
            }
            // Decided, cancelled or expired by somebody else in the meantime.
            Err(ledger::Error::Rejected(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Expires what is overdue; how long to sleep after that.
    async fn look(&self) -> Result<Duration, Error> {
        // A question that was asked a moment ago has its deadline before the next look. What the tables
        // show is expired also where they are not kept up.
        let reading = self.projections.caught_up(Self::READS, FOLD_PATIENCE);
        drop(reading.await);
        loop {
            let now = self.recorder.ledger().now();
            let overdue = self.projections.overdue_approvals(now, BATCH).await?;
            let mut expired = false;
            for recorded in join_all(overdue.into_iter().map(|id| self.expire(id))).await {
                expired |= recorded?;
            }
            if !expired {
                break;
            }
            // Otherwise the same ones would be found again at once.
            self.projections
                .caught_up(Self::READS, FOLD_PATIENCE)
                .await?;
        }
        let ledger = self.recorder.ledger();
        let longest = LONGEST_SLEEP.min(ledger.rules().approval_ttl);
        let next = self.projections.next_approval_deadline().await?;
        let sleep = next.map_or(longest, |next| next.since(ledger.now()).min(longest));
        Ok(if sleep.is_zero() {
            SHORTEST_SLEEP
        } else {
            sleep
        })
    }
}

impl Worker for Expirer {
    const NAME: &'static str = "expirer";
    const READS: &'static [Projection] = &[Projection::Tasks];

    async fn run(&mut self, signals: &Signals) -> Result<(), Error> {
        let mut wake = signals.wake.clone();
        loop {
            wake.borrow_and_update();
            let Some(sleep) = signals.stop.run_until_cancelled(self.look()).await else {
                return Ok(());
            };
            let sleep = sleep?;
            signals.pulse.beat();
            tokio::select! {
                () = signals.stop.cancelled() => return Ok(()),
                // The supervisor is gone only together with this task.
                Ok(()) = wake.changed() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }
}
