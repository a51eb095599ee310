//! The file of the read tables: its path, its connections, its lock. One process folds into it at a time.

use crate::error::Error;
use ledger_sqlite::open_own;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Readers at a time; the API and the workers share them.
const READERS: u32 = 8;

/// How long a statement waits for a lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 256;

/// The file that a `sqlite://` URL names.
pub(crate) fn file_of(url: &str) -> Result<PathBuf, Error> {
    let path = url
        .strip_prefix("sqlite:")
        .map(|path| path.strip_prefix("//").unwrap_or(path))
        .map(|path| path.split('?').next().unwrap_or(path));
    match path {
        Some(path) if !path.is_empty() && !path.starts_with(':') => Ok(PathBuf::from(path)),
        _ => Err(Error::InvalidUrl {
            url: url.to_owned(),
        }),
    }
}

/// How much of a scratch file is kept in memory, in KiB.
const SCRATCH_CACHE_KIB: u32 = 64 * 1024;

/// Makes an empty file that is loaded before anybody uses it: without a log, without waiting for
/// the disk. What stood there is removed.
pub(crate) fn open_scratch(path: &Path) -> Result<Connection, Error> {
    remove_file(path)?;
    make_private(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = OFF;
             PRAGMA synchronous = OFF;
             PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA cache_size = -{SCRATCH_CACHE_KIB};"
        ))
        .map_err(Error::sqlite("opening a scratch file"))?;
    Ok(connection)
}

/// Closes a file without leaving a log of SQLite's beside it, which would be taken for that of the
/// file that takes its place. Refused while somebody else has the file open.
pub(crate) fn leave_log(db: Connection, path: &Path) -> Result<(), Error> {
    let mode = db.query_row("PRAGMA journal_mode = DELETE", [], |row| {
        row.get::<_, String>(0)
    });
    match mode {
        Ok(mode) if mode == "delete" => Ok(()),
        Ok(_) => Err(in_use(path)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            Err(in_use(path))
        }
        Err(error) => Err(Error::sqlite("closing the file")(error)),
    }
}

fn in_use(path: &Path) -> Error {
    Error::Refused {
        why: format!(
            "somebody reads {}: close what has it open (sqlite3, a backup) and try again",
            path.display()
        ),
    }
}

/// Puts a file in the place of another, at once.
pub(crate) fn put_in_place(made: &Path, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::File {
        path: path.to_owned(),
        doing: "replaced",
        source,
    };
    std::fs::rename(made, path).map_err(failed)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed),
        _ => Ok(()),
    }
}

pub(crate) fn remove_file(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::File {
            path: path.to_owned(),
            doing: "removed",
            source,
        }),
        _ => Ok(()),
    }
}

pub(crate) fn make_private(path: &Path) -> Result<(), Error> {
    ledger_sqlite::make_private(path).map_err(|source| Error::File {
        path: path.to_owned(),
        doing: "made",
        source,
    })
}

pub(crate) fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, Error> {
    let failed = || Error::sqlite("opening the file");
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed())?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)
        .and_then(|_| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false))
        .map_err(failed())?;
    connection.busy_timeout(PATIENCE).map_err(failed())?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Opens a pool of connections that only read.
pub(crate) async fn connect_readers(path: &Path) -> Result<SqlitePool, Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(false)
        .busy_timeout(PATIENCE)
        .pragma("trusted_schema", "OFF")
        .statement_cache_capacity(STATEMENTS)
        .read_only(true);
    SqlitePoolOptions::new()
        .max_connections(READERS)
        // A file has no server that would close idle connections, and sqlx's task that looks for them
        // can take a connection between its return and its being counted, and then never ends.
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(Error::database("opening the file to read"))
}

/// The tables that stand in the file, SQLite's own left out.
pub(crate) fn table_names(db: &Connection) -> Result<Vec<String>, Error> {
    let failed = || Error::sqlite("reading the file's header");
    let mut query = db
        .prepare_cached(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')
             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
        )
        .map_err(failed())?;
    let rows = query.query_map([], |row| row.get(0)).map_err(failed())?;
    rows.collect::<Result<_, _>>().map_err(failed())
}

pub(crate) fn in_transaction<T>(
    db: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let failed = || Error::sqlite("changing the read tables");
    db.execute_batch("BEGIN IMMEDIATE").map_err(failed())?;
    let done = work(db).and_then(|done| {
        db.execute_batch("COMMIT").map_err(failed())?;
        Ok(done)
    });
    if done.is_err() {
        // When this fails too, the connection's next BEGIN says so.
        drop(db.execute_batch("ROLLBACK"));
    }
    done
}

/// The advisory lock on `<read tables>.fold.lock`, symbolic links followed: held while this process may fold.
/// The system releases it when the process ends, however it ends; the file itself stays.
#[derive(Debug)]
pub(crate) struct ProjectorLock {
    _file: File,
}

impl ProjectorLock {
    pub(crate) fn acquire(read_tables: &Path) -> Result<Self, Error> {
        let file = read_tables.canonicalize();
        let mut path = file
            .unwrap_or_else(|_| read_tables.to_owned())
            .into_os_string();
        path.push(".fold.lock");
        let path = PathBuf::from(path);
        let failed = |doing, source| Error::File {
            path: path.clone(),
            doing,
            source,
        };
        let file = open_own(&path).map_err(|source| failed("opened", source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { path }),
            Err(TryLockError::Error(source)) => Err(failed("locked", source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What somebody wrote into a schema runs nothing in a connection of ours.
    #[tokio::test]
    async fn no_connection_to_read_tables_trusts_their_schema() {
        const TRUST: &str = "PRAGMA trusted_schema";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        make_private(&path).unwrap();
        let opened = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        let trust: i64 = opened.query_row(TRUST, (), |row| row.get(0)).unwrap();
        assert_eq!(trust, 0);
        let readers = connect_readers(&path).await.unwrap();
        let trust: i64 = sqlx::query_scalar(TRUST).fetch_one(&readers).await.unwrap();
        assert_eq!(trust, 0);
    }
}
