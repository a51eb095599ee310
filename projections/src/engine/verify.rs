//! A comparison of the tables with a fresh fold of the ledger.

use crate::engine::bulk::WholeLedger;
use crate::engine::compare::{Side, differences};
use crate::engine::file::connect_inspector;
use crate::engine::schema::schema_hash;
use crate::engine::scratch::{Purpose, Scratch};
use crate::error::Error;
use crate::progress::{Difference, Progress};
use crate::projection::Projection;
use crate::store::{FileState, ProjectionState, TableSet, file_of};
use ledger::{LedgerId, Log};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Each projection that was compared, and the cursor up to which.
    pub compared: Vec<(Projection, u64)>,
    /// The first differing row of each table that differs.
    pub differences: Vec<Difference>,
}

/// Compares the tables with those that a fresh fold of the same events makes, up to where they are.
/// A service may be folding into them: they are looked at as of one moment, and until that is done
/// their log only grows. The fold goes into a file beside them, which is removed afterwards.
///
/// # Errors
/// When there are no tables of this version, and when files fail or an event cannot be folded.
pub async fn verify(
    url: &str,
    ledger: &Arc<dyn Log>,
    mut on_progress: impl FnMut(Progress),
) -> Result<VerifyReport, Error> {
    let path = file_of(url)?;
    let head = ledger.head().await?.ok_or(Error::EmptyLedger)?;
    let ledger = WholeLedger::of(ledger);
    verify_file(&path, head.ledger_id, &ledger, &mut on_progress)
}

fn verify_file(
    path: &Path,
    ledger_id: LedgerId,
    ledger: &WholeLedger,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<VerifyReport, Error> {
    let db = connect_inspector(path)?;
    db.execute_batch("BEGIN")
        .map_err(Error::sqlite("opening the file to read"))?;
    let ends = ends(&db, ledger_id)?;
    let mut scratch = Scratch::new(path, Purpose::Verify, ledger_id, &ends)?;
    scratch.fold(ledger, on_progress)?;
    let mut report = VerifyReport::default();
    for (projection, cursor) in ends {
        let set = TableSet::Live;
        let stored = Side { db: &db, set };
        let folded = Side {
            db: &scratch.projector.db,
            set,
        };
        let found = differences(projection, stored, folded)?;
        report.differences.extend(found);
        report.compared.push((projection, cursor));
    }
    Ok(report)
}

/// Up to where each projection is to be folded.
fn ends(db: &Connection, ledger_id: LedgerId) -> Result<Vec<(Projection, u64)>, Error> {
    let refused = |why: &str| Error::Refused {
        why: why.to_owned(),
    };
    let state = FileState::read(db).ok_or_else(|| refused("there are no read tables yet"))?;
    if state.ledger_id != ledger_id {
        return Err(Error::OtherLedger {
            remembered: state.ledger_id.to_string(),
            found: ledger_id.to_string(),
        });
    }
    let of = |projection| {
        let stored = ProjectionState::read(db, projection, TableSet::Live);
        let current = stored.filter(|one| one.schema_hash == schema_hash(projection));
        let current = current.ok_or_else(|| {
            refused("the read tables are of another version; the next start makes them anew")
        })?;
        Ok((projection, current.cursor))
    };
    Projection::ALL.into_iter().map(of).collect()
}
