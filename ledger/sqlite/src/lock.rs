//! One writer for each ledger, across processes: an advisory lock on `<ledger>.lock`, beside the file
//! itself: SQLite follows symbolic links, and a ledger that is reached by another name is the same one.
//! A hard link would have a lock of its own, so a file with two names is not opened at all.

use crate::durable::open_own;
use crate::error::OpenError;
use std::fs::{File, TryLockError};
use std::io::{Error as IoError, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Held while this process may write. The system lets go of it when the process ends, however it
/// ends; the file itself stays.
#[derive(Debug)]
pub struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock of the ledger at that path, which need not exist.
    ///
    /// # Errors
    /// [`OpenError::Locked`] while another process holds it, [`OpenError::HardLinked`], and what the system
    /// says of the lock's file.
    pub fn acquire(ledger: &Path) -> Result<Self, OpenError> {
        refuse_hard_links(ledger)?;
        let mut path = followed(ledger).into_os_string();
        path.push(".lock");
        let path = PathBuf::from(path);
        match hold(&path)? {
            Held::Ours(file) => Ok(Self { _file: file }),
            Held::Elsewhere { holder } => Err(OpenError::Locked { path, holder }),
        }
    }
}

/// More than a process's id ever has, in bytes.
const LONGEST_HOLDER: u64 = 32;

/// An advisory lock, asked for.
#[derive(Debug)]
pub(super) enum Held {
    /// It is this process's for as long as the file is open.
    Ours(File),
    /// Somebody else has it.
    Elsewhere {
        /// `, held by process N`, or nothing where that cannot be told.
        holder: String,
    },
}

/// Takes the advisory lock on a file, which is made where it is not there and stays for good, with
/// this process's id in it.
///
/// # Errors
/// What the system says of the file, one that is not this account's, and one with anything in it but a
/// process's id: it would be written over.
pub(super) fn hold(path: &Path) -> Result<Held, OpenError> {
    let failed = |doing| {
        move |source| OpenError::File {
            path: path.to_owned(),
            doing,
            source,
        }
    };
    let mut file = open_own(path).map_err(failed("opened"))?;
    let mut holder = Vec::new();
    (&file)
        .take(LONGEST_HOLDER)
        .read_to_end(&mut holder)
        .map_err(failed("read"))?;
    let holder = String::from_utf8(holder)
        .ok()
        .filter(|text| text.trim().bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| {
            let text = "it is no lock file: it holds more than a process's id";
            failed("used as a lock")(IoError::new(ErrorKind::InvalidData, text))
        })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = match holder.trim() {
                "" => String::new(),
                holder => format!(", held by process {holder}"),
            };
            return Ok(Held::Elsewhere { holder });
        }
        Err(TryLockError::Error(source)) => return Err(failed("locked")(source)),
    }
    file.set_len(0).map_err(failed("written"))?;
    file.rewind().map_err(failed("written"))?;
    write!(file, "{}", std::process::id()).map_err(failed("written"))?;
    Ok(Held::Ours(file))
}

/// SQLite finds its log by the file's name as well: writers under two names would destroy the ledger.
fn refuse_hard_links(ledger: &Path) -> Result<(), OpenError> {
    match std::fs::metadata(ledger) {
        Ok(file) if file.nlink() > 1 => Err(OpenError::HardLinked {
            path: ledger.to_owned(),
            names: file.nlink(),
        }),
        // What cannot be looked at, opening the file will tell.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Where the file is, or will be. What cannot be found out, opening the file will tell.
fn followed(ledger: &Path) -> PathBuf {
    ledger.canonicalize().unwrap_or_else(|_| ledger.to_owned())
}
