//! The writer's side of the file: one connection, one transaction for each commit.

use crate::append::{HeadRow, begin_and_append};
use crate::compaction;
use crate::erasure::{erase, read_first_events};
use crate::error::OpenError;
use crate::failure::database;
use crate::head_mac::{HeadKey, read_data_version, read_head_mac};
use crate::lookup::{read_all_lookups, read_lookups, read_open_streams};
use crate::read::read_stream;
use crate::schema::{connect_writer, rewrite_version};
use crate::tail::{FileHead, check_tail, read_head};
use crate::tree::{append_tree, read_frontier, read_leaves};
use ledger::event::Recorded;
use ledger::storage::{
    Addition, BoxFuture, Head, LookupKey, LookupKind, LookupValues, ReadError, Storage, TakeFirst,
    grow,
};
use ledger::tlog::Frontier;
use ledger::{Error, StreamId, TaskId};
use sqlx::{Connection as _, SqliteConnection, SqlitePool};
use std::path::PathBuf;
use std::time::Instant;

/// How many leaves are filled in at a time; commands wait for no more than these.
const STRETCH: usize = 1024;

/// The file, held by its one writer. Only the system clock's elapsed time and this connection are local to
/// the process; everything else stands in the file.
pub(super) struct SqliteStorage {
    pub(super) path: PathBuf,
    pub(super) connection: SqliteConnection,
    /// Connections of readers, closed before the writer's.
    pub(super) readers: SqlitePool,
    /// As of the last commit.
    pub(super) head: FileHead,
    /// The head once the staged records are committed.
    pub(super) next: Option<FileHead>,
    pub(super) head_key: HeadKey,
    /// The file's data version: another one inside a commit is somebody else's writing.
    pub(super) data_version: i64,
    /// True when the file is still to be written anew after an erasure; then its log is cut.
    pub(super) is_to_compact: bool,
}

impl SqliteStorage {
    async fn write(&mut self, addition: &Addition<'_>) -> Result<(), Error> {
        if addition.removal.is_some() {
            compaction::mark(&self.path)?;
            self.is_to_compact = true;
        }
        let next = self.head.advanced(addition.head);
        let mac = self.head_key.mac(&next);
        let row = HeadRow {
            head: &next,
            mac: Some(&mac),
        };
        self.next = Some(next);
        let found = begin_and_append(&mut self.connection, addition, row).await?;
        if found != self.data_version {
            return Err(Error::WrittenBeside);
        }
        if let Some(removal) = addition.removal {
            erase(&mut self.connection, removal.erased_by, removal.positions).await?;
        }
        Ok(())
    }

    async fn run(&mut self, sql: &'static str, doing: &'static str) -> Result<(), ReadError> {
        let ran = sqlx::query(sql).execute(&mut self.connection).await;
        ran.map(drop).map_err(database(doing))
    }

    /// Refuses to go on where another process has written, as far as the connection that failed can still tell.
    async fn refuse_written_beside(&mut self) -> Result<(), Error> {
        // Only outside of a transaction does it see what others did. There may be none.
        let rolled_back = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
        drop(rolled_back);
        match read_data_version(&mut self.connection).await {
            Ok(found) if found != self.data_version => Err(Error::WrittenBeside),
            // A connection that cannot tell is left; the head is compared after this.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn reopen(&mut self) -> Result<(Head, Frontier), Error> {
        self.next = None;
        self.refuse_written_beside().await?;
        let connected = connect_writer(&self.path).await;
        let mut connection = connected.map_err(OpenError::while_reading)?;
        self.data_version = read_data_version(&mut connection).await?;
        std::mem::swap(&mut connection, &mut self.connection);
        // The old connection may hold an open transaction: closing it rolls that back, and only
        // then does the file show what will stay.
        if let Err(error) = connection.close().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "closing after a failed commit"
            );
        }
        let Some(head) = read_head(&mut self.connection).await? else {
            let what = "the head row is gone".to_owned();
            return Err(ReadError::Damaged { position: 0, what }.into());
        };
        let mac = read_head_mac(&mut self.connection).await?;
        if let Some(why) = self.head_key.check(&head, mac.as_deref()).why_not() {
            let position = head.head.size;
            let what = format!("after a failed commit {why}");
            return Err(ReadError::Damaged { position, what }.into());
        }
        check_tail(&mut self.connection, &head).await?;
        let tree = read_frontier(&mut self.connection).await?;
        self.head = head;
        Ok((head.head, tree))
    }

    async fn fill(&mut self, mut tree: Frontier) -> Result<Frontier, Error> {
        let leaves = read_leaves(&mut self.connection, tree.size(), STRETCH).await?;
        let rows = grow(&mut tree, leaves)?;
        self.run("BEGIN IMMEDIATE", "filling the tree").await?;
        append_tree(&mut self.connection, &rows).await?;
        self.run("COMMIT", "filling the tree").await?;
        Ok(tree)
    }

    /// The file as this leaves it is the one that later commits go on from.
    async fn compact_and_cut(&mut self) -> Result<bool, Error> {
        if read_data_version(&mut self.connection).await? != self.data_version {
            return Err(Error::WrittenBeside);
        }
        let cleaned = self.compact_and_cut_alone().await;
        self.data_version = read_data_version(&mut self.connection).await?;
        cleaned
    }

    async fn compact_and_cut_alone(&mut self) -> Result<bool, Error> {
        if self.is_to_compact {
            let started = Instant::now();
            compaction::compact(&mut self.connection).await?;
            self.is_to_compact = false;
            let duration_ms = started.elapsed().as_millis();
            tracing::info!(
                duration_ms,
                "the ledger's file was written anew after an erasure"
            );
        }
        if !compaction::cut_log(&mut self.connection).await? {
            return Ok(false);
        }
        compaction::unmark(&self.path)?;
        tracing::info!("nothing of what was erased stands in the ledger's files");
        Ok(true)
    }
}

impl Storage for SqliteStorage {
    fn lookups<'a>(
        &'a mut self,
        keys: &'a [LookupKey],
    ) -> BoxFuture<'a, Result<LookupValues, ReadError>> {
        Box::pin(read_lookups(&mut self.connection, keys))
    }

    fn all_lookups(&mut self, kind: LookupKind) -> BoxFuture<'_, Result<LookupValues, ReadError>> {
        Box::pin(read_all_lookups(&mut self.connection, kind))
    }

    fn open_streams(&mut self, task: TaskId) -> BoxFuture<'_, Result<Vec<StreamId>, ReadError>> {
        Box::pin(read_open_streams(&mut self.connection, task))
    }

    fn stream(
        &mut self,
        stream: StreamId,
        size: u64,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, ReadError>> {
        Box::pin(read_stream(&mut self.connection, stream, size))
    }

    fn first_events<'a>(
        &'a mut self,
        from: u64,
        take: TakeFirst<'a>,
    ) -> BoxFuture<'a, Result<u64, ReadError>> {
        Box::pin(read_first_events(&mut self.connection, from, take))
    }

    fn stage<'a>(&'a mut self, addition: &'a Addition<'a>) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.write(addition))
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.run("COMMIT", "committing").await?;
            self.head = self.next.take().unwrap_or(self.head);
            Ok(())
        })
    }

    fn settle(&mut self) -> BoxFuture<'_, Result<(Head, Frontier), Error>> {
        Box::pin(self.reopen())
    }

    fn probe(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { Ok(rewrite_version(&mut self.connection).await?) })
    }

    fn fill_tree(&mut self, tree: Frontier) -> BoxFuture<'_, Result<Frontier, Error>> {
        Box::pin(self.fill(tree))
    }

    fn clean(&mut self) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(self.compact_and_cut())
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            // The last connection to a file copies its write-ahead log into it, and removes the log.
            self.readers.close().await;
            let closed = self.connection.close().await;
            Ok(closed.map_err(database("closing the file"))?)
        })
    }
}
