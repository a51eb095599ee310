//! Reads a file's first bytes, without opening it as a database (SQLite's file format, section 1.3).

use crate::schema::APPLICATION_ID;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Where the application id stands, as a big-endian number of four bytes.
const APPLICATION_ID_AT: usize = 68;

/// True when a file plainly is something else than a ledger. One that is missing, empty or unreadable
/// is not; neither is one whose first start broke off, with what makes it a ledger still in SQLite's
/// log. Opening it tells more.
#[must_use]
pub fn is_plainly_foreign(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let Ok(file) = File::open(path) else {
        return false;
    };
    let mut header = Vec::new();
    if file.take(100).read_to_end(&mut header).is_err() || header.is_empty() {
        return false;
    }
    if !header.starts_with(MAGIC) {
        return true;
    }
    let id = header
        .get(APPLICATION_ID_AT..)
        .and_then(|rest| rest.first_chunk())
        .map(|id| i64::from(u32::from_be_bytes(*id)));
    match id {
        Some(0) => !Path::new(&log).exists(),
        Some(id) => id != APPLICATION_ID,
        None => true,
    }
}
