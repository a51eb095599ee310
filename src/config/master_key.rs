//! The key under which secrets are sealed in the ledger: from the environment, or from a file beside
//! the ledger that the first start makes.

use super::parse::{self, Key};
use super::private_file;
use super::problem::Problem;
use super::secret;
use super::sources::Sources;
use super::storage::Storage;
use super::table;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ledger::seal::MASTER_KEY_LEN;
use ledger::{MasterKeys, Random};
use secrecy::zeroize::Zeroizing;
use std::path::{Path, PathBuf};

/// Where the keys come from, before any file was touched.
pub(crate) struct MasterKeySource {
    given: Option<Key>,
    previous: Vec<Key>,
    is_lost: bool,
    file: PathBuf,
    ledger: PathBuf,
}

impl MasterKeySource {
    /// Reads the section; problems are left with `sources`.
    pub(crate) fn read(sources: &mut Sources, storage: &Storage) -> Self {
        let given = sources.given(&table::MASTER_KEY);
        if given
            .as_ref()
            .is_some_and(|key| secret::is_guessable(key.as_slice()))
        {
            secret::weak(
                sources,
                &table::MASTER_KEY,
                "repeats itself or counts up; make one from random bytes (openssl rand -base64 32). Where it was in use, name it \
             in MASTER_KEY_PREVIOUS: what it sealed and proved still opens",
            );
        }
        let previous = sources.list(&table::MASTER_KEY_PREVIOUS);
        let is_lost = sources.read(&table::MASTER_KEY_LOST);
        if is_lost {
            sources.warn(
                &table::MASTER_KEY_LOST,
                "is true: a start goes on although the ledger holds secrets that its keys do not \
                 open; callbacks with those secrets are not delivered",
            );
        }
        Self {
            given,
            previous,
            is_lost,
            file: storage.key_file(),
            ledger: storage.ledger.clone(),
        }
    }

    /// Reads the files' section and this one, for commands that look at a ledger; problems are left with
    /// `sources`.
    pub(crate) fn read_with_storage(sources: &mut Sources) -> Self {
        let storage = Storage::read(sources);
        Self::read(sources, &storage)
    }

    /// The keys, as far as they stand here; none is made.
    pub(crate) fn existing(&self) -> Result<Option<MasterKeys>, Problem> {
        let found = match &self.given {
            Some(given) => Some(given.clone()),
            None => read_file(&self.file)?,
        };
        Ok(found.map(|key| MasterKeys::new(&key, &self.previous)))
    }

    /// Whether the operator has said that an earlier key is gone for good.
    pub(crate) const fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Whether the key stands in (or will be made in) a file, and in which.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.given.is_none().then_some(self.file.as_path())
    }

    /// Looks at what [`MasterKeySource::open`] would use, and makes nothing.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.given.is_some() {
            return Ok(());
        }
        match read_file(&self.file)? {
            Some(_) => Ok(()),
            None => self.refuse_lost_key(),
        }
    }

    /// The keys. Where MASTER_KEY is not set and neither a key file nor a ledger exists yet, the
    /// file is made, readable by its owner alone, and on disk before this returns: what the key
    /// seals must never outlive the key. A crash in between leaves no key file, or a whole one.
    pub(crate) fn open(&self, random: &dyn Random) -> Result<MasterKeys, Problem> {
        if let Some(given) = &self.given {
            return Ok(MasterKeys::new(given, &self.previous));
        }
        let key = match read_file(&self.file)? {
            Some(key) => key,
            None => {
                self.refuse_lost_key()?;
                make_file(&self.file, random)?
            }
        };
        Ok(MasterKeys::new(&key, &self.previous))
    }

    /// A ledger that exists was sealed under a key that existed: making another leaves it with
    /// secrets that nobody can open, so the operator must have said that this is known.
    fn refuse_lost_key(&self) -> Result<(), Problem> {
        let ledger_exists = std::fs::metadata(&self.ledger).is_ok_and(|file| file.len() > 0);
        if !ledger_exists {
            return Ok(());
        }
        // The key that is missing is none of its.
        if ledger_sqlite::is_plainly_foreign(&self.ledger) {
            return Err(Problem::new(
                table::LEDGER_URL.name,
                format!(
                    "leads to {}, which is not a ledger of this software; it is left as it is",
                    self.ledger.display()
                ),
            ));
        }
        if self.is_lost {
            return Ok(());
        }
        Err(Problem::new(
            table::MASTER_KEY.name,
            format!(
                "is not set and {} is missing, but the ledger exists: restore the key file or set \
                 MASTER_KEY to the key this ledger was made with; where it is gone for good, \
                 docs/operations.md says how to go on",
                self.file.display()
            ),
        ))
    }
}

/// `None` when there is no such file.
fn read_file(path: &Path) -> Result<Option<Key>, Problem> {
    let Some(text) = private_file::read(path)? else {
        return Ok(None);
    };
    parse::key(text.trim()).map(Some).map_err(|_| {
        private_file::problem(
            path,
            "does not hold 32 bytes in base64; restore it from a backup",
        )
    })
}

fn make_file(path: &Path, random: &dyn Random) -> Result<Key, Problem> {
    let mut key = Zeroizing::new([0_u8; MASTER_KEY_LEN]);
    random.fill(key.as_mut_slice());
    private_file::make(path, &Zeroizing::new(STANDARD.encode(key.as_slice())))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger_sqlite::SystemRandom;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn source(folder: &Path) -> MasterKeySource {
        let storage = Storage {
            read_tables: folder.join("p.db"),
            ledger: folder.join("p.ledger.db"),
        };
        MasterKeySource {
            given: None,
            previous: Vec::new(),
            is_lost: false,
            file: storage.key_file(),
            ledger: storage.ledger,
        }
    }

    #[test]
    fn the_first_start_makes_a_private_file_and_the_second_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        source(folder.path()).check().unwrap();
        assert!(
            !folder.path().join("p.ledger.db.key").exists(),
            "a check makes nothing"
        );
        let made = source(folder.path()).open(&SystemRandom).unwrap();
        let mode = folder
            .path()
            .join("p.ledger.db.key")
            .metadata()
            .unwrap()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(folder.path().join("p.ledger.db"), b"something").unwrap();
        let read = source(folder.path()).open(&SystemRandom).unwrap();
        assert_eq!(made.current(), read.current());
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        source(folder.path()).open(&SystemRandom).unwrap();
        let path = folder.path().join("p.ledger.db.key");
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let problem = source(folder.path()).open(&SystemRandom).err().unwrap();
            assert!(problem.to_string().contains("chmod 600"), "{problem}");
        }
    }

    #[test]
    fn a_ledger_without_its_key_file_is_not_given_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut header = [0_u8; 100];
        header[..16].copy_from_slice(b"SQLite format 3\0");
        header[68..72].copy_from_slice(b"LPPL");
        std::fs::write(folder.path().join("p.ledger.db"), header).unwrap();
        assert_eq!(
            source(folder.path()).check().unwrap_err().name(),
            "MASTER_KEY"
        );
        assert!(source(folder.path()).open(&SystemRandom).is_err());
        assert!(!folder.path().join("p.ledger.db.key").exists());
    }

    #[test]
    fn a_file_that_is_no_ledger_is_not_taken_for_one_that_lost_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.ledger.db");
        let mut other = [0_u8; 100];
        other[..16].copy_from_slice(b"SQLite format 3\0");
        let mut read_tables = other;
        read_tables[68..72].copy_from_slice(b"LPPR");
        for content in [b"something".as_slice(), &other, &read_tables] {
            std::fs::write(&path, content).unwrap();
            for problem in [
                source(folder.path()).check().unwrap_err(),
                source(folder.path()).open(&SystemRandom).err().unwrap(),
            ] {
                assert_eq!(problem.name(), "LEDGER_URL");
                assert!(!problem.to_string().contains("restore"), "{problem}");
            }
        }
        assert!(!folder.path().join("p.ledger.db.key").exists());
    }

    #[test]
    fn a_key_that_is_said_to_be_lost_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut header = [0_u8; 100];
        header[..16].copy_from_slice(b"SQLite format 3\0");
        header[68..72].copy_from_slice(b"LPPL");
        std::fs::write(folder.path().join("p.ledger.db"), header).unwrap();
        let lost = MasterKeySource {
            is_lost: true,
            ..source(folder.path())
        };
        lost.check().unwrap();
        let made = lost.open(&SystemRandom).unwrap();
        let read = source(folder.path()).open(&SystemRandom).unwrap();
        assert_eq!(made.current(), read.current());
    }

    #[test]
    fn a_torn_key_file_is_refused_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        source(folder.path()).open(&SystemRandom).unwrap();
        let path = folder.path().join("p.ledger.db.key");
        for text in ["", "dG9vIHNob3J0", "!!!"] {
            std::fs::write(&path, text).unwrap();
            let problem = source(folder.path())
                .open(&SystemRandom)
                .err()
                .unwrap()
                .to_string();
            assert!(text.is_empty() || !problem.contains(text), "{problem}");
        }
    }
}
