//! The read tables: whose they are, whether they are of this version, and how far behind.

use super::finding::{Finding, told};
use super::quantity::counted;
use crate::config::Storage;
use ledger::{ApproverName, Clock as _};
use ledger_sqlite::{CheckedLedger, SystemClock};
use projections::{Attention, FileStatus, Schema};

const CHECK: &str = "read tables";

/// More lag than comes and goes with every commit.
const MOST_LAG: u64 = 1_000;

/// Compares them with the ledger as it was found, and says what they have that waits for an operator.
pub(super) async fn look(
    storage: &Storage,
    ledger: Option<CheckedLedger>,
    approvers: &[ApproverName],
) -> Vec<Finding> {
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
    let mut findings = vec![finding];
    // Tables that are not as this version makes them have been told of.
    if let Ok(attention) = projections::attention(&url, SystemClock.now()).await {
        findings.extend(waiting(&attention, approvers));
    }
    findings
}

/// Approvers who cannot decide, outcomes that nobody knows, callbacks that were given up.
fn waiting(attention: &Attention, approvers: &[ApproverName]) -> Vec<Finding> {
    let can_decide = |approver: &&ApproverName| attention.deciders.contains(approver.as_str());
    let missing = approvers.iter().filter(|approver| !can_decide(approver));
    let missing: Vec<&str> = missing.map(ApproverName::as_str).collect();
    let (unknown, given_up) = (
        attention.depths.unknown_applies,
        attention.depths.given_up_deliveries,
    );
    let mut findings = Vec::new();
    if missing.is_empty() {
        findings.push(Finding::ok(
            "approvers",
            "each that APPROVAL_APPROVERS names has a passkey or a command-line key",
        ));
    } else {
        let nobody = match missing.len() == approvers.len() {
            true => ", so nobody can decide",
            false => "",
        };
        findings.push(Finding::warning(
            "approvers",
            format!(
                "without a passkey or command-line key: {}{nobody}",
                missing.join(", ")
            ),
            "llm-permission-proxy approver invite NAME prints a link that registers one",
        ));
    }
    if !attention.locks.is_empty() {
        let kinds = attention.locks.join(", ");
        let count = counted(
            u64::try_from(attention.locks.len()).unwrap_or(u64::MAX),
            "lock",
        );
        findings.push(Finding::warning(
            "locks",
            format!("{count} in force: {kinds}"),
            "llm-permission-proxy lock prints them with their reasons; unlock ID lifts one",
        ));
    }
    if unknown > 0 {
        findings.push(Finding::warning(
            "applies",
            format!("{} whose outcome nobody knows", counted(unknown, "apply")),
            "task list --state unknown prints them; look upstream, then apply resolve APPLY",
        ));
    }
    if given_up > 0 {
        findings.push(Finding::warning(
            "callbacks",
            format!("{} given up", counted(given_up, "delivery")),
            "mend the receiver, then delivery retry --all --reason TEXT",
        ));
    }
    findings
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Grade;
    use projections::Depths;

    #[test]
    fn what_waits_for_an_operator_is_told_with_what_to_do() {
        let approvers = ["anna", "bo"].map(|name| ApproverName::parse(name).unwrap());
        let found = |unknown_applies, given_up_deliveries, deciders: &[&str], locks: &[&str]| {
            let depths = Depths {
                unknown_applies,
                given_up_deliveries,
                ..Depths::default()
            };
            let attention = Attention {
                depths,
                deciders: deciders.iter().map(|name| (*name).to_owned()).collect(),
                locks: locks.iter().map(|kind| (*kind).to_owned()).collect(),
            };
            waiting(&attention, &approvers)
        };
        let well = found(0, 0, &["anna", "bo", "eve"], &[]);
        assert!(well.iter().all(|finding| finding.grade() == Grade::Ok));
        let bad = found(2, 1, &["anna"], &["all", "agent"]);
        let told: Vec<&str> = bad.iter().map(Finding::found).collect();
        let expected = [
            "without a passkey or command-line key: bo",
            "2 locks in force: all, agent",
            "2 applies whose outcome nobody knows",
            "1 delivery given up",
        ];
        assert_eq!(told, expected);
        assert!(bad.iter().all(|finding| finding.advice().is_some()));
    }
}
