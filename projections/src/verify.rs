//! Folding the ledger once more, to see whether the tables hold what the events make of them.

use crate::bulk::WholeLedger;
use crate::compare::{Difference, Side, differences};
use crate::error::Error;
use crate::projection::Projection;
use crate::runner::Progress;
use crate::scratch::{Purpose, Scratch};
use crate::store::{Place, Standing, State, connect_inspector, file_of, schema_hash};
use ledger::{LedgerId, Log};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

/// What a comparison found.
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
        let place = Place::Live;
        let stored = Side { db: &db, place };
        let folded = Side {
            db: &scratch.folder.db,
            place,
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
    let state = State::read(db).ok_or_else(|| refused("there are no read tables yet"))?;
    if state.ledger_id != ledger_id {
        return Err(Error::OtherLedger {
            remembered: state.ledger_id.to_string(),
            found: ledger_id.to_string(),
        });
    }
    let of = |projection| {
        let standing = Standing::read(db, projection, Place::Live);
        let current = standing.filter(|one| one.schema_hash == schema_hash(projection));
        let current = current.ok_or_else(|| {
            refused("the read tables are of another version; the next start makes them anew")
        })?;
        Ok((projection, current.cursor))
    };
    Projection::ALL.into_iter().map(of).collect()
}
