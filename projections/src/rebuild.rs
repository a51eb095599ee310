//! Making the read tables anew while no service runs.

use crate::error::Error;
use crate::folder::Folder;
use crate::inspect::count_rows;
use crate::opening::{create, make_folder};
use crate::runner::Progress;
use crate::source::Source;
use crate::store::{FolderLock, Place, State, connect_writer, file_of, table_names};

/// The most events that share one transaction.
const BATCH: u64 = 2000;

/// What a rebuild did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildReport {
    /// How many events were folded.
    pub events: u64,
    /// How many rows stand in all tables together.
    pub rows: u64,
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
    let db = connect_writer(&path)?;
    let ours = || table_names().into_iter().map(str::to_owned).collect();
    let before = State::read(&db).map_or_else(ours, |state| state.tables);
    create(&db, ledger_id, &before)?;
    let mut folder = Folder::open(db);
    let source = Source::File(ledger.clone());
    while let Some((from, limit)) = folder.next(Place::Live, total, BATCH) {
        let items = source.items(from, limit).await?;
        folder.fold(from, &items)?;
        on_progress(Progress {
            done: from.saturating_add(u64::try_from(items.len()).unwrap_or(0)),
            total,
        });
    }
    let stopped = folder.folds.iter().find_map(|fold| {
        let stop = fold.stop.clone()?;
        Some((fold.standing.projection, stop))
    });
    if let Some((projection, stop)) = stopped {
        return Err(Error::Stopped { projection, stop });
    }
    let rows = count_rows(&folder.db)?.iter().map(|(_, rows)| rows).sum();
    drop(folder);
    drop(lock);
    Ok(RebuildReport {
        events: total,
        rows,
    })
}
