//! The body of an answer on its way down: each piece as it comes. An answer that upstream did not end, that
//! went silent, or whose caller lost its credential is broken off, and never ends as if it were whole.

use crate::places::Place;
use crate::record::Recording;
use crate::refusal::Refusal;
use axum::body::Bytes;
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use http::{HeaderMap, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

/// The end of a stream of messages, as each of its events says its type.
const MESSAGE_STOP: &[u8] = b"\"message_stop\"";

/// Why an answer was broken off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("upstream broke its answer off")]
    Upstream(#[source] hyper::Error),
    #[error("upstream ended its answer without saying that it is whole")]
    Unfinished,
    #[error("upstream was silent for too long")]
    Silent,
    #[error("the caller's credential does not count any more")]
    Ended,
}

/// The answer, which whoever watches the caller can take away: to drop it closes the connection to upstream.
#[derive(Debug)]
struct Held {
    body: Mutex<Option<Incoming>>,
    waker: AtomicWaker,
}

impl Held {
    fn body(&self) -> MutexGuard<'_, Option<Incoming>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_at_end(&self) -> bool {
        self.body().as_ref().is_some_and(HttpBody::is_end_stream)
    }

    fn take_away(&self) {
        drop(self.body().take());
        self.waker.wake();
    }
}

/// The body of an answer that is relayed.
pub(crate) struct Relayed {
    held: Arc<Held>,
    watching: JoinHandle<()>,
    idle: Pin<Box<Sleep>>,
    longest_idle: Duration,
    ending: Ending,
    broken: Option<Broken>,
    recording: Recording,
    _place: Place,
}

/// What says that an answer is whole.
#[derive(Debug)]
pub(crate) enum Ending {
    /// Its framing.
    Framed,
    /// Nothing but its last event; these are the last bytes that came.
    ByEvent(Vec<u8>),
    /// It was there.
    Seen,
}

impl Ending {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let is_framed = headers.contains_key(header::CONTENT_LENGTH)
            || headers.contains_key(header::TRANSFER_ENCODING);
        match is_framed {
            true => Self::Framed,
            false => Self::ByEvent(Vec::new()),
        }
    }

    /// Whether an end of the bytes is the end of the answer.
    pub(crate) const fn is_met(&self) -> bool {
        !matches!(self, Self::ByEvent(_))
    }

    pub(crate) fn look(&mut self, data: &[u8]) {
        let Self::ByEvent(last) = self else { return };
        last.extend_from_slice(data);
        if last
            .windows(MESSAGE_STOP.len())
            .any(|it| it == MESSAGE_STOP)
        {
            *self = Self::Seen;
            return;
        }
        let more = last.len().saturating_sub(MESSAGE_STOP.len());
        last.drain(..more);
    }
}

impl Relayed {
    /// An answer with these headers of upstream's, until the caller's credential ends.
    pub(crate) fn new(
        body: Incoming,
        headers: &HeaderMap,
        ended: BoxFuture<'static, Refusal>,
        longest_idle: Duration,
        mut recording: Recording,
        place: Place,
    ) -> Self {
        // No body follows whatever its head says (RFC 9112, section 6.3).
        let ending = match body.is_end_stream() {
            true => {
                recording.is_over();
                Ending::Framed
            }
            false => Ending::of(headers),
        };
        let held = Arc::new(Held {
            body: Mutex::new(Some(body)),
            waker: AtomicWaker::new(),
        });
        let watched = Arc::clone(&held);
        let watching = tokio::spawn(async move {
            ended.await;
            watched.take_away();
        });
        Self {
            held,
            watching,
            idle: Box::pin(tokio::time::sleep(longest_idle)),
            longest_idle,
            ending,
            broken: None,
            recording,
            _place: place,
        }
    }

    /// Looks at a piece on its way.
    fn look(&mut self, data: &[u8]) {
        self.ending.look(data);
        let is_last = self.held.is_at_end();
        self.recording.look(data, is_last);
    }

    /// Whether an end of the bytes is the end of the answer.
    fn is_whole(&self) -> bool {
        self.ending.is_met() || self.recording.has_stopped()
    }

    /// Breaks the answer off at the next poll: what came before it goes out first.
    fn break_off(
        &mut self,
        why: Broken,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        tracing::debug!(%why, "an answer is broken off");
        drop(self.held.body().take());
        self.broken = Some(why);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl HttpBody for Relayed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if let Some(why) = this.broken.take() {
            return Poll::Ready(Some(Err(why)));
        }
        this.held.waker.register(cx.waker());
        loop {
            let polled = match this.held.body().as_mut() {
                Some(body) => Pin::new(body)
                    .poll_frame(cx)
                    .map(|frame| frame.map(|frame| frame.map_err(Some))),
                None => Poll::Ready(Some(Err(None))),
            };
            let why = match polled {
                Poll::Ready(Some(Ok(frame))) => {
                    this.idle.as_mut().reset(Instant::now() + this.longest_idle);
                    // Trailers stay behind.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    this.look(&data);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Poll::Ready(None) if !this.is_whole() => Broken::Unfinished,
                Poll::Ready(None) => {
                    // A stream ends here for its client, whoever goes first.
                    this.recording.is_over();
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(None))) => Broken::Ended,
                Poll::Ready(Some(Err(Some(error)))) => Broken::Upstream(error),
                Poll::Pending => match this.idle.as_mut().poll(cx) {
                    Poll::Ready(()) => Broken::Silent,
                    Poll::Pending => return Poll::Pending,
                },
            };
            return this.break_off(why, cx);
        }
    }

    fn is_end_stream(&self) -> bool {
        // Whether an answer without a framing is whole is known only behind it.
        matches!(self.ending, Ending::Framed) && self.broken.is_none() && self.held.is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.held
            .body()
            .as_ref()
            .map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_is_found_however_its_bytes_arrive() {
        let stream = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        for piece in 1..stream.len() {
            let mut ending = Ending::of(&HeaderMap::new());
            for bytes in stream.chunks(piece) {
                ending.look(bytes);
            }
            assert!(matches!(ending, Ending::Seen), "{piece}");
        }
        let mut ending = Ending::of(&HeaderMap::new());
        ending.look(b"event: message_stop\ndata: {\"type\":\"message_sto");
        assert!(matches!(ending, Ending::ByEvent(_)));
    }
}
