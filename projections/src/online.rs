//! Making projections anew beside the tables in use, by the task that folds.
//!
//! The new tables stand in the same file under other names. They are folded in small batches, each
//! only when the tables in use have nothing to fold. Once they have caught up, both take every batch
//! in one transaction, and are compared as of one moment in which both were at the same cursor. The
//! last step renames both sets in one transaction: a reader sees the one or the other, and nothing
//! goes back. A crash before it leaves the old tables in use; a crash after it, the new ones; what is
//! not in use is removed at the next start.

use crate::compare::{Difference, Side, differences};
use crate::error::Error;
use crate::folder::{Fold, Folder};
use crate::opening::in_transaction;
use crate::projection::Projection;
use crate::runner::Progress;
use crate::store::{
    Indexes, Place, State, connect_inspector, drop_tables, forget_next, left_over, make,
    note_tables, replace, shrink,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

/// The most events of a batch that only the new tables take: the tables in use wait for it.
pub(crate) const BATCH: u64 = 500;

/// How many rows of a replaced table are taken away at a time, for the same reason.
const ROWS: u32 = 2000;

/// What an online rebuild did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineReport {
    /// How many events the new tables hold.
    pub events: u64,
    /// How long it took until they were in use.
    pub took: Duration,
    /// The projections whose old tables could be compared: they were at the same cursor, which those
    /// that have stopped are not.
    pub compared: Vec<Projection>,
    /// The first row of each table in which the old ones differed.
    pub differences: Vec<Difference>,
}

/// Somebody wants projections made anew.
pub(crate) struct Request {
    pub(crate) names: Vec<Projection>,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) reply: oneshot::Sender<Result<OnlineReport, Error>>,
}

/// What a comparison came to: who was compared, and what differed.
type Compared = Result<(Vec<Projection>, Vec<Difference>), Error>;

/// A rebuild that is under way.
pub(crate) struct Rebuilding {
    request: Request,
    began: Instant,
    comparing: Option<Comparing>,
}

struct Comparing {
    done: Arc<AtomicBool>,
    found: JoinHandle<Compared>,
}

/// What to do next about a rebuild.
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
    pub(crate) fn new(request: Request) -> Self {
        Self {
            request,
            began: Instant::now(),
            comparing: None,
        }
    }

    /// What is to be done, given that the tables in use are at the head or have stopped.
    pub(crate) fn step(
        &mut self,
        folder: &Folder,
        head: u64,
        path: &Path,
        wake: &Arc<Notify>,
    ) -> Step {
        if let Some((projection, stop)) = folder.stopped(Place::Next) {
            return Step::GiveUp(Error::Stopped { projection, stop });
        }
        if let Some((from, limit)) = folder.next(Place::Next, head, BATCH) {
            return Step::Fold(from, limit);
        }
        match &self.comparing {
            None => {
                self.compare(path, folder, Arc::clone(wake));
                Step::Compared
            }
            Some(comparing) if comparing.done.load(Ordering::Acquire) => Step::Switch,
            Some(_) => Step::Wait,
        }
    }

    /// Tells whoever waits how far the new tables are.
    pub(crate) fn tell(&self, folder: &Folder, head: u64) {
        let cursors = folder.at(Place::Next).map(|fold| fold.standing.cursor);
        let progress = Progress {
            done: cursors.min().unwrap_or(head),
            total: head,
        };
        self.request.progress.send_replace(progress);
    }

    /// Begins to compare as of now. Nothing may be folded meanwhile.
    fn compare(&mut self, path: &Path, folder: &Folder, wake: Arc<Notify>) {
        let names = comparable(folder);
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
        let report = OnlineReport {
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
fn comparable(folder: &Folder) -> Vec<Projection> {
    let next = folder.at(Place::Next).map(|fold| &fold.standing);
    next.filter(|next| {
        let live = folder.fold_of(next.projection, Place::Live);
        live.is_some_and(|live| {
            live.standing.cursor == next.cursor && live.standing.record_hash == next.record_hash
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
    State::read(&db);
    Ok(db)
}

fn compare(db: Result<rusqlite::Connection, Error>, names: Vec<Projection>) -> Compared {
    let db = db?;
    let side = |place| Side { db: &db, place };
    let mut found = Vec::new();
    for projection in &names {
        found.extend(differences(
            *projection,
            side(Place::Live),
            side(Place::Next),
        )?);
    }
    Ok((names, found))
}

impl Folder {
    /// Makes empty tables beside those in use.
    pub(crate) fn begin_beside(&mut self, names: &[Projection]) -> Result<(), Error> {
        let made = in_transaction(&self.db, |db| {
            // What could not be removed when it was given up or replaced.
            forget_next(db)?;
            if let Some(state) = State::read(db) {
                drop_tables(db, &left_over(db, &state)?)?;
            }
            let mut made = Vec::new();
            for projection in names {
                let live = self.fold_of(*projection, Place::Live);
                let generation = live.map_or(0, |live| live.standing.generation);
                let next = generation.saturating_add(1);
                made.push(make(db, *projection, Place::Next, next, Indexes::Now)?);
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
            .at(Place::Next)
            .map(|fold| fold.standing.projection)
            .collect();
        in_transaction(&self.db, |db| {
            for projection in &names {
                replace(db, *projection)?;
            }
            note_tables(db)
        })?;
        self.folds.retain(|fold| {
            fold.standing.place == Place::Next || !names.contains(&fold.standing.projection)
        });
        for fold in &mut self.folds {
            fold.standing.place = Place::Live;
        }
        Ok(names)
    }

    /// Gives up the tables that were being made beside.
    pub(crate) fn abandon(&mut self) -> Result<(), Error> {
        self.folds.retain(|fold| fold.standing.place == Place::Live);
        in_transaction(&self.db, forget_next)
    }

    /// Takes some rows, or an empty table, of what is not in use any more; whether anything is left.
    pub(crate) fn clean(&mut self) -> Result<bool, Error> {
        let Some(state) = State::read(&self.db) else {
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
