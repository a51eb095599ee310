//! The witnessed checkpoint on disk, beside the ledger: what a restart shows at once, and one more
//! thing that remembers what a ledger that was rolled back has forgotten.

use super::settings::WitnessSettings;
use ledger::tlog::{
    Checkpoint, CheckpointError, Frontier, LogOrigin, MAX_NOTE_BYTES, Note, NoteError,
};
use ledger::{Checkpoints, Ledger, Timestamp};
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// Why a ledger is not the one whose checkpoint was witnessed.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The system refuses.
    #[error("{path} cannot be {doing}")]
    File {
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The policy trusts other logs, so nobody who follows it would trust this one.
    #[error(
        "the witness policy names logs, and this one is not among them: add the line `log {key}`"
    )]
    PolicyOfOtherLog {
        /// This log's key.
        key: String,
    },
    /// It holds no checkpoint that this log has signed.
    #[error("{path} does not hold a checkpoint of this ledger; move it away once you know why")]
    Damaged {
        path: PathBuf,
        #[source]
        source: CheckpointError,
    },
    /// The ledger is shorter than what was witnessed, or another one.
    #[error(
        "{path} holds a witnessed checkpoint of {witnessed} events that this ledger of {found} events \
         does not go on from: it was rolled back or swapped"
    )]
    OtherHistory {
        path: PathBuf,
        witnessed: u64,
        /// The ledger's size.
        found: u64,
    },
    /// The tree cannot be read.
    #[error("the tree cannot be compared with what was witnessed")]
    Ledger(#[source] ledger::ReadError),
}

/// Compares the ledger with the checkpoint that was witnessed last, and publishes that one. Does
/// nothing where the ledger has no checkpoints or none was witnessed.
///
/// # Errors
/// When the ledger does not go on from it: then it must not be served.
pub async fn publish_kept(settings: &WitnessSettings, ledger: &Ledger) -> Result<(), KeptError> {
    let Some(checkpoints) = ledger.checkpoints() else {
        return Ok(());
    };
    let trusted = settings.policy().logs();
    if !trusted.is_empty() && !trusted.iter().any(|log| log.key == *checkpoints.key()) {
        return Err(KeptError::PolicyOfOtherLog {
            key: checkpoints.key().to_string(),
        });
    }
    let path = settings.file();
    let Some(note) = read(path, checkpoints)? else {
        return Ok(());
    };
    let damaged = |source| KeptError::Damaged {
        path: path.clone(),
        source,
    };
    let checkpoint =
        Checkpoint::open(&note, checkpoints.key(), checkpoints.origin()).map_err(damaged)?;
    compare(path, &checkpoint, ledger).await?;
    let report = settings.policy().evaluate(&note);
    let report = report.map_err(|why| damaged(why.into()))?;
    if report.witnessed {
        checkpoints.publish_witnessed(note).map_err(damaged)?;
        let newest = report.cosignatures.iter().map(|by| by.at).max();
        set_gauges(checkpoint.size(), newest.unwrap_or_default());
    } else {
        tracing::warn!(
            size = checkpoint.size(),
            "the checkpoint that was witnessed last is not witnessed by today's policy"
        );
    }
    Ok(())
}

/// Puts a witnessed note on disk, then shows it.
pub(super) async fn keep(
    path: &Path,
    note: Note,
    checkpoints: &Checkpoints,
) -> Result<(), KeptError> {
    let content = note.to_string();
    let to = path.to_owned();
    // Writing to a disk takes as long as it takes.
    let written =
        tokio::task::spawn_blocking(move || ledger_sqlite::replace_file(&to, content.as_bytes()));
    let written = written.await.map_err(io::Error::other).flatten();
    written.map_err(|source| KeptError::File {
        path: path.to_owned(),
        doing: "written",
        source,
    })?;
    checkpoints
        .publish_witnessed(note)
        .map_err(|source| KeptError::Damaged {
            path: path.to_owned(),
            source,
        })
}

/// `None` where there is nothing of this log: no file, or one of the log that this one has forked from.
fn read(path: &Path, checkpoints: &Checkpoints) -> Result<Option<Note>, KeptError> {
    let most = u64::try_from(MAX_NOTE_BYTES).unwrap_or(u64::MAX);
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(most).read_to_string(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(KeptError::File {
                path: path.to_owned(),
                doing: "read",
                source,
            });
        }
    }
    let damaged = |source| KeptError::Damaged {
        path: path.to_owned(),
        source,
    };
    let note: Note = text.parse().map_err(|why: NoteError| damaged(why.into()))?;
    let claimed = Checkpoint::of_unverified(&note).map_err(damaged)?;
    let origin: &LogOrigin = checkpoints.origin();
    if claimed.origin() != origin {
        tracing::warn!(
            file = %path.display(),
            of = %claimed.origin(),
            "the checkpoint that was witnessed last is of another log; it is left out"
        );
        return Ok(None);
    }
    Ok(Some(note))
}

async fn compare(path: &Path, checkpoint: &Checkpoint, ledger: &Ledger) -> Result<(), KeptError> {
    let witnessed = checkpoint.size();
    let found = *ledger.size().borrow();
    let other = || KeptError::OtherHistory {
        path: path.to_owned(),
        witnessed,
        found,
    };
    if witnessed > found {
        return Err(other());
    }
    let tree = Frontier::lookup(witnessed).map_err(|why| KeptError::Ledger(why.into()))?;
    match ledger.log().compute(tree).await {
        Ok(tree) if tree.root() == *checkpoint.root() => Ok(()),
        // Nothing was ever signed over a tree that is not stored.
        Ok(_) | Err(ledger::ReadError::Tree { .. }) => Err(other()),
        Err(error) => Err(KeptError::Ledger(error)),
    }
}

/// Sets the gauges of the newest witnessed checkpoint: its size, and when enough witnesses had
/// cosigned it.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges of events and seconds are exact up to 2^53"
)]
pub(super) fn set_gauges(size: u64, at: Timestamp) {
    metrics::gauge!("ledger_witnessed_size").set(size as f64);
    metrics::gauge!("ledger_witnessed_at_seconds").set(at.as_seconds() as f64);
}
