//! `demo`.

use crate::cli::{LogArgs, LogFormat};
use crate::config::Environment;
use crate::demo;
use crate::shutdown::Signals;
use crate::telemetry::start_logging;
use crate::terminal::Terminal;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Tells the story; logs only where RUST_LOG says so, because the story is what people read.
pub(crate) fn demo(environment: &Environment, keep: bool) -> anyhow::Result<ExitCode> {
    if environment.log_filter().is_some() {
        let args = LogArgs {
            log: None,
            log_format: LogFormat::Auto,
        };
        start_logging(&args, environment)?;
    }
    super::install_crypto()?;
    let terminal = Terminal::of(environment);
    super::runtime()?.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(Signals::catch()?.obey(stop.clone()));
        demo::run(terminal, keep, stop).await
    })?;
    Ok(ExitCode::SUCCESS)
}
