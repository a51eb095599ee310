//! The front: how clients are let in, how long each may take, and how serving ends.
//!
//! | file | holds |
//! |---|---|
//! | `places` | the bounded number of connections, and who goes when it is reached |
//! | `standing` | what a connection is doing, and since when |
//! | `told` | what a connection is told to do |
//! | `memory` | the memory of unfinished heads and unread answers, and who goes when it is used up |
//! | `attending` | one connection, from its first byte to its last |
//! | `stream` | its bytes: what they say about its standing, and how long a write may take |
//! | `arriving`, `head` | what has come and is no request yet, and where a head ends |
//! | `answers` | what has been answered and is not read yet |
//! | `host` | the host that a request is for |
//! | `refusal` | the refusals that no route gives, as problem details |

mod answers;
mod arriving;
mod attending;
mod head;
mod host;
mod memory;
mod places;
mod refusal;
mod standing;
mod stream;
mod told;

use anyhow::Context;
use attending::{MOST_PARTING, attend, part};
use axum::Router;
use places::Places;
use refusal::Refusal;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use told::Word;

/// The wait after a connection could not be accepted, at first and at most: what keeps one from being
/// accepted (no free file descriptor) does not pass at once.
const FIRST_REST: Duration = Duration::from_millis(20);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Connections that the kernel keeps until they are accepted.
const QUEUE: u32 = 4096;

/// What the kernel keeps of an answer for each connection that does not read it. Left to itself it would
/// keep megabytes.
const SEND_BUFFER: u32 = 256 * 1024;

/// Listens, in a moment when the runtime runs. A service that has just ended does not keep the
/// address.
///
/// # Errors
/// When the address cannot be bound.
pub(crate) fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        // Accepted connections have what their listener has.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind(address)?;
        socket.listen(QUEUE)?.into_std()
    };
    bound().with_context(|| format!("listening on {address}"))
}

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For the head of a request, and for an answer beside what its length needs at the lowest rate.
    pub(crate) slow: Duration,
    /// Between two requests.
    pub(crate) idle: Duration,
    /// For requests that run when the end begins.
    pub(crate) ending: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            slow: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            ending: Duration::from_secs(5),
        }
    }
}

/// Where clients come in.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    places: Arc<Places>,
    patience: Patience,
    parting: Arc<Semaphore>,
}

impl Front {
    /// With room for so many connections at a time.
    pub(crate) fn new(connections: usize, patience: Patience) -> Self {
        Self {
            places: Arc::new(Places::new(connections)),
            patience,
            parting: Arc::new(Semaphore::new(MOST_PARTING)),
        }
    }

    /// Sets the gauges of what is bounded here.
    pub(crate) fn measure(&self) {
        self.places.measure();
    }

    /// Serves until `stop`, then lets what runs end, and returns when no connection is left or the
    /// patience is.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub(crate) async fn serve(
        &self,
        listener: TcpListener,
        router: Router,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut connections = JoinSet::new();
        self.let_in(listener, router, &stop, &mut connections)
            .await?;
        tracing::info!(connections = connections.len(), "no longer accepting");
        self.places.tell_all(Word::Finish);
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                note(ended);
            }
        };
        if tokio::time::timeout(self.patience.ending, all_ended)
            .await
            .is_err()
        {
            tracing::warn!(connections = connections.len(), "cutting connections");
            connections.shutdown().await;
        }
        Ok(())
    }

    /// The listener goes with the end of this, so that nobody hangs in its queue.
    async fn let_in(
        &self,
        listener: TcpListener,
        router: Router,
        stop: &CancellationToken,
        connections: &mut JoinSet<()>,
    ) -> anyhow::Result<()> {
        listener
            .set_nonblocking(true)
            .context("using the listener")?;
        let listener = tokio::net::TcpListener::from_std(listener).context("using the listener")?;
        let router = router.with_state(());
        let mut rest = FIRST_REST;
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
                    stop.run_until_cancelled(tokio::time::sleep(rest)).await;
                    rest = rest.saturating_mul(2).min(LONGEST_REST);
                    continue;
                }
            };
            rest = FIRST_REST;
            match self.places.take().await {
                Some(place) => {
                    let (router, patience) = (router.clone(), self.patience);
                    let parting = Arc::clone(&self.parting);
                    connections.spawn(attend(stream, router, place, patience, parting));
                }
                None => {
                    if let Ok(parting) = Arc::clone(&self.parting).try_acquire_owned() {
                        connections.spawn(async move {
                            part(stream, Some(Refusal::NoPlace)).await;
                            drop(parting);
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
