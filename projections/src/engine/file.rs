//! Opening the file of the read tables: ours or empty, otherwise refused and left as it is.

use crate::engine::schema::table_names;
use crate::error::Error;
use crate::store::{APPLICATION_ID, FileState, connect, make_private, stored_tables};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;

/// `LPPL`: a ledger of ours.
const LEDGER_APPLICATION_ID: i64 = 0x4C50_504C;

/// How much of the file the folding connection keeps in memory, in KiB.
const WRITER_CACHE_KIB: u32 = 16 * 1024;

/// How long SQLite's log gets before it is copied into the file, in pages of 4 KiB.
const CHECKPOINT_PAGES: u32 = 4096;

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

/// Opens the file to look at it, changing nothing.
pub(crate) fn connect_inspector(path: &Path) -> Result<Connection, Error> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    refuse_foreign(&connection, path)?;
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
    let tables = stored_tables(db)?;
    match application_id {
        APPLICATION_ID => {
            // A table that we did not make is somebody's, and a rebuild must not take it.
            let ours = FileState::read(db).map(|state| state.tables);
            let known = |table: &String| match &ours {
                Some(ours) => ours.contains(table),
                None => table_names().contains(&table.as_str()),
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

/// Objects that neither this software nor SQLite makes: triggers and views, which would run in
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
