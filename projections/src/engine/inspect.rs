//! A look at a file of read tables from outside.

use crate::engine::file::connect_inspector;
use crate::engine::schema::{schema_hash, table_names};
use crate::error::Error;
use crate::moment;
use crate::projection::Projection;
use crate::projections::{DEPTHS, Depths};
use crate::store::{FileState, ProjectionState, ProjectorLock, TableSet, file_of, stored_tables};
use ledger::Timestamp;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// The version of the tables, beside that of this software.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    Current,
    /// Their definitions have changed: the next start makes them anew.
    Changed,
    /// There are none yet.
    Missing,
}

/// The content of a file of read tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStatus {
    /// The ledger that they were folded from; `None` when there is nothing in the file.
    pub ledger_id: Option<ledger::LedgerId>,
    /// How many events all of them hold.
    pub cursor: u64,
    pub schema: Schema,
    pub projections: Vec<ProjectionFile>,
    /// Each table and how many rows it has, by name.
    pub tables: Vec<(String, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectionFile {
    pub projection: Projection,
    /// How many events it holds.
    pub cursor: u64,
    /// The version of its tables.
    pub schema: Schema,
    /// How many events are folded into the tables that are being made beside, where some are.
    pub rebuilding: Option<u64>,
}

/// Looks at a file of read tables, changing nothing; a service may be folding into it.
///
/// # Errors
/// When the file is missing, cannot be read or is not ours.
pub async fn inspect(url: &str) -> Result<FileStatus, Error> {
    let path = file_of(url)?;
    let looked = tokio::task::spawn_blocking(move || look(&connect_inspector(&path)?));
    looked.await.map_err(|_| Error::Ended)?
}

/// Queue lengths and deciders, from a file of this version's read tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attention {
    pub depths: Depths,
    /// Principals with a passkey that was not revoked. The user that one belongs to may be disabled.
    pub deciders: BTreeSet<String>,
    /// The kinds of the locks in force, the newest first.
    pub locks: Vec<String>,
}

/// Reads what waits for somebody, changing nothing; a service may be folding into the file.
///
/// # Errors
/// As [`inspect`], and where the tables are of another version.
pub async fn attention(url: &str, now: Timestamp) -> Result<Attention, Error> {
    let path = file_of(url)?;
    let read = tokio::task::spawn_blocking(move || read_attention(&connect_inspector(&path)?, now));
    read.await.map_err(|_| Error::Ended)?
}

fn read_attention(db: &Connection, now: Timestamp) -> Result<Attention, Error> {
    let failed = || Error::sqlite("reading what waits");
    let depths = db.query_row(DEPTHS, [], |row| Depths::of_row(|at| row.get(at)));
    let sql =
        "SELECT DISTINCT approver_principal FROM approver_credentials WHERE status = 'active'";
    let mut deciders = db.prepare(sql).map_err(failed())?;
    let deciders = deciders.query_map([], |row| row.get(0)).map_err(failed())?;
    let sql = "SELECT kind FROM locks WHERE lifted_at IS NULL AND (until IS NULL OR until > ?)
               ORDER BY position DESC";
    let mut locks = db.prepare(sql).map_err(failed())?;
    let locks = locks.query_map([moment::to_text(now)], |row| row.get(0));
    let locks = locks.map_err(failed())?;
    Ok(Attention {
        locks: locks.collect::<Result<_, _>>().map_err(failed())?,
        depths: depths.map_err(failed())?,
        deciders: deciders.collect::<Result<_, _>>().map_err(failed())?,
    })
}

/// Has SQLite check every page of the file, changing nothing. Reads the whole file.
///
/// # Errors
/// [`Error::Pages`] with the first page that is not sound, and as [`inspect`].
pub async fn check_pages(url: &str) -> Result<(), Error> {
    let path = file_of(url)?;
    let checked = tokio::task::spawn_blocking(move || {
        let what: String = connect_inspector(&path)?
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(Error::sqlite("checking the file's pages"))?;
        if what == "ok" {
            return Ok(());
        }
        Err(Error::Pages { what })
    });
    checked.await.map_err(|_| Error::Ended)?
}

/// Refuses a file of read tables beside which no ledger may be made: a foreign one, one that a
/// process folds into, and one that was folded from a ledger, which is then missing. No file, or an
/// empty one, is fine. Reads only, but for the lock file.
///
/// # Errors
/// [`Error::ForeignFile`], [`Error::InUse`] and [`Error::LedgerMissing`], and a file that cannot be
/// read.
pub async fn refuse_without_ledger(url: &str) -> Result<(), Error> {
    let path = file_of(url)?;
    if !path.exists() {
        return Ok(());
    }
    let db = connect_inspector(&path)?;
    let _lock = ProjectorLock::acquire(&path)?;
    match FileState::read(&db) {
        None => Ok(()),
        Some(state) => Err(Error::LedgerMissing {
            remembered: state.ledger_id.to_string(),
        }),
    }
}

fn look(db: &Connection) -> Result<FileStatus, Error> {
    let state = FileState::read(db);
    let Some(FileState { ledger_id, .. }) = state else {
        return Ok(FileStatus {
            ledger_id: None,
            cursor: 0,
            schema: Schema::Missing,
            projections: Vec::new(),
            tables: Vec::new(),
        });
    };
    let projections = Projection::ALL.map(|projection| look_at(db, projection));
    let schemas = projections.iter().map(|one| one.schema);
    Ok(FileStatus {
        ledger_id: Some(ledger_id),
        cursor: projections.iter().map(|one| one.cursor).min().unwrap_or(0),
        schema: schemas
            .into_iter()
            .find(|schema| *schema != Schema::Current)
            .map_or(Schema::Current, |_| Schema::Changed),
        projections: projections.to_vec(),
        tables: count_rows(db)?,
    })
}

fn look_at(db: &Connection, projection: Projection) -> ProjectionFile {
    let live = ProjectionState::read(db, projection, TableSet::Live);
    let next = ProjectionState::read(db, projection, TableSet::Next);
    ProjectionFile {
        projection,
        cursor: live.as_ref().map_or(0, |live| live.cursor),
        schema: match live {
            Some(live) if live.schema_hash == schema_hash(projection) => Schema::Current,
            Some(_) => Schema::Changed,
            None => Schema::Missing,
        },
        rebuilding: next.map(|next| next.cursor),
    }
}

/// How many rows each table in use has.
pub(crate) fn count_rows(db: &Connection) -> Result<Vec<(String, u64)>, Error> {
    let mut counts = Vec::new();
    let known = table_names();
    for table in stored_tables(db)? {
        // Tables that are made beside or are left over are not counted.
        if !known.contains(&table.as_str()) {
            continue;
        }
        let sql = format!("SELECT count(*) FROM \"{table}\"");
        let rows: i64 = db
            .query_row(&sql, [], |row| row.get(0))
            .map_err(Error::sqlite("counting rows"))?;
        counts.push((table, u64::try_from(rows).unwrap_or(0)));
    }
    Ok(counts)
}
