//! Log lines on standard error.

use crate::cli::{LogArgs, LogFormat};
use crate::config::Environment;
use anyhow::Context;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged where nobody says otherwise.
const DEFAULT_FILTER: &str = "info";

/// Starts logging for the life of the process.
///
/// # Errors
/// A filter that cannot be understood, or logging that was started before.
pub(crate) fn start_logging(args: &LogArgs, environment: &Environment) -> anyhow::Result<()> {
    let wanted = args.log.as_deref().or_else(|| environment.log_filter());
    let filter = EnvFilter::try_new(wanted.unwrap_or(DEFAULT_FILTER))
        .context("the log filter cannot be understood")?;
    let terminal = std::io::stderr().is_terminal();
    let text = match args.log_format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = if text {
        let colour = terminal && !environment.no_color();
        registry.with(layer.with_ansi(colour)).try_init()
    } else {
        let layer = layer.json().flatten_event(true).with_span_list(false);
        registry.with(layer).try_init()
    };
    started.context("logging was started before")
}
