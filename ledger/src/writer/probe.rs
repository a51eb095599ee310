//! After a commit that was lost: whether it can be written again, before anybody asks.
//!
//! Readiness tells of the last commit. Where nobody is sent to a service that is not ready, no other
//! commit would come, and it would never be ready again.

use super::Writer;
use super::commit::Commit;
use crate::error::Error;
use std::time::{Duration, Instant};

/// Between two tries; what fails (a full disk, a lock) does not pass at once.
const PACE: Duration = Duration::from_secs(2);

/// When to try next; never while commits succeed.
#[derive(Debug, Default)]
pub(crate) struct Probe(Option<Instant>);

impl Probe {
    /// A commit was lost.
    pub(super) fn begin(&mut self) {
        self.0 = Some(Instant::now() + PACE);
    }

    /// A commit succeeded.
    pub(super) const fn end(&mut self) {
        self.0 = None;
    }

    /// How long the writer may wait for commands before it tries; `None` when it need not.
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.0
            .map(|at| at.saturating_duration_since(Instant::now()))
    }
}

impl Writer {
    /// Writes something that changes nothing, when that is due. Nothing changes, whatever becomes of it.
    ///
    /// # Errors
    /// When nobody may go on, as after a failed fsync.
    pub(super) async fn probe_some(&mut self) -> Result<(), Error> {
        if self.probe.due_in() != Some(Duration::ZERO) {
            return Ok(());
        }
        let Err(error) = self.storage.probe().await else {
            self.probe.end();
            self.shared.failing.send_replace(None);
            tracing::info!("the ledger can be written again");
            return Ok(());
        };
        self.probe.begin();
        match self.settle(error, self.head).await {
            Commit::Done | Commit::Lost(_) => Ok(()),
            Commit::Fatal(fatal) => Err(fatal),
        }
    }
}
