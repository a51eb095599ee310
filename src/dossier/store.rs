//! Files that hold what only their reader should see.

use anyhow::Context;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a new file of mode 0600, durably; never over another one. What was written in part is taken
/// away again.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} cannot be made", path.display()))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // What matters is the first error; a file that stays is seen to be incomplete.
        drop(std::fs::remove_file(path));
    }
    written.with_context(|| format!("writing {}", path.display()))
}
