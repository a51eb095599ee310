//! Readiness: whether the service should get traffic.

use super::witness_lag::WitnessLag;
use ledger::{CLOCK_TOLERANCE, Ledger};
use projections::Projections;
use workers::HealthReader;

/// A few events of lag come and go with every commit; these many are a reader's wait.
const MOST_LAG: u64 = 1_000;

/// What is looked at for each answer.
pub(crate) struct Readiness {
    pub(crate) ledger: Ledger,
    pub(crate) projections: Projections,
    pub(crate) workers: HealthReader,
    /// Where what was approved waits for witnesses.
    pub(crate) witness_lag: Option<WitnessLag>,
}

impl api::Readiness for Readiness {
    fn reasons_against(&self) -> Vec<String> {
        let mut reasons = against_ledger(&self.ledger);
        let tables = self.projections.status();
        for one in tables.projections {
            let name = one.projection;
            let lag = tables.head.saturating_sub(one.cursor);
            if let Some(stop) = one.stop {
                reasons.push(format!("projection {name} has stopped {stop}"));
            } else if lag > MOST_LAG {
                reasons.push(format!(
                    "projection {name} is {lag} events behind the ledger"
                ));
            }
        }
        for worker in self.workers.health() {
            if !worker.alive {
                reasons.push(format!("worker {} is not working", worker.name));
            }
        }
        reasons.extend(
            self.witness_lag
                .as_ref()
                .and_then(WitnessLag::reason_against),
        );
        reasons
    }
}

fn against_ledger(ledger: &Ledger) -> Vec<String> {
    let mut reasons = Vec::new();
    if !ledger.is_open() {
        reasons.push("the ledger's writer has stopped".to_owned());
    }
    if ledger.is_damaged() {
        reasons.push(
            "the ledger's file is damaged: stop the service, keep the file, restore a backup"
                .to_owned(),
        );
    }
    // What SQLite said stands in the log; it may name files.
    if ledger.failing().is_some() {
        reasons.push("the last commit to the ledger failed".to_owned());
    }
    if ledger.checkpoints().is_some_and(|c| c.failing().is_some()) {
        reasons.push("the last checkpoint could not be kept, so none is published".to_owned());
    }
    if ledger.is_short_of_room() {
        reasons.push(
            "the disk has less room than LEDGER_MIN_FREE_BYTES: nothing new is taken in".to_owned(),
        );
    }
    let behind = ledger.clock_behind();
    if behind > CLOCK_TOLERANCE {
        reasons.push(format!(
            "the clock is {} s behind the newest event",
            behind.as_secs()
        ));
    }
    reasons
}
