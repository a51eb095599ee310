//! Small files that must be either as they were or as they are meant to be, whatever happens.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Replaces a file's content, or makes the file, readable by its owner alone. When this returns, the
/// new content is on disk under the name. A crash inside leaves the old content, and perhaps a file
/// `NAME.new` beside it, which the next replacement overwrites. One caller at a time for a name.
///
/// # Errors
/// What the system says; then either content may stand there.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(path);
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
