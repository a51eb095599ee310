//! Records that the deadlines of approvals have passed, and that locks ended them. Decisions see a deadline
//! and a lock by themselves; this lets callbacks and read tables hear of it.

use crate::error::Error;
use crate::recording::Recorder;
use crate::worker::{Signals, Worker};
use futures_util::future::join_all;
use ledger::command::{CancelLocked, ExpireApproval};
use ledger::{ApprovalId, Ledger, Locks};
use projections::{ApprovalFilter, ApprovalStatus, Paging, Projection, Projections};
use std::sync::Arc;
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
    /// The locks whose questions were all cancelled.
    swept: Arc<Locks>,
}

impl Expirer {
    pub(crate) fn new(ledger: &Ledger, projections: &Projections) -> Self {
        Self {
            recorder: Recorder::new(ledger.clone(), Self::NAME),
            projections: projections.clone(),
            swept: Arc::default(),
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

    async fn cancel(&self, approval_id: ApprovalId) -> Result<(), Error> {
        match self.recorder.record(CancelLocked { approval_id }).await {
            Ok(true) => tracing::info!(approval.id = %approval_id, "approval cancelled by a lock"),
            // Not of what is locked, or decided in the meantime.
            Ok(false) | Err(ledger::Error::Rejected(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Cancels what was asked or approved before the newest locks. Nothing is asked under them.
    async fn sweep(&mut self) -> Result<(), Error> {
        let locks = self.recorder.ledger().locks();
        if Arc::ptr_eq(&locks, &self.swept) || locks.is_empty() {
            return Ok(());
        }
        self.projections
            .caught_up(Self::READS, FOLD_PATIENCE)
            .await?;
        for state in [ApprovalStatus::Pending, ApprovalStatus::Approved] {
            let mut after = None;
            loop {
                let paging = Paging {
                    after,
                    limit: BATCH,
                };
                let filter = ApprovalFilter {
                    state: Some(state),
                    ..ApprovalFilter::default()
                };
                let now = self.recorder.ledger().now();
                let page = self.projections.approvals(filter, now, paging).await?;
                let cancelled = page.rows.iter().map(|row| self.cancel(row.id));
                for cancelled in join_all(cancelled).await {
                    cancelled?;
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        self.swept = locks;
        Ok(())
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
        let mut locks = self.recorder.ledger().watch_locks();
        loop {
            wake.borrow_and_update();
            locks.mark_unchanged();
            let looked = async {
                self.sweep().await?;
                self.look().await
            };
            let Some(sleep) = signals.stop.run_until_cancelled(looked).await else {
                return Ok(());
            };
            let sleep = sleep?;
            signals.pulse.beat();
            tokio::select! {
                () = signals.stop.cancelled() => return Ok(()),
                // The supervisor is gone only together with this task.
                Ok(()) = wake.changed() => {}
                Ok(()) = locks.changed() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }
}
