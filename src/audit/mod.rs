//! Feeding the auditor's verifier from where a ledger can be read.

mod database;
mod groups;
mod service;
mod stored_note;

pub(crate) use database::{MISPLACED, verify_database, verify_file};
pub(crate) use groups::groups_of;
pub(crate) use service::{ServiceSource, SignSubject};
pub(crate) use stored_note::{StoredNote, stored_notes};

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// What a file's first bytes say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Database,
    /// Anything else; what is no bundle is told by whoever reads it as one.
    Bundle,
}

pub(crate) fn kind_of(path: &Path) -> std::io::Result<FileKind> {
    let mut start = Vec::new();
    File::open(path)?.take(16).read_to_end(&mut start)?;
    Ok(match start.as_slice() {
        b"SQLite format 3\0" => FileKind::Database,
        _ => FileKind::Bundle,
    })
}

/// The path with something added to the file's name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
