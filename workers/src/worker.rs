//! A worker: a loop that wakes, reads what it owes, does it, and reports that it is well.

use crate::error::Error;
use crate::in_flight::Failed;
use projections::Projection;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One of the loops that the supervisor keeps running.
pub(crate) trait Worker: Send + 'static {
    /// Its name in health, logs and metrics, and in the events that it appends.
    const NAME: &'static str;

    /// The projections that it reads: it starts once these hold everything that the ledger held then.
    const READS: &'static [Projection];

    /// Works until told to stop and has then drained, or until it cannot go on. It is called again
    /// after an error or a panic: tasks of the run before are then to be aborted first.
    fn run(&mut self, signals: &Signals) -> impl Future<Output = Result<(), Error>> + Send;
}

/// How a worker and its supervisor talk.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    /// Take nothing new, finish what is in flight, return.
    pub(crate) stop: CancellationToken,
    /// Changes when the clock may have moved.
    pub(crate) wake: watch::Receiver<()>,
    pub(crate) pulse: Pulse,
}

impl Signals {
    /// Takes note of tasks that failed; they are tried again when they have rested.
    ///
    /// # Errors
    /// When no task can succeed any more, because nothing can be recorded.
    pub(crate) fn note<K: std::fmt::Display>(
        &self,
        worker: &'static str,
        failed: Vec<Failed<K>>,
    ) -> Result<(), Error> {
        for Failed { key, error } in failed {
            tracing::error!(worker, id = %key, error = %error.chain(), "a task of a worker failed");
            self.pulse.stumbled(&error);
            if error.is_end_of_writing() {
                return Err(error);
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerHealth {
    /// `executor`, `pre_state_reader`, `expirer`, `scheduler`, `dispatcher`, `depth_gauges`,
    /// `cosigner`.
    pub name: &'static str,
    /// It has looked at what it owes since it was last started. `false` before the read tables have
    /// caught up, and from an error or panic until it works again.
    pub alive: bool,
    /// The newest error, which it may have got over. Holds no secret.
    pub last_error: Option<String>,
    /// How often it was started again after an error or a panic.
    pub restarts: u64,
}

/// A worker's side of its health.
#[derive(Debug, Clone)]
pub(crate) struct Pulse(Arc<Mutex<WorkerHealth>>);

impl Pulse {
    pub(crate) fn new(name: &'static str) -> Self {
        Self(Arc::new(Mutex::new(WorkerHealth {
            name,
            alive: false,
            last_error: None,
            restarts: 0,
        })))
    }

    fn change(&self, change: impl FnOnce(&mut WorkerHealth)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// It has looked at what it owes and dealt with it.
    pub(crate) fn beat(&self) {
        self.change(|health| health.alive = true);
    }

    /// Something failed that does not keep it from going on.
    pub(crate) fn stumbled(&self, error: &Error) {
        self.change(|health| health.last_error = Some(error.chain()));
    }

    /// It does not run; it will be started again.
    pub(crate) fn fell(&self, error: &Error) {
        self.change(|health| {
            health.alive = false;
            health.last_error = Some(error.chain());
            health.restarts += 1;
        });
    }

    /// It waits to be started, and why.
    pub(crate) fn waits(&self, error: &Error) {
        self.change(|health| {
            health.alive = false;
            health.last_error = Some(error.chain());
        });
    }

    /// It ended because it was told to.
    pub(crate) fn ended(&self) {
        self.change(|health| health.alive = false);
    }

    pub(crate) fn health(&self) -> WorkerHealth {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The shortest time between two looks of a worker that need not be the first to know.
const PACE: Duration = Duration::from_millis(25);

/// Waits until something has been folded since `progress` was last read, but not more often than
/// every 25 ms: under load there is a commit in every millisecond.
///
/// # Errors
/// When nobody folds any more.
pub(crate) async fn paced(
    progress: &mut watch::Receiver<u64>,
    looked: Instant,
) -> Result<(), Error> {
    tokio::time::sleep_until(looked + PACE).await;
    progress
        .changed()
        .await
        .map_err(|_| Error::ReadTablesStopped)
}
