//! Answers that are not read yet: their bytes count for whom they were made until the last of them has
//! gone out.

use super::memory::{Holding, Memory};
use super::signal::Signals;
use super::slots::Slot;
use super::state::ConnectionState;
use crate::limits::counted_for::CountedFor;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Shorter answers are not counted: a connection has no more than a few of them.
const SMALL: usize = 1024;

/// The body of an answer, each piece of it counted when it is made.
pub(super) struct CountedBody {
    body: Body,
    memory: Arc<Memory>,
    holder: CountedFor,
    signals: Arc<Signals>,
    #[expect(dead_code, reason = "held for what dropping it does")]
    stream: Option<EndOfStream>,
}

/// The state of a connection whose answer goes on; dropping it says that it has ended.
pub(super) struct EndOfStream(Arc<ConnectionState>);

impl EndOfStream {
    pub(super) fn begin(state: &Arc<ConnectionState>) -> Self {
        state.begin_stream();
        Self(Arc::clone(state))
    }
}

impl Drop for EndOfStream {
    fn drop(&mut self) {
        self.0.end_request();
    }
}

/// A piece, which goes out of memory with what was held for it.
struct Piece {
    bytes: Bytes,
    _holding: Holding,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl CountedBody {
    /// The body of an answer on the connection of this slot, for its holder.
    pub(super) fn over(body: Body, slot: &Slot, stream: Option<EndOfStream>) -> Body {
        Body::new(Self {
            body,
            memory: Arc::clone(slot.answers()),
            holder: slot.state().holder(),
            signals: Arc::clone(&slot.state().signals),
            stream,
        })
    }

    fn counted(&self, bytes: Bytes) -> Bytes {
        // What stands in the program, or is kept for all, takes no memory for one more reader.
        if bytes.len() <= SMALL || !bytes.is_unique() {
            return bytes;
        }
        let holding = self.memory.hold(&self.holder, &self.signals, bytes.len());
        Bytes::from_owner(Piece {
            bytes,
            _holding: holding,
        })
    }
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let counted =
            frame.map(|frame| frame.map(|frame| frame.map_data(|data| self.counted(data))));
        Poll::Ready(counted)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    async fn first(bytes: Bytes, memory: &Arc<Memory>) -> Bytes {
        let mut body = CountedBody {
            body: bytes.into(),
            memory: Arc::clone(memory),
            holder: "a".into(),
            signals: Arc::default(),
            stream: None,
        };
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        frame.unwrap().unwrap().into_data().unwrap()
    }

    #[tokio::test]
    async fn a_piece_counts_until_nobody_has_it_any_more() {
        let memory = Arc::new(Memory::new(usize::MAX));
        let sent = first(Bytes::from(vec![7; 5000]), &memory).await;
        assert_eq!((sent.len(), memory.bytes()), (5000, 5000));
        let half = sent.slice(2500..);
        drop(sent);
        assert_eq!(memory.bytes(), 5000, "a part of it is still to go out");
        drop(half);
        assert_eq!(memory.bytes(), 0);
    }

    #[tokio::test]
    async fn what_takes_no_memory_of_its_own_is_not_counted() {
        let memory = Arc::new(Memory::new(usize::MAX));
        let kept = Bytes::from(vec![7; 5000]);
        let sent = [
            first(Bytes::from_static(&[7; 5000]), &memory).await,
            first(kept.clone(), &memory).await,
            first(Bytes::from(vec![7; SMALL]), &memory).await,
        ];
        assert_eq!(memory.bytes(), 0);
        drop((kept, sent));
    }
}
