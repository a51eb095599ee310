//! Checkpoints as they are kept in files.

use anyhow::Context;
use ledger::tlog::{Checkpoint, MAX_NOTE_BYTES, Note};
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// A signed note that claims to be a checkpoint; nobody has verified it.
#[derive(Debug, Clone)]
pub(crate) struct StoredNote {
    pub(crate) note: Note,
    /// How many records it says that it covers.
    pub(crate) size: u64,
}

/// The checkpoints in these files, as far as they are there and of the log that the first of them is of:
/// a file that was left from another log proves nothing. Those of no records, and those that say the
/// same as an earlier one, are left out.
///
/// # Errors
/// When a file cannot be read, or holds something else.
pub(crate) fn stored_notes(files: &[PathBuf]) -> anyhow::Result<Vec<StoredNote>> {
    let mut origin = None;
    let mut notes: Vec<StoredNote> = Vec::new();
    for file in files {
        let Some(note) = read(file)? else { continue };
        let checkpoint = Checkpoint::of_unverified(&note)
            .with_context(|| format!("{} does not hold a checkpoint", file.display()))?;
        let same_log =
            *origin.get_or_insert_with(|| checkpoint.origin().clone()) == *checkpoint.origin();
        let is_new = notes.iter().all(|known| known.note != note);
        if same_log && is_new && checkpoint.size() > 0 {
            let size = checkpoint.size();
            notes.push(StoredNote { note, size });
        }
    }
    Ok(notes)
}

fn read(file: &Path) -> anyhow::Result<Option<Note>> {
    let shown = || format!("reading {}", file.display());
    let mut text = String::new();
    match File::open(file) {
        Ok(open) => open
            .take(u64::try_from(MAX_NOTE_BYTES).unwrap_or(u64::MAX))
            .read_to_string(&mut text)
            .with_context(shown)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(shown),
    };
    let note = text
        .parse()
        .with_context(|| format!("{} does not hold a signed note", file.display()))?;
    Ok(Some(note))
}
