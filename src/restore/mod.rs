//! Putting a backup in the ledger's place, so that nothing that was signed is ever taken back unsaid.
//!
//! Everything is made ready and checked in files of other names; then one list of renames switches
//! (`renames.rs`). A crash before the list is on disk leaves the old ledger, one after it the new one,
//! once the next start has done the rest of the list. What stood there before is moved aside, never
//! deleted.

mod owner;
mod renames;
mod staged;
mod switch;

use crate::config::{Problems, SigningSource, Storage};
use crate::known_checkpoint::{KnownCheckpoint, Signer};
use anyhow::{Context, bail, ensure};
use ledger::tlog::{LogOrigin, Note};
use ledger_sqlite::{CheckedLedger, Reader, SystemRandom, WriterLock};
use staged::Staged;
use std::path::{Path, PathBuf};
use switch::Switch;

/// Behind the name of what is moved aside; a time follows.
pub(crate) const MOVED_ASIDE: &str = ".before-restore-";

pub(crate) struct Restoration<'r> {
    /// The two files.
    pub(crate) storage: &'r Storage,
    /// The signing key and the newest checkpoint.
    pub(crate) signing: &'r SigningSource,
    pub(crate) backup: &'r Path,
    /// The newest checkpoint that the operator knows of.
    pub(crate) checkpoint: Option<&'r Path>,
    /// Why an older state is gone on from, where it is.
    pub(crate) fork: Option<&'r str>,
}

pub(crate) struct Restored {
    /// The ledger as it stood in the backup.
    pub(crate) ledger: CheckedLedger,
    /// The newest checkpoint that is known of it, and whose it is.
    pub(crate) checkpoint: Option<(LogOrigin, u64)>,
    /// Where what stood there before is now.
    pub(crate) aside: Vec<PathBuf>,
    /// Whether the signing key still has to be put in its place.
    pub(crate) key_is_missing: bool,
    /// How many events the ledger has more that stood there, as far as that can be read.
    pub(crate) left_behind: u64,
}

impl Restoration<'_> {
    /// Checks the backup, readies everything, and switches.
    ///
    /// # Errors
    /// A running service, a backup that is not sound, a backup that does not hold what was signed.
    /// Then nothing has changed.
    pub(crate) async fn carry_out(&self) -> anyhow::Result<Restored> {
        self.storage.prepare().map_err(Problems::from)?;
        let _lock = lock(self.storage)?;
        ensure!(
            !renames::finish(&list(self.storage)).context("an earlier restore was broken off")?,
            "an earlier restore was broken off, and is done now; look with `doctor`, and restore \
             again only if that was not the one you want"
        );
        let staged = Staged::copy_of(self.backup, &self.storage.ledger).await?;
        let signers = self.signers(&staged).await;
        let state = KnownCheckpoint::read(self.signing.state_file(), &signers).context(
            "how far the ledger was signed cannot be read; where that file is damaged, move it away \
             and give the newest checkpoint that anybody knows with --checkpoint FILE",
        )?;
        let given = self.given(&signers)?;
        // The backup may be from before anything was signed, and the ledger that stands here not.
        let was_signed = !self.left(&[], &staged).await.is_empty();
        if state.is_none() && given.is_none() && was_signed {
            bail!(
                "{} is missing, so this machine does not know how far the ledger was signed: give \
                 the newest checkpoint that anybody knows with --checkpoint FILE. Ask those who \
                 watch the ledger for it; the one beside the backup is only the newest of that time",
                self.signing.state_file().display()
            );
        }
        let stood = self.size_of_what_stands().await;
        let size = staged.ledger.size;
        let known: Vec<&KnownCheckpoint> = [&state, &given].into_iter().flatten().collect();
        let newest = known.iter().max_by_key(|known| known.checkpoint.size());
        let missing = self.first_missing(&known, &staged).await?;
        let restored = match (missing, self.fork) {
            (None, None) => self.put(staged, state.as_ref(), newest.copied()).await,
            (None, Some(_)) => bail!(
                "the backup holds everything that is known to have been signed: leave out \
                 --accept-fork"
            ),
            (Some(missing), None) => Err(refused(missing, &staged)),
            (Some(missing), Some(reason)) => {
                let newest = newest.copied().unwrap_or(missing);
                let left = self.left(&known, &staged).await;
                self.put_fork(staged, newest, &left, reason).await
            }
        };
        restored.map(|restored| Restored {
            left_behind: stood.saturating_sub(size),
            ..restored
        })
    }

    /// How many events the ledger has that stands here; 0 where it cannot be read.
    async fn size_of_what_stands(&self) -> u64 {
        match Reader::open(&self.storage.ledger_url()).await {
            Ok(reader) => reader.size().await.unwrap_or(0),
            Err(_) => 0,
        }
    }

    /// Who may have signed what is known: whom the backup names, whom the ledger that stands here
    /// names, and the key that stands here.
    async fn signers(&self, staged: &Staged) -> Vec<Signer> {
        let mut signers = self.left(&[], staged).await;
        signers.extend(self.signing.public());
        signers
    }

    /// Who has signed what a fork does not go on from: none of them may sign the fork, or there would be
    /// two trees of one size under one name.
    async fn left(&self, known: &[&KnownCheckpoint], staged: &Staged) -> Vec<Signer> {
        let mut left: Vec<Signer> = staged.signer.iter().cloned().collect();
        left.extend(known.iter().map(|known| known.signer.clone()));
        // A ledger that cannot be read is one reason to restore.
        if let Ok(reader) = Reader::open(&self.storage.ledger_url()).await {
            left.extend(reader.signing().await.ok().flatten());
        }
        left
    }

    fn given(&self, signers: &[Signer]) -> anyhow::Result<Option<KnownCheckpoint>> {
        let Some(file) = self.checkpoint else {
            return Ok(None);
        };
        let known = KnownCheckpoint::read(file, signers)?;
        known
            .with_context(|| format!("there is no checkpoint at {}", file.display()))
            .map(Some)
    }

    /// The first checkpoint that the backup does not hold, or that is not of its log.
    async fn first_missing<'k>(
        &self,
        known: &[&'k KnownCheckpoint],
        staged: &Staged,
    ) -> anyhow::Result<Option<&'k KnownCheckpoint>> {
        for known in known {
            let same_log = staged
                .signer
                .as_ref()
                .is_none_or(|signer| *signer == known.signer);
            if !same_log || !known.is_in(&staged.reader).await? {
                return Ok(Some(known));
            }
        }
        Ok(None)
    }

    /// The same log goes on. The state is never lowered: it is left, or raised to what was given.
    async fn put(
        &self,
        staged: Staged,
        state: Option<&KnownCheckpoint>,
        newest: Option<&KnownCheckpoint>,
    ) -> anyhow::Result<Restored> {
        let ledger = staged.ledger;
        let signer = staged.signer.clone();
        let mut switch = Switch::begin(self.storage)?;
        if let Some(newest) = newest
            && state.is_none_or(|state| state.checkpoint.size() < newest.checkpoint.size())
        {
            switch.replace(
                self.signing.state_file(),
                newest.note.to_string().as_bytes(),
            )?;
        }
        let aside = switch.carry_out(staged).await?;
        Ok(Restored {
            ledger,
            checkpoint: newest.map(|newest| (newest.signer.0.clone(), newest.checkpoint.size())),
            aside,
            left_behind: 0,
            key_is_missing: signer.is_some_and(|signer| self.signing.public() != Some(signer)),
        })
    }

    /// Another log begins: with a key and an origin of its own, and a first event that names the
    /// newest checkpoint of the one that is left.
    async fn put_fork(
        &self,
        mut staged: Staged,
        newest: &KnownCheckpoint,
        left: &[Signer],
        reason: &str,
    ) -> anyhow::Result<Restored> {
        let ledger = staged.ledger;
        let (signer, key) = self
            .signing
            .for_fork(&newest.signer, left, ledger.size, &SystemRandom)
            .map_err(Problems::from)?;
        let origin = self.signing.origin_of(&signer);
        let checkpoint = staged.fork(newest, &origin, &signer, reason).await?;
        let note: Note = signer.sign_checkpoint(&checkpoint);
        let mut switch = Switch::begin(self.storage)?;
        if let Some(key) = key {
            switch.replace(&self.storage.signing_key_file(), key.as_bytes())?;
        }
        switch.replace(self.signing.state_file(), note.to_string().as_bytes())?;
        let aside = switch.carry_out(staged).await?;
        Ok(Restored {
            ledger,
            checkpoint: Some((origin, checkpoint.size())),
            aside,
            key_is_missing: false,
            left_behind: 0,
        })
    }
}

fn refused(missing: &KnownCheckpoint, staged: &Staged) -> anyhow::Error {
    let (signed, origin) = (missing.checkpoint.size(), &missing.signer.0);
    let size = staged.ledger.size;
    let why = if signed > size {
        format!("the backup ends after {size} events, and {origin} has signed {signed}")
    } else {
        format!("the first {signed} events of the backup are not those that {origin} has signed")
    };
    anyhow::anyhow!(
        "{why}: restore a backup that holds them. Where there is none, going on makes another log, \
         with a key and an origin of its own: --accept-fork --reason TEXT (docs/operations.md)"
    )
}

/// The lock of the ledger's writer.
fn lock(storage: &Storage) -> anyhow::Result<WriterLock> {
    WriterLock::acquire(&storage.ledger).context("a restore needs the service stopped")
}

/// Where a list of renames stands while it is carried out.
fn list(storage: &Storage) -> PathBuf {
    staged::with_end(&storage.ledger, ".restoring")
}

/// Does what a restore that was broken off has left to do. Nothing is locked or touched where there is
/// nothing to do.
///
/// # Errors
/// When another process is at it, or a file cannot be renamed.
pub(crate) fn finish_broken_off(storage: &Storage) -> anyhow::Result<()> {
    let list = list(storage);
    if !list.exists() {
        return Ok(());
    }
    let _lock = WriterLock::acquire(&storage.ledger)?;
    if renames::finish(&list).context("a restore was broken off and cannot be finished")? {
        tracing::warn!("a restore that was broken off is done now");
    }
    Ok(())
}

pub(crate) fn is_broken_off(storage: &Storage) -> bool {
    list(storage).exists()
}
