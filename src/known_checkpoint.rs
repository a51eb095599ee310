//! The checkpoints that are known of a ledger, and whether a copy of it holds what they state.

use anyhow::{Context, bail};
use ledger::tlog::{Checkpoint, Frontier, LogKey, LogOrigin, MAX_NOTE_BYTES, Note};
use ledger_sqlite::Reader;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

pub(crate) type Signer = (LogOrigin, LogKey);

/// A checkpoint whose signature was verified.
#[derive(Debug, Clone)]
pub(crate) struct KnownCheckpoint {
    pub(crate) note: Note,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) signer: Signer,
}

impl KnownCheckpoint {
    /// What a file holds; `None` when there is no file.
    ///
    /// # Errors
    /// Something else than a checkpoint that one of these has signed.
    pub(crate) fn read(file: &Path, signers: &[Signer]) -> anyhow::Result<Option<Self>> {
        let shown = file.display();
        let mut text = String::new();
        match File::open(file) {
            Ok(open) => open
                .take(u64::try_from(MAX_NOTE_BYTES).unwrap_or(u64::MAX))
                .read_to_string(&mut text)
                .with_context(|| format!("reading {shown}"))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {shown}")),
        };
        let note: Note = text
            .parse()
            .with_context(|| format!("{shown} is not a signed checkpoint"))?;
        let claimed = Checkpoint::of_unverified(&note)
            .with_context(|| format!("{shown} is not a signed checkpoint"))?;
        for signer in signers {
            if let Ok(checkpoint) = Checkpoint::open(&note, &signer.1, &signer.0) {
                return Ok(Some(Self {
                    note,
                    checkpoint,
                    signer: signer.clone(),
                }));
            }
        }
        bail!(
            "{shown} says that it is of {}, and none of the keys that are known here has signed it: \
             those in the backup, in the ledger that stands here, and the signing key",
            claimed.origin()
        )
    }

    /// Whether a ledger goes on from it: at least as long, and the same history up to there.
    ///
    /// # Errors
    /// When the ledger's tree cannot be read.
    pub(crate) async fn is_in(&self, ledger: &Reader) -> anyhow::Result<bool> {
        let size = self.checkpoint.size();
        if size > ledger.size().await? {
            return Ok(false);
        }
        let tree = ledger.compute(Frontier::lookup(size)?).await?;
        Ok(tree.root() == *self.checkpoint.root())
    }
}
