//! The two SQLite files: the precious ledger and the disposable read tables.

use super::problem::Problem;
use super::sources::Sources;
use super::table;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

pub(crate) struct Storage {
    /// The read tables, which a start may rebuild.
    pub(crate) read_tables: PathBuf,
    /// The ledger, which nothing may ever rebuild over.
    pub(crate) ledger: PathBuf,
}

impl Storage {
    /// Reads the section; problems are left with `sources`.
    pub(crate) fn read(sources: &mut Sources) -> Self {
        let read_tables = sources.read(&table::DATABASE_URL);
        let ledger = sources.given(&table::LEDGER_URL);
        let ledger = ledger.unwrap_or_else(|| beside(&read_tables));
        if normal(&read_tables) == normal(&ledger) {
            sources.problem(
                &table::LEDGER_URL,
                "names the file of DATABASE_URL; the ledger needs a file of its own",
            );
        }
        Self {
            read_tables,
            ledger,
        }
    }

    /// Both files, with the setting of each.
    fn files(&self) -> [(&Path, &'static str); 2] {
        [
            (&self.read_tables, table::DATABASE_URL.name),
            (&self.ledger, table::LEDGER_URL.name),
        ]
    }

    /// Makes the folders of both files; refuses a folder in the place of a file, and two names for one file (a
    /// link).
    pub(crate) fn prepare(&self) -> Result<(), Problem> {
        for (path, name) in self.files() {
            let Some(folder) = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())
            else {
                continue;
            };
            std::fs::create_dir_all(folder).map_err(|error| {
                let text = format!(
                    "lies in {}, which cannot be made: {error}",
                    folder.display()
                );
                Problem::new(name, text)
            })?;
        }
        self.check()
    }

    /// The part of [`Storage::prepare`] that changes nothing.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        for (path, name) in self.files() {
            if path.is_dir() {
                let text = format!("names {}, a folder: name a file in it", path.display());
                return Err(Problem::new(name, text));
            }
        }
        let identity = |path: &Path| {
            std::fs::metadata(path)
                .ok()
                .map(|file| (file.dev(), file.ino()))
        };
        match (identity(&self.read_tables), identity(&self.ledger)) {
            (Some(read_tables), Some(ledger)) if read_tables == ledger => Err(Problem::new(
                table::LEDGER_URL.name,
                "is the same file as DATABASE_URL under another name",
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn read_tables_url(&self) -> String {
        as_url(&self.read_tables)
    }

    /// The ledger's file as a URL.
    pub(crate) fn ledger_url(&self) -> String {
        as_url(&self.ledger)
    }

    /// The socket through which commands reach a running service.
    pub(crate) fn control_socket(&self) -> PathBuf {
        with_suffix(&self.ledger, ".sock")
    }

    /// The file that holds the link by which the first admin is made, while there is none.
    pub(crate) fn first_admin_file(&self) -> PathBuf {
        with_suffix(&self.ledger, ".first-admin")
    }

    /// The file that holds the key of the checkpoints when LEDGER_SIGNING_KEY is not set.
    pub(crate) fn signing_key_file(&self) -> PathBuf {
        with_suffix(&self.ledger, ".signing-key")
    }

    /// The file that holds the newest checkpoint when LEDGER_SIGNING_STATE is not set.
    pub(crate) fn signing_state_file(&self) -> PathBuf {
        with_suffix(&self.ledger, ".signing-state")
    }

    /// The file that holds the newest witnessed checkpoint.
    pub(crate) fn witnessed_file(&self) -> PathBuf {
        with_suffix(&self.ledger, ".witnessed")
    }

    /// The file that holds the master key when MASTER_KEY is not set.
    pub(crate) fn key_file(&self) -> PathBuf {
        with_suffix(&self.ledger, ".key")
    }
}

/// `sqlite://` and a path, as `SQLite` URLs are commonly written.
pub(crate) fn as_url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// `proxy.db` → `proxy.ledger.db`; a name that does not end so keeps all of itself.
fn beside(read_tables: &Path) -> PathBuf {
    let is_database = read_tables.extension().is_some_and(|end| end == "db");
    let stem = if is_database {
        read_tables.file_stem()
    } else {
        read_tables.file_name()
    };
    let mut name = stem.map(OsString::from).unwrap_or_default();
    name.push(".ledger.db");
    read_tables.with_file_name(name)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The path without `.` and `..`, so that two spellings of one name are equal.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::super::parse::database;
    use super::*;

    #[test]
    fn a_url_names_a_file() {
        let named = |text| database(text).unwrap();
        assert_eq!(named("sqlite://data/proxy.db"), Path::new("data/proxy.db"));
        assert_eq!(named("sqlite:///var/lib/p.db"), Path::new("/var/lib/p.db"));
        assert_eq!(named("sqlite:p.db"), Path::new("p.db"));
        assert_eq!(named("sqlite://p.db?mode=rwc"), Path::new("p.db"));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        for text in [
            "",
            "data/proxy.db",
            "postgres://host/db",
            "sqlite://",
            "sqlite://data/",
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite://x?mode=memory",
            "sqlite://x?mode=ro",
            "sqlite://x?cache=shared",
            "sqlite://a%20b.db",
        ] {
            assert!(database(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_ledger_stands_beside_the_read_tables() {
        let derived = |path: &str| beside(Path::new(path));
        assert_eq!(derived("data/proxy.db"), Path::new("data/proxy.ledger.db"));
        assert_eq!(derived("proxy"), Path::new("proxy.ledger.db"));
        assert_eq!(derived("/x/a.sqlite"), Path::new("/x/a.sqlite.ledger.db"));
        assert_eq!(
            derived("/x/a.ledger.db"),
            Path::new("/x/a.ledger.ledger.db")
        );
    }

    #[test]
    fn spellings_of_one_path_are_equal() {
        assert_eq!(
            normal(Path::new("./a/../b/x.db")),
            normal(Path::new("b/./x.db"))
        );
        assert_ne!(normal(Path::new("../x.db")), normal(Path::new("x.db")));
    }

    #[test]
    fn folders_are_made_and_links_to_one_file_refused() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage {
            read_tables: folder.path().join("deep/er/p.db"),
            ledger: folder.path().join("other/l.db"),
        };
        storage.prepare().unwrap();
        std::fs::write(&storage.read_tables, b"").unwrap();
        std::fs::hard_link(&storage.read_tables, &storage.ledger).unwrap();
        assert_eq!(storage.prepare().unwrap_err().name(), "LEDGER_URL");
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let (of, file) = (folder.path().to_owned(), folder.path().join("p.db"));
        let names = [("DATABASE_URL", &of, &file), ("LEDGER_URL", &file, &of)];
        for (name, read_tables, ledger) in names {
            let storage = Storage {
                read_tables: read_tables.clone(),
                ledger: ledger.clone(),
            };
            let problem = storage.check().unwrap_err();
            assert_eq!(problem.name(), name);
            assert!(problem.text().contains("name a file in it"), "{problem}");
        }
    }
}
