//! The body of a request on its way up: counted as it goes, so that more than the route takes never becomes a
//! whole request.

use crate::record::GoesUp;
use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// Why a body went up only in part.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the body is longer than the route takes")]
    TooLarge,
    #[error("the client did not send its body to the end")]
    Client(#[source] axum::Error),
}

/// What a call knows of its upload while it waits.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: Instant,
    /// The milliseconds after that at which something went up last.
    moved: AtomicU64,
    is_too_large: AtomicBool,
    is_cut: AtomicBool,
}

impl Progress {
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            moved: AtomicU64::new(0),
            is_too_large: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
        })
    }

    fn note(&self) {
        let passed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(passed, Ordering::Relaxed);
    }

    /// When something went up last.
    pub(crate) fn moved(&self) -> Instant {
        self.begun + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.is_too_large.load(Ordering::Relaxed)
    }

    /// The client did not send it to the end.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }
}

/// The body.
#[derive(Debug)]
pub(crate) struct Upload {
    body: Body,
    left: u64,
    progress: Arc<Progress>,
    goes_up: GoesUp,
}

impl Upload {
    /// At most so many bytes of a body.
    pub(crate) fn new(body: Body, most: u64, progress: &Arc<Progress>, goes_up: GoesUp) -> Self {
        Self {
            body,
            left: most,
            progress: Arc::clone(progress),
            goes_up,
        }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            let data = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => {
                    self.progress.is_cut.store(true, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(Broken::Client(error))));
                }
                Some(Ok(frame)) => frame.into_data(),
            };
            // Trailers stay behind.
            let Ok(data) = data else { continue };
            self.progress.note();
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                self.progress.is_too_large.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(Broken::TooLarge)));
            };
            self.left = left;
            self.goes_up.measured().take(&data);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
