//! Files that hold one key: text that only its owner may read.

use super::problem::Problem;
use crate::text_file;
use secrecy::zeroize::Zeroizing;
use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// More than a key file ever holds.
const MOST_BYTES: u64 = 1024;

/// What is wrong with a key file.
pub(super) fn problem(path: &Path, text: &str) -> Problem {
    Problem::new("the key file", format!("{} {text}", path.display()))
}

fn failed(path: &Path, error: &std::io::Error) -> Problem {
    problem(path, &format!("cannot be used: {error}"))
}

/// The text; `None` when there is no such file.
///
/// # Errors
/// A file that is no regular one, that others can use, or that cannot be read.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, Problem> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, &error)),
    };
    let about = file.metadata().map_err(|error| failed(path, &error))?;
    if !about.is_file() {
        return Err(problem(path, "is not a regular file"));
    }
    if about.mode() & 0o077 != 0 {
        return Err(problem(
            path,
            "can be used by others than its owner; chmod 600 it",
        ));
    }
    let text = text_file::read_from(file.take(MOST_BYTES));
    text.map(Some).map_err(|error| failed(path, &error))
}

/// Makes a file of one line, on disk before this returns: what the key makes must never outlive the
/// key. As [`make_whole`].
///
/// # Errors
/// A file that is there already, and what the system says.
pub(super) fn make(path: &Path, line: &str) -> Result<(), Problem> {
    let text = Zeroizing::new(format!("{line}\n"));
    make_whole(path, &text).map_err(|error| failed(path, &error))
}

/// Makes a file that its owner alone may read, on disk before this returns. It gets its name when it is
/// whole: a crash inside leaves no file of that name, or all of it, and perhaps one beside it,
/// `NAME.….new`, which nobody looks at.
///
/// # Errors
/// A file that is there already, and what the system says.
pub(super) fn make_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(".");
    let mut file = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(".new")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    File::open(folder)?.sync_all()
}
