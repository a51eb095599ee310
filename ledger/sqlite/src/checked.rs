//! Checking a ledger file without becoming its writer.

use crate::error::OpenError;
use crate::failure::broke_down;
use crate::failure::database;
use crate::read::{Reader, record_of, stream_records};
use crate::schema::{check_schema, refuse_older};
use crate::tail::{FileHead, check_tail, read_head};
use crate::whole::WholeCheck;
use futures_util::TryStreamExt as _;
use ledger::record::RecordHash;
use ledger::seal::MasterKeys;
use ledger::storage::ReadError;
use ledger::{LedgerId, Providers, Timestamp};
use sqlx::{Row as _, SqliteConnection};
use std::sync::Arc;

/// The content of a ledger file whose records were checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedLedger {
    pub ledger_id: LedgerId,
    /// How many records it has: the next position.
    pub size: u64,
    /// The hash of the last record, and so of all.
    pub record_hash: RecordHash,
    /// When the last one was recorded.
    pub newest: Timestamp,
}

impl Reader {
    /// Checks tables and triggers, and the newest records as a start does, those of the last few thousand positions at least:
    /// gapless, each linked to the one before, each payload and the tree as they should be. `None`
    /// where nothing was ever recorded.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] with the first position that is wrong, and what keeps the file from being read.
    pub async fn check_newest(&self) -> Result<Option<CheckedLedger>, OpenError> {
        self.check(|head| head).await
    }

    /// The same from position 0 on. Reads the whole file, in constant memory.
    ///
    /// # Errors
    /// As [`Reader::check_newest`].
    pub async fn check_all(&self) -> Result<Option<CheckedLedger>, OpenError> {
        self.check(|head| head.unchecked()).await
    }

    /// Compares the whole file as a start does: every record, the index of streams, the lookup tables, the
    /// auditor's rules where there are not very many events, and the head's MAC. Gives why the head is not
    /// proven; `None` where it is. The writer goes on meanwhile.
    ///
    /// # Errors
    /// The first thing that is wrong, and what keeps the file from being read.
    pub async fn check_file(
        &self,
        keys: Option<Arc<MasterKeys>>,
        providers: Providers,
    ) -> Result<Option<String>, OpenError> {
        let path = self.path();
        let looked = tokio::task::spawn_blocking(move || WholeCheck::look(path, keys, providers));
        looked
            .await
            .map_err(|ended| ReadError::from(broke_down(ended)))?
    }

    /// Has SQLite check every page of the file, those of its indexes too. Reads the whole file.
    ///
    /// # Errors
    /// [`OpenError::Pages`] with the first page that is not sound, and what keeps the file from being read.
    pub async fn check_pages(&self) -> Result<(), OpenError> {
        let failed = || database("checking the file's pages");
        let row = sqlx::query("PRAGMA quick_check(1)")
            .fetch_one(self.pool())
            .await
            .map_err(failed())?;
        let what: String = row.try_get(0).map_err(failed())?;
        if what == "ok" {
            return Ok(());
        }
        Err(OpenError::Pages { what })
    }

    /// Waits until nothing of this process reads the file any more; for one that is about to be
    /// renamed. Clones read no more either.
    pub async fn close(&self) {
        self.pool().close().await;
    }

    async fn check(
        &self,
        as_of: impl FnOnce(FileHead) -> FileHead + Send,
    ) -> Result<Option<CheckedLedger>, OpenError> {
        // One transaction, so that head and records are of the same moment beside a writer.
        let mut snapshot = self
            .pool()
            .begin()
            .await
            .map_err(database("opening a reader"))?;
        refuse_older(check_schema(&mut snapshot).await?)?;
        let Some(head) = read_head(&mut snapshot).await? else {
            return Ok(None);
        };
        let head = as_of(head);
        check_tail(&mut snapshot, &head).await?;
        Ok(Some(CheckedLedger {
            ledger_id: head.head.ledger_id,
            size: head.head.size,
            record_hash: head.head.record_hash,
            newest: newest_at(&mut snapshot, head.head.size).await?,
        }))
    }
}

/// When the last of that many records was recorded.
pub(super) async fn newest_at(
    connection: &mut SqliteConnection,
    size: u64,
) -> Result<Timestamp, ReadError> {
    let mut rows = stream_records(connection, size.saturating_sub(1));
    let row = rows
        .try_next()
        .await
        .map_err(database("reading the newest event"))?;
    match row {
        Some(row) => Ok(record_of(&row)?.header.recorded_at),
        None => Ok(Timestamp::default()),
    }
}
