//! Opening the file: ours, or empty, or refused.

use super::state::State;
use crate::error::Error;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `LPPR` in the file's header marks it as read tables of ours.
pub(super) const APPLICATION_ID: i64 = 0x4C50_5052;
/// `LPPL`: a ledger of ours.
const LEDGER_APPLICATION_ID: i64 = 0x4C50_504C;

/// Readers at a time; the API and the workers share them.
const READERS: u32 = 8;

/// How much of the file the folding connection keeps in memory, in KiB.
const WRITER_CACHE_KIB: u32 = 16 * 1024;

/// How long a statement waits for a lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 256;

/// How long SQLite's log gets before it is copied into the file, in pages of 4 KiB.
const CHECKPOINT_PAGES: u32 = 4096;

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

/// Opens the file to fold into, making it where it is missing. A file that is
/// neither ours nor empty is refused and left as it is. The caller holds the lock.
pub(crate) fn connect_writer(path: &Path) -> Result<Connection, Error> {
    make_private(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    refuse_foreign(&connection, path)?;
    // Only a file that is ours, or empty, is ever switched to WAL. A crash of the machine may cost
    // the newest batches, which are then folded again. A batch's pages stay in memory, and the log
    // is copied back now and then, not each time.
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL;
             PRAGMA journal_size_limit = 67108864;
             PRAGMA synchronous = NORMAL;
             PRAGMA secure_delete = ON;
             PRAGMA cache_size = -{WRITER_CACHE_KIB};
             PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};"
        ))
        .map_err(Error::sqlite("opening the file"))?;
    Ok(connection)
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

/// Removes a file, if it is there.
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

/// Makes the file where it is missing, for its owner alone: what agents ask for stands in it. SQLite
/// gives its log and its shared memory the same mode.
fn make_private(path: &Path) -> Result<(), Error> {
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
        .map_err(|source| Error::File {
            path: path.to_owned(),
            doing: "made",
            source,
        })
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, Error> {
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

/// A file that is no database at all is as foreign as one of another program.
fn unreadable(path: &Path, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Error::ForeignFile {
            path: path.to_owned(),
            found: "it is not a SQLite database; if it was ours it is damaged: delete it, and it is made anew".to_owned(),
        },
        _ => Error::sqlite("opening the file")(error),
    }
}

/// Opens the file to look at it, changing nothing.
pub(crate) fn connect_inspector(path: &Path) -> Result<Connection, Error> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    refuse_foreign(&connection, path)?;
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

fn refuse_foreign(db: &Connection, path: &Path) -> Result<(), Error> {
    let foreign = |found: String| Error::ForeignFile {
        path: path.to_owned(),
        found,
    };
    let number = |sql: &str| -> Result<i64, Error> {
        db.query_row(sql, [], |row| row.get(0))
            .map_err(|error| unreadable(path, error))
    };
    // As of one moment: a service may be removing replaced tables, and what it notes goes with them.
    let _moment = db
        .unchecked_transaction()
        .map_err(|error| unreadable(path, error))?;
    let application_id = number("PRAGMA application_id")?;
    let tables = table_names(db)?;
    match application_id {
        APPLICATION_ID => {
            // A table that we did not make is somebody's, and a rebuild must not take it.
            let ours = State::read(db).map(|state| state.tables);
            let known = |table: &String| match &ours {
                Some(ours) => ours.contains(table),
                None => super::schema::table_names().contains(&table.as_str()),
            };
            match tables.iter().find(|table| !known(table)) {
                Some(table) => Err(foreign(format!("table {table} is not one of ours"))),
                None => match strange_objects(db)?.first() {
                    Some(object) => Err(foreign(format!("{object} is not one of ours"))),
                    None => Ok(()),
                },
            }
        }
        LEDGER_APPLICATION_ID => Err(foreign("it is a ledger".to_owned())),
        0 => {
            let version = number("PRAGMA user_version")?;
            match tables.first() {
                Some(table) => Err(foreign(format!(
                    "it has a table {table} of another program"
                ))),
                None if version != 0 => Err(foreign(format!("its user version is {version}"))),
                None => Ok(()),
            }
        }
        other => Err(foreign(format!("application id {other:#010x}"))),
    }
}

/// What this software never makes and SQLite never does by itself: triggers and views, which would run in
/// its statements, and names that only SQLite may give.
fn strange_objects(db: &Connection) -> Result<Vec<String>, Error> {
    let failed = || Error::sqlite("reading the file's header");
    let mut query = db
        .prepare_cached(
            "SELECT type || ' ' || name FROM sqlite_schema
             WHERE type NOT IN ('table', 'index')
                OR (name LIKE 'sqlite\\_%' ESCAPE '\\'
                    AND NOT (type = 'index' AND sql IS NULL)
                    AND (type, name) NOT IN (VALUES ('table', 'sqlite_sequence'),
                        ('table', 'sqlite_stat1'), ('table', 'sqlite_stat4')))
             ORDER BY name",
        )
        .map_err(failed())?;
    let rows = query.query_map([], |row| row.get(0)).map_err(failed())?;
    rows.collect::<Result<_, _>>().map_err(failed())
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
