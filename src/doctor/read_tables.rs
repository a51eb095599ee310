//! The read tables: whose they are, whether they are of this version, and how far behind.

use super::finding::{Finding, told};
use super::quantity::counted;
use crate::config::Storage;
use ledger_sqlite::CheckedLedger;
use projections::{FileStatus, Schema};

const CHECK: &str = "read tables";

/// More lag than comes and goes with every commit.
const MOST_LAG: u64 = 1_000;

/// Compares them with the ledger as it was found.
pub(super) async fn look(storage: &Storage, ledger: Option<CheckedLedger>) -> Vec<Finding> {
    if !storage.read_tables.exists() {
        return vec![Finding::ok(CHECK, "none yet: the next start makes them")];
    }
    let url = storage.read_tables_url();
    let looked = match projections::inspect(&url).await {
        Ok(status) => projections::check_pages(&url).await.map(|()| status),
        Err(error) => Err(error),
    };
    let finding = match looked {
        Ok(status) => match ledger {
            Some(ledger) => compared(&status, &ledger),
            None => alone(&status),
        },
        Err(error) => Finding::problem(CHECK, told(&error), advice(&error)),
    };
    vec![finding]
}

fn advice(error: &projections::Error) -> &'static str {
    match error {
        projections::Error::ForeignFile { .. } => {
            "if DATABASE_URL names another program's file, correct it"
        }
        error if error.is_damage() => {
            "nothing is lost: with the service stopped, delete the file with its -wal and -shm; the \
             next start makes it anew"
        }
        _ => "run doctor as the service's account; the system's log says what the disk says",
    }
}

fn compared(status: &FileStatus, ledger: &CheckedLedger) -> Finding {
    if status
        .ledger_id
        .is_some_and(|their_ledger| their_ledger != ledger.ledger_id)
    {
        return Finding::problem(
            CHECK,
            "made from another ledger",
            "put the right ledger back, or set LEDGER_URL and DATABASE_URL right; delete the read \
             tables only when you know why they differ",
        );
    }
    if status.cursor > ledger.size {
        return Finding::problem(
            CHECK,
            format!(
                "{} events, and the ledger has {}",
                status.cursor, ledger.size
            ),
            "the ledger may have been rolled back: put the complete one back; a backup is put back \
             with `restore`",
        );
    }
    let behind = ledger.size.saturating_sub(status.cursor);
    match status.schema {
        Schema::Missing => Finding::ok(CHECK, "none yet: the next start makes them"),
        Schema::Changed => Finding::ok(CHECK, "of another version: the next start makes them anew"),
        Schema::Current if behind > MOST_LAG => Finding::warning(
            CHECK,
            format!("{} behind the ledger", counted(behind, "event")),
            "beside a running service: /v1/readyz says whether they have stopped; otherwise the next start \
             catches up",
        ),
        Schema::Current => Finding::ok(
            CHECK,
            format!("{} behind the ledger", counted(behind, "event")),
        ),
    }
}

fn alone(status: &FileStatus) -> Finding {
    match status.ledger_id {
        None => Finding::ok(CHECK, "empty"),
        Some(ledger) => Finding::problem(
            CHECK,
            format!("made from ledger {ledger}, which cannot be read here"),
            "put the ledger back first; leave the read tables where they are",
        ),
    }
}
