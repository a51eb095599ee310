//! What crashes and restores leave behind beside the databases.

use super::files::folder_of;
use super::finding::Finding;
use crate::config::Storage;
use crate::restore::{MOVED_ASIDE, is_broken_off};
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
    let mut findings: Vec<Finding> = names
        .iter()
        .filter_map(|name| judge(&folder, name))
        .collect();
    if is_broken_off(storage) {
        findings.push(Finding::warning(
            CHECK,
            "a restore was broken off in the middle",
            "start the service: it finishes the restore first",
        ));
    }
    findings
}

fn judge(folder: &Path, name: &OsString) -> Option<Finding> {
    let text = name.to_str()?;
    let path = folder.join(name);
    let shown = path.display();
    let is_unnamed = text.starts_with('.') && text.contains(".partial");
    if is_unnamed || text.ends_with(".restored") {
        return Some(Finding::warning(
            CHECK,
            format!("{shown} is of a backup or restore that was broken off"),
            format!("while neither runs: rm {shown}"),
        ));
    }
    let is_database = !text.ends_with("-wal") && !text.ends_with("-shm");
    (text.contains(MOVED_ASIDE) && is_database).then(|| {
        Finding::warning(
            CHECK,
            format!("{shown} was moved aside by a restore"),
            "look at it, keep it elsewhere or delete it; nothing here uses it",
        )
    })
}
