//! How the process is told to end.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// SIGTERM and SIGINT. The first asks for an orderly end, the second ends the process at once, which
/// is safe at any moment.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
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
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
