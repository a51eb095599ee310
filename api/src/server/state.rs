//! The state of a connection: its phase and since when, and its requests so far.

use super::memory::{Holding, Memory};
use super::refusal::Refusal;
use super::signal::Signals;
use super::speaks::Speaks;
use crate::limits::counted_for::CountedFor;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing of a request has come since the last one was answered.
    Idle,
    /// A part of a request's head has come.
    Head,
    /// A request is being answered.
    Busy,
    /// An answer goes on for as long as its reader wants.
    Streaming,
}

/// Where the body of a request ends, as the HTTP library has read its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes; what follows is the next request.
    Length(u64),
    /// Nobody looks at where: it is the connection's last request.
    Last,
}

const UNSAID: u64 = u64::MAX;
/// [`Framing::Last`]
const LAST: u64 = u64::MAX - 1;

/// The bytes of an unfinished head that are not counted for a connection: most heads are shorter.
pub(super) const FREE_HEAD: usize = 4 * 1024;

/// A head that is longer ends the connection with its answer: the library would keep memory of this size
/// for as long as the connection rests.
const LARGE_HEAD: usize = 8 * 1024;

/// Shared by the connection's task and whoever counts connections.
#[derive(Debug)]
pub(super) struct ConnectionState {
    /// The phase in the lowest two bits, and above them the milliseconds since `begun`.
    packed: AtomicU64,
    begun: Instant,
    pub(super) signals: Arc<Signals>,
    /// An answer is being written that the client does not take.
    pub(super) writes: AtomicBool,
    /// Whoever asks is to be gone from once they have gone, whatever else they have sent.
    is_watched: AtomicBool,
    /// It is time to look whether the client has gone.
    looks: AtomicBool,
    /// Requests so far.
    requests: AtomicU64,
    framing: AtomicU64,
    /// Of the head that was handed to the library last.
    is_ambiguous: AtomicBool,
    head: AtomicUsize,
    /// [`Speaks::number`] of the newest head.
    speaks: AtomicU8,
    heads: Arc<Memory>,
    held: Mutex<Option<Holding>>,
    holder: Mutex<CountedFor>,
}

impl ConnectionState {
    pub(super) fn new(begun: Instant, heads: Arc<Memory>) -> Self {
        let state = Self {
            packed: AtomicU64::new(0),
            begun,
            signals: Arc::default(),
            writes: AtomicBool::new(false),
            is_watched: AtomicBool::new(false),
            looks: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            framing: AtomicU64::new(UNSAID),
            is_ambiguous: AtomicBool::new(false),
            head: AtomicUsize::new(0),
            speaks: AtomicU8::new(Speaks::Ours.number()),
            heads,
            held: Mutex::new(None),
            holder: Mutex::default(),
        };
        state.enter(Phase::Idle);
        state
    }

    /// Goes on to a phase, which begins now.
    fn enter(&self, phase: Phase) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        let phase = match phase {
            Phase::Idle => 0,
            Phase::Head => 1,
            Phase::Busy => 2,
            Phase::Streaming => 3,
        };
        self.packed.store((now << 2) | phase, Ordering::Relaxed);
    }

    /// The phase and when it began, to the millisecond.
    pub(super) fn look(&self) -> (Phase, Instant) {
        let packed = self.packed.load(Ordering::Relaxed);
        let phase = match packed & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Busy,
            _ => Phase::Streaming,
        };
        (phase, self.begun + Duration::from_millis(packed >> 2))
    }

    /// A part of a head has come.
    pub(super) fn begin_head(&self) {
        if self.look().0 == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// So many bytes are held that have not become a request.
    pub(super) fn hold_head(&self, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = bytes.saturating_sub(FREE_HEAD);
        match &*held {
            _ if counted == 0 => *held = None,
            Some(holding) => holding.set(counted),
            // Nobody knows whose head it is, so all of them have one holder.
            None => {
                *held = Some(
                    self.heads
                        .hold(&CountedFor::default(), &self.signals, counted),
                )
            }
        }
    }

    /// A whole head goes to the library.
    pub(super) fn handing(&self, bytes: usize, is_ambiguous: bool) {
        self.framing.store(UNSAID, Ordering::Relaxed);
        self.is_ambiguous.store(is_ambiguous, Ordering::Relaxed);
        self.head.store(bytes, Ordering::Relaxed);
    }

    /// A head has come, or a part of it.
    pub(super) fn speak(&self, speaks: Speaks) {
        self.speaks.store(speaks.number(), Ordering::Relaxed);
    }

    /// The API that the newest head asks for.
    pub(super) fn speaks(&self) -> Speaks {
        Speaks::numbered(self.speaks.load(Ordering::Relaxed))
    }

    /// The framing of the head, as far as the library has read it.
    pub(super) fn framing(&self) -> Option<Framing> {
        match self.framing.load(Ordering::Relaxed) {
            UNSAID => None,
            LAST => Some(Framing::Last),
            length => Some(Framing::Length(length)),
        }
    }

    /// The head has become a request, which is being answered. The answer says whether another request
    /// may follow.
    ///
    /// # Errors
    /// The refusal of a request that could be read in two ways.
    pub(super) fn begin_request(&self, framing: Framing) -> Result<Framing, Refusal> {
        self.enter(Phase::Busy);
        self.is_watched.store(false, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.hold_head(0);
        let is_ambiguous = self.is_ambiguous.load(Ordering::Relaxed);
        let is_large = self.head.load(Ordering::Relaxed) > LARGE_HEAD;
        let framing = match framing {
            Framing::Length(length) if !is_ambiguous && !is_large => {
                self.framing.store(length.min(LAST - 1), Ordering::Relaxed);
                framing
            }
            Framing::Length(_) | Framing::Last => {
                self.framing.store(LAST, Ordering::Relaxed);
                Framing::Last
            }
        };
        if is_ambiguous {
            return Err(Refusal::Malformed);
        }
        Ok(framing)
    }

    /// The answer that begins now has no end of its own.
    pub(super) fn begin_stream(&self) {
        self.enter(Phase::Streaming);
    }

    pub(super) fn end_request(&self) {
        self.enter(Phase::Idle);
    }

    /// The one that the last answer was made for.
    pub(super) fn holder(&self) -> CountedFor {
        let holder = self.holder.lock();
        holder.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has another holder from now on, and says who it was before.
    pub(super) fn hold_for(&self, holder: CountedFor) -> CountedFor {
        let mut held = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut held, holder)
    }

    /// From here on, until the request is answered, the client is looked for.
    pub(super) fn watch(&self) {
        self.is_watched.store(true, Ordering::Relaxed);
    }

    /// True while a request is being answered whose client is looked for.
    pub(super) fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
            && matches!(self.look().0, Phase::Busy | Phase::Streaming)
    }

    /// Has whoever holds the socket look whether the client has gone.
    pub(super) fn ask_to_look(&self) {
        self.looks.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked for since the last time.
    pub(super) fn is_asked_to_look(&self) -> bool {
        self.looks.load(Ordering::Relaxed) && self.looks.swap(false, Ordering::Relaxed)
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(heads: &Arc<Memory>) -> ConnectionState {
        ConnectionState::new(Instant::now(), Arc::clone(heads))
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_begins_with_its_first_byte_and_not_with_each() {
        let heads = Arc::new(Memory::new(usize::MAX));
        let state = state(&heads);
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        state.begin_head();
        tokio::time::advance(Duration::from_secs(1)).await;
        state.begin_head();
        let since = begun + Duration::from_secs(1);
        assert_eq!(state.look(), (Phase::Head, since));
        state.begin_request(Framing::Length(0)).unwrap();
        state.begin_head();
        assert_eq!(state.look().0, Phase::Busy);
        state.end_request();
        assert_eq!(state.look().0, Phase::Idle);
    }

    #[tokio::test]
    async fn of_each_head_some_is_free_and_the_rest_is_given_back_with_the_request() {
        let heads = Arc::new(Memory::new(usize::MAX));
        let (a, b) = (state(&heads), state(&heads));
        a.hold_head(FREE_HEAD);
        assert_eq!(heads.bytes(), 0);
        a.hold_head(FREE_HEAD + 1);
        b.hold_head(FREE_HEAD + 10);
        assert_eq!(heads.bytes(), 11);
        a.begin_request(Framing::Length(0)).unwrap();
        assert_eq!(heads.bytes(), 10);
        drop(b);
        assert_eq!(heads.bytes(), 0);
    }

    #[tokio::test]
    async fn a_large_head_and_a_body_of_chunks_are_a_connections_last() {
        let state = state(&Arc::new(Memory::new(usize::MAX)));
        let length = Framing::Length(7);
        state.handing(LARGE_HEAD, false);
        assert_eq!(state.begin_request(length), Ok(length));
        assert_eq!(state.framing(), Some(length));
        state.handing(LARGE_HEAD + 1, false);
        assert_eq!(state.framing(), None);
        assert_eq!(state.begin_request(length), Ok(Framing::Last));
        state.handing(1, false);
        assert_eq!(state.begin_request(Framing::Last), Ok(Framing::Last));
        state.handing(1, true);
        assert_eq!(state.begin_request(length), Err(Refusal::Malformed));
        assert_eq!(state.framing(), Some(Framing::Last));
    }
}
