//! Opening the file: ours, or empty, or refused.

use super::state::State;
use crate::error::Error;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Row as _, SqliteConnection, SqlitePool};
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

/// Refuses the ledger's own file, under whatever name, before anything is opened.
pub(crate) fn refuse_ledger(read_tables: &Path, ledger: &Path) -> Result<(), Error> {
    let same = |one: &Path, other: &Path| match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    };
    if same(read_tables, ledger) {
        return Err(Error::SameFile {
            path: read_tables.to_owned(),
        });
    }
    Ok(())
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(false)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(256)
}

/// Opens the file to fold into, making it where it is missing. A file that is
/// neither ours nor empty is refused and left as it is. The caller holds the lock.
pub(crate) async fn connect_writer(path: &Path) -> Result<SqliteConnection, Error> {
    make_private(path)?;
    let mut connection = connect(path, options(path)).await?;
    refuse_foreign(&mut connection, path).await?;
    connection
        .close()
        .await
        .map_err(Error::database("opening the file"))?;
    // Only a file that is ours, or empty, is ever switched to WAL.
    let options = options(path)
        .journal_mode(SqliteJournalMode::Wal)
        // A crash of the machine may cost the newest batches, which are then folded again.
        .synchronous(SqliteSynchronous::Normal)
        // A batch's pages stay in memory, and the log is copied back now and then, not each time.
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string());
    connect(path, options).await
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

async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<SqliteConnection, Error> {
    SqliteConnection::connect_with(&options)
        .await
        .map_err(|error| unreadable(path, error))
}

/// A file that is no database at all is as foreign as one of another program.
fn unreadable(path: &Path, error: sqlx::Error) -> Error {
    /// SQLITE_NOTADB
    const NOT_A_DATABASE: &str = "26";
    match error.as_database_error().and_then(|error| error.code()) {
        Some(code) if code == NOT_A_DATABASE => Error::ForeignFile {
            path: path.to_owned(),
            found: "it is not a SQLite database".to_owned(),
        },
        _ => Error::database("opening the file")(error),
    }
}

/// Opens the file to look at it, changing nothing.
pub(crate) async fn inspect_connection(path: &Path) -> Result<SqliteConnection, Error> {
    let mut connection = connect(path, options(path).read_only(true)).await?;
    refuse_foreign(&mut connection, path).await?;
    Ok(connection)
}

/// Opens a pool of connections that only read.
pub(crate) async fn connect_readers(path: &Path) -> Result<SqlitePool, Error> {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_with(options(path).read_only(true))
        .await
        .map_err(Error::database("opening the file to read"))
}

async fn refuse_foreign(connection: &mut SqliteConnection, path: &Path) -> Result<(), Error> {
    let foreign = |found: String| Error::ForeignFile {
        path: path.to_owned(),
        found,
    };
    let application_id = number(connection, "PRAGMA application_id")
        .await
        .map_err(|error| unreadable(path, error))?;
    let tables = table_names(connection).await?;
    match application_id {
        APPLICATION_ID => {
            // A table that we did not make is somebody's, and a rebuild must not take it.
            let ours = State::read(connection).await.map(|state| state.tables);
            let known = |table: &String| match &ours {
                Some(ours) => ours.contains(table),
                None => super::schema::table_names().contains(&table.as_str()),
            };
            match tables.iter().find(|table| !known(table)) {
                Some(table) => Err(foreign(format!("table {table} is not one of ours"))),
                None => Ok(()),
            }
        }
        LEDGER_APPLICATION_ID => Err(foreign("it is a ledger".to_owned())),
        0 => {
            let version = number(connection, "PRAGMA user_version")
                .await
                .map_err(|error| unreadable(path, error))?;
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

/// The tables that stand in the file, SQLite's own left out.
pub(crate) async fn table_names(connection: &mut SqliteConnection) -> Result<Vec<String>, Error> {
    let failed = || Error::database("reading the file's header");
    let rows = sqlx::query(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )
    .fetch_all(connection)
    .await
    .map_err(failed())?;
    rows.iter()
        .map(|row| row.try_get::<String, _>(0).map_err(failed()))
        .collect()
}

async fn number(connection: &mut SqliteConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
    let row = sqlx::query(sql).fetch_one(connection).await?;
    row.try_get::<i64, _>(0)
}
