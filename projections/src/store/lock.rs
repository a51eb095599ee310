//! One process folds into a file at a time: an advisory lock on
//! `<read tables>.fold.lock` (a ledger's own lock has another name), symbolic links followed.

use crate::error::Error;
use ledger_sqlite::open_own;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Held while this process may fold. The system lets go of it when the process ends, however it
/// ends; the file itself stays.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub(crate) fn acquire(read_tables: &Path) -> Result<Self, Error> {
        let file = read_tables.canonicalize();
        let mut path = file
            .unwrap_or_else(|_| read_tables.to_owned())
            .into_os_string();
        path.push(".fold.lock");
        let path = PathBuf::from(path);
        let failed = |doing, source| Error::File {
            path: path.clone(),
            doing,
            source,
        };
        let file = open_own(&path).map_err(|source| failed("opened", source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { path }),
            Err(TryLockError::Error(source)) => Err(failed("locked", source)),
        }
    }
}
