//! SQLite's errors as errors of a storage.

use ledger::storage::{ReadError, StorageError, StorageErrorKind};
use tokio::task::JoinError;

/// Names what was being done when the database failed.
pub(super) fn database(doing: &'static str) -> impl FnOnce(sqlx::Error) -> ReadError {
    move |source| {
        let code = source.as_database_error().and_then(|error| error.code());
        let code = code.and_then(|code| code.parse().ok());
        StorageError::new(kind_of(code), doing, source).into()
    }
}

/// Names what was being done when a bulk read failed.
pub(super) fn scan(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> ReadError {
    move |source| {
        let code = source.sqlite_error().map(|error| error.extended_code);
        StorageError::new(kind_of(code), doing, source).into()
    }
}

/// A thread of its own that did not come to its end.
pub(super) fn broke_down(ended: JoinError) -> StorageError {
    StorageError::new(StorageErrorKind::Passing, "checking the whole file", ended)
}

/// The consequence of an extended result code.
fn kind_of(code: Option<i32>) -> StorageErrorKind {
    match code {
        // SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC.
        Some(1034 | 1290) => StorageErrorKind::NotSynced,
        // The primary code: SQLITE_CORRUPT or SQLITE_NOTADB.
        Some(code) if matches!(code & 0xFF, 11 | 26) => StorageErrorKind::Damaged,
        _ => StorageErrorKind::Passing,
    }
}
