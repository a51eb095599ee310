//! What is looked at before a ledger is made.

use crate::error::Error;
use crate::store::{FolderLock, State, connect_inspector, file_of};

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
    let db = connect_inspector(&path)?;
    let _lock = FolderLock::acquire(&path)?;
    match State::read(&db) {
        None => Ok(()),
        Some(state) => Err(Error::LedgerMissing {
            remembered: state.ledger_id.to_string(),
        }),
    }
}
