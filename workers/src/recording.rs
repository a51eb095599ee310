//! Getting what happened into the log, however long it takes.

use crate::error::Error;
use ledger::command::Command;
use ledger::{Ledger, Origin};
use std::time::Duration;

/// How long to wait before asking again, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Appends in the name of one worker.
#[derive(Clone)]
pub(crate) struct Recorder {
    ledger: Ledger,
    component: &'static str,
}

impl Recorder {
    pub(crate) const fn new(ledger: Ledger, component: &'static str) -> Self {
        Self { ledger, component }
    }

    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Asks until the command is recorded or refused: what has happened outside must not be lost
    /// because the disk is full for a while. Whoever drops the future (the drain at shutdown) leaves
    /// an intent without outcome, which the next start settles.
    ///
    /// # Errors
    /// Refusals, and everything that asking again cannot mend.
    pub(crate) async fn record<C: Command + Clone>(
        &self,
        command: C,
    ) -> Result<C::Answer, ledger::Error> {
        let mut wait = FIRST_WAIT;
        loop {
            let origin = Origin::system(self.component);
            match self.ledger.execute(origin, command.clone()).await {
                Err(
                    error @ (ledger::Error::NotRecorded
                    | ledger::Error::Database { .. }
                    | ledger::Error::File { .. }),
                ) => {
                    tracing::warn!(
                        worker = self.component,
                        error = %Error::from(error).chain(),
                        wait_ms = wait.as_millis(),
                        "not recorded yet"
                    );
                    tokio::time::sleep(wait).await;
                    wait = wait.saturating_mul(2).min(LONGEST_WAIT);
                }
                answer => return answer,
            }
        }
    }
}
