//! The keys that stand in files. What the settings say of them is the configuration's part.

use super::finding::Finding;
use crate::config::{SigningSource, Storage};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CHECK: &str = "keys";

/// The mode of each key file.
pub(super) fn look(storage: &Storage, signing: &SigningSource) -> Vec<Finding> {
    let signing_key = signing.key_file().map(PathBuf::from);
    let keys = [
        Some(("the master key", storage.key_file())),
        signing_key.map(|file| ("the signing key", file)),
    ];
    keys.iter()
        .flatten()
        .filter_map(|(name, file)| look_at(name, file))
        .collect()
}

fn look_at(name: &str, file: &Path) -> Option<Finding> {
    let shown = file.display();
    let found = std::fs::metadata(file).ok()?;
    let is_private = found.mode() & 0o077 == 0;
    Some(if is_private {
        Finding::ok(
            CHECK,
            format!("{name} is in {shown}; keep a copy elsewhere"),
        )
    } else {
        let found = format!(
            "{name}, {shown}, is open to others (mode {:04o})",
            found.mode() & 0o7777
        );
        Finding::problem(
            CHECK,
            found,
            format!("chmod 600 {shown}, and replace the key if somebody else may have read it"),
        )
    })
}
