//! The owner of restored files: root may run a restore, and the service's account has to open them.

use anyhow::Context;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// The account that the ledger belongs to: that of the file that stands there, or of its folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    /// Looks whose the ledger is.
    ///
    /// # Errors
    /// When neither file nor folder can be looked at.
    pub(super) fn of(ledger: &Path) -> anyhow::Result<Self> {
        let ledger = followed(ledger);
        let found = std::fs::metadata(&ledger).or_else(|error| match ledger.parent() {
            Some(folder) => std::fs::metadata(folder),
            None => Err(error),
        });
        let found = found.context("looking whose the ledger is")?;
        Ok(Self {
            uid: found.uid(),
            gid: found.gid(),
        })
    }

    /// Gives it a file; one that is its own already is left alone.
    ///
    /// # Errors
    /// When this account may not: then the service could not open the file either.
    pub(super) fn give(self, file: &Path) -> anyhow::Result<()> {
        let found = std::fs::metadata(file)?;
        if found.uid() == self.uid {
            return Ok(());
        }
        chown(file, Some(self.uid), Some(self.gid)).with_context(|| {
            format!(
                "{} cannot be given to the service's account (uid {}): run this command as that \
                 account or as root",
                file.display(),
                self.uid
            )
        })
    }
}

pub(super) fn followed(file: &Path) -> PathBuf {
    file.canonicalize()
        .or_else(|_| std::path::absolute(file))
        .unwrap_or_else(|_| file.to_owned())
}
