//! The listener: how connections are served and how serving ends.

use anyhow::Context;
use axum::Router;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a client may take to send a request's head; a slow one keeps a connection, not a task
/// of ours.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);

/// How long requests that run when the end begins may go on.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);

/// Serves until `stop`, then lets what runs end, and returns when no connection is left or the
/// patience is.
///
/// # Errors
/// When the listener cannot be used.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let handle: Handle<SocketAddr> = Handle::new();
    let mut server = axum_server::from_tcp(listener)
        .context("using the listener")?
        .acceptor(NoDelayAcceptor::new())
        .http1_only()
        .first_request_timeout(HEAD_PATIENCE)
        .handle(handle.clone());
    server
        .http_builder()
        .http1()
        .header_read_timeout(HEAD_PATIENCE);
    let serving = server.serve(router.into_make_service());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.context("serving"),
        () = stop.cancelled() => {}
    }
    tracing::info!(
        connections = handle.connection_count(),
        "no longer accepting"
    );
    handle.graceful_shutdown(Some(DRAIN_PATIENCE));
    serving.await.context("serving")
}
