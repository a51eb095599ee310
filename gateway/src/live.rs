//! The body of an answer that is kept as it comes: each call that waits for it reads it from its beginning.

use crate::refusal::Refusal;
use axum::body::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The bytes of an answer that a connection is given at once.
const PIECE: usize = 16 * 1024;

/// A body. Clones are one.
#[derive(Clone, Default)]
pub struct Live(Arc<Mutex<Flow>>);

#[derive(Debug, Default)]
struct Flow {
    pieces: Vec<Bytes>,
    length: usize,
    /// `None`: more may come.
    end: Option<End>,
    readers: Vec<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    BrokenOff,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = self.flow();
        f.debug_struct("Live")
            .field("length", &flow.length)
            .field("end", &flow.end)
            .finish()
    }
}

impl From<Bytes> for Live {
    /// One that is there as a whole.
    fn from(bytes: Bytes) -> Self {
        let filling = Filling::default();
        let live = filling.live();
        filling.take(bytes);
        filling.end(true);
        live
    }
}

impl Live {
    fn flow(&self) -> MutexGuard<'_, Flow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes that have come.
    #[must_use]
    pub fn length(&self) -> usize {
        self.flow().length
    }

    /// What has come.
    #[must_use]
    pub fn pieces(&self) -> Vec<Bytes> {
        self.flow().pieces.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Flow)) {
        let readers = {
            let mut flow = self.flow();
            change(&mut flow);
            std::mem::take(&mut flow.readers)
        };
        readers.into_iter().for_each(Waker::wake);
    }
}

/// What fills a body. One that goes before it has said the end breaks the body off.
#[derive(Debug, Default)]
pub(crate) struct Filling(Live);

impl Filling {
    pub(crate) fn live(&self) -> Live {
        self.0.clone()
    }

    pub(crate) fn take(&self, piece: Bytes) {
        if !piece.is_empty() {
            self.0.change(|flow| {
                flow.length = flow.length.saturating_add(piece.len());
                flow.pieces.push(piece);
            });
        }
    }

    pub(crate) fn end(self, is_whole: bool) {
        let end = match is_whole {
            true => End::Whole,
            false => End::BrokenOff,
        };
        self.0.change(|flow| flow.end = Some(end));
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        let is_over = self.0.flow().end.is_some();
        if !is_over {
            self.0.change(|flow| flow.end = Some(End::BrokenOff));
        }
    }
}

/// Why a body is broken off on its way to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("upstream broke its answer off")]
    Upstream,
    #[error("the caller's credential does not count any more")]
    Ended,
}

/// A body on its way to one client, until the credential of the client ends.
pub(crate) struct Handed {
    live: Live,
    /// The next piece, and how much of it went.
    next: (usize, usize),
    broken: Option<Broken>,
    ended: BoxFuture<'static, Refusal>,
    /// Is told when the connection has taken the last piece. A connection takes the next piece once it has room for it,
    /// and none any more when it is gone.
    taken: Option<Box<dyn FnOnce() + Send>>,
    _held: Box<dyn Send>,
}

impl Handed {
    /// `held` goes with it.
    pub(crate) fn new(
        live: Live,
        taken: Option<Box<dyn FnOnce() + Send>>,
        ended: BoxFuture<'static, Refusal>,
        held: Box<dyn Send>,
    ) -> Self {
        Self {
            live,
            next: (0, 0),
            broken: None,
            ended,
            taken,
            _held: held,
        }
    }

    /// The next piece; an end; or nothing yet.
    fn step(&mut self, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        let (number, at) = self.next;
        let mut flow = self.live.flow();
        let Some(piece) = flow.pieces.get(number) else {
            return match flow.end {
                Some(End::Whole) => Poll::Ready(Ok(None)),
                Some(End::BrokenOff) => Poll::Ready(Err(Broken::Upstream)),
                None => {
                    let waker = cx.waker();
                    if !flow.readers.iter().any(|reader| reader.will_wake(waker)) {
                        flow.readers.push(waker.clone());
                    }
                    Poll::Pending
                }
            };
        };
        let until = at.saturating_add(PIECE).min(piece.len());
        let part = piece.slice(at..until);
        self.next = match until == piece.len() {
            true => (number.saturating_add(1), 0),
            false => (number, until),
        };
        Poll::Ready(Ok(Some(part)))
    }

    /// Whether all of it went, and nothing follows.
    fn is_over(&self) -> bool {
        let flow = self.live.flow();
        flow.end == Some(End::Whole) && self.next.0 == flow.pieces.len()
    }

    fn tell(&mut self) {
        if self.broken.is_none()
            && self.is_over()
            && let Some(taken) = self.taken.take()
        {
            taken();
        }
    }
}

impl HttpBody for Handed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        if let Some(why) = this.broken {
            return Poll::Ready(Some(Err(why)));
        }
        let step = match this.ended.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(Err(Broken::Ended)),
            Poll::Pending => this.step(cx),
        };
        match step {
            Poll::Ready(Ok(piece)) => {
                this.tell();
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            // At the next poll: what came before it goes out first.
            Poll::Ready(Err(why)) => {
                tracing::debug!(%why, "an answer is broken off");
                this.broken = Some(why);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.broken.is_none() && self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        let flow = self.live.flow();
        match flow.end {
            Some(End::Whole) => {
                let (number, at) = self.next;
                let left = flow.pieces.iter().skip(number).map(Bytes::len);
                SizeHint::with_exact(left.sum::<usize>().saturating_sub(at) as u64)
            }
            Some(End::BrokenOff) | None => SizeHint::default(),
        }
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        // No connection asks for a body that is empty.
        self.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn handed(live: &Live, taken: &Arc<AtomicBool>) -> Handed {
        let taken = Arc::clone(taken);
        let taken = Box::new(move || taken.store(true, Ordering::SeqCst));
        let never = std::future::pending().boxed();
        Handed::new(live.clone(), Some(taken), never, Box::new(()))
    }

    async fn next(body: &mut Handed) -> Option<Result<Bytes, Broken>> {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    #[tokio::test]
    async fn each_reader_has_all_of_it_while_it_comes_and_the_end_is_told_once_it_took_that() {
        let filling = Filling::default();
        let live = filling.live();
        let taken = Arc::default();
        let mut first = handed(&live, &taken);
        filling.take(Bytes::from_static(b"one"));
        assert_eq!(next(&mut first).await, Some(Ok(Bytes::from_static(b"one"))));
        let waits = next(&mut first).now_or_never();
        assert!(waits.is_none(), "more may come");
        filling.take(vec![b'x'; PIECE + 1].into());
        let mut second = handed(&live, &Arc::default());
        assert_eq!(
            next(&mut second).await,
            Some(Ok(Bytes::from_static(b"one")))
        );
        assert_eq!(next(&mut first).await.unwrap().unwrap().len(), PIECE);
        assert_eq!(next(&mut first).await.unwrap().unwrap().len(), 1);
        filling.end(true);
        assert_eq!(second.size_hint().exact(), Some(PIECE as u64 + 1));
        assert!(!taken.load(Ordering::SeqCst));
        assert_eq!(next(&mut first).await, None);
        assert!(taken.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_body_that_nobody_ends_is_broken_off_for_its_readers_and_not_taken() {
        let filling = Filling::default();
        let taken = Arc::default();
        let mut body = handed(&filling.live(), &taken);
        filling.take(Bytes::from_static(b"one"));
        drop(filling);
        assert_eq!(next(&mut body).await, Some(Ok(Bytes::from_static(b"one"))));
        assert_eq!(next(&mut body).await, Some(Err(Broken::Upstream)));
        drop(body);
        assert!(!taken.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn what_is_there_as_a_whole_has_its_length_also_where_it_is_nothing() {
        let taken = Arc::default();
        let mut body = handed(&Bytes::from_static(b"all").into(), &taken);
        assert_eq!(body.size_hint().exact(), Some(3));
        assert_eq!(next(&mut body).await, Some(Ok(Bytes::from_static(b"all"))));
        assert!(body.is_end_stream() && taken.load(Ordering::SeqCst));
        let taken = Arc::default();
        let body = handed(&Bytes::new().into(), &taken);
        assert!(body.is_end_stream());
        drop(body);
        assert!(taken.load(Ordering::SeqCst));
    }
}
