//! The control socket of the running service.

use crate::config::Storage;
use crate::operator::{ControlSocket, perform};
use anyhow::Context;
use ledger::Ledger;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Serves operator commands until it is closed.
pub(crate) struct Control {
    serving: JoinHandle<()>,
    stop: CancellationToken,
}

impl Control {
    /// Listens beside the ledger.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn open(storage: &Storage, ledger: &Ledger) -> anyhow::Result<Self> {
        let socket = ControlSocket::bind(&storage.control_socket())?;
        let stop = CancellationToken::new();
        let ledger = ledger.clone();
        let serving = tokio::spawn(socket.serve(
            move |account, action| {
                let ledger = ledger.clone();
                async move {
                    let performed = perform(&ledger, &account, action).await;
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
        Ok(Self { serving, stop })
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
