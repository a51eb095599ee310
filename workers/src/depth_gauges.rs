//! Gauges of how much waits in each queue.

use crate::error::Error;
use crate::witness::Gate;
use crate::worker::{Signals, Worker};
use projections::{Projection, Projections};
use std::time::Duration;

/// Between two readings: a person who looks after a question came up finds it counted.
const INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the gauges `queue_depth{queue}`, `projections_lag_events{projection}` and
/// `projections_stopped{projection}`.
pub(crate) struct DepthGauges {
    projections: Projections,
    gate: Option<Gate>,
}

impl DepthGauges {
    pub(crate) fn new(projections: &Projections, gate: Option<Gate>) -> Self {
        Self {
            projections: projections.clone(),
            gate,
        }
    }
}

impl Worker for DepthGauges {
    const NAME: &'static str = "depth_gauges";
    const READS: &'static [Projection] = &[];

    async fn run(&mut self, signals: &Signals) -> Result<(), Error> {
        let mut ticks = tokio::time::interval(INTERVAL);
        while signals
            .stop
            .run_until_cancelled(ticks.tick())
            .await
            .is_some()
        {
            self.projections.measure();
            let depths = self.projections.depths().await?;
            let unwitnessed = match self.gate.as_mut().map(Gate::size) {
                Some(size) => self.projections.applies_approved_from(size).await?,
                None => 0,
            };
            for (queue, depth) in [
                ("ready_applies", depths.ready_applies),
                ("due_deliveries", depths.due_deliveries),
                ("pending_approvals", depths.pending_approvals),
                ("given_up_deliveries", depths.given_up_deliveries),
                ("unknown_applies", depths.unknown_applies),
                ("unwitnessed_applies", unwitnessed),
            ] {
                let depth = u32::try_from(depth).unwrap_or(u32::MAX);
                metrics::gauge!("queue_depth", "queue" => queue).set(f64::from(depth));
            }
            signals.pulse.beat();
        }
        Ok(())
    }
}
