//! How far the read tables are behind, for whoever watches the metrics.

use projections::Projections;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two readings.
const INTERVAL: Duration = Duration::from_secs(1);

/// Keeps `ledger_size` and `projection_lag_events` until told to stop.
pub(crate) async fn keep_gauges(projections: Projections, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let status = projections.status();
        let lag = status.head.saturating_sub(status.cursor);
        set("ledger_size", status.head);
        set("projection_lag_events", lag);
    }
}

/// Exact up to 2^53, as every number of Prometheus.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; positions stay far below 2^53"
)]
fn set(name: &'static str, value: u64) {
    metrics::gauge!(name).set(value as f64);
}
