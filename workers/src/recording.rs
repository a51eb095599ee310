//! The recorder: gets what happened into the log, however long it takes.

use crate::error::Error;
use ledger::command::Command;
use ledger::{Ledger, Origin, ReadError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

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
            if let Some(answer) = self.ask(command.clone(), wait).await {
                return answer;
            }
            tokio::time::sleep(wait).await;
            wait = wait.saturating_mul(2).min(LONGEST_WAIT);
        }
    }

    /// As [`Self::record`], for what need not be recorded any more once `stop` is cancelled; `None`
    /// when it was not. A question that was put is always waited for: dropped, it might be recorded
    /// all the same, and nobody would do what it says.
    pub(crate) async fn record_unless<C: Command + Clone>(
        &self,
        stop: &CancellationToken,
        command: C,
    ) -> Option<Result<C::Answer, ledger::Error>> {
        let mut wait = FIRST_WAIT;
        loop {
            if let Some(answer) = self.ask(command.clone(), wait).await {
                return Some(answer);
            }
            stop.run_until_cancelled(tokio::time::sleep(wait)).await?;
            wait = wait.saturating_mul(2).min(LONGEST_WAIT);
        }
    }

    /// Asks once; `None` when asking again may help, after `wait`.
    async fn ask<C: Command>(
        &self,
        command: C,
        wait: Duration,
    ) -> Option<Result<C::Answer, ledger::Error>> {
        let origin = Origin::system(self.component);
        match self.ledger.execute(origin, command).await {
            Err(
                error @ (ledger::Error::NotRecorded | ledger::Error::Read(ReadError::Storage(_))),
            ) => {
                tracing::warn!(
                    worker = self.component,
                    error = %Error::from(error).chain(),
                    wait_ms = wait.as_millis(),
                    "not recorded yet"
                );
                None
            }
            answer => Some(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fixtures::commands;
    use fixtures::test_ledger::{Setup, TestLedger};
    use ledger::storage::{StorageError, StorageErrorKind};
    use ledger::{CommitFaults, CommitPoint};
    use std::sync::Arc;

    struct Full;

    impl CommitFaults for Full {
        fn strike(&self, point: CommitPoint) -> Option<StorageError> {
            let full = || StorageError::new(StorageErrorKind::Passing, "committing", "full");
            (point == CommitPoint::Write).then(full)
        }
    }

    fn stopped() -> CancellationToken {
        let stop = CancellationToken::new();
        stop.cancel();
        stop
    }

    #[tokio::test]
    async fn what_was_asked_is_waited_for_also_when_told_to_stop() {
        let ledger = TestLedger::open().await;
        let recorder = Recorder::new(ledger.ledger.clone(), "test");
        let stop = stopped();
        let recorded = recorder.record_unless(&stop, commands::create_task());
        assert!(recorded.await.is_some_and(|answer| answer.is_ok()));
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_is_left_when_told_to_stop() {
        let ledger = TestLedger::with(Setup {
            faults: Some(Arc::new(Full)),
            ..Setup::default()
        })
        .await;
        let recorder = Recorder::new(ledger.ledger.clone(), "test");
        let stop = stopped();
        let recorded = recorder.record_unless(&stop, commands::create_task());
        assert!(recorded.await.is_none());
    }
}
