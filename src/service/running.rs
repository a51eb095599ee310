//! Start order and end order.

use super::http;
use super::opened_ledger::{OpenedLedger, close_writer};
use super::readiness::against_ledger;
use super::rules::without_slash;
use super::surface::surface;
use crate::config::Config;
use crate::operator::{ControlSocket, perform};
use crate::telemetry::Metrics;
use anyhow::Context;
use api::{AppState, Services, build_router};
use ledger::Ledger;
use projections::{ProjectionOptions, Projections};
use std::net::TcpListener;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Runs the service on a bound listener until `stop`, or until the ledger cannot be written.
///
/// Whatever a start refuses is refused before anything is served. The end goes the other way round:
/// no new requests, then no new work, then the read tables, then the ledger; each stage may still
/// use those below it.
///
/// # Errors
/// What kept it from starting, or from going on.
pub(crate) async fn run(
    config: &Config,
    listener: TcpListener,
    metrics: Option<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let OpenedLedger { ledger, mut writer } = OpenedLedger::open_or_make(config).await?;
    tracing::info!(
        ledger.id = %ledger.id(),
        ledger.size = *ledger.size().borrow(),
        "the ledger is open"
    );
    let ending = stop.child_token();
    let stages = stages(config, listener, metrics, ledger, ending.clone());
    tokio::pin!(stages);
    let served = tokio::select! {
        served = &mut stages => served,
        ended = &mut writer => {
            // Nothing can be recorded any more, so nothing may be answered or done any more.
            ending.cancel();
            drop(stages.await);
            return ended
                .context("the ledger's writer broke down")?
                .context("the ledger cannot be written any more");
        }
    };
    let closed = close_writer(writer).await;
    served?;
    closed?;
    tracing::info!("stopped");
    Ok(())
}

async fn stages(
    config: &Config,
    listener: TcpListener,
    metrics: Option<Metrics>,
    ledger: Ledger,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let control = ControlSocket::bind(&config.storage.control_socket())?;
    let stop_control = CancellationToken::new();
    let controlled = ledger.clone();
    let control = tokio::spawn(control.serve(
        move |account, action| {
            let ledger = controlled.clone();
            async move { perform(&ledger, &account, action).await }
        },
        stop_control.clone(),
    ));

    let options = ProjectionOptions {
        url: config.storage.read_tables_url(),
        ledger: ledger.clone(),
    };
    let (projections, runner) = Projections::open(options)
        .await
        .context("the read tables cannot be opened")?;
    let stop_folding = CancellationToken::new();
    let folding = tokio::spawn(runner.run(stop_folding.clone()));

    let address = listener.local_addr().context("the listener's address")?;
    let judged = ledger.clone();
    let services = Services {
        ledger: ledger.clone(),
        projections,
        readiness: Arc::new(move || against_ledger(&judged)),
        metrics: metrics.map(|metrics| Arc::new(move || metrics.render()) as _),
    };
    let router = build_router(AppState::new(surface(config)?, services))
        .context("preparing the HTTP surface")?;
    tracing::info!(%address, base_url = without_slash(&config.http.base_url), "listening");
    let served = http::serve(listener, router, stop).await;

    stop_folding.cancel();
    folding.await.context("folding the ledger broke down")??;
    stop_control.cancel();
    control.await.context("the control socket broke down")?;
    drop(ledger);
    served
}
