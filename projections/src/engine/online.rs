//! A rebuild while the tables are in use, by the task that folds.
//!
//! The new tables stand in the same file under other names. They are folded in small batches, each
//! only when the tables in use have nothing to fold. Once they have caught up, both take every batch
//! in one transaction, and are compared as of one moment in which both were at the same cursor. The
//! last step renames both sets in one transaction: a reader sees the one or the other, and nothing
//! goes back. A crash before it leaves the old tables in use; a crash after it, the new ones; what is
//! not in use is removed at the next start.

use crate::engine::compare::{Side, differences};
use crate::engine::file::connect_inspector;
use crate::engine::projector::{Fold, Projector};
use crate::engine::schema::{
    Indexes, drop_tables, forget_next, left_over, make, note_tables, replace, shrink,
};
use crate::error::Error;
use crate::progress::{Difference, Progress, RebuildReport, RebuildRequest};
use crate::projection::Projection;
use crate::store::{FileState, TableSet, in_transaction};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The most events of a batch that only the new tables take: the tables in use wait for it.
pub(crate) const BATCH: u64 = 500;

/// How many rows of a replaced table are taken away at a time, for the same reason.
const ROWS: u32 = 2000;

/// The result of a comparison: the projections, and their differences.
type Compared = Result<(Vec<Projection>, Vec<Difference>), Error>;

pub(crate) struct Rebuilding {
    request: RebuildRequest,
    began: Instant,
    comparing: Option<Comparing>,
}

struct Comparing {
    done: Arc<AtomicBool>,
    found: JoinHandle<Compared>,
}

/// The next step of a rebuild.
pub(crate) enum Step {
    /// Fold these events into the new tables.
    Fold(u64, u32),
    /// Go on: the new tables have caught up, and a comparison has begun.
    Compared,
    /// Both sets are at the same cursor, and the comparison goes on.
    Wait,
    /// Put the new tables in use.
    Switch,
    /// The new tables cannot be made.
    GiveUp(Error),
}

impl Rebuilding {
    pub(crate) fn new(request: RebuildRequest) -> Self {
        Self {
            request,
            began: Instant::now(),
            comparing: None,
        }
    }

    /// The next step, given that the tables in use are at the head or have stopped.
    pub(crate) fn step(
        &mut self,
        projector: &Projector,
        head: u64,
        path: &Path,
        wake: &Arc<Notify>,
    ) -> Step {
        if let Some((projection, stop)) = projector.stopped(TableSet::Next) {
            return Step::GiveUp(Error::Stopped { projection, stop });
        }
        if let Some((from, limit)) = projector.next(TableSet::Next, head, BATCH) {
            return Step::Fold(from, limit);
        }
        match &self.comparing {
            None => {
                self.compare(path, projector, Arc::clone(wake));
                Step::Compared
            }
            Some(comparing) if comparing.done.load(Ordering::Acquire) => Step::Switch,
            Some(_) => Step::Wait,
        }
    }

    /// Tells whoever waits how far the new tables are.
    pub(crate) fn tell(&self, projector: &Projector, head: u64) {
        let cursors = projector.at(TableSet::Next).map(|fold| fold.state.cursor);
        let progress = Progress {
            done: cursors.min().unwrap_or(head),
            total: head,
        };
        self.request.progress.send_replace(progress);
    }

    /// Begins to compare as of now. Nothing may be folded meanwhile.
    fn compare(&mut self, path: &Path, projector: &Projector, wake: Arc<Notify>) {
        let names = comparable(projector);
        let done = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&done);
        // The snapshot is taken here, before anything else is folded.
        let snapshot = snapshot(path);
        let found = tokio::task::spawn_blocking(move || {
            let found = compare(snapshot, names);
            told.store(true, Ordering::Release);
            wake.notify_one();
            found
        });
        self.comparing = Some(Comparing { done, found });
    }

    /// Tells that the new tables are in use.
    pub(crate) async fn succeed(self, events: u64) {
        let (compared, differences) = match self.comparing {
            Some(comparing) => match comparing.found.await {
                Ok(Ok(found)) => found,
                // Old tables that cannot be read are what a rebuild is for.
                Ok(Err(error)) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the replaced tables were not compared"
                    );
                    Default::default()
                }
                Err(_) => Default::default(),
            },
            None => Default::default(),
        };
        for difference in &differences {
            tracing::warn!(%difference, "a replaced table was not what the events make it");
        }
        let report = RebuildReport {
            events,
            took: self.began.elapsed(),
            compared,
            differences,
        };
        // Whoever asked may have gone.
        drop(self.request.reply.send(Ok(report)));
    }

    /// Tells that the old tables stay.
    pub(crate) fn fail(self, error: Error) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a rebuild has ended; the tables in use stay"
        );
        drop(self.request.reply.send(Err(error)));
    }
}

/// The projections that are at the same cursor in both places, of the same history.
fn comparable(projector: &Projector) -> Vec<Projection> {
    let next = projector.at(TableSet::Next).map(|fold| &fold.state);
    next.filter(|next| {
        let live = projector.fold_of(next.projection, TableSet::Live);
        live.is_some_and(|live| {
            live.state.cursor == next.cursor && live.state.record_hash == next.record_hash
        })
    })
    .map(|next| next.projection)
    .collect()
}

fn snapshot(path: &Path) -> Result<rusqlite::Connection, Error> {
    let failed = || Error::sqlite("comparing rows");
    let db = connect_inspector(path)?;
    db.execute_batch("BEGIN").map_err(failed())?;
    // The moment is that of the first read.
    FileState::read(&db);
    Ok(db)
}

fn compare(db: Result<rusqlite::Connection, Error>, names: Vec<Projection>) -> Compared {
    let db = db?;
    let side = |set| Side { db: &db, set };
    let mut found = Vec::new();
    for projection in &names {
        found.extend(differences(
            *projection,
            side(TableSet::Live),
            side(TableSet::Next),
        )?);
    }
    Ok((names, found))
}

impl Projector {
    /// Makes empty tables beside those in use.
    pub(crate) fn begin_beside(&mut self, names: &[Projection]) -> Result<(), Error> {
        let made = in_transaction(&self.db, |db| {
            // What could not be removed when it was given up or replaced.
            forget_next(db)?;
            if let Some(state) = FileState::read(db) {
                drop_tables(db, &left_over(db, &state)?)?;
            }
            let mut made = Vec::new();
            for projection in names {
                let live = self.fold_of(*projection, TableSet::Live);
                let generation = live.map_or(0, |live| live.state.generation);
                let next = generation.saturating_add(1);
                made.push(make(db, *projection, TableSet::Next, next, Indexes::Now)?);
            }
            note_tables(db)?;
            Ok(made)
        })?;
        self.folds.extend(made.into_iter().map(Fold::new));
        Ok(())
    }

    /// Puts the tables that were made beside in use, all at once.
    pub(crate) fn switch(&mut self) -> Result<Vec<Projection>, Error> {
        let names: Vec<_> = self
            .at(TableSet::Next)
            .map(|fold| fold.state.projection)
            .collect();
        in_transaction(&self.db, |db| {
            for projection in &names {
                replace(db, *projection)?;
            }
            note_tables(db)
        })?;
        self.folds.retain(|fold| {
            fold.state.set == TableSet::Next || !names.contains(&fold.state.projection)
        });
        for fold in &mut self.folds {
            fold.state.set = TableSet::Live;
        }
        Ok(names)
    }

    /// Gives up the tables that were being made beside.
    pub(crate) fn abandon(&mut self) -> Result<(), Error> {
        self.folds.retain(|fold| fold.state.set == TableSet::Live);
        in_transaction(&self.db, forget_next)
    }

    /// Takes some rows, or an empty table, of what is not in use any more; whether anything is left.
    pub(crate) fn clean(&mut self) -> Result<bool, Error> {
        let Some(state) = FileState::read(&self.db) else {
            return Ok(false);
        };
        let left = left_over(&self.db, &state)?;
        let Some(table) = left.first() else {
            return Ok(false);
        };
        in_transaction(&self.db, |db| {
            shrink(db, table, ROWS)?;
            note_tables(db)
        })?;
        Ok(true)
    }
}
