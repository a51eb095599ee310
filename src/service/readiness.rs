//! Whether the service should get traffic.

use ledger::Ledger;
use std::time::Duration;

/// A clock this far behind the newest event is wrong, not late.
const MOST_BEHIND: Duration = Duration::from_secs(60);

/// What speaks against the ledger.
pub(crate) fn against_ledger(ledger: &Ledger) -> Vec<String> {
    let mut reasons = Vec::new();
    if !ledger.is_open() {
        reasons.push("the ledger's writer has stopped".to_owned());
    }
    // What SQLite said stands in the log; it may name files.
    if ledger.failing().is_some() {
        reasons.push("the last commit to the ledger failed".to_owned());
    }
    let behind = ledger.clock_behind();
    if behind > MOST_BEHIND {
        reasons.push(format!(
            "the clock is {} s behind the newest event",
            behind.as_secs()
        ));
    }
    reasons
}
