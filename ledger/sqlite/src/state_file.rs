//! The file that remembers, apart from the ledger, what was signed last.

use crate::durable::replace_file;
use crate::error::OpenError;
use crate::lock::{Held, hold};
use ledger::tlog::{LogKey, LogOrigin, MAX_NOTE_BYTES, Note};
use ledger::{BoxError, CheckpointStore, SignedCheckpoint};
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// The newest checkpoint that may have been seen, as the signed note. Held while this process may sign; the
/// system lets go of it when the process ends.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    _lock: File,
}

impl StateFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock on `<file>.lock`, in the folder as it is behind symbolic links: two processes
    /// that sign from one file would fork the log, and a ledger's own lock tells nothing of copies.
    ///
    /// # Errors
    /// [`OpenError::SigningStateInUse`] while another process holds it, and what the system says.
    pub(super) fn hold(path: PathBuf) -> Result<Self, OpenError> {
        let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
        let file = match (folder, path.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => path.clone(),
        };
        let mut lock = file.into_os_string();
        lock.push(".lock");
        match hold(Path::new(&lock))? {
            Held::Ours(lock) => Ok(Self { path, _lock: lock }),
            Held::Elsewhere { holder } => Err(OpenError::SigningStateInUse { path, holder }),
        }
    }

    /// The content of the file; `None` when there is no file.
    ///
    /// # Errors
    /// A file that cannot be read, or that holds anything but a checkpoint of this log signed by this
    /// key.
    pub(super) fn read(
        &self,
        origin: &LogOrigin,
        key: &LogKey,
    ) -> Result<Option<SignedCheckpoint>, OpenError> {
        let file = |source| OpenError::File {
            path: self.path.clone(),
            doing: "read",
            source,
        };
        let mut text = String::new();
        let limit = u64::try_from(MAX_NOTE_BYTES).unwrap_or(u64::MAX);
        match File::open(&self.path) {
            Ok(open) => open
                .take(limit)
                .read_to_string(&mut text)
                .map_err(file)
                .map(drop)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file(error)),
        }
        let unreadable = |source| OpenError::SigningState {
            path: self.path.clone(),
            source,
        };
        let note: Note = text.parse().map_err(|e| unreadable(From::from(e)))?;
        let signed = SignedCheckpoint::open(note, key, origin).map_err(unreadable)?;
        Ok(Some(signed))
    }

    /// Puts a signed checkpoint on disk. Only then may anybody see it.
    ///
    /// # Errors
    /// What the system says; the signature must not leave.
    pub(super) fn put(&self, signed: &SignedCheckpoint) -> Result<(), OpenError> {
        replace_file(&self.path, signed.note().to_string().as_bytes()).map_err(|source| {
            OpenError::File {
                path: self.path.clone(),
                doing: "written",
                source,
            }
        })
    }
}

impl CheckpointStore for StateFile {
    fn replace(
        &self,
        next: &SignedCheckpoint,
        key: &LogKey,
        ours: [u64; 2],
    ) -> Result<(), BoxError> {
        match self.read(next.checkpoint().origin(), key)? {
            Some(found) if !ours.contains(&found.size()) => {
                let (path, found) = (self.path.clone(), found.size());
                Err(OpenError::SigningStateShared { path, found }.into())
            }
            // One that was removed is put back.
            _ => Ok(self.put(next)?),
        }
    }
}
