//! Folders and databases: who may read and write them, and whether each has one name.

use super::finding::Finding;
use crate::config::Storage;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CHECK: &str = "files";

/// The folder of each database, the databases, and SQLite's own files beside them.
pub(super) fn look(storage: &Storage) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut folders: Vec<PathBuf> = [&storage.ledger, &storage.read_tables]
        .map(|file| folder_of(file))
        .into();
    folders.dedup();
    for folder in &folders {
        findings.extend(look_at_folder(folder));
    }
    for file in [&storage.ledger, &storage.read_tables] {
        for end in ["", "-wal", "-shm"] {
            findings.extend(look_at_file(&with_end(file, end)));
        }
    }
    if std::fs::metadata(&storage.ledger).is_ok_and(|file| file.nlink() > 1) {
        findings.push(Finding::problem(
            CHECK,
            format!("{} has more names than one", storage.ledger.display()),
            "the next start refuses it: find the others (find -samefile) and remove them",
        ));
    }
    if let Err(problem) = storage.check() {
        findings.push(Finding::problem(
            CHECK,
            problem.to_string(),
            "give the ledger and the read tables a file each",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "only their owner can get at them"));
    }
    findings
}

pub(super) fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The file's name with something behind it.
pub(super) fn with_end(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn look_at_folder(folder: &Path) -> Option<Finding> {
    let shown = folder.display();
    let found = match std::fs::metadata(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Some(Finding::warning(
                CHECK,
                format!("the folder {shown} does not exist"),
                "the first start makes it; if this is not the first, the settings name another folder than before",
            ));
        }
        Err(error) => {
            return Some(Finding::problem(
                CHECK,
                format!("the folder {shown} cannot be looked at: {error}"),
                "run doctor as the service's account, or give that account access",
            ));
        }
    };
    // A sticky folder, such as /tmp, lets nobody rename what is another's.
    let sticky = found.mode() & 0o1000 != 0;
    (found.mode() & 0o022 != 0 && !sticky).then(|| {
        Finding::problem(
            CHECK,
            format!(
                "others may replace files in {shown} (mode {})",
                mode(&found)
            ),
            format!("chmod go-w {shown}"),
        )
    })
}

fn look_at_file(file: &Path) -> Option<Finding> {
    let shown = file.display();
    let found = match std::fs::symlink_metadata(file) {
        Ok(_) => std::fs::metadata(file),
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => Err(error),
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            return Some(Finding::problem(
                CHECK,
                format!("{shown} cannot be looked at: {error}"),
                "run doctor as the service's account, or give that account access",
            ));
        }
    };
    if !found.is_file() {
        return Some(Finding::problem(
            CHECK,
            format!("{shown} is not a file"),
            "LEDGER_URL and DATABASE_URL must each lead to a file",
        ));
    }
    (found.mode() & 0o077 != 0).then(|| {
        Finding::warning(
            CHECK,
            format!("{shown} is open to others (mode {})", mode(&found)),
            format!("chmod 600 {shown}"),
        )
    })
}

fn mode(found: &Metadata) -> String {
    format!("{:04o}", found.mode() & 0o7777)
}
