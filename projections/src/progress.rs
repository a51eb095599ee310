//! Progress of folding: what the engine publishes, what readers ask of it, and what a rebuild reports.

use crate::error::Error;
use crate::projection::{Projection, Stop};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};

/// How far the read tables are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How many events the ledger holds.
    pub head: u64,
    pub projections: Vec<ProjectionStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionStatus {
    pub projection: Projection,
    /// How many events it holds: the next position to fold.
    pub cursor: u64,
    /// Where and why nothing is folded any more; `None` while folding goes on.
    pub stop: Option<Stop>,
}

/// How far a long fold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Events folded.
    pub done: u64,
    /// Events to fold, as of the start.
    pub total: u64,
}

/// Where the runner publishes how far a projection is.
#[derive(Debug)]
pub(crate) struct ProgressSender {
    pub(crate) cursor: watch::Sender<u64>,
    pub(crate) stop: watch::Sender<Option<Stop>>,
}

/// Up to where a reader waits for the tables: folding does not pause before it has reached that.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    size: AtomicU64,
    pub(crate) raised: Notify,
}

impl Demand {
    pub(crate) fn raise_to(&self, size: u64) {
        self.size.fetch_max(size, Ordering::Relaxed);
        self.raised.notify_one();
    }

    /// True when a reader waits for the event at that position.
    pub(crate) fn includes(&self, position: u64) -> bool {
        self.size.load(Ordering::Relaxed) > position
    }
}

/// Those of all projections, in the order of their declaration.
pub(crate) type ProgressSenders = [ProgressSender; Projection::ALL.len()];

/// Sets the gauges of each projection.
pub(crate) fn measure(status: &Status) {
    for one in &status.projections {
        let name = one.projection.as_str();
        let lag = status.head.saturating_sub(one.cursor);
        let lag = u32::try_from(lag).unwrap_or(u32::MAX);
        metrics::gauge!("projections_lag_events", "projection" => name).set(f64::from(lag));
        let stopped = f64::from(u8::from(one.stop.is_some()));
        metrics::gauge!("projections_stopped", "projection" => name).set(stopped);
    }
}

/// The first row, in the order of the keys, in which a table differs from what the events make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub table: &'static str,
    /// The row's key: `apply_id=…`.
    pub row: String,
    /// The difference.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.table, self.row, self.what)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildReport {
    /// How many events the new tables hold.
    pub events: u64,
    /// How long it took: until the tables were in use, or, without a service, until they were folded and had
    /// their indexes.
    pub took: Duration,
    /// The projections whose old tables were at the same cursor and could be compared.
    pub compared: Vec<Projection>,
    /// The first row of each table in which the old ones differed.
    pub differences: Vec<Difference>,
}

/// A request to rebuild projections while they are in use.
pub(crate) struct RebuildRequest {
    pub(crate) names: Vec<Projection>,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) reply: oneshot::Sender<Result<RebuildReport, Error>>,
}

impl RebuildRequest {
    /// A request for these projections, all when none is named; its progress and its end.
    pub(crate) fn of(
        names: &[Projection],
    ) -> (
        Self,
        watch::Receiver<Progress>,
        oneshot::Receiver<Result<RebuildReport, Error>>,
    ) {
        let (progress, changed) = watch::channel(Progress { done: 0, total: 0 });
        let (reply, ended) = oneshot::channel();
        let mut names = match names {
            [] => Projection::ALL.to_vec(),
            names => names.to_vec(),
        };
        names.sort_unstable();
        names.dedup();
        let request = Self {
            names,
            progress,
            reply,
        };
        (request, changed, ended)
    }
}
