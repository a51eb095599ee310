//! What is looked at before a ledger is made.

use crate::error::Error;
use crate::store::{FolderLock, State, file_of, inspect_connection};
use sqlx::Connection as _;

/// Refuses a file of read tables beside which no ledger may be made: a foreign one, one that a
/// process folds into, and one that was folded from a ledger, which is then missing. No file, or an
/// empty one, is fine. Reads only, but for the lock file.
///
/// # Errors
/// [`Error::ForeignFile`], [`Error::InUse`] and [`Error::LedgerMissing`], and a file that cannot be
/// read.
pub async fn refuse_without_ledger(url: &str) -> Result<(), Error> {
    let path = file_of(url)?;
    if !path.exists() {
        return Ok(());
    }
    let mut db = inspect_connection(&path).await?;
    let _lock = FolderLock::acquire(&path)?;
    let state = State::read(&mut db).await;
    db.close()
        .await
        .map_err(Error::database("closing the read tables"))?;
    match state {
        None => Ok(()),
        Some(state) => Err(Error::LedgerMissing {
            remembered: state.ledger_id.to_string(),
        }),
    }
}
