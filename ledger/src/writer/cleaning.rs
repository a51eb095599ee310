//! After an erasure: the bytes leave the storage, between the commands.

use super::Writer;
use crate::error::Error;
use std::time::{Duration, Instant};

/// How long a reader is given before it is asked for again.
const READER: Duration = Duration::from_millis(200);
/// How long after a failure it is tried again: what fails (a full disk) does not pass at once.
const FAILURE: Duration = Duration::from_secs(60);

/// How long after the storage was cleaned an erasure that users cause waits for the next time: each takes as long
/// as writing the whole file, and a key can be stored anew each second.
const OFTEN: Duration = Duration::from_secs(600);

impl Writer {
    /// Notes that something was erased.
    pub(super) fn cleans_after(&mut self, may_wait: bool) {
        let now = Instant::now();
        let due = match self.cleaned_at {
            Some(at) if may_wait => now.max(at + OFTEN),
            _ => now,
        };
        self.clean_at = Some(self.clean_at.map_or(due, |at| at.min(due)));
    }

    /// How long the writer may wait for commands before something is to be cleaned; `None` when nothing is.
    pub(super) fn clean_in(&self) -> Option<Duration> {
        self.clean_at
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Does what is due, if anything is.
    ///
    /// # Errors
    /// When nobody may go on, as after a failed fsync.
    pub(super) async fn clean_some(&mut self) -> Result<(), Error> {
        if self.clean_in() != Some(Duration::ZERO) {
            return Ok(());
        }
        self.clean_at = match self.storage.clean().await {
            Ok(true) => {
                self.cleaned_at = Some(Instant::now());
                None
            }
            Ok(false) => Some(Instant::now() + READER),
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "what was erased may still stand in the ledger's files; it is tried again"
                );
                Some(Instant::now() + FAILURE)
            }
        };
        let clean = self.clean_at.is_none();
        self.shared
            .is_clean
            .send_if_modified(|before| std::mem::replace(before, clean) != clean);
        Ok(())
    }
}
