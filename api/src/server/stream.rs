//! A connection's bytes. What is read says what the client is doing; what is written has to be taken
//! in time; and a refusal that the HTTP library gives by itself, without a body, goes out as one of
//! ours.

use super::input::Input;
use super::refusal::{Refusal, bare_answer};
use super::state::ConnectionState;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// The lowest rate, in bytes a second, at which a client may take an answer for which it makes us wait.
const LOWEST_RATE: u64 = 16 * 1024;

/// Why a connection ended that its stream has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The client did not take its answer, or too slowly.
    NotTaken,
}

/// How a client takes its answer. The time that it makes us wait is that of the patience and what the
/// lowest rate gives for the bytes that it has taken meanwhile, over the whole answer.
#[derive(Debug, Default)]
struct Pace {
    request: u64,
    waited: Duration,
    taken: u64,
    stalled: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Pace {
    /// When a client that makes us wait has to have taken more.
    fn stall(&mut self, patience: Duration, request: u64) -> &mut Pin<Box<Sleep>> {
        if self.request != request && self.stalled.is_none() {
            *self = Self {
                request,
                ..Self::default()
            };
        }
        let earned = Duration::from_secs(self.taken.checked_div(LOWEST_RATE).unwrap_or(0));
        let left = patience.saturating_add(earned).saturating_sub(self.waited);
        let stalled = self.stalled.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(tokio::time::sleep_until(now + left)))
        });
        &mut stalled.1
    }

    /// It has taken so many bytes.
    fn take(&mut self, bytes: usize) {
        if let Some((since, _)) = self.stalled.take() {
            self.waited = self.waited.saturating_add(since.elapsed());
        }
        // What went before the first wait went into the system's own buffers.
        if self.waited > Duration::ZERO {
            self.taken = self.taken.saturating_add(bytes as u64);
        }
    }
}

/// The stream as the HTTP library sees it.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TcpStream,
    state: Arc<ConnectionState>,
    patience: Duration,
    input: Input,
    pace: Pace,
    /// The rest of a refusal of ours.
    own: Vec<u8>,
    own_sent: usize,
    /// The client has ended its side.
    is_at_end: bool,
    broken: Option<Broken>,
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, state: Arc<ConnectionState>, patience: Duration) -> Self {
        Self {
            tcp,
            state,
            patience,
            input: Input::new(),
            pace: Pace::default(),
            own: Vec::new(),
            own_sent: 0,
            is_at_end: false,
            broken: None,
        }
    }

    /// True when the client has ended its side, so that nothing more will come.
    pub(super) const fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    pub(super) const fn broken(&self) -> Option<Broken> {
        self.broken
    }

    /// True when a refusal of ours has taken the place of the library's.
    pub(super) const fn has_refused(&self) -> bool {
        !self.own.is_empty()
    }

    pub(super) fn into_tcp(self) -> TcpStream {
        self.tcp
    }

    /// Takes note of how a write went.
    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(written)) => {
                self.pace.take(written);
                self.state.writes.store(false, Ordering::Relaxed);
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.state.writes.store(true, Ordering::Relaxed);
                let limit = self.pace.stall(self.patience, self.state.requests());
                ready!(limit.as_mut().poll(cx));
                self.broken = Some(Broken::NotTaken);
                Poll::Ready(Err(ErrorKind::TimedOut.into()))
            }
        }
    }

    /// True when the client has ended its side or the connection, whatever is left to read of what it sent before.
    fn has_gone(&mut self, cx: &mut Context<'_>) -> bool {
        let ready = pin!(self.tcp.ready(Interest::READABLE)).poll(cx);
        let has_gone = match ready {
            Poll::Ready(Ok(ready)) => ready.is_read_closed(),
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        self.is_at_end |= has_gone;
        has_gone
    }

    fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write(cx, bytes);
        self.wrote(cx, result)
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
        let this = &mut *self;
        let read = loop {
            if this.input.hand_over(buf, &this.state) {
                break Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            match Pin::new(&mut this.tcp).poll_read(cx, buf) {
                Poll::Ready(Ok(())) if buf.filled().len() == before => {
                    this.is_at_end = true;
                    break Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(())) => this.input.take(buf, before),
                other => break other,
            }
        };
        if this.input.is_in_head() {
            this.state.begin_head();
        }
        this.state.hold_head(this.input.held());
        read
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
                self.own = Refusal::of_library(status).answer(self.state.speaks());
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
        let result = Pin::new(&mut self.tcp).poll_write_vectored(cx, slices);
        self.wrote(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.is_asked_to_look() && self.has_gone(cx) {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        ready!(self.send_own(cx))?;
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send_own(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For how many seconds a client is waited for that takes so many bytes in each of them; `None` when for
    /// longer than two minutes.
    async fn waited(bytes: usize) -> Option<u64> {
        let second = Duration::from_secs(1);
        let mut pace = Pace::default();
        for seconds in 0..120 {
            let limit = pace.stall(Duration::from_secs(10), 1).deadline();
            if limit < Instant::now() + second {
                return Some(seconds);
            }
            tokio::time::advance(second).await;
            pace.take(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_taken_at_a_lowest_rate_over_its_whole_length() {
        let lowest = usize::try_from(LOWEST_RATE).unwrap();
        assert_eq!(waited(0).await, Some(10));
        assert_eq!(waited(1).await, Some(10), "a byte now and then is nothing");
        assert_eq!(
            waited(lowest / 2).await.map(|s| s > 10 && s < 30),
            Some(true)
        );
        assert_eq!(waited(lowest).await, None);
    }
}
