//! A connection's bytes. What is read says what the client is doing; what is written has to be taken
//! in time; and a refusal that the HTTP library gives by itself, without a body, goes out as one of
//! ours.

use super::refusal::{Refusal, bare_answer};
use super::standing::Standing;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// How much of an answer has to be taken in the patience, where it is longer.
const STRIDE: usize = 256 * 1024;

/// Why a connection ended that its stream has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The client did not take its answer.
    NotTaken,
    /// Unfinished heads take too much memory, this one among them.
    Heads,
}

/// The stream as the HTTP library sees it.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TcpStream,
    standing: Arc<Standing>,
    patience: Duration,
    /// While a write cannot go on: when it must have.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Written since that was set.
    taken: usize,
    /// What is left of a refusal of ours.
    own: Vec<u8>,
    own_sent: usize,
    /// The client has ended its side.
    is_at_end: bool,
    broken: Option<Broken>,
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, standing: Arc<Standing>, patience: Duration) -> Self {
        Self {
            tcp,
            standing,
            patience,
            stalled: None,
            taken: 0,
            own: Vec::new(),
            own_sent: 0,
            is_at_end: false,
            broken: None,
        }
    }

    /// Whether the client has ended its side, so that nothing more will come.
    pub(super) const fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    pub(super) const fn broken(&self) -> Option<Broken> {
        self.broken
    }

    /// Whether a refusal of ours has taken the place of the library's.
    pub(super) const fn has_refused(&self) -> bool {
        !self.own.is_empty()
    }

    pub(super) fn into_tcp(self) -> TcpStream {
        self.tcp
    }

    /// Takes note of how a write of so many bytes went.
    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = match result {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                let patience = self.patience;
                let limit = self
                    .stalled
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
                self.standing.writes.store(true, Ordering::Relaxed);
                ready!(limit.as_mut().poll(cx));
                self.broken = Some(Broken::NotTaken);
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
        };
        if let Some(limit) = &mut self.stalled {
            self.taken = self.taken.saturating_add(written);
            if written == length {
                self.stalled = None;
                self.taken = 0;
                self.standing.writes.store(false, Ordering::Relaxed);
            } else if self.taken >= STRIDE {
                limit.as_mut().reset(Instant::now() + self.patience);
                self.taken = 0;
            }
        }
        Poll::Ready(Ok(written))
    }

    fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.wrote(cx, bytes.len(), result)
    }

    fn send_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self
            .own
            .get(self.own_sent..)
            .filter(|rest| !rest.is_empty())
        {
            let rest = rest.to_vec();
            let sent = ready!(self.send(cx, &rest))?;
            if sent == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.own_sent = self.own_sent.saturating_add(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buf))?;
        let bytes = buf.filled().len().saturating_sub(before);
        if bytes == 0 {
            self.is_at_end = true;
        } else if !self.standing.received(bytes) {
            self.broken = Some(Broken::Heads);
            return Poll::Ready(Err(ErrorKind::OutOfMemory.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match bare_answer(bytes) {
            None => self.send(cx, bytes),
            Some((0, status)) => {
                self.own = Refusal::of_library(status).answer();
                Poll::Ready(Ok(bytes.len()))
            }
            // First what stands before it.
            Some((at, _)) => self.send(cx, bytes.get(..at).unwrap_or_default()),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let last = slices.iter().rfind(|slice| !slice.is_empty());
        if last.is_some_and(|last| bare_answer(last).is_some()) {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.poll_write(cx, first.map_or(&[], |first| &**first));
        }
        let length = slices.iter().map(|slice| slice.len()).sum();
        let result = Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        self.wrote(cx, length, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send_own(cx))?;
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send_own(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
