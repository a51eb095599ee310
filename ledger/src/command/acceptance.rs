//! Taking a ledger as it is, of which nothing proves that a service with its keys wrote it.

use super::Command;
use crate::error::Error;
use crate::event::LedgerAccepted;
use crate::ledger::Unprovable;
use crate::rejection::Rejection;
use crate::writer::Transaction;

const MOST_REASON: usize = 1000;

/// Records that an operator takes the ledger as it was found. The commit that records it proves the log
/// up to there from then on.
#[derive(Debug, Clone)]
pub struct AcceptLedger {
    /// The finding, as [`crate::Ledger::unprovable`] gives it.
    pub found: Unprovable,
    pub reason: String,
}

impl Command for AcceptLedger {
    /// The position of the event that says so.
    type Answer = u64;

    const IS_ALONE: bool = true;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<u64, Error> {
        let (size, context) = (tx.size(), tx.context());
        let accepted = decide(self, size)?;
        let event = context.event(context.ledger_id, accepted);
        tx.append(vec![event]).await?;
        Ok(size)
    }
}

fn decide(command: AcceptLedger, size: u64) -> Result<LedgerAccepted, Rejection> {
    let reason = command.reason.trim();
    let characters = reason.chars().count();
    if characters == 0 || characters > MOST_REASON || reason.chars().any(char::is_control) {
        return Err(Rejection::Invalid {
            code: "reason_invalid",
            detail: "a reason has 1 to 1000 characters on one line".to_owned(),
        });
    }
    if command.found.size != size {
        return Err(Rejection::Invalid {
            code: "ledger_has_grown",
            detail: "something was recorded since the ledger was found; it is proven".to_owned(),
        });
    }
    Ok(LedgerAccepted {
        size,
        record_hash: command.found.record_hash,
        unproven: command.found.why,
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RecordHash;

    fn accept(size: u64, reason: &str) -> Result<LedgerAccepted, Rejection> {
        let found = Unprovable {
            why: "its head has no MAC".to_owned(),
            size: 4,
            record_hash: RecordHash::from_bytes([7; 32]),
        };
        let reason = reason.to_owned();
        decide(AcceptLedger { found, reason }, size)
    }

    #[test]
    fn what_is_accepted_is_exactly_what_was_found() {
        let accepted = accept(4, " upgraded after a crash ").unwrap();
        assert_eq!(
            (accepted.size, accepted.reason.as_str()),
            (4, "upgraded after a crash")
        );
        assert_eq!(accepted.unproven, "its head has no MAC");
        accept(5, "upgraded").unwrap_err();
        for reason in ["", " ", "two\nlines", &"x".repeat(1001)] {
            accept(4, reason).unwrap_err();
        }
    }
}
