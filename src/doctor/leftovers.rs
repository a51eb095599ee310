//! What crashes and restores leave behind beside the databases.

use super::files::folder_of;
use super::finding::Finding;
use crate::config::Storage;
use std::ffi::OsString;
use std::path::Path;

const CHECK: &str = "leftovers";

/// Files beside the ledger that nothing uses any more.
pub(super) fn look(storage: &Storage) -> Vec<Finding> {
    let folder = folder_of(&storage.ledger);
    let mut names: Vec<OsString> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    names.sort();
    names
        .iter()
        .filter_map(|name| judge(&folder, name))
        .collect()
}

fn judge(folder: &Path, name: &OsString) -> Option<Finding> {
    let text = name.to_str()?;
    let path = folder.join(name);
    let shown = path.display();
    if text.starts_with('.') && text.ends_with(".partial") {
        return Some(Finding::warning(
            CHECK,
            format!("{shown} is of a backup that was broken off"),
            format!("while no backup runs: rm {shown}"),
        ));
    }
    None
}
