//! Start order and end order.

use super::banner::{Greeting, greet};
use super::control::Control;
use super::first_admin::FirstAdminLink;
use super::opened_ledger::{OpenedLedger, close_writer, writer_end};
use super::proxied_calls::CallWriter;
use super::proxied_writes::Kept;
use super::proxies::{forwarder, proxies};
use super::read_tables::ReadTables;
use super::readiness::Readiness;
use super::rules::without_slash;
use super::sealed::check_sealed;
use super::surface::surface;
use super::witness_lag::WitnessLag;
use super::workforce::workforce;
use crate::config::Config;
use crate::open_files;
use crate::telemetry::Metrics;
use anyhow::Context;
use api::server::{Server, Timeouts};
use api::{AppState, Services, build_router, with_proxies};
use ledger::Ledger;
use projections::Projections;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use workers::HealthReader;
use workers::upstream::NamesForPlans;
use workers::witness::publish_kept;

/// How long requests may take to be told that the ledger cannot be written any more.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Runs the service on a bound listener until `stop`, or until the ledger cannot be written.
///
/// With a `greeting` it tells a terminal where it listens, and hands out a link by which the first admin is
/// made, while there is none.
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
    greeting: Option<Greeting>,
) -> anyhow::Result<()> {
    let OpenedLedger { ledger, mut writer } = OpenedLedger::open_or_make(config).await?;
    tracing::info!(
        ledger.id = %ledger.id(),
        ledger.size = *ledger.size().borrow(),
        "the ledger is open"
    );
    if let Some(checkpoints) = ledger.checkpoints() {
        tracing::info!(
            origin = %checkpoints.origin(),
            key_file = config
                .signing
                .key_file()
                .map(|file| tracing::field::display(file.display())),
            state_file = %config.signing.state_file().display(),
            "checkpoints are signed"
        );
    }
    let ending = stop.child_token();
    let in_time = out_of_time(ending.clone(), config.http.shutdown);
    let stages = Stages {
        config,
        metrics,
        ledger,
        stop: ending.clone(),
        greeting,
    };
    let served = stages.run(listener);
    tokio::pin!(served, in_time);
    let (served, wrote) = tokio::select! {
        () = &mut in_time => {
            // What runs has its intent on record, and the next start settles it.
            tracing::warn!(
                "ending before all work has ended (SHUTDOWN_SECS); the next start settles what is left"
            );
            (Ok(()), Ok(()))
        }
        served = &mut served => (served, close_writer(writer).await),
        ended = &mut writer => {
            // Unless the last handle has just gone: nothing can be recorded any more, so nothing
            // may be answered or done any more.
            ending.cancel();
            match writer_end(ended) {
                Ok(()) => (served.await, Ok(())),
                // Workers would try again and again to record what they did, and callers wait for it.
                // Ending them is as safe as a crash.
                Err(error) => {
                    let served = tokio::time::timeout(LAST_ANSWERS, served).await;
                    (served.unwrap_or(Ok(())), Err(error))
                }
            }
        }
    };
    // When the writer has failed, what else failed is only what followed from it.
    wrote?;
    served?;
    tracing::info!("stopped");
    Ok(())
}

/// Ready when an end that has begun has taken this long.
async fn out_of_time(ending: CancellationToken, timeouts: Duration) {
    ending.cancelled().await;
    tokio::time::sleep(timeouts).await;
}

/// What the surface takes from the workers.
struct FromWorkers {
    health: HealthReader,
    names: Arc<NamesForPlans>,
    /// What is kept of writes for the calls that wait.
    kept: Kept,
}

/// Everything above the ledger.
struct Stages<'c> {
    config: &'c Config,
    metrics: Option<Metrics>,
    ledger: Ledger,
    stop: CancellationToken,
    greeting: Option<Greeting>,
}

impl Stages<'_> {
    async fn run(self, listener: TcpListener) -> anyhow::Result<()> {
        let tables = ReadTables::open(&self.config.storage, &self.ledger).await?;
        let key_is_lost = self.config.master_key.is_lost();
        let served = match check_sealed(&self.ledger, &tables.projections, key_is_lost).await {
            Ok(()) => self.with_workers(listener, &tables.projections).await,
            Err(refused) => Err(refused),
        };
        let closed = tables.close().await;
        served.context("using the listener").and(closed)
    }

    async fn with_workers(
        self,
        listener: TcpListener,
        projections: &Projections,
    ) -> anyhow::Result<()> {
        let stop_work = CancellationToken::new();
        let mut workforce = workforce(self.config)?;
        let kept = Kept::default();
        workforce.forwarder = Some(forwarder(self.config, &self.ledger, &kept)?);
        if let Some(witnesses) = &workforce.witnesses {
            publish_kept(witnesses, &self.ledger).await?;
        }
        let names = Arc::new(NamesForPlans::new(workforce.upstreams.clone()));
        let workers = workers::start(workforce, &self.ledger, projections, &stop_work);
        let from_workers = FromWorkers {
            health: workers.health_reader(),
            names,
            kept,
        };
        let served = self.with_surface(listener, projections, from_workers).await;
        stop_work.cancel();
        workers.drained().await;
        served
    }

    async fn with_surface(
        self,
        listener: TcpListener,
        projections: &Projections,
        workers: FromWorkers,
    ) -> anyhow::Result<()> {
        let control = Control::open(self.config, &self.ledger, projections);
        let server = self.server();
        let kept = workers.kept.clone();
        let state = self.state(projections, workers, &server)?;
        let first_admin = self.first_admin(&state).await?;
        app::upstreams::refresh(&self.ledger)
            .await
            .context("reading which APIs are open")?;
        let calls = CallWriter::start(&state).await;
        let calls = calls.context("reading what calls used lately")?;
        let gateway = proxies(self.config, &state, calls.calls(), kept)?;
        let router = build_router(state.clone()).context("preparing the HTTP surface")?;
        let router = with_proxies(router, state, gateway);
        let address = listener.local_addr().context("the listener's address")?;
        let base_url = without_slash(&self.config.http.base_url);
        tracing::info!(%address, base_url, "listening");
        if let Some(greeting) = &self.greeting {
            greet(self.config, &self.ledger, address, greeting).await?;
        }
        let served = server.serve(listener, router, self.stop).await;
        calls.close().await;
        let closed = match control {
            Some(control) => control.close().await,
            None => Ok(()),
        };
        let closed = match first_admin {
            Some(link) => link.close().await.and(closed),
            None => closed,
        };
        served.context("using the listener").and(closed)
    }

    /// The link by which the first admin is made, where it is to be handed out.
    async fn first_admin(&self, state: &AppState) -> anyhow::Result<Option<FirstAdminLink>> {
        if self.greeting.is_none() {
            return Ok(None);
        }
        let file = self.config.storage.first_admin_file();
        FirstAdminLink::offer(file, &state.setup_url(), &self.ledger).await
    }

    /// With as many connections as are wanted, and as there are file descriptors for.
    fn server(&self) -> Server {
        let http = &self.config.http;
        let wanted = usize::try_from(http.max_connections).unwrap_or(usize::MAX);
        let most = open_files::allow(wanted);
        if most < wanted {
            tracing::warn!(
                wanted,
                most,
                "fewer connections than MAX_CONNECTIONS: this process may open too few files \
                 (ulimit -n, LimitNOFILE)"
            );
        }
        let timeouts = Timeouts {
            slow: http.client_timeout,
            idle: http.keep_alive,
            // The rest is for what is sent upstream, and for closing the files.
            ending: http.shutdown / 2,
        };
        Server::new(most, timeouts)
    }

    fn state(
        &self,
        projections: &Projections,
        workers: FromWorkers,
        server: &Server,
    ) -> anyhow::Result<AppState> {
        let waiting = self.config.witnesses.approvals_wait;
        let checkpoints = self.ledger.checkpoints().filter(|_| waiting);
        let readiness = Readiness {
            witness_lag: checkpoints.cloned().map(WitnessLag::new),
            ledger: self.ledger.clone(),
            projections: projections.clone(),
            workers: workers.health,
        };
        let metrics = self.metrics.clone().map(|metrics| {
            let (server, ledger) = (server.clone(), self.ledger.clone());
            Arc::new(move || {
                server.measure();
                ledger.measure();
                metrics.render()
            }) as _
        });
        let services = Services {
            ledger: self.ledger.clone(),
            projections: projections.clone(),
            scope_names: workers.names,
            places: self.config.http.read_places()?,
            readiness: Arc::new(readiness),
            metrics,
            ending: self.stop.clone(),
        };
        Ok(AppState::new(surface(self.config)?, services))
    }
}
