//! The inputs that are kept in files: what once broke something, and a few that reach far.

use std::path::PathBuf;

/// Where the inputs of a target stand, one a file.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "fuzz", "corpus", target]
        .iter()
        .collect()
}

/// The inputs of a target, in the order of their names; none where there is no folder.
///
/// # Errors
/// When a file cannot be read.
pub fn read(target: &str) -> std::io::Result<Vec<Vec<u8>>> {
    let folder = folder(target);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    files.iter().map(std::fs::read).collect()
}
