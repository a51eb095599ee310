//! Making sure that neither the file nor SQLite's log holds what was erased.
//!
//! A deleted row leaves zeros, but rows move when SQLite balances its pages, and earlier versions left
//! what had moved behind. So the file is written anew without the gaps, and the log is cut.
//!
//! A mark beside the ledger, `<ledger>.erasing`, is made before an erasure commits and goes when the
//! bytes are gone: whatever a crash leaves behind, the next start finishes.

use crate::durable::open_own;
use crate::failure::database;
use ledger::storage::{ReadError, StorageError, StorageErrorKind};
use sqlx::{Row as _, SqliteConnection};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

fn mark_of(ledger: &Path) -> PathBuf {
    let mut mark = ledger.as_os_str().to_owned();
    mark.push(".erasing");
    PathBuf::from(mark)
}

/// True when bytes of an erasure may still stand in the files.
pub(super) fn is_marked(ledger: &Path) -> bool {
    mark_of(ledger).exists()
}

/// Durable when it returns.
pub(super) fn mark(ledger: &Path) -> Result<(), ReadError> {
    let mark = mark_of(ledger);
    let made = || -> io::Result<()> {
        open_own(&mark)?.sync_all()?;
        match mark.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    };
    made().map_err(failed("marking that bytes are to be erased"))
}

/// Takes the mark away. One that comes back after a crash costs the next start some work and no more.
pub(super) fn unmark(ledger: &Path) -> Result<(), ReadError> {
    match std::fs::remove_file(mark_of(ledger)) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed(
            "noting that nothing of what was erased is left",
        )(source)),
        _ => Ok(()),
    }
}

fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> ReadError {
    move |source| StorageError::new(StorageErrorKind::Passing, doing, source).into()
}

/// Writes the file anew, with nothing in it but its rows. Takes the time and, until the log is cut,
/// the room of the whole file once more; others can read meanwhile.
pub(super) async fn compact(connection: &mut SqliteConnection) -> Result<(), ReadError> {
    let failed = || database("writing the file anew after an erasure");
    // The new file is a temporary one at first, as large as the ledger: not in memory.
    sqlx::query("PRAGMA temp_store = FILE")
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
    let written = sqlx::query("VACUUM").execute(&mut *connection).await;
    sqlx::query("PRAGMA temp_store = MEMORY")
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
    written.map(drop).map_err(failed())
}

/// Copies SQLite's log into the file and cuts it to nothing; `false` while a reader holds it.
pub(super) async fn cut_log(connection: &mut SqliteConnection) -> Result<bool, ReadError> {
    let failed = || database("cutting SQLite's log after an erasure");
    // Commands wait for this: a reader that takes its time is asked again later instead.
    sqlx::query("PRAGMA busy_timeout = 20")
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
    let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed());
    sqlx::query("PRAGMA busy_timeout = 5000")
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
    let busy: i64 = row?.try_get(0).map_err(failed())?;
    Ok(busy == 0)
}
