//! The read tables: opened, brought up to the ledger, and kept there.

use crate::config::Storage;
use anyhow::Context;
use ledger::Ledger;
use projections::{Projection, ProjectionOptions, Projections, Runner};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Between two words about progress.
const EVERY: Duration = Duration::from_secs(2);

/// How long the end waits for the last events to be folded.
const PATIENCE: Duration = Duration::from_secs(2);

/// Read tables that follow the ledger.
pub(crate) struct ReadTables {
    pub(crate) projections: Projections,
    following: JoinHandle<()>,
    stop: CancellationToken,
}

impl ReadTables {
    /// Opens the file, folds what is missing, and goes on from there. Work that takes long is told
    /// in the log every two seconds.
    ///
    /// # Errors
    /// A foreign file, a ledger that is not the one the tables were made from, a file that fails. A
    /// projection that meets an event which it cannot fold stops and is no reason not to start.
    pub(crate) async fn open(storage: &Storage, ledger: &Ledger) -> anyhow::Result<Self> {
        let options = ProjectionOptions {
            url: storage.read_tables_url(),
            ledger: ledger.clone(),
        };
        let (projections, mut runner) = Projections::open(options)
            .await
            .map_err(|error| unusable(storage, error, "the read tables cannot be opened"))?;
        catch_up(storage, &mut runner).await?;
        let stop = CancellationToken::new();
        let told = stop.clone();
        let following = tokio::spawn(async move {
            if let Err(error) = runner.run(told).await {
                // Reads answer 503 from here on, and readiness says why; what was accepted stays
                // in the ledger.
                tracing::error!(
                    error = format!("{:#}", anyhow::Error::from(error)),
                    "the read tables no longer follow the ledger"
                );
            }
        });
        Ok(Self {
            projections,
            following,
            stop,
        })
    }

    /// Folds what the workers have recorded last, and ends following.
    ///
    /// # Errors
    /// When it broke down.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        // What is not folded by now, the next start folds.
        drop(self.projections.caught_up(&Projection::ALL, PATIENCE).await);
        self.stop.cancel();
        self.following.await.context("folding broke down")
    }
}

/// Says what to do about a file that is damaged.
pub(crate) fn unusable(
    storage: &Storage,
    error: projections::Error,
    otherwise: &'static str,
) -> anyhow::Error {
    let damaged = error.is_damage();
    let error = anyhow::Error::from(error);
    if !damaged {
        return error.context(otherwise);
    }
    let file = storage.read_tables.display();
    error.context(format!(
        "the read tables are damaged, and nothing is lost by it: with the service stopped delete {file}, \
         {file}-wal and {file}-shm; the next start makes them anew from the ledger"
    ))
}

async fn catch_up(storage: &Storage, runner: &mut Runner) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut told = began;
    runner
        .catch_up(|progress| {
            if told.elapsed() >= EVERY {
                told = Instant::now();
                tracing::info!(
                    done = progress.done,
                    total = progress.total,
                    "bringing the read tables up to the ledger"
                );
            }
        })
        .await
        .map_err(|error| {
            let otherwise = "the read tables cannot be brought up to the ledger";
            unusable(storage, error, otherwise)
        })?;
    let duration_ms = began.elapsed().as_millis();
    tracing::info!(duration_ms, "the read tables are folded");
    Ok(())
}
