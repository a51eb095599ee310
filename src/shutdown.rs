//! Signals that end the process.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// SIGTERM, SIGINT and SIGQUIT. The first asks for an orderly end, the second ends the process at once,
/// which is safe at any moment. SIGHUP, SIGUSR1 and SIGUSR2, with which other services are told to read
/// their settings or open their logs again, change nothing.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hang_up: Signal,
    user: [Signal; 2],
}

impl Signals {
    /// Catches the signals from here on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn catch() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("catching SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("catching SIGINT")?,
            quit: signal(SignalKind::quit()).context("catching SIGQUIT")?,
            hang_up: signal(SignalKind::hangup()).context("catching SIGHUP")?,
            user: [
                signal(SignalKind::user_defined1()).context("catching SIGUSR1")?,
                signal(SignalKind::user_defined2()).context("catching SIGUSR2")?,
            ],
        })
    }

    /// Cancels `stop` at the first signal and exits with 1 at the second; never returns.
    pub(crate) async fn obey(mut self, stop: CancellationToken) -> ! {
        let name = self.next().await;
        tracing::info!(
            signal = name,
            "shutting down; a second signal ends the process at once"
        );
        stop.cancel();
        let name = self.next().await;
        tracing::warn!(signal = name, "ending at once");
        std::process::exit(1);
    }

    async fn next(&mut self) -> &'static str {
        let [first, second] = &mut self.user;
        loop {
            let ignored = tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.quit.recv() => return "SIGQUIT",
                _ = self.hang_up.recv() => "SIGHUP",
                _ = first.recv() => "SIGUSR1",
                _ = second.recv() => "SIGUSR2",
            };
            tracing::info!(
                signal = ignored,
                "ignored: settings are read when the service starts; restart it for new ones"
            );
        }
    }
}
