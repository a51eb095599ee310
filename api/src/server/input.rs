//! Bytes that have arrived on a connection and are not handed to the HTTP library yet. A head is handed over
//! when it is whole, and nothing behind it before the library has said where its body ends: so each head is
//! seen here as the library reads it, and is counted while it waits.

use super::head::Head;
use super::speaks::Speaks;
use super::state::{ConnectionState, Framing};
use bytes::{Buf as _, BytesMut};
use tokio::io::ReadBuf;

/// The most bytes of a request's head. The library refuses longer ones.
pub(super) const MOST_HEAD: usize = 32 * 1024;

/// The part of a message that the next bytes belong to.
#[derive(Debug)]
enum Next {
    /// A head, of which so many bytes have been looked at.
    Head(Head, usize),
    /// A whole head, of which so many bytes are still here.
    Handing(usize),
    /// Nothing is known until the library has said it.
    Unsaid,
    /// A body, of which so many bytes are to come.
    Body(u64),
    /// The last request's body, or what the library is going to refuse: nobody looks at it.
    Rest,
}

/// The bytes of one connection.
#[derive(Debug)]
pub(super) struct Input {
    bytes: BytesMut,
    next: Next,
    /// Of the head that is being handed over, until its request begins.
    head: usize,
}

impl Input {
    pub(super) fn new() -> Self {
        Self {
            bytes: BytesMut::new(),
            next: Next::Head(Head::default(), 0),
            head: 0,
        }
    }

    /// Bytes that are held for this connection, here or as a head that has not become a request.
    pub(super) fn held(&self) -> usize {
        self.bytes.len().saturating_add(self.head)
    }

    /// True when a part of a head has come that is not handed over.
    pub(super) const fn is_in_head(&self) -> bool {
        matches!(&self.next, Next::Head(head, _) if head.has_begun())
    }

    /// Takes over what was read behind the first bytes of `buf`.
    pub(super) fn take(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let fresh = buf.filled().get(before..).unwrap_or_default();
        self.bytes.extend_from_slice(fresh);
        buf.set_filled(before);
    }

    /// Hands over what may be handed over; `false` when there is nothing.
    pub(super) fn hand_over(&mut self, buf: &mut ReadBuf<'_>, state: &ConnectionState) -> bool {
        let free = self.free(state).min(buf.remaining());
        let Some(bytes) = self.bytes.get(..free).filter(|bytes| !bytes.is_empty()) else {
            return false;
        };
        buf.put_slice(bytes);
        self.bytes.advance(free);
        if self.bytes.is_empty() {
            // A connection at rest keeps no memory.
            self.bytes = BytesMut::new();
        }
        match &mut self.next {
            Next::Handing(left) => {
                *left = left.saturating_sub(free);
                if *left == 0 {
                    self.next = Next::Unsaid;
                }
            }
            Next::Body(left) => *left = left.saturating_sub(free as u64),
            Next::Head(..) | Next::Unsaid | Next::Rest => {}
        }
        true
    }

    /// How many bytes may be handed over.
    fn free(&mut self, state: &ConnectionState) -> usize {
        loop {
            match &mut self.next {
                Next::Head(head, seen) => {
                    let fresh = self.bytes.get(*seen..).unwrap_or_default();
                    let end = head.read(fresh).map(|end| seen.saturating_add(end));
                    let is_foreign = head.is_foreign();
                    *seen = self.bytes.len();
                    if !head.has_begun() {
                        // Empty lines between requests.
                        self.bytes.clear();
                        *seen = 0;
                    } else {
                        state.speak(Speaks::of_head(&self.bytes));
                    }
                    self.next = match end {
                        Some(end) => {
                            self.head = end;
                            state.handing(end, head.is_ambiguous());
                            Next::Handing(end)
                        }
                        None if is_foreign || self.bytes.len() > MOST_HEAD => Next::Rest,
                        None => return 0,
                    };
                }
                Next::Handing(left) => return *left,
                Next::Unsaid => match state.framing() {
                    Some(framing) => {
                        self.head = 0;
                        self.next = match framing {
                            Framing::Length(length) => Next::Body(length),
                            Framing::Last => Next::Rest,
                        };
                    }
                    None if self.bytes.is_empty() => return 0,
                    // The library has not found the end where it is.
                    None => {
                        state.handing(self.head, true);
                        self.next = Next::Rest;
                    }
                },
                Next::Body(0) => self.next = Next::Head(Head::default(), 0),
                Next::Body(left) => {
                    let left = usize::try_from(*left).unwrap_or(usize::MAX);
                    return left.min(self.bytes.len());
                }
                Next::Rest => return self.bytes.len(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;
    use std::sync::Arc;
    use tokio::time::Instant;

    const HEAD: &str = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n";

    fn state() -> ConnectionState {
        ConnectionState::new(Instant::now(), Arc::new(Memory::new(usize::MAX)))
    }

    /// The bytes that are handed over at once after more has come.
    fn arrive(input: &mut Input, state: &ConnectionState, more: &str) -> String {
        let mut space = [0; 64 * 1024];
        let mut buf = ReadBuf::new(&mut space);
        buf.put_slice(more.as_bytes());
        input.take(&mut buf, 0);
        input.hand_over(&mut buf, state);
        String::from_utf8(buf.filled().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_head_is_handed_over_whole_and_what_is_behind_it_when_its_body_is_known() {
        let (mut input, state) = (Input::new(), state());
        let (first, rest) = HEAD.split_at(20);
        assert_eq!(arrive(&mut input, &state, first), "");
        assert_eq!((input.held(), input.is_in_head()), (20, true));
        let pipelined = format!("{rest}abc\r\n{HEAD}de");
        assert_eq!(arrive(&mut input, &state, &pipelined), HEAD);
        state.begin_request(Framing::Length(3)).unwrap();
        assert_eq!(arrive(&mut input, &state, ""), "abc");
        assert_eq!(arrive(&mut input, &state, ""), format!("\r\n{HEAD}"));
        assert_eq!(input.held(), HEAD.len() + 4, "until its request begins");
        state.begin_request(Framing::Length(3)).unwrap();
        assert_eq!(arrive(&mut input, &state, ""), "de");
        assert_eq!(arrive(&mut input, &state, "f\r\n"), "f");
        assert_eq!(arrive(&mut input, &state, ""), "");
        assert_eq!((input.held(), input.is_in_head()), (0, false));
    }

    #[tokio::test]
    async fn a_head_that_is_too_long_goes_to_the_library_to_be_refused() {
        let (mut input, state) = (Input::new(), state());
        let most = "a".repeat(MOST_HEAD);
        assert_eq!(arrive(&mut input, &state, &most), "");
        assert_eq!(arrive(&mut input, &state, "a").len(), MOST_HEAD + 1);
        assert_eq!(arrive(&mut input, &state, "b"), "b");
    }

    #[tokio::test]
    async fn another_protocol_goes_to_the_library_to_be_refused_at_once() {
        let (mut input, state) = (Input::new(), state());
        assert_eq!(arrive(&mut input, &state, "\u{16}\u{3}"), "\u{16}\u{3}");
    }

    #[tokio::test]
    async fn where_the_library_sees_another_end_its_request_is_refused() {
        let (mut input, state) = (Input::new(), state());
        assert_eq!(arrive(&mut input, &state, HEAD), HEAD);
        assert_eq!(arrive(&mut input, &state, "more"), "more");
        assert!(state.begin_request(Framing::Length(0)).is_err());
    }
}
