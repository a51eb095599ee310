//! A rebuild while no service runs.
//!
//! The new tables are made in a file of their own. Until the last step the old ones are in use; the
//! last step is either the renaming of a file or one transaction. A crash before it leaves the old
//! tables and a file beside them that the next start, or rebuild, removes.

use crate::engine::bulk::WholeLedger;
use crate::engine::compare::{Side, differences};
use crate::engine::file::connect_writer;
use crate::engine::opening::make_folder;
use crate::engine::schema::{adopt, schema_hash};
use crate::engine::scratch::{Purpose, Scratch, remove_left_over};
use crate::error::Error;
use crate::progress::{Progress, RebuildReport};
use crate::projection::Projection;
use crate::store::{
    FileState, ProjectionState, ProjectorLock, TableSet, file_of, leave_log, put_in_place,
};
use ledger::{LedgerId, Log};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Makes the tables of these projections anew from the whole ledger; of all, when none is named.
/// Refused while a service folds into them. Nothing outside the file changes.
///
/// # Errors
/// When the file is not ours or is in use, and when an event cannot be read or folded: then the old
/// tables stay.
pub async fn rebuild(
    url: &str,
    ledger: &Arc<dyn Log>,
    names: &[Projection],
    mut on_progress: impl FnMut(Progress),
) -> Result<RebuildReport, Error> {
    let path = file_of(url)?;
    make_folder(&path)?;
    let _lock = ProjectorLock::acquire(&path)?;
    let head = ledger.head().await?.ok_or(Error::EmptyLedger)?;
    let (ledger_id, total) = (head.ledger_id, head.size);
    let rebuilding = Rebuilding {
        path: &path,
        ledger_id,
        names: if names.is_empty() {
            &Projection::ALL
        } else {
            names
        },
        total,
    };
    rebuilding.run(&WholeLedger::of(ledger), &mut on_progress)
}

struct Rebuilding<'a> {
    path: &'a Path,
    ledger_id: LedgerId,
    names: &'a [Projection],
    total: u64,
}

impl Rebuilding<'_> {
    fn run(
        &self,
        ledger: &WholeLedger,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<RebuildReport, Error> {
        let db = connect_writer(self.path)?;
        remove_left_over(self.path)?;
        let whole = self.is_whole(&db);
        let began = Instant::now();
        let names: &[Projection] = if whole { &Projection::ALL } else { self.names };
        let ends: Vec<_> = names.iter().map(|name| (*name, self.total)).collect();
        let mut scratch = Scratch::new(self.path, Purpose::Rebuild, self.ledger_id, &ends)?;
        scratch.fold(ledger, on_progress)?;
        scratch.finish()?;
        let mut report = RebuildReport {
            events: self.total,
            took: began.elapsed(),
            compared: Vec::new(),
            differences: Vec::new(),
        };
        self.compare(&db, &scratch, &mut report)?;
        let made = scratch.close()?;
        if whole {
            leave_log(db, self.path)?;
            put_in_place(made.path(), self.path)?;
        } else {
            adopt(&db, made.path(), names)?;
        }
        Ok(report)
    }

    /// True when everything is made anew: because that was asked for, or because what is not asked for
    /// could not stay.
    fn is_whole(&self, db: &Connection) -> bool {
        let of_this = FileState::read(db).is_some_and(|state| state.ledger_id == self.ledger_id);
        let stays = |projection: Projection| {
            let stored = ProjectionState::read(db, projection, TableSet::Live);
            stored.is_some_and(|one| {
                one.schema_hash == schema_hash(projection) && one.cursor <= self.total
            })
        };
        let mut others = Projection::ALL
            .into_iter()
            .filter(|one| !self.names.contains(one));
        let all = others.clone().next().is_none();
        all || !of_this || !others.all(stays)
    }

    /// Compares where both were made of the same events.
    fn compare(
        &self,
        db: &Connection,
        scratch: &Scratch,
        report: &mut RebuildReport,
    ) -> Result<(), Error> {
        let set = TableSet::Live;
        let mut made: Vec<_> = scratch
            .projector
            .folds
            .iter()
            .map(|fold| &fold.state)
            .collect();
        made.sort_by_key(|made| made.projection);
        for made in made {
            let before = ProjectionState::read(db, made.projection, set);
            let comparable = before.is_some_and(|before| {
                before.cursor == made.cursor
                    && before.record_hash == made.record_hash
                    && before.schema_hash == made.schema_hash
            });
            if !comparable {
                continue;
            }
            let old = Side { db, set };
            let new = Side {
                db: &scratch.projector.db,
                set,
            };
            // Old tables that cannot even be read are what a rebuild is for.
            if let Ok(found) = differences(made.projection, old, new) {
                report.compared.push(made.projection);
                report.differences.extend(found);
            }
        }
        Ok(())
    }
}
