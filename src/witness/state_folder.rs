//! The state of a witness: one file for each log, with the newest checkpoint that it has cosigned.
//!
//! A file holds the log's signed note with the witness's own cosignature on it, so it proves itself: one
//! that is torn, or of another witness, does not verify and stops the start.

use anyhow::{Context, bail, ensure};
use ledger::tlog::{Checkpoint, LogOrigin, MAX_NOTE_BYTES, Note, WitnessKey, Witnessed};
use ledger_sqlite::{open_own, replace_file};
use sha2::{Digest, Sha256};
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Says whose folder it is. Made by `init`, last.
const OWNER: &str = "witness";
const LOCK: &str = "lock";
/// A note of the largest size and one signature line more.
const MOST_FILE_BYTES: usize = MAX_NOTE_BYTES + 4096;

/// The folder, held by this process alone until it ends.
#[derive(Debug)]
pub(crate) struct StateFolder {
    folder: PathBuf,
    key: WitnessKey,
    _lock: File,
}

impl StateFolder {
    /// Makes the folder of a witness that has never cosigned anything.
    ///
    /// # Errors
    /// When something stands in the folder already, or it cannot be written.
    pub(crate) fn init(folder: &Path, key: &WitnessKey) -> anyhow::Result<()> {
        let shown = folder.display();
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
        made.with_context(|| format!("making {shown}"))?;
        let mut entries = std::fs::read_dir(folder).with_context(|| format!("reading {shown}"))?;
        ensure!(
            entries.next().is_none(),
            "{shown} is not empty; a witness begins with an empty folder, once"
        );
        replace_file(&folder.join(OWNER), format!("{key}\n").as_bytes())
            .and_then(|()| sync_folder_of(folder))
            .with_context(|| format!("writing into {shown}"))
    }

    /// Takes the folder for this process.
    ///
    /// # Errors
    /// When [`Self::init`] has not made it, for this key; when another process holds it.
    pub(crate) fn open(folder: &Path, key: WitnessKey) -> anyhow::Result<Self> {
        let shown = folder.display();
        let owner = match std::fs::read_to_string(folder.join(OWNER)) {
            Ok(owner) => owner,
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "{shown} is not the folder of a witness; `witness init` makes one for a new key. A \
                 witness that has lost its folder must not go on under its old key"
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("reading whose folder {shown} is"));
            }
        };
        ensure!(
            owner.trim_end() == key.to_string(),
            "{shown} is the folder of another witness than the one whose key was given"
        );
        Ok(Self {
            folder: folder.to_owned(),
            key,
            _lock: lock(folder)?,
        })
    }

    /// The newest checkpoint of that log that was cosigned, as the file says; `None` before the first.
    ///
    /// # Errors
    /// When the file cannot be read, or is not what this witness wrote.
    pub(crate) fn load(&self, origin: &LogOrigin) -> anyhow::Result<Option<Note>> {
        let name = file_name(origin);
        let path = self.folder.join(&name);
        let text = match read_bounded(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let note = self.verified(&text, origin).with_context(|| {
            format!(
                "{} is damaged; without it nothing of the log {origin} can be cosigned, restore it",
                path.display()
            )
        })?;
        Ok(Some(note))
    }

    /// Makes this the newest checkpoint, durable when it returns.
    ///
    /// # Errors
    /// When that is uncertain: after a crash the file holds this or what it held before, whole.
    pub(crate) fn store(&self, origin: &LogOrigin, note: &Note) -> io::Result<()> {
        let path = self.folder.join(file_name(origin));
        replace_file(&path, note.to_string().as_bytes())
    }

    fn verified(&self, text: &str, origin: &LogOrigin) -> anyhow::Result<Note> {
        let note: Note = text.parse()?;
        let checkpoint = Checkpoint::of_unverified(&note)?;
        ensure!(
            checkpoint.origin() == origin,
            "it is of the log {}",
            checkpoint.origin()
        );
        let cosigned = self.key.cosignature(&note)?;
        ensure!(cosigned.is_some(), "this witness has not cosigned it");
        Ok(note)
    }
}

/// Size and root of a checkpoint that the folder holds.
pub(super) fn witnessed(note: &Note) -> anyhow::Result<Witnessed> {
    let checkpoint = Checkpoint::of_unverified(note)?;
    Ok(Witnessed {
        size: checkpoint.size(),
        root: *checkpoint.root(),
    })
}

/// Makes the names in the folder of `path` durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// A file name for any origin: its digest. The file itself says the origin.
fn file_name(origin: &LogOrigin) -> String {
    let digest = Sha256::digest(origin.as_str().as_bytes());
    format!("{}.checkpoint", hex::encode(digest))
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let most = u64::try_from(MOST_FILE_BYTES).unwrap_or(u64::MAX);
    let mut text = String::new();
    File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

/// Two processes with one key would each cosign from what it remembers.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(LOCK);
    let file = open_own(&path).with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another process is the witness of {} already",
            folder.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("locking {}", path.display()))
        }
    }
}
