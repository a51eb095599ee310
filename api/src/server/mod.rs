//! The HTTP server: accepts connections within a limit, holds each client to time limits, and lets running
//! requests end when the service stops. No client can take so much memory or so many connections that
//! another gets none.
//!
//! | file | holds |
//! |---|---|
//! | `connection` | one connection, from its first byte to its last |
//! | `slots` | the limit on connections, and which one ends when it is reached |
//! | `memory` | the limit on unfinished heads and unread answers, and which connection ends when it is reached |
//! | `state` | what a connection is doing, and since when |
//! | `signal` | requests to a connection to finish or to end |
//! | `stream` | its bytes: phase changes seen in them, and the time that a write may take |
//! | `input`, `head` | bytes that are not yet a request, and where a head ends |
//! | `answers` | answers that are not read yet |
//! | `host` | the check of the host field |
//! | `refusal` | refusals that no route gives, as problem details or in the form of the API that is spoken |
//! | `speaks` | the API that is spoken, by the path of a request |

mod answers;
mod connection;
mod head;
mod host;
mod input;
mod memory;
mod refusal;
mod signal;
mod slots;
mod speaks;
mod state;
mod stream;

use axum::Router;
use connection::{MOST_CLOSING, close, serve};
use refusal::Refusal;
use signal::Signal;
use slots::Slots;
use speaks::Speaks;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The wait after a connection could not be accepted, at first and at most: what keeps one from being
/// accepted (no free file descriptor) does not pass at once.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Connections that the kernel keeps until they are accepted.
const QUEUE: u32 = 4096;

/// The kernel's buffer, in bytes, for an answer that a connection does not read. By default it would grow
/// to megabytes.
const SEND_BUFFER: u32 = 256 * 1024;

/// Binds and listens; must be called within a runtime. A service that has just ended does not keep the
/// address.
///
/// # Errors
/// When the address cannot be bound.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    // Accepted connections have what their listener has.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(QUEUE)?.into_std()
}

/// How long clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the head of a request, and for an answer beside what its length needs at the lowest rate.
    pub slow: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For requests that run when the end begins.
    pub ending: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            slow: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            ending: Duration::from_secs(5),
        }
    }
}

/// The HTTP server of one listener. Clones share their limits.
#[derive(Debug, Clone)]
pub struct Server {
    slots: Arc<Slots>,
    timeouts: Timeouts,
    closing: Arc<Semaphore>,
}

impl Server {
    /// With at most so many connections at a time.
    pub fn new(connections: usize, timeouts: Timeouts) -> Self {
        Self {
            slots: Arc::new(Slots::new(connections)),
            timeouts,
            closing: Arc::new(Semaphore::new(MOST_CLOSING)),
        }
    }

    /// Sets the gauges of the limits.
    pub fn measure(&self) {
        self.slots.measure();
    }

    /// Serves until `stop`, then lets what runs end, and returns when no connection is left or
    /// [`Timeouts::ending`] is over.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn serve(
        &self,
        listener: TcpListener,
        router: Router,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let mut connections = JoinSet::new();
        self.accept(listener, router, &stop, &mut connections)
            .await?;
        tracing::info!(connections = connections.len(), "no longer accepting");
        self.slots.signal_all(Signal::Finish);
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                note(ended);
            }
        };
        if tokio::time::timeout(self.timeouts.ending, all_ended)
            .await
            .is_err()
        {
            tracing::warn!(connections = connections.len(), "cutting connections");
            connections.shutdown().await;
        }
        Ok(())
    }

    /// Accepts until `stop`. The listener is dropped at the end, so that no client waits in its queue.
    async fn accept(
        &self,
        listener: TcpListener,
        router: Router,
        stop: &CancellationToken,
        connections: &mut JoinSet<()>,
    ) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let router = router.with_state(());
        let mut pause = FIRST_PAUSE;
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                Some(ended) = connections.join_next() => {
                    note(ended);
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    metrics::counter!("http_accept_errors_total").increment(1);
                    tracing::warn!(%error, "a connection cannot be accepted");
                    stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                    continue;
                }
            };
            pause = FIRST_PAUSE;
            match self.slots.take().await {
                Some(slot) => {
                    let (router, timeouts) = (router.clone(), self.timeouts);
                    let closing = Arc::clone(&self.closing);
                    connections.spawn(serve(stream, router, slot, timeouts, closing));
                }
                None => {
                    if let Ok(closing) = Arc::clone(&self.closing).try_acquire_owned() {
                        connections.spawn(async move {
                            close(stream, Some((Refusal::NoSlot, Speaks::Ours))).await;
                            drop(closing);
                        });
                    }
                }
            }
        }
    }
}

/// A connection's task ends by itself; anything else is a defect of ours, and ends nothing else.
fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection broke down");
    }
}
