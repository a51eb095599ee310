//! The control socket of the running service.

use super::rebuilding::rebuild;
use crate::config::Config;
use crate::operator::{Action, ControlSocket, Links, Performed, perform, retry_deliveries};
use anyhow::Context;
use ledger::Ledger;
use projections::Projections;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Serves operator commands until it is closed.
pub(crate) struct Control {
    serving: JoinHandle<()>,
    stop: CancellationToken,
}

impl Control {
    /// Listens beside the ledger. `None` when the socket cannot be made, as where the ledger's path
    /// is too long for one: the service is as good without, and the API takes the same actions.
    pub(crate) fn open(
        config: &Config,
        ledger: &Ledger,
        projections: &Projections,
    ) -> Option<Self> {
        let socket = match ControlSocket::bind(&config.storage.control_socket()) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "no control socket: operator commands cannot reach this service while it runs; \
                     use the API, or a shorter path for the ledger"
                );
                return None;
            }
        };
        let stop = CancellationToken::new();
        let (ledger, projections) = (ledger.clone(), projections.clone());
        let ending = stop.clone();
        let links = Arc::new(Links::of(config));
        let serving = tokio::spawn(socket.serve(
            move |account, action, tell| {
                let (ledger, projections) = (ledger.clone(), projections.clone());
                let (ending, links) = (ending.clone(), Arc::clone(&links));
                async move {
                    let performed = match action {
                        Action::RebuildProjections { names } => {
                            let rebuilt = rebuild(&projections, &names, &tell);
                            let rebuilt = ending.run_until_cancelled(rebuilt).await;
                            rebuilt.unwrap_or_else(|| Performed::Refused {
                                text: "the service is stopping; the old tables stay".to_owned(),
                            })
                        }
                        Action::RetryDeliveries { reason } => {
                            retry_deliveries(&ledger, &projections, &account, reason).await
                        }
                        action => perform(&ledger, &links, &account, action).await,
                    };
                    tracing::info!(
                        operator = account.name(),
                        ?performed,
                        "an operator's action"
                    );
                    performed
                }
            },
            stop.clone(),
        ));
        Some(Self { serving, stop })
    }

    /// Takes the socket away, after the action that is under way.
    ///
    /// # Errors
    /// When serving broke down.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.serving.await.context("the control socket broke down")
    }
}
