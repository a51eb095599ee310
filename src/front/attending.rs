//! One connection, from its first byte to its last.

use super::Patience;
use super::answers::Counted;
use super::arriving::MOST_HEAD;
use super::host;
use super::places::Place;
use super::refusal::Refusal;
use super::standing::{Framing, Phase, Standing};
use super::stream::{Broken, Stream};
use super::told::Word;
use api::AnswerFor;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, Response, header};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1::{self, Connection};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
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

/// How many that have no place any more are listened to at a time; further ones are closed at once.
pub(super) const MOST_PARTING: usize = 256;

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
    GavePlace,
    /// Others needed the memory.
    GaveMemory,
}

impl End {
    const fn word(self) -> &'static str {
        match self {
            Self::Itself => "itself",
            Self::Malformed => "malformed",
            Self::Idle => "idle",
            Self::Slow => "slow_head",
            Self::GavePlace => "made_room",
            Self::GaveMemory => "gave_memory",
        }
    }
}

/// Serves a connection to its end; the place is held until then.
pub(super) async fn attend(
    tcp: TcpStream,
    router: Router,
    place: Place,
    patience: Patience,
    parting: Arc<Semaphore>,
) {
    let standing = Arc::clone(place.standing());
    // Answers are written whole, so waiting for more to send only costs time.
    drop(tcp.set_nodelay(true));
    // Until it says something, a connection costs its place and nothing more.
    if !has_spoken(&tcp, &standing, patience.idle).await {
        return;
    }
    let stream = Stream::new(tcp, Arc::clone(&standing), patience.slow);
    let place = Arc::new(place);
    let service = {
        let place = Arc::clone(&place);
        service_fn(move |request| answer(request, &router, &place))
    };
    let mut connection = http1::Builder::new()
        // How long a head may take is counted here, apart from how long a connection may rest.
        .header_read_timeout(None)
        .max_buf_size(MOST_HEAD)
        .max_header_size(MOST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let end = drive(&mut connection, &standing, patience).await;
    let stream = connection.into_parts().io.into_inner();
    let why = match stream.broken() {
        Some(Broken::NotTaken) => "answer_not_taken",
        None => end.word(),
    };
    metrics::counter!("http_connections_ended_total", "why" => why).increment(1);
    let phase = standing.look().0;
    let refusal = match (stream.broken(), end, phase) {
        (Some(Broken::NotTaken), _, _) => return,
        (None, End::Slow, _) => Some(Refusal::HeadTooSlow),
        (None, End::GavePlace, Phase::Head) => Some(Refusal::NoPlace),
        (None, End::GaveMemory, Phase::Head) => Some(Refusal::TooManyHeads),
        // Its answer has begun, or another connection has its place already.
        (None, End::GavePlace | End::GaveMemory, _) => return,
        // Most of these the library refuses itself.
        (None, End::Malformed, _) if !stream.has_refused() => Some(Refusal::Malformed),
        (None, End::Itself | End::Malformed | End::Idle, _) => None,
    };
    if stream.is_at_end() && refusal.is_none() {
        return;
    }
    standing.end_request();
    let tcp = stream.into_tcp();
    if matches!(end, End::GavePlace | End::GaveMemory) {
        drop(place);
        if let Ok(_parting) = parting.try_acquire() {
            part(tcp, refusal).await;
        }
        return;
    }
    tokio::select! {
        () = part(tcp, refusal) => {}
        () = standing.told.to_leave() => {}
    }
}

/// Answers a request, whose answer is counted until it has gone out.
fn answer(
    request: Request<Incoming>,
    router: &Router,
    place: &Arc<Place>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
    let framing = request.body().size_hint().exact();
    let begun = place
        .standing()
        .begin_request(framing.map_or(Framing::Last, Framing::Length));
    let begun = begun.and_then(|framing| {
        host::check(&request)?;
        has_plain_body(request.headers())?;
        Ok(framing)
    });
    let (mut router, place) = (router.clone(), Arc::clone(place));
    async move {
        let standing = place.standing();
        let framing = match begun {
            Ok(framing) => framing,
            Err(refusal) => {
                standing.end_request();
                return Ok(refusal.response());
            }
        };
        let mut answer = router.call(request.map(Body::new)).await?;
        if framing == Framing::Last {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(header::CONNECTION, close);
        }
        if let Some(AnswerFor(holder)) = answer.extensions_mut().remove() {
            place.belongs_to(&holder);
        }
        standing.end_request();
        Ok(answer.map(|body| Counted::over(body, &place)))
    }
}

/// Waits for the first byte; `false` when none came in time, or the place is needed.
async fn has_spoken(tcp: &TcpStream, standing: &Standing, patience: Duration) -> bool {
    let first = async {
        loop {
            tokio::select! {
                ready = tcp.readable() => return ready.is_ok(),
                () = standing.told.heard() => if standing.told.word() != Word::Stay {
                    return false;
                }
            }
        }
    };
    let spoken = tokio::time::timeout(patience, first).await;
    let why = match spoken {
        Ok(true) => return true,
        Ok(false) => End::GavePlace,
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
    let mut told = pin!(standing.told.heard());
    poll_fn(move |cx: &mut Context<'_>| {
        while told.as_mut().poll(cx).is_ready() {
            told.set(standing.told.heard());
            match standing.told.word() {
                Word::Stay => {}
                Word::Finish => Pin::new(&mut *connection).graceful_shutdown(),
                Word::GivePlace => return Poll::Ready(End::GavePlace),
                Word::GiveMemory => return Poll::Ready(End::GaveMemory),
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

/// Sends a refusal, ends our side, and reads on for a while what the client still sends.
pub(super) async fn part(mut tcp: TcpStream, refusal: Option<Refusal>) {
    let parting = async {
        if let Some(refusal) = refusal {
            tcp.write_all(&refusal.answer()).await?;
        }
        tcp.shutdown().await?;
        let (mut reading, _) = tcp.split();
        let mut rest = (&mut reading).take(LINGER_BYTES);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // However it ends, it has ended.
    drop(tokio::time::timeout(LINGER, parting).await);
}

/// Whether the body comes as it is. A coding besides `chunked` would have to be undone, and a proxy that
/// does not know it could see another body.
fn has_plain_body(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        true => Ok(()),
        false => Err(Refusal::Malformed),
    }
}
