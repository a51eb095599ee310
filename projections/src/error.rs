//! Errors of the read tables.

use crate::projection::{Projection, Stop};
use std::path::PathBuf;

/// Errors of this crate. Sources are kept and not repeated in the text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL does not name a SQLite file.
    #[error("{url:?} does not name a SQLite file: expected sqlite://path/to/file.db")]
    InvalidUrl { url: String },
    /// The read tables were to stand in the ledger's own file.
    #[error("{path} is the ledger; the read tables need a file of their own")]
    SameFile { path: PathBuf },
    /// The file holds something else.
    #[error("{path} does not hold our read tables ({found}); it is left as it is")]
    ForeignFile { path: PathBuf, found: String },
    /// Another process folds into this file.
    #[error("another process already folds into these read tables (lock file {path})")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    #[error(
        "the ledger may have been replaced: the read tables belong to ledger {remembered}, this is ledger {found}; put the right ledger back. Deleting the read tables has them made anew, and removes the only sign of it here"
    )]
    OtherLedger {
        /// The ledger that they were folded from.
        remembered: String,
        /// The ledger that was opened.
        found: String,
    },
    /// The read tables were folded from a ledger, and there is none.
    #[error(
        "the read tables were folded from ledger {remembered}, and there is no ledger here; put it back, or check LEDGER_URL and DATABASE_URL"
    )]
    LedgerMissing {
        /// The ledger that they were folded from.
        remembered: String,
    },
    /// The ledger ends before the position up to which it was folded.
    #[error(
        "the ledger may have been rolled back or cut: it has {found} events, but the read tables have already folded {remembered}; put the complete ledger back. Deleting the read tables has them made anew, and removes the only sign of it here: do so only when you restored a backup yourself"
    )]
    LedgerShorter {
        /// How many events the read tables have folded.
        remembered: u64,
        /// How many the ledger has.
        found: u64,
    },
    /// The ledger is not the one that was folded: its past differs.
    #[error(
        "the ledger may have been rewritten: the record at position {position} has hash {found}, but the read tables were folded from one with hash {remembered}; put the right ledger back. Deleting the read tables has them made anew, and removes the only sign of it here"
    )]
    OtherHistory {
        /// The last folded position.
        position: u64,
        /// The hash that the read tables remember.
        remembered: String,
        /// The hash in the ledger.
        found: String,
    },
    /// The ledger's file holds no event.
    #[error("the ledger is empty: there is nothing to fold")]
    EmptyLedger,
    /// An event contradicts what was folded before it. Folding stops here.
    #[error("cannot fold event {position} ({event}): {why}")]
    Unfoldable {
        position: u64,
        /// The event's name.
        event: &'static str,
        /// The difference.
        why: String,
    },
    /// An event is not in a form that this version can read. What needs it stops here.
    #[error("cannot read event {position}: {why}")]
    Unreadable { position: u64, why: String },
    /// The ledger gave other events than those that come next.
    #[error("event {expected} was to come next, not {found}")]
    OutOfOrder { expected: u64, found: u64 },
    /// The projection stopped earlier; nothing newer than that is shown.
    #[error("the projection {projection} has stopped {stop}")]
    Stopped { projection: Projection, stop: Stop },
    /// The runner that folds is gone.
    #[error("nothing is folded any more")]
    Ended,
    /// The request cannot be carried out as things stand.
    #[error("{why}")]
    Refused {
        /// Why nothing was done.
        why: String,
    },
    /// A projection that is read has not reached the ledger's head in time. Asking again is safe.
    #[error("the projection {projection} is {behind} events behind the ledger")]
    Lagging {
        projection: Projection,
        /// How many events are missing.
        behind: u64,
    },
    /// A row does not hold what it should: somebody else wrote to the file.
    #[error(
        "column {column} of {table} does not hold what it should; delete the read tables to have them made anew"
    )]
    Damaged {
        table: &'static str,
        column: &'static str,
    },
    /// A page of the file is not as SQLite wrote it.
    #[error("the read tables' file is damaged: {what}")]
    Pages {
        /// SQLite's message.
        what: String,
    },
    /// Somebody else moved the cursor while we were folding.
    #[error("the cursor is not at {expected} any more: another process folds into this file")]
    CursorMoved { expected: u64 },
    /// The ledger could not be read.
    #[error("the ledger could not be read")]
    Ledger(#[from] ledger::ReadError),
    /// SQLite refused or failed.
    #[error("the read tables' file failed while {doing}")]
    Sqlite {
        /// The step that failed.
        doing: &'static str,
        #[source]
        source: SqliteFailure,
    },
    /// The file system refused or failed.
    #[error("{path} could not be {doing}")]
    File {
        path: PathBuf,
        /// The step that failed: `made`, `opened`, `locked`.
        doing: &'static str,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Names what was being done when the fold's file failed.
    pub(crate) fn sqlite(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |error| Self::Sqlite {
            doing,
            source: SqliteFailure {
                is_damage: error
                    .sqlite_error()
                    // The primary code: SQLITE_CORRUPT or SQLITE_NOTADB.
                    .is_some_and(|error| matches!(error.extended_code & 0xFF, 11 | 26)),
                error: Box::new(error),
            },
        }
    }

    /// True when the file is not what was written to it. Nothing is lost by it: deleted with the files
    /// beside it, it is made anew from the ledger.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Pages { .. } => true,
            Self::Sqlite { source, .. } => source.is_damage,
            _ => false,
        }
    }

    /// True when another try may succeed: the file may be locked, or the disk full, for a while.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self, Self::Sqlite { .. })
    }

    pub(crate) fn on_one_line(&self) -> String {
        ledger::with_sources(self)
    }

    /// Names what was being done when a query of the readers failed.
    pub(crate) fn database(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |error| Self::Sqlite {
            doing,
            source: SqliteFailure {
                is_damage: false,
                error: Box::new(error),
            },
        }
    }
}

/// A failure of SQLite, in the words of its driver.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct SqliteFailure {
    error: Box<dyn std::error::Error + Send + Sync>,
    is_damage: bool,
}
