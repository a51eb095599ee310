//! Folding batches of events into a file, each projection on its own.
//!
//! Commit point: a batch's rows and the cursors of all projections that took it are one SQLite
//! transaction. A crash before it leaves nothing of the batch, which is then folded again; a crash
//! after it leaves all of it.

use crate::engine::source::Item;
use crate::error::Error;
use crate::projection::{Projection, Stop};
use crate::store::{FileState, ProjectionState, Stored, TableSet, is_left, scrub};
use crate::tables::fold::Tables;
use ledger::Event;
use rusqlite::Connection;
use std::time::Instant;

/// How many rows of a table are remembered from one batch to the next.
const REMEMBERED: usize = 4096;

/// No place to stop at.
const WITHOUT_END: u64 = u64::MAX;

/// A projection in one place of the file: how far it is, and what of it is in memory.
pub(crate) struct Fold {
    pub(crate) state: ProjectionState,
    /// Where and why it does not go on.
    pub(crate) stop: Option<Stop>,
    /// Where it has enough; the head of the ledger where that is nearer.
    pub(crate) until: u64,
    tables: Box<dyn Tables>,
}

/// The state of a projection after a batch, once it is committed.
struct Folded {
    state: ProjectionState,
    stop: Option<Stop>,
}

impl Fold {
    pub(crate) fn new(state: ProjectionState) -> Self {
        Self {
            tables: state.projection.tables(),
            state,
            stop: None,
            until: WITHOUT_END,
        }
    }

    fn goes_on(&self) -> bool {
        self.stop.is_none() && self.state.cursor < self.until
    }

    fn takes_from(&self, position: u64) -> bool {
        self.goes_on() && self.state.cursor == position
    }

    /// Folds and writes the items up to the first that stops it.
    fn take(
        &mut self,
        db: &Connection,
        remembered: usize,
        items: &[Item],
    ) -> Result<Folded, Error> {
        let stored = Stored {
            db,
            set: self.state.set,
            remembered,
        };
        let mut taken = items;
        let mut stop = None;
        // An erasure is carried out on the file in the midst of a batch; everything else is written
        // at its end.
        let failed = || Error::sqlite("folding an erasure");
        let is_erasing = items.iter().any(erases);
        if is_erasing {
            db.execute_batch("SAVEPOINT batch").map_err(failed())?;
        }
        if let Err((count, error)) = self.fold(stored, items) {
            if error.may_pass() {
                return Err(error);
            }
            taken = items.get(..count).unwrap_or_default();
            stop = Some(Stop {
                position: self.state.cursor.saturating_add(len(taken)),
                why: error.on_one_line(),
            });
            // What stops it may have been folded in part: what comes before is folded once more.
            self.forget();
            if is_erasing {
                db.execute_batch("ROLLBACK TO batch").map_err(failed())?;
            }
            self.fold(stored, taken).map_err(|(_, error)| error)?;
        }
        self.tables.flush(stored)?;
        if is_erasing {
            db.execute_batch("RELEASE batch").map_err(failed())?;
        }
        let mut state = self.state.clone();
        if let Some(last) = taken.last() {
            let cursor = state.cursor.saturating_add(len(taken));
            state.advance(db, cursor, last.record_hash())?;
        }
        Ok(Folded { state, stop })
    }

    /// Folds the items into memory; how many were folded before the error.
    fn fold(&mut self, stored: Stored<'_>, items: &[Item]) -> Result<(), (usize, Error)> {
        let projection = self.state.projection;
        for (count, item) in items.iter().enumerate() {
            let folded = match item.recorded() {
                Ok(recorded) if projection.folds(recorded.header.event_type) => {
                    self.tables.fold(stored, recorded)
                }
                Err(unreadable) if projection.needs(unreadable.event_type) => {
                    Err(unreadable.error())
                }
                Ok(_) | Err(_) => Ok(()),
            };
            folded.map_err(|error| (count, error))?;
        }
        Ok(())
    }

    /// Drops what is in memory: it speaks of a batch that is not in the file.
    fn forget(&mut self) {
        self.tables = self.state.projection.tables();
    }
}

pub(crate) struct Projector {
    pub(crate) db: Connection,
    pub(crate) folds: Vec<Fold>,
    /// How many rows of a table are remembered from one batch to the next.
    pub(crate) remembered: usize,
    /// Rows were erased, and the file may still hold traces of them.
    pub(crate) is_dirty: bool,
}

impl Projector {
    /// Goes on from where the file says.
    pub(crate) fn open(db: Connection) -> Self {
        let states = ProjectionState::read_all(&db).unwrap_or_default();
        Self {
            // What cannot be read now is found out when it is tried.
            is_dirty: is_left(&db).unwrap_or(true),
            db,
            folds: states.into_iter().map(Fold::new).collect(),
            remembered: REMEMBERED,
        }
    }

    pub(crate) fn at(&self, set: TableSet) -> impl Iterator<Item = &Fold> {
        let folds = self.folds.iter();
        folds.filter(move |fold| fold.state.set == set)
    }

    pub(crate) fn fold_of(&self, projection: Projection, set: TableSet) -> Option<&Fold> {
        let mut at = self.at(set);
        at.find(|fold| fold.state.projection == projection)
    }

    /// Where to read next for the projections in that place: the lowest cursor below `head`, and how
    /// many events from there until another projection joins or has enough, at most `most`.
    pub(crate) fn next(&self, set: TableSet, head: u64, most: u64) -> Option<(u64, u32)> {
        let going = |fold: &&Fold| fold.goes_on();
        let cursors = self.at(set).filter(going);
        let lowest = cursors.map(|fold| fold.state.cursor).min()?;
        if lowest >= head {
            return None;
        }
        let others = self.folds.iter().filter(going);
        let join = others
            .flat_map(|fold| [fold.state.cursor, fold.until])
            .filter(|cursor| *cursor > lowest)
            .min()
            .unwrap_or(head);
        let count = join.min(head).saturating_sub(lowest).min(most);
        Some((lowest, u32::try_from(count).unwrap_or(u32::MAX)))
    }

    /// The first projection in that place that has stopped.
    pub(crate) fn stopped(&self, set: TableSet) -> Option<(Projection, Stop)> {
        self.at(set).find_map(|fold| {
            let stop = fold.stop.clone()?;
            Some((fold.state.projection, stop))
        })
    }

    /// Where batches have to end: where a projection joins, has enough, and at `to`.
    pub(crate) fn ends(&self, to: u64) -> Vec<u64> {
        let folds = self.folds.iter();
        let ends = folds.flat_map(|fold| [fold.state.cursor, fold.until]);
        ends.chain([to]).collect()
    }

    pub(crate) fn any_at(&self, position: u64) -> bool {
        self.folds.iter().any(|fold| fold.takes_from(position))
    }

    /// Gives the items, which begin at `from`, to every projection whose cursor is there, all in one
    /// transaction. One that meets what it cannot fold stops right before it; the others go on.
    ///
    /// # Errors
    /// When the file fails: then nothing or all of it is in the file, and the cursors are where the
    /// file says.
    pub(crate) fn fold(&mut self, from: u64, items: &[Item]) -> Result<(), Error> {
        let started = Instant::now();
        in_order(from, items)?;
        match self.fold_in_transaction(from, items) {
            Ok(outcomes) => {
                for (index, outcome) in outcomes {
                    if let Some(fold) = self.folds.get_mut(index) {
                        fold.state = outcome.state;
                        fold.stop = outcome.stop;
                    }
                }
                if items.iter().any(erases) {
                    self.is_dirty = is_left(&self.db).unwrap_or(true);
                }
                metrics::histogram!("projections_fold_seconds")
                    .record(started.elapsed().as_secs_f64());
                metrics::counter!("projections_events_total").increment(len(items));
                self.measure();
                Ok(())
            }
            Err(error) => {
                // When this fails too, the connection's next BEGIN says so.
                drop(self.db.execute_batch("ROLLBACK"));
                self.look_again();
                Err(error)
            }
        }
    }

    fn measure(&self) {
        for fold in self.at(TableSet::Live) {
            let name = fold.state.projection.as_str();
            let rows = u32::try_from(fold.tables.remembered()).unwrap_or(u32::MAX);
            metrics::gauge!("projections_rows_remembered", "projection" => name)
                .set(f64::from(rows));
        }
    }

    fn fold_in_transaction(
        &mut self,
        from: u64,
        items: &[Item],
    ) -> Result<Vec<(usize, Folded)>, Error> {
        let failed = |doing| Error::sqlite(doing);
        let run = |sql| -> Result<(), rusqlite::Error> {
            self.db.prepare_cached(sql)?.execute([]).map(drop)
        };
        run("BEGIN IMMEDIATE").map_err(failed("starting a batch"))?;
        let mut outcomes = Vec::with_capacity(self.folds.len());
        for (index, fold) in self.folds.iter_mut().enumerate() {
            if fold.takes_from(from) {
                outcomes.push((index, fold.take(&self.db, self.remembered, items)?));
            }
        }
        let furthest = outcomes.iter().map(|(_, outcome)| &outcome.state);
        if let Some(furthest) = furthest.max_by_key(|state| state.cursor)
            && let Some(hash) = furthest.record_hash
        {
            FileState::reach(&self.db, furthest.cursor, hash)?;
        }
        run("COMMIT").map_err(failed("committing a batch"))?;
        Ok(outcomes)
    }

    /// Takes what was erased from the file for good. While a reader keeps it there, it is to be tried
    /// again.
    pub(crate) fn scrub(&mut self) -> Result<(), Error> {
        if self.is_dirty {
            self.is_dirty = !scrub(&self.db)?;
        }
        Ok(())
    }

    /// Takes the cursors from the file: a commit that was reported as failed may have happened all
    /// the same.
    fn look_again(&mut self) {
        for fold in &mut self.folds {
            fold.forget();
            let ProjectionState {
                projection, set, ..
            } = fold.state;
            if let Some(state) = ProjectionState::read(&self.db, projection, set) {
                fold.state = state;
            }
        }
    }
}

fn erases(item: &Item) -> bool {
    item.recorded()
        .is_ok_and(|recorded| matches!(recorded.event, Event::LedgerErased(_)))
}

fn in_order(from: u64, items: &[Item]) -> Result<(), Error> {
    let mut next = from;
    for item in items {
        if item.position() != next {
            return Err(Error::OutOfOrder {
                expected: next,
                found: item.position(),
            });
        }
        next = next.saturating_add(1);
    }
    Ok(())
}

fn len(items: &[Item]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
