//! One connection, from its first byte to its last.

use super::Patience;
use super::places::Place;
use super::refusal::{Refusal, refuse};
use super::standing::{Phase, Standing, Word};
use super::stream::{Broken, Stream};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, Connection};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::Service as _;

/// The most bytes of a request's head, and of a body that are read ahead.
const MOST_HEAD: usize = 32 * 1024;

/// How long, and for how many bytes, a client is listened to that has its answer and is still sending.
/// Closing at once would reset the connection, and take a refusal away from whoever has not read it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 16 * 1024 * 1024;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By the client, by the protocol, or because it broke off.
    Itself,
    /// What came was no request.
    Malformed,
    /// Nothing came for too long.
    Idle,
    /// A head did not become whole.
    Slow,
    /// Another one needed the place.
    MadeRoom,
}

impl End {
    const fn word(self) -> &'static str {
        match self {
            Self::Itself => "itself",
            Self::Malformed => "malformed",
            Self::Idle => "idle",
            Self::Slow => "slow_head",
            Self::MadeRoom => "made_room",
        }
    }
}

/// Serves a connection to its end; the place is held until then.
pub(super) async fn attend(tcp: TcpStream, router: Router, place: Place, patience: Patience) {
    let standing = place.standing();
    // Answers are written whole, so waiting for more to send only costs time.
    drop(tcp.set_nodelay(true));
    // Until it says something, a connection costs its place and nothing more.
    if !has_spoken(&tcp, standing, patience.idle).await {
        return;
    }
    let stream = Stream::new(tcp, Arc::clone(standing), patience.slow);
    let answered = Arc::clone(standing);
    let service = service_fn(move |request: Request<Incoming>| {
        answered.begin_request();
        let (mut router, answered) = (router.clone(), Arc::clone(&answered));
        async move {
            let answer = router.call(request.map(Body::new)).await;
            answered.end_request();
            answer
        }
    });
    let mut connection = http1::Builder::new()
        // How long a head may take is counted here, apart from how long a connection may rest.
        .header_read_timeout(None)
        .max_buf_size(MOST_HEAD)
        .max_header_size(MOST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let end = drive(&mut connection, standing, patience).await;
    let stream = connection.into_parts().io.into_inner();
    let why = match stream.broken() {
        Some(Broken::NotTaken) => "answer_not_taken",
        Some(Broken::Heads) => "too_many_heads",
        None => end.word(),
    };
    metrics::counter!("http_connections_ended_total", "why" => why).increment(1);
    let refusal = match (stream.broken(), end, standing.look().0) {
        (Some(Broken::NotTaken), _, _) => return,
        (Some(Broken::Heads), _, _) => Some(Refusal::TooManyHeads),
        (None, End::Slow, _) => Some(Refusal::HeadTooSlow),
        (None, End::MadeRoom, Phase::Head) => Some(Refusal::NoPlace),
        // Most of these the library refuses itself.
        (None, End::Malformed, _) if !stream.has_refused() => Some(Refusal::Malformed),
        (None, End::MadeRoom | End::Itself | End::Malformed | End::Idle, _) => None,
    };
    let is_at_end = stream.is_at_end();
    let mut tcp = stream.into_tcp();
    if let Some(refusal) = refusal {
        refuse(&tcp, refusal);
    }
    if !is_at_end && end != End::MadeRoom {
        linger(&mut tcp, standing).await;
    }
}

/// Waits for the first byte; `false` when none came in time, or the place is needed.
async fn has_spoken(tcp: &TcpStream, standing: &Standing, patience: Duration) -> bool {
    let first = async {
        loop {
            tokio::select! {
                ready = tcp.readable() => return ready.is_ok(),
                () = standing.told.notified() => if standing.word() != Word::Stay {
                    return false;
                }
            }
        }
    };
    let spoken = tokio::time::timeout(patience, first).await;
    let why = match spoken {
        Ok(true) => return true,
        Ok(false) => End::MadeRoom,
        Err(_) => End::Idle,
    };
    metrics::counter!("http_connections_ended_total", "why" => why.word()).increment(1);
    false
}

/// Drives the connection, and looks at how long its client takes.
async fn drive<S>(
    connection: &mut Connection<TokioIo<Stream>, S>,
    standing: &Standing,
    patience: Patience,
) -> End
where
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut timer = pin!(tokio::time::sleep_until(deadline(standing, patience)));
    let mut told = pin!(standing.told.notified());
    poll_fn(move |cx: &mut Context<'_>| {
        while told.as_mut().poll(cx).is_ready() {
            told.set(standing.told.notified());
            match standing.word() {
                Word::Stay => {}
                Word::Finish => Pin::new(&mut *connection).graceful_shutdown(),
                Word::Leave => return Poll::Ready(End::MadeRoom),
            }
        }
        if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(cx) {
            let is_malformed = ended.is_err_and(|error| error.is_parse());
            return Poll::Ready(if is_malformed {
                End::Malformed
            } else {
                End::Itself
            });
        }
        // The timer is moved only to an earlier time: where it goes off too early, it is set anew.
        let due = deadline(standing, patience);
        if due < timer.deadline() {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            let due = deadline(standing, patience);
            if due <= Instant::now() {
                return Poll::Ready(match standing.look().0 {
                    Phase::Head => End::Slow,
                    Phase::Idle | Phase::Busy => End::Idle,
                });
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    })
    .await
}

/// When the connection has to have done something else.
fn deadline(standing: &Standing, patience: Patience) -> Instant {
    match standing.look() {
        (Phase::Head, since) => since + patience.slow,
        // A write that the client does not take has a limit of its own.
        (Phase::Idle, since) if !standing.writes.load(Ordering::Relaxed) => since + patience.idle,
        // How long a request may be answered is for the surface to say.
        (Phase::Idle | Phase::Busy, _) => Instant::now() + patience.idle,
    }
}

/// Ends our side and reads on for a while what the client still sends.
async fn linger(tcp: &mut TcpStream, standing: &Standing) {
    standing.end_request();
    if tcp.shutdown().await.is_err() {
        return;
    }
    let (mut reading, _) = tcp.split();
    let mut rest = (&mut reading).take(LINGER_BYTES);
    let mut nowhere = tokio::io::sink();
    tokio::select! {
        // However it ends, it has ended.
        _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut rest, &mut nowhere)) => {}
        () = standing.told.notified() => {}
    }
}
