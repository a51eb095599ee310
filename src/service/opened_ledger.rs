//! The ledger with its keys and its writer's task.

use super::rules::rules;
use crate::config::{Config, Problems};
use crate::restore::finish_broken_off;
use anyhow::Context;
use ledger::{Ledger, MasterKeys, WriterTask};
use ledger_sqlite::{LedgerOptions, SystemRandom, Unproven};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;

/// How long the writer may take to finish what it was given.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open ledger; this process is its one writer.
pub(crate) struct OpenedLedger {
    pub(crate) ledger: Ledger,
    /// Ends with an error when the ledger cannot be written any more; then the process must end.
    pub(crate) writer: WriterTask,
}

impl OpenedLedger {
    /// Opens the ledger of a service, and makes it at the first start. Before anything is made, read
    /// tables are looked at that stand there already: a wrong `DATABASE_URL` must not leave a new
    /// ledger behind. Then the key: a key file is made only while there is no ledger, so that none
    /// is ever made beside secrets that it cannot open.
    ///
    /// # Errors
    /// Files that cannot be made, read tables of others, a key that is missing, and everything that [`Ledger::open`]
    /// refuses: a second writer, damage, a foreign file.
    pub(crate) async fn open_or_make(config: &Config) -> anyhow::Result<Self> {
        finish_broken_off(&config.storage)?;
        config.storage.prepare().map_err(Problems::from)?;
        if !stands(&config.storage.ledger) {
            projections::refuse_without_ledger(&config.storage.read_tables_url())
                .await
                .context("no ledger is made beside these read tables")?;
        }
        let keys = config
            .master_key
            .open(&SystemRandom)
            .map_err(Problems::from)?;
        Self::open(config, keys, Unproven::Refuse).await
    }

    /// Opens a ledger that exists, and takes it as it is where nothing proves it.
    ///
    /// # Errors
    /// As [`OpenedLedger::open_existing`], but for that.
    pub(crate) async fn open_accepting(config: &Config) -> anyhow::Result<Self> {
        finish_broken_off(&config.storage)?;
        refuse_missing(&config.storage.ledger)?;
        let keys = config
            .master_key
            .open(&SystemRandom)
            .map_err(Problems::from)?;
        Self::open(config, keys, Unproven::Accept).await
    }

    /// Opens a ledger that exists.
    ///
    /// # Errors
    /// As [`OpenedLedger::open_or_make`], and where there is none.
    pub(crate) async fn open_existing(config: &Config) -> anyhow::Result<Self> {
        finish_broken_off(&config.storage)?;
        refuse_missing(&config.storage.ledger)?;
        Self::open_or_make(config).await
    }

    async fn open(config: &Config, keys: MasterKeys, unproven: Unproven) -> anyhow::Result<Self> {
        let options = LedgerOptions {
            signing: Some(config.signing.make(Arc::new(SystemRandom))),
            unproven,
            ..LedgerOptions::new(config.storage.ledger_url(), rules(config, keys))
        };
        let (ledger, writer) = ledger_sqlite::open(options).await.map_err(|error| {
            let why = if error.is_damage() {
                "the ledger is damaged; nothing was changed: keep a copy of its files, restore a \
                 backup (docs/operations.md, Storage trouble)"
            } else {
                "the ledger cannot be opened"
            };
            anyhow::Error::from(error).context(why)
        })?;
        Ok(Self { ledger, writer })
    }

    /// Lets go of the last handle and waits for the writer to finish.
    ///
    /// # Errors
    /// When it ended with one, or other handles are still held after 20 s.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        let Self { ledger, writer } = self;
        drop(ledger);
        close_writer(writer).await
    }
}

/// Waits for the writer after the last handle has gone.
///
/// # Errors
/// As [`OpenedLedger::close`].
pub(crate) async fn close_writer(writer: WriterTask) -> anyhow::Result<()> {
    let ended = tokio::time::timeout(PATIENCE, writer).await;
    writer_end(ended.context("something still holds the ledger; what was answered is recorded")?)
}

/// How the writer's task ended.
///
/// # Errors
/// When it panicked, or ended with an error.
pub(crate) fn writer_end(
    ended: Result<Result<(), ledger::Error>, JoinError>,
) -> anyhow::Result<()> {
    ended
        .context("the ledger's writer broke down")?
        .context("the ledger cannot be written any more")
}

/// Refuses a path where no ledger stands, before anything would be made there.
///
/// # Errors
/// No file, or an empty one.
pub(crate) fn refuse_missing(path: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        stands(path),
        "there is no ledger at {}; LEDGER_URL and DATABASE_URL say where it is",
        path.display()
    );
    Ok(())
}

/// Whether there is a ledger: an empty file is none.
fn stands(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() > 0)
}
