//! After an erasure: the bytes leave the file and SQLite's log, between the commands.

use super::Writer;
use super::commit::is_failed_sync;
use crate::error::Error;
use crate::store::{read_data_version, scrub};
use std::time::{Duration, Instant};

/// How long a reader is given before the log is asked for again.
const READER: Duration = Duration::from_millis(200);
/// How long after a failure it is tried again: what fails (a full disk) does not pass at once.
const FAILURE: Duration = Duration::from_secs(60);

/// What is left to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scrub {
    /// Nothing.
    Clean,
    /// The file is to be written anew, then the log is to be cut.
    Compact(Option<Instant>),
    /// The log is to be cut, as soon as no reader holds it.
    Cut(Option<Instant>),
}

impl Scrub {
    /// How long the writer may wait for commands before something is to be done; `None` when nothing is.
    pub(super) fn due_in(self) -> Option<Duration> {
        match self {
            Self::Clean => None,
            Self::Compact(at) | Self::Cut(at) => Some(at.map_or(Duration::ZERO, |at| {
                at.saturating_duration_since(Instant::now())
            })),
        }
    }
}

impl Writer {
    /// Does what is due, if anything is.
    ///
    /// # Errors
    /// When nobody may go on, as after a failed fsync.
    pub(super) async fn scrub_some(&mut self) -> Result<(), Error> {
        if self.scrub.due_in() != Some(Duration::ZERO) {
            return Ok(());
        }
        match self.scrub_now().await {
            Ok(()) => {}
            Err(error) if is_failed_sync(&error) || matches!(error, Error::WrittenBeside) => {
                return Err(error);
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "what was erased may still stand in the ledger's files; it is tried again"
                );
                let again = Some(Instant::now() + FAILURE);
                self.scrub = match self.scrub {
                    Scrub::Clean => Scrub::Clean,
                    Scrub::Compact(_) => Scrub::Compact(again),
                    Scrub::Cut(_) => Scrub::Cut(again),
                };
            }
        }
        let clean = self.scrub == Scrub::Clean;
        self.shared
            .scrubbed
            .send_if_modified(|scrubbed| std::mem::replace(scrubbed, clean) != clean);
        Ok(())
    }

    /// The file as this leaves it is the one that later commits go on from.
    async fn scrub_now(&mut self) -> Result<(), Error> {
        if read_data_version(&mut self.connection).await? != self.data_version {
            return Err(Error::WrittenBeside);
        }
        let scrubbed = self.compact_and_cut().await;
        self.data_version = read_data_version(&mut self.connection).await?;
        scrubbed
    }

    async fn compact_and_cut(&mut self) -> Result<(), Error> {
        if matches!(self.scrub, Scrub::Compact(_)) {
            let started = Instant::now();
            scrub::compact(&mut self.connection).await?;
            self.scrub = Scrub::Cut(None);
            let duration_ms = started.elapsed().as_millis();
            tracing::info!(
                duration_ms,
                "the ledger's file was written anew after an erasure"
            );
        }
        if !scrub::cut_log(&mut self.connection).await? {
            self.scrub = Scrub::Cut(Some(Instant::now() + READER));
            return Ok(());
        }
        scrub::unmark(&self.path)?;
        self.scrub = Scrub::Clean;
        tracing::info!("nothing of what was erased stands in the ledger's files");
        Ok(())
    }
}
