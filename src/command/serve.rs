//! `serve`.

use crate::cli::ServeArgs;
use crate::config::Environment;
use crate::service::{self, Greeting};
use crate::shutdown::Signals;
use crate::telemetry::{Metrics, start_logging};
use anyhow::Context;
use api::server::listen;
use std::path::Path;
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Runs the service until it is told to end.
pub(crate) fn serve(environment: &Environment, args: &ServeArgs) -> anyhow::Result<ExitCode> {
    start_logging(&args.log, environment)?;
    let (config, warnings) = environment.config()?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    // Before anything that makes an HTTP client, which would install one of its own.
    super::install_crypto()?;
    config.check_files()?;
    let metrics = Metrics::start()?;
    let greeting = Greeting {
        settings: environment.config_file().map(Path::to_owned),
    };
    super::runtime()?.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(Signals::catch()?.obey(stop.clone()));
        let listener = listen(config.http.bind)
            .with_context(|| format!("listening on {}", config.http.bind))?;
        let upkeep = tokio::spawn(metrics.clone().keep_up(stop.clone()));
        service::run(
            &config,
            listener,
            Some(metrics),
            stop.clone(),
            Some(greeting),
        )
        .await?;
        stop.cancel();
        upkeep.await.context("the metrics' upkeep broke down")?;
        anyhow::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
