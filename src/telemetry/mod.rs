//! Telemetry: log lines and metrics.

mod log;
mod metrics;

pub(crate) use log::start_logging;
pub(crate) use metrics::Metrics;
