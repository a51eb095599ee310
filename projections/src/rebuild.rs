//! Making the read tables anew while no service runs, and looking at the file from outside.

use crate::error::Error;
use crate::fold::Folder;
use crate::runner::{BATCH, Progress, make_folder, remake};
use crate::source::Source;
use crate::store::{
    FolderLock, State, connect_writer, file_of, inspect_connection, schema_hash, table_names,
};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

/// What a rebuild did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildReport {
    /// How many events were folded.
    pub events: u64,
    /// How many rows stand in all tables together.
    pub rows: u64,
}

/// Whether the file's tables are those of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// They are.
    Current,
    /// Their definitions have changed: the next start makes them anew.
    Changed,
    /// There are none yet.
    Missing,
}

/// What stands in a file of read tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStatus {
    /// The ledger that they were folded from; `None` when there is nothing in the file.
    pub ledger_id: Option<ledger::LedgerId>,
    /// How many events they hold.
    pub cursor: u64,
    /// Whether they are of this version.
    pub schema: Schema,
    /// Each table and how many rows it has, by name.
    pub tables: Vec<(String, u64)>,
}

/// Drops all read tables and folds the whole ledger again. Refused while a service folds into them.
/// Nothing outside the file changes.
///
/// # Errors
/// When the file is not ours or is in use, and when an event cannot be read or folded: then the
/// tables hold everything before it.
pub async fn rebuild(
    url: &str,
    ledger: &ledger::Reader,
    mut on_progress: impl FnMut(Progress),
) -> Result<RebuildReport, Error> {
    let path = file_of(url)?;
    make_folder(&path)?;
    let lock = FolderLock::acquire(&path)?;
    let ledger_id = ledger.ledger_id().await?.ok_or(Error::EmptyLedger)?;
    let total = ledger.size().await?;
    let mut db = connect_writer(&path).await?;
    let before = State::read(&mut db).await;
    let state = remake(&mut db, ledger_id, before.as_ref()).await?;
    let mut folder = Folder::new(db, state);
    let source = Source::File(ledger.clone());
    while folder.state.cursor < total {
        let left = total.saturating_sub(folder.state.cursor);
        let limit = u32::try_from(left).unwrap_or(BATCH).min(BATCH);
        source.fold_next(&mut folder, limit).await?;
        on_progress(Progress {
            done: folder.state.cursor,
            total,
        });
    }
    let events = folder.state.cursor;
    let mut db = folder.db;
    let rows = count_rows(&mut db)
        .await?
        .iter()
        .map(|(_, rows)| rows)
        .sum();
    db.close()
        .await
        .map_err(Error::database("closing the read tables"))?;
    drop(lock);
    Ok(RebuildReport { events, rows })
}

/// Looks at a file of read tables, changing nothing; a service may be folding into it.
///
/// # Errors
/// When the file is missing, cannot be read or is not ours.
pub async fn inspect(url: &str) -> Result<FileStatus, Error> {
    let path = file_of(url)?;
    let mut db = inspect_connection(&path).await?;
    let status = match State::read(&mut db).await {
        Some(state) => FileStatus {
            ledger_id: Some(state.ledger_id),
            cursor: state.cursor,
            schema: if state.schema_hash == schema_hash() {
                Schema::Current
            } else {
                Schema::Changed
            },
            tables: count_rows(&mut db).await?,
        },
        None => FileStatus {
            ledger_id: None,
            cursor: 0,
            schema: Schema::Missing,
            tables: Vec::new(),
        },
    };
    db.close()
        .await
        .map_err(Error::database("closing the read tables"))?;
    Ok(status)
}

async fn count_rows(db: &mut sqlx::SqliteConnection) -> Result<Vec<(String, u64)>, Error> {
    let failed = || Error::database("counting rows");
    let mut counts = Vec::new();
    let known = table_names();
    for table in crate::store::stored_tables(db).await? {
        // A table that an older version left behind is not counted by a name we do not know.
        if !known.contains(&table.as_str()) {
            continue;
        }
        let row = sqlx::query(AssertSqlSafe(format!("SELECT count(*) FROM \"{table}\"")))
            .fetch_one(&mut *db)
            .await
            .map_err(failed())?;
        let rows: i64 = row.try_get(0).map_err(failed())?;
        counts.push((table, u64::try_from(rows).unwrap_or(0)));
    }
    Ok(counts)
}
