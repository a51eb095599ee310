//! Small files that must be either as they were or as they are meant to be, whatever happens.

use rustix::fs::OFlags;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Replaces a file's content, or makes the file, readable by its owner alone. When this returns, the
/// new content is on disk under the name. A crash inside leaves the old content, and perhaps a file
/// `NAME.new` beside it, which the next replacement removes. One caller at a time for a name.
///
/// # Errors
/// What the system says; then either content may stand there.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(path);
    name.push(".new");
    let new = PathBuf::from(name);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A new file, so that a symbolic link that was put there in between is not written through.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Makes a database's file where it is missing, for its owner alone: the words of agents stand in it. SQLite
/// gives its log and its shared memory the same mode. A crash right after leaves an empty file, which the
/// next start takes as its own.
///
/// # Errors
/// The system's, of making it.
pub fn make_private(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// Opens a small file of this software's own (a lock, a mark) to read and write, or makes it, readable
/// by its owner alone. Nothing of it is changed.
///
/// # Errors
/// What the system says, and a file that somebody else may have put there: a symbolic link, anything
/// but a regular file, one with a second name, one of another account. Written to, it could be any
/// file of this account.
pub fn open_own(path: &Path) -> io::Result<File> {
    // Without waiting for whoever reads a pipe of that name.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| {
            match error
                .raw_os_error()
                .map(rustix::io::Errno::from_raw_os_error)
            {
                Some(rustix::io::Errno::LOOP) => foreign("it is a symbolic link"),
                _ => error,
            }
        })?;
    let about = file.metadata()?;
    let account = rustix::process::geteuid();
    if !about.is_file() {
        return Err(foreign("it is not a regular file"));
    }
    if about.nlink() != 1 {
        return Err(foreign("it has more names than one (hard links)"));
    }
    if about.uid() != account.as_raw() && !account.is_root() {
        return Err(foreign("it belongs to another account"));
    }
    Ok(file)
}

fn foreign(what: &str) -> io::Error {
    let text = format!("{what}; find out who put it there, and remove it");
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_somebody_put_in_the_place_of_an_own_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("dear"), "dear").unwrap();
        symlink(path("dear"), path("link")).unwrap();
        symlink(path("nowhere"), path("dangling")).unwrap();
        std::fs::hard_link(path("dear"), path("second")).unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        for name in ["link", "dangling", "second", "folder"] {
            open_own(&path(name)).unwrap_err();
        }
        assert!(!path("nowhere").exists());
        assert_eq!(std::fs::read_to_string(path("dear")).unwrap(), "dear");
        let made = open_own(&path("own")).unwrap();
        assert_eq!(made.metadata().unwrap().mode() & 0o777, 0o600);
        open_own(&path("own")).unwrap();
    }

    #[test]
    fn a_replacement_is_not_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("dear"), "dear").unwrap();
        symlink(path("dear"), path("state.new")).unwrap();
        replace_file(&path("state"), b"1").unwrap();
        replace_file(&path("state"), b"2").unwrap();
        assert_eq!(std::fs::read_to_string(path("dear")).unwrap(), "dear");
        assert_eq!(std::fs::read_to_string(path("state")).unwrap(), "2");
        assert!(!path("state").is_symlink());
    }
}
