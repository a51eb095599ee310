//! A ledger's own file, or a bundle.

use super::{FileKind, beside, kind_of, stored_notes};
use anyhow::{Context, ensure};
use ledger::audit::{Check, NoteSource, Report, Verifier, VerifyOptions, verify_bundle};
use ledger::tlog::Note;
use ledger::{Scan as _, Scanned};
use ledger_sqlite::RecordScan;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;

/// What is not looked at must not seem to have been.
pub(crate) const MISPLACED: &str =
    "--checkpoint is for a ledger's file; a checkpoint that you kept is --since";

/// Verifies a file, whichever of the two it is. Checkpoints can be given for a ledger's file alone.
///
/// # Errors
/// When the file cannot be read; what is wrong with it is in the report.
pub(crate) fn verify_file(
    path: &Path,
    checkpoints: &[Note],
    options: VerifyOptions,
) -> anyhow::Result<Report> {
    let unreadable = || format!("{} cannot be read", path.display());
    match kind_of(path).with_context(unreadable)? {
        FileKind::Database => verify_database(path, checkpoints, options),
        FileKind::Bundle => {
            ensure!(checkpoints.is_empty(), MISPLACED);
            let file = File::open(path).with_context(unreadable)?;
            verify_bundle(file, &options).with_context(unreadable)
        }
    }
}

/// Verifies a ledger's file as of one moment, whether or not the service runs. The checkpoints are those
/// that are given, or else those that stand beside the file.
///
/// # Errors
/// When the file cannot be read; what is wrong with it is in the report.
pub(crate) fn verify_database(
    path: &Path,
    checkpoints: &[Note],
    options: VerifyOptions,
) -> anyhow::Result<Report> {
    let mut verifier = Verifier::new(options);
    // Before the file is opened: a checkpoint is of records that are there already.
    let stored = if checkpoints.is_empty() {
        let suffixes = [".signing-state", ".witnessed", ".checkpoint"];
        stored_notes(&suffixes.map(|suffix| beside(path, suffix)))?
    } else {
        Vec::new()
    };
    for note in stored.iter().map(|stored| &stored.note).chain(checkpoints) {
        verifier.checkpoint(NoteSource::Stored, &note.to_string(), None);
    }
    let scan = RecordScan::open(path).context("the ledger cannot be read")?;
    scan.for_each(0, i64::MAX.unsigned_abs(), &mut |scanned| {
        match scanned {
            Scanned::Record(record) => verifier.record(&record),
            Scanned::Malformed { position, what } => {
                verifier.unreadable(Some(position), Check::HeaderForm, what);
            }
        }
        ControlFlow::Continue(())
    })
    .context("the ledger cannot be read on")?;
    Ok(verifier.finish())
}
