//! `add-checkpoint` over HTTP, with the statuses of C2SP tlog-witness.

use super::watched::{Refusal, Witness};
use anyhow::Context;
use api::server::{self, Timeouts};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ledger::tlog::{MAX_NOTE_BYTES, WitnessRefusal};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// A note of the largest size, with 63 hashes and the old size before it.
const MOST_BODY_BYTES: usize = MAX_NOTE_BYTES + 4096;
/// How long a client may take to send its body.
const BODY_PATIENCE: Duration = Duration::from_secs(15);
/// How many requests are worked on at a time, bodies in memory included.
const AT_A_TIME: usize = 64;
/// A witness is asked by the logs that it knows.
const MOST_CONNECTIONS: usize = 1024;
/// The media type of an answer that is a size.
const SIZE: HeaderValue = HeaderValue::from_static("text/x.tlog.size");

/// Serves until `stop`, and lets what runs end.
///
/// # Errors
/// When the listener cannot be used.
pub(crate) async fn serve(
    listener: TcpListener,
    witness: Witness,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let address = listener.local_addr().context("the listener's address")?;
    tracing::info!(%address, "listening");
    let server = server::Server::new(MOST_CONNECTIONS, Timeouts::default());
    server
        .serve(listener, router(witness), stop)
        .await
        .context("using the listener")?;
    tracing::info!("stopped");
    Ok(())
}

#[derive(Clone)]
struct Server {
    witness: Arc<Witness>,
    room: Arc<Semaphore>,
}

fn router(witness: Witness) -> Router {
    let server = Server {
        witness: Arc::new(witness),
        room: Arc::new(Semaphore::new(AT_A_TIME)),
    };
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .with_state(server)
}

/// The body is a request of tlog-witness; the answer is one signature line.
async fn add_checkpoint(State(server): State<Server>, body: Body) -> Response {
    let Ok(_place) = server.room.try_acquire() else {
        let retry = [(RETRY_AFTER, HeaderValue::from_static("1"))];
        let why = "too many requests at a time\n";
        return (StatusCode::SERVICE_UNAVAILABLE, retry, why).into_response();
    };
    let body = match tokio::time::timeout(BODY_PATIENCE, to_bytes(body, MOST_BODY_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let why = "the body is too large, or broke off\n";
            return (StatusCode::PAYLOAD_TOO_LARGE, why).into_response();
        }
        Err(_) => {
            let why = "the body was not sent in time\n";
            return (StatusCode::REQUEST_TIMEOUT, why).into_response();
        }
    };
    let Ok(body) = String::from_utf8(body.into()) else {
        return refuse(&Refusal::Refused(WitnessRefusal::Form));
    };
    let witness = Arc::clone(&server.witness);
    match tokio::task::spawn_blocking(move || witness.add_checkpoint(&body)).await {
        Ok(Ok(cosignature)) => format!("{cosignature}\n").into_response(),
        Ok(Err(refusal)) => refuse(&refusal),
        Err(error) => refuse(&Refusal::State(error.into())),
    }
}

fn refuse(refusal: &Refusal) -> Response {
    let status = status_of(refusal);
    match refusal {
        Refusal::State(why) => {
            tracing::error!(error = format!("{why:#}"), "cannot cosign");
        }
        Refusal::UnknownLog(_) | Refusal::OtherRoot { .. } | Refusal::Refused(_) => {
            tracing::info!(status = status.as_u16(), why = %refusal, "refused");
        }
    }
    // A client that is told the very size that it has sent knows that its root is another.
    if let Refusal::Refused(WitnessRefusal::Stale { latest }) | Refusal::OtherRoot { latest } =
        refusal
    {
        return (status, [(CONTENT_TYPE, SIZE)], format!("{latest}\n")).into_response();
    }
    (status, format!("{refusal}\n")).into_response()
}

const fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::UnknownLog(_) => StatusCode::NOT_FOUND,
        Refusal::OtherRoot { .. } => StatusCode::CONFLICT,
        Refusal::State(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Refusal::Refused(refused) => match refused {
            WitnessRefusal::Form
            | WitnessRefusal::Checkpoint(_)
            | WitnessRefusal::Backwards { .. } => StatusCode::BAD_REQUEST,
            WitnessRefusal::NotSigned(_) => StatusCode::FORBIDDEN,
            WitnessRefusal::Stale { .. } | WitnessRefusal::OtherRoot => StatusCode::CONFLICT,
            WitnessRefusal::Inconsistent(_) => StatusCode::UNPROCESSABLE_ENTITY,
        },
    }
}

#[cfg(test)]
mod tests;
