//! Opening the file to fold into: made where it is missing, cleaned of what a rebuild left behind,
//! made anew where it was folded for other definitions, refused where its ledger is not this one.

use crate::engine::file::connect_writer;
use crate::engine::projector::Projector;
use crate::engine::schema::{
    create_all, drop_tables, forget_next, left_over, note_tables, remake, schema_hash, table_names,
};
use crate::engine::scratch::remove_left_over;
use crate::error::Error;
use crate::projection::Projection;
use crate::store::{FileState, ProjectionState, ProjectorLock, TableSet, file_of, in_transaction};
use ledger::{Ledger, LedgerId, RecordHash};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// Where the read tables are, and what they are folded from.
pub struct ProjectionOptions {
    /// `sqlite://path/to/file.db`; file and folder are made where they are missing.
    pub url: String,
    pub ledger: ledger::Ledger,
}

/// A file that can be folded into.
pub(crate) struct Opened {
    pub(crate) projector: Projector,
    pub(crate) path: PathBuf,
    pub(crate) lock: ProjectorLock,
}

/// Opens a service's file.
pub(crate) async fn open(options: &ProjectionOptions) -> Result<Opened, Error> {
    let ledger = &options.ledger;
    let path = file_of(&options.url)?;
    if ledger.log().is_kept_in(&path) {
        return Err(Error::SameFile { path });
    }
    make_folder(&path)?;
    let lock = ProjectorLock::acquire(&path)?;
    remove_left_over(&path)?;
    let db = connect_writer(&path)?;
    match (FileState::read(&db), ProjectionState::read_all(&db)) {
        (Some(state), Some(states)) => {
            check(&state, &states, ledger).await?;
            bring_up_to_date(&db, &state)?;
        }
        (Some(state), None) => {
            check(&state, &[], ledger).await?;
            tracing::info!("the read tables are of another version: they are made anew");
            create(&db, ledger.id(), &state.tables)?;
        }
        (None, _) => create(&db, ledger.id(), &ours())?,
    }
    Ok(Opened {
        projector: Projector::open(db),
        path,
        lock,
    })
}

/// The tables to drop in a file that does not say which are ours.
fn ours() -> Vec<String> {
    table_names().into_iter().map(str::to_owned).collect()
}

/// Drops what was there and makes empty tables.
pub(crate) fn create(db: &Connection, ledger_id: LedgerId, drop: &[String]) -> Result<(), Error> {
    in_transaction(db, |db| create_all(db, ledger_id, drop))
}

/// Takes away what a rebuild or another version has left behind, and empties the projections whose
/// definitions have changed.
pub(crate) fn bring_up_to_date(db: &Connection, state: &FileState) -> Result<(), Error> {
    in_transaction(db, |db| {
        forget_next(db)?;
        let left = left_over(db, state)?;
        if !left.is_empty() {
            tracing::info!(tables = left.join(" "), "left-over read tables are removed");
            drop_tables(db, &left)?;
        }
        for projection in Projection::ALL {
            let stored = ProjectionState::read(db, projection, TableSet::Live);
            let current = stored.filter(|one| one.schema_hash == schema_hash(projection));
            if current.is_none() {
                tracing::info!(
                    projection = projection.as_str(),
                    "the definitions of its tables have changed: they are made anew"
                );
                remake(db, projection)?;
            }
        }
        note_tables(db)
    })
}

pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            std::fs::create_dir_all(folder).map_err(|source| Error::File {
                path: folder.to_owned(),
                doing: "made",
                source,
            })
        }
        _ => Ok(()),
    }
}

/// Checks that the ledger holds what was folded. A shorter or another one stops the start: going on
/// would skip events, or mix two histories.
async fn check(
    state: &FileState,
    states: &[ProjectionState],
    ledger: &Ledger,
) -> Result<(), Error> {
    if state.ledger_id != ledger.id() {
        return Err(Error::OtherLedger {
            remembered: state.ledger_id.to_string(),
            found: ledger.id().to_string(),
        });
    }
    check_at(state.cursor, state.record_hash, ledger).await?;
    for stored in states {
        // A projection that keeps up is where the file is.
        if stored.cursor != state.cursor || stored.record_hash != state.record_hash {
            check_at(stored.cursor, stored.record_hash, ledger).await?;
        }
    }
    Ok(())
}

async fn check_at(
    cursor: u64,
    remembered: Option<RecordHash>,
    ledger: &Ledger,
) -> Result<(), Error> {
    let size = *ledger.size().borrow();
    if cursor > size {
        return Err(Error::LedgerShorter {
            remembered: cursor,
            found: size,
        });
    }
    let Some(position) = cursor.checked_sub(1) else {
        return Ok(());
    };
    let found = ledger.log().form(position).await?;
    let found = found.map(|(_, hash)| hash);
    if found != remembered {
        let text = |hash: Option<RecordHash>| {
            hash.map_or_else(|| "none".to_owned(), |hash| hash.to_string())
        };
        return Err(Error::OtherHistory {
            position,
            remembered: text(remembered),
            found: text(found),
        });
    }
    Ok(())
}
