//! The room on the file system that holds the ledger.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a reading counts. A disk does not fill by more than a floor in this time.
const LIFE: Duration = Duration::from_secs(1);

/// The newest reading.
#[derive(Debug)]
pub(crate) struct FreeSpace {
    folder: PathBuf,
    read: Option<(Instant, Option<u64>)>,
}

impl FreeSpace {
    /// Of the file system with the ledger's folder.
    pub(crate) fn of(ledger: &Path) -> Self {
        Self {
            folder: folder_of(ledger),
            read: None,
        }
    }

    /// Whether there is less than that. What cannot be read stops nothing: a commit would say so.
    pub(crate) fn is_below(&mut self, floor: u64) -> bool {
        if floor == 0 {
            return false;
        }
        let free = match self.read {
            Some((at, free)) if at.elapsed() < LIFE => free,
            _ => {
                let free = bytes_free(&self.folder);
                self.read = Some((Instant::now(), free));
                free
            }
        };
        free.is_some_and(|free| free < floor)
    }
}

/// The folder that a file lies in.
pub(crate) fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Bytes that this process may still write there.
pub(crate) fn bytes_free(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}
