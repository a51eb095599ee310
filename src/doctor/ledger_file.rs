//! The ledger: its pages, its schema, its newest records, and the clock beside them.

use super::finding::{Finding, told};
use super::quantity::{counted, time};
use crate::config::Storage;
use crate::service::refuse_missing;
use ledger::{CLOCK_TOLERANCE, Clock as _, MasterKeys, Timestamp};
use ledger_sqlite::{CheckedLedger, OpenError, Reader, SystemClock};
use std::sync::Arc;

const CHECK: &str = "ledger";
const CLOCK: &str = "clock";

/// Checks what a start would check. Gives the ledger as it was found, for what is compared with it.
pub(super) async fn look(
    storage: &Storage,
    keys: Option<Arc<MasterKeys>>,
    findings: &mut Vec<Finding>,
) -> Option<CheckedLedger> {
    if refuse_missing(&storage.ledger).is_err() {
        findings.push(Finding::warning(
            CHECK,
            format!("there is none at {}", storage.ledger.display()),
            "the first start makes it; if this is not the first, look at LEDGER_URL and \
             DATABASE_URL before you start anything",
        ));
        return None;
    }
    let checked = match Reader::open(&storage.ledger_url()).await {
        Ok(reader) => match reader.check_pages().await {
            Ok(()) => checked(&reader, keys).await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    match checked {
        Ok(Some((ledger, unproven))) => {
            findings.push(Finding::ok(
                CHECK,
                format!("{}, and all hold together", counted(ledger.size, "event")),
            ));
            findings.extend(unproven.map(|why| {
                Finding::warning(
                    CHECK,
                    format!("nothing proves that the service wrote it: {why}"),
                    "run doctor with the service's settings and key; where it has them, the next start says \
                     what to do (docs/operations.md, Nothing proves the ledger)",
                )
            }));
            findings.push(clock(ledger.newest, SystemClock.now()));
            Some(ledger)
        }
        Ok(None) => {
            findings.push(Finding::ok(CHECK, "made, and empty"));
            None
        }
        Err(error) => {
            findings.push(unsound(&error));
            None
        }
    }
}

/// The newest records and the whole file, as a start compares them.
async fn checked(
    reader: &Reader,
    keys: Option<Arc<MasterKeys>>,
) -> Result<Option<(CheckedLedger, Option<String>)>, OpenError> {
    let Some(ledger) = reader.check_newest().await? else {
        return Ok(None);
    };
    Ok(Some((
        ledger,
        reader.check_file(keys, providers::all()).await?,
    )))
}

fn unsound(error: &OpenError) -> Finding {
    let advice = match error {
        OpenError::NewerSchema { .. } => "install the release that wrote to it",
        OpenError::OlderSchema { .. } => "back it up with the release that made it, then start",
        OpenError::ForeignFile { .. } => "LEDGER_URL names another program's file: correct it",
        error if error.is_damage() => {
            "do not start it: copy the file as it is, restore a backup, and find out what wrote \
             to it (docs/operations.md, Storage trouble)"
        }
        _ => {
            "run doctor as the service's account; if it is that one, look at the system's log for \
             what the disk says"
        }
    };
    Finding::problem(CHECK, told(&error), advice)
}

fn clock(newest: Timestamp, now: Timestamp) -> Finding {
    let ahead = newest.since(now);
    if ahead > CLOCK_TOLERANCE {
        return Finding::problem(
            CLOCK,
            format!("{} behind the newest event", time(ahead)),
            "set the clock right (docs/operations.md, The clock once jumped far ahead)",
        );
    }
    Finding::ok(
        CLOCK,
        format!("the newest event is {} old", time(now.since(newest))),
    )
}
