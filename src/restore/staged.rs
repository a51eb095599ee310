//! A checked copy of a backup, in the ledger's folder and under a name that nobody opens.

use super::owner::{Owner, followed};
use crate::config::as_url;
use crate::known_checkpoint::{KnownCheckpoint, Signer};
use crate::operator::Account;
use anyhow::{Context, ensure};
use ledger::tlog::{Checkpoint, LogOrigin, LogSigner};
use ledger::{Actor, Fork, Origin};
use ledger_sqlite::{CheckedLedger, Reader, SystemClock, SystemRandom, fork_copy, ready_copy};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// It goes when it is not kept.
pub(super) struct Staged {
    copy: NamedTempFile,
    pub(super) reader: Reader,
    pub(super) ledger: CheckedLedger,
    /// Whose checkpoints speak for it.
    pub(super) signer: Option<Signer>,
}

impl Staged {
    /// Copies a backup, which is left as it is, and checks every record of the copy.
    ///
    /// # Errors
    /// A file that is no ledger, or not a sound one, and a disk that has no room for it.
    pub(super) async fn copy_of(backup: &Path, ledger: &Path) -> anyhow::Result<Self> {
        let shown = backup.display();
        ensure!(backup.is_file(), "there is no backup at {shown}");
        ensure!(
            followed(backup) != followed(ledger),
            "{shown} is the ledger itself"
        );
        let ledger = followed(ledger);
        let folder = match ledger.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut prefix = OsString::from(".");
        prefix.push(ledger.file_name().unwrap_or_default());
        prefix.push(".");
        let copy = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(".partial")
            .tempfile_in(folder)
            .with_context(|| format!("a file cannot be made in {}", folder.display()))?;
        let opened = Reader::open(&as_url(backup)).await;
        let opened = opened.with_context(|| format!("{shown} cannot be read"))?;
        opened
            .copy_into(copy.path())
            .await
            .with_context(|| format!("{shown} cannot be copied to {}", folder.display()))?;
        ready_copy(copy.path())
            .await
            .with_context(|| format!("{shown} cannot be used"))?;
        let reader = Reader::open(&as_url(copy.path())).await?;
        let ledger = reader
            .check_all()
            .await
            .with_context(|| format!("{shown} is not sound"))?
            .with_context(|| format!("{shown} holds no event"))?;
        let signer = reader.signing().await?;
        Ok(Self {
            copy,
            reader,
            ledger,
            signer,
        })
    }

    /// Records in the copy that it goes on as another log. Gives what the new key has to sign.
    ///
    /// # Errors
    /// When it must not be recorded.
    pub(super) async fn fork(
        &mut self,
        newest: &KnownCheckpoint,
        origin: &LogOrigin,
        signer: &LogSigner,
        reason: &str,
    ) -> anyhow::Result<Checkpoint> {
        let account = Account::own().context("asking who runs this command")?;
        let (old_origin, old_key) = newest.signer.clone();
        let fork = Fork {
            old_origin,
            old_key,
            newest: newest.note.clone(),
            new_origin: origin.clone(),
            new_key: signer.public(),
            reason: reason.to_owned(),
        };
        let who = Origin {
            actor: Actor::Operator {
                name: account.name().to_owned(),
            },
            request_id: None,
        };
        self.reader.close().await;
        let path = self.copy.path();
        fork_copy(path, fork, who, &SystemClock, &SystemRandom)
            .await
            .context("the ledger cannot go on as another log")
    }

    /// Gives the copy to whom the ledger belongs.
    ///
    /// # Errors
    /// When this account may not.
    pub(super) fn give_to(&self, owner: Owner) -> anyhow::Result<()> {
        owner.give(self.copy.path())
    }

    /// Puts it on disk; from here on it stays.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn keep(self) -> anyhow::Result<PathBuf> {
        self.reader.close().await;
        let synced = || "writing the copy to disk";
        File::open(self.copy.path())
            .and_then(|copy| copy.sync_all())
            .with_context(synced)?;
        let path = self.copy.into_temp_path().keep().with_context(synced)?;
        Ok(path)
    }
}

/// The file's name with something behind it.
pub(super) fn with_end(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}
