//! One connection, from its first byte to its last.

use super::Timeouts;
use super::answers::{CountedBody, EndOfStream};
use super::host;
use super::input::MOST_HEAD;
use super::refusal::Refusal;
use super::signal::Signal;
use super::slots::Slot;
use super::speaks::Speaks;
use super::state::{ConnectionState, Framing, Phase};
use super::stream::{Broken, Stream};
use crate::limits::bounds::{AnswerFor, LongAnswer};
use crate::schemes::client_address::PeerAddress;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, Response, Version, header};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1::{self, Connection};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tower::Service as _;

/// How long, and for how many bytes, a client is listened to that has its answer and is still sending.
/// Closing at once would reset the connection, and take a refusal away from whoever has not read it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 16 * 1024 * 1024;

/// How often a client is looked for whose call goes on elsewhere. The HTTP library does not read on while a request that
/// was sent ahead waits to be answered, and so does not see that its client has gone.
const LOOKS: Duration = Duration::from_millis(500);
/// Below it are such calls.
const CALLS: &str = "/proxy/";

/// Most connections without a slot that are read from at a time; further ones are closed at once.
pub(super) const MOST_CLOSING: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By the client, by the protocol, or because it broke off.
    Itself,
    /// The bytes were no request.
    Malformed,
    /// The answer cannot be made whole.
    Cut,
    /// Nothing came for too long.
    Idle,
    /// A head did not become whole.
    Slow,
    YieldedSlot,
    /// Others needed the memory.
    YieldedMemory,
}

impl End {
    const fn label(self) -> &'static str {
        match self {
            Self::Itself => "itself",
            Self::Malformed => "malformed",
            Self::Cut => "cut",
            Self::Idle => "idle",
            Self::Slow => "slow_head",
            Self::YieldedSlot => "made_room",
            Self::YieldedMemory => "gave_memory",
        }
    }
}

/// Serves a connection to its end; the slot is held until then.
pub(super) async fn serve(
    tcp: TcpStream,
    router: Router,
    slot: Slot,
    timeouts: Timeouts,
    closing: Arc<Semaphore>,
) {
    let state = Arc::clone(slot.state());
    // Answers are written whole, so waiting for more to send only costs time.
    drop(tcp.set_nodelay(true));
    // Until it says something, a connection costs its slot and nothing more.
    if !has_spoken(&tcp, &state, timeouts.idle).await {
        return;
    }
    let peer = tcp.peer_addr().ok();
    let stream = Stream::new(tcp, Arc::clone(&state), timeouts.slow);
    let slot = Arc::new(slot);
    let is_old = Arc::new(AtomicBool::new(false));
    let service = {
        let (slot, is_old) = (Arc::clone(&slot), Arc::clone(&is_old));
        service_fn(move |mut request: Request<Incoming>| {
            is_old.store(request.version() < Version::HTTP_11, Ordering::Relaxed);
            if let Some(peer) = peer {
                request.extensions_mut().insert(PeerAddress(peer));
            }
            answer(request, &router, &slot)
        })
    };
    let mut connection = http1::Builder::new()
        // How long a head may take is counted here, apart from how long a connection may rest.
        .header_read_timeout(None)
        .max_buf_size(MOST_HEAD)
        .max_header_size(MOST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let end = drive(&mut connection, &state, timeouts).await;
    let stream = connection.into_parts().io.into_inner();
    let why = match stream.broken() {
        Some(Broken::NotTaken) => "answer_not_taken",
        None => end.label(),
    };
    metrics::counter!("http_connections_ended_total", "why" => why).increment(1);
    let phase = state.look().0;
    if end == End::Cut {
        // To a client of HTTP/1.0 the end of the connection is the end of the answer, so only a reset says that
        // this one is not whole. The framing says it to others, who have read what came before.
        let tcp = stream.into_tcp();
        if is_old.load(Ordering::Relaxed) {
            drop(tcp.set_zero_linger());
        } else {
            close(tcp, None).await;
        }
        return;
    }
    let refusal = match (stream.broken(), end, phase) {
        (Some(Broken::NotTaken), _, _) => return,
        (None, End::Slow, _) => Some(Refusal::HeadTooSlow),
        (None, End::YieldedSlot, Phase::Head) => Some(Refusal::NoSlot),
        (None, End::YieldedMemory, Phase::Head) => Some(Refusal::TooManyHeads),
        // Its answer has begun, or another connection has its slot already.
        (None, End::YieldedSlot | End::YieldedMemory, _) => return,
        // Most of these the library refuses itself.
        (None, End::Malformed, _) if !stream.has_refused() => Some(Refusal::Malformed),
        (None, End::Itself | End::Malformed | End::Idle | End::Cut, _) => None,
    };
    let refusal = refusal.map(|refusal| (refusal, state.speaks()));
    if stream.is_at_end() && refusal.is_none() {
        return;
    }
    state.end_request();
    let tcp = stream.into_tcp();
    if matches!(end, End::YieldedSlot | End::YieldedMemory) {
        drop(slot);
        if let Ok(_closing) = closing.try_acquire() {
            close(tcp, refusal).await;
        }
        return;
    }
    tokio::select! {
        () = close(tcp, refusal) => {}
        () = state.signals.end_requested() => {}
    }
}

/// Answers a request, whose answer is counted until it has gone out.
fn answer(
    request: Request<Incoming>,
    router: &Router,
    slot: &Arc<Slot>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
    let framing = request.body().size_hint().exact();
    let begun = slot
        .state()
        .begin_request(framing.map_or(Framing::Last, Framing::Length));
    let speaks = Speaks::of_path(request.uri().path());
    if request.uri().path().starts_with(CALLS) {
        slot.state().watch();
    }
    let begun = begun.and_then(|framing| {
        host::check(&request)?;
        has_plain_body(request.headers())?;
        Ok(framing)
    });
    let (mut router, slot) = (router.clone(), Arc::clone(slot));
    async move {
        let state = slot.state();
        let framing = match begun {
            Ok(framing) => framing,
            Err(refusal) => {
                state.end_request();
                return Ok(refusal.response(speaks));
            }
        };
        let mut answer = router.call(request.map(Body::new)).await?;
        if framing == Framing::Last {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(header::CONNECTION, close);
        }
        if let Some(AnswerFor(holder)) = answer.extensions_mut().remove() {
            slot.assign_to(&holder);
        }
        if answer.extensions_mut().remove::<LongAnswer>().is_some() {
            let ending = EndOfStream::begin(state);
            return Ok(answer.map(|body| CountedBody::over(body, &slot, Some(ending))));
        }
        state.end_request();
        Ok(answer.map(|body| CountedBody::over(body, &slot, None)))
    }
}

/// Waits for the first byte; `false` when none came in time, or the slot is needed.
async fn has_spoken(tcp: &TcpStream, state: &ConnectionState, limit: Duration) -> bool {
    let first = async {
        loop {
            tokio::select! {
                ready = tcp.readable() => return ready.is_ok(),
                () = state.signals.changed() => if state.signals.strongest() != Signal::Continue {
                    return false;
                }
            }
        }
    };
    let spoken = tokio::time::timeout(limit, first).await;
    let why = match spoken {
        Ok(true) => return true,
        Ok(false) => End::YieldedSlot,
        Err(_) => End::Idle,
    };
    metrics::counter!("http_connections_ended_total", "why" => why.label()).increment(1);
    false
}

/// Drives the connection, and looks at how long its client takes.
async fn drive<S>(
    connection: &mut Connection<TokioIo<Stream>, S>,
    state: &ConnectionState,
    timeouts: Timeouts,
) -> End
where
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut timer = pin!(tokio::time::sleep_until(deadline(state, timeouts)));
    let mut signals = pin!(state.signals.changed());
    let mut looks = pin!(tokio::time::sleep(LOOKS));
    poll_fn(move |cx: &mut Context<'_>| {
        while signals.as_mut().poll(cx).is_ready() {
            signals.set(state.signals.changed());
            match state.signals.strongest() {
                Signal::Continue => {}
                Signal::Finish => Pin::new(&mut *connection).graceful_shutdown(),
                Signal::YieldSlot => return Poll::Ready(End::YieldedSlot),
                Signal::YieldMemory => return Poll::Ready(End::YieldedMemory),
            }
        }
        loop {
            if let Poll::Ready(ended) = Pin::new(&mut *connection).poll(cx) {
                return Poll::Ready(match ended {
                    Err(error) if error.is_parse() => End::Malformed,
                    Err(error) if error.is_user() => End::Cut,
                    Ok(()) | Err(_) => End::Itself,
                });
            }
            if !state.is_watched() || looks.as_mut().poll(cx).is_pending() {
                break;
            }
            // The stream looks when it is flushed.
            looks.as_mut().reset(Instant::now() + LOOKS);
            state.ask_to_look();
        }
        // The timer is moved only to an earlier time: where it goes off too early, it is set anew.
        let due = deadline(state, timeouts);
        if due < timer.deadline() {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            let due = deadline(state, timeouts);
            if due <= Instant::now() {
                return Poll::Ready(match state.look().0 {
                    Phase::Head => End::Slow,
                    Phase::Idle | Phase::Busy | Phase::Streaming => End::Idle,
                });
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    })
    .await
}

/// When the connection has to have done something else.
fn deadline(state: &ConnectionState, timeouts: Timeouts) -> Instant {
    match state.look() {
        (Phase::Head, since) => since + timeouts.slow,
        // A write that the client does not take has a limit of its own.
        (Phase::Idle, since) if !state.writes.load(Ordering::Relaxed) => since + timeouts.idle,
        // How long a request may be answered is for the surface to say.
        (Phase::Idle | Phase::Busy | Phase::Streaming, _) => Instant::now() + timeouts.idle,
    }
}

/// Sends a refusal, ends our side, and reads on for a while what the client still sends.
pub(super) async fn close(mut tcp: TcpStream, refusal: Option<(Refusal, Speaks)>) {
    let closing = async {
        if let Some((refusal, speaks)) = refusal {
            tcp.write_all(&refusal.answer(speaks)).await?;
        }
        tcp.shutdown().await?;
        let (mut reading, _) = tcp.split();
        let mut rest = (&mut reading).take(LINGER_BYTES);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // However it ends, it has ended.
    drop(tokio::time::timeout(LINGER, closing).await);
}

/// Refuses a transfer coding other than `chunked`: it would have to be undone, and a proxy that does not know
/// it could see another body.
fn has_plain_body(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        true => Ok(()),
        false => Err(Refusal::Malformed),
    }
}
