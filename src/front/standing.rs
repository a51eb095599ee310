//! What a connection is doing, and since when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing of a request has come since the last one was answered.
    Idle,
    /// A part of a request's head has come.
    Head,
    /// A request is being answered.
    Busy,
}

/// What a connection is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Go on.
    Stay,
    /// End after the request that is being answered.
    Finish,
    /// End at once: others need the place.
    Leave,
}

/// Bytes of heads that are not whole yet, over all connections.
#[derive(Debug, Default)]
pub(super) struct Heads(AtomicUsize);

impl Heads {
    /// A legitimate head comes in one piece, so all unfinished ones together need little.
    pub(super) const MOST: usize = 64 * 1024 * 1024;

    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Shared by the connection's task and whoever counts connections.
#[derive(Debug)]
pub(super) struct Standing {
    /// The phase in the lowest two bits, and above them the milliseconds since `begun`.
    packed: AtomicU64,
    begun: Instant,
    word: AtomicU8,
    /// Somebody has said a word.
    pub(super) told: Notify,
    /// An answer is being written that the client does not take.
    pub(super) writes: AtomicBool,
    head: AtomicUsize,
    heads: Arc<Heads>,
}

impl Standing {
    pub(super) fn new(begun: Instant, heads: Arc<Heads>) -> Self {
        let standing = Self {
            packed: AtomicU64::new(0),
            begun,
            word: AtomicU8::new(0),
            told: Notify::new(),
            writes: AtomicBool::new(false),
            head: AtomicUsize::new(0),
            heads,
        };
        standing.enter(Phase::Idle);
        standing
    }

    /// Goes on to a phase, which begins now.
    pub(super) fn enter(&self, phase: Phase) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        let phase = match phase {
            Phase::Idle => 0,
            Phase::Head => 1,
            Phase::Busy => 2,
        };
        self.packed.store((now << 2) | phase, Ordering::Relaxed);
    }

    /// The phase and when it began, to the millisecond.
    pub(super) fn look(&self) -> (Phase, Instant) {
        let packed = self.packed.load(Ordering::Relaxed);
        let phase = match packed & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Busy,
        };
        (phase, self.begun + Duration::from_millis(packed >> 2))
    }

    /// Counts bytes that came while no request is being answered; `false` when all unfinished heads
    /// together are too much.
    pub(super) fn received(&self, bytes: usize) -> bool {
        if self.look().0 == Phase::Busy {
            return true;
        }
        if self.head.fetch_add(bytes, Ordering::Relaxed) == 0 {
            self.enter(Phase::Head);
        }
        let before = self.heads.0.fetch_add(bytes, Ordering::Relaxed);
        before.saturating_add(bytes) <= Heads::MOST
    }

    /// The head is whole, and its request is being answered.
    pub(super) fn begin_request(&self) {
        self.enter(Phase::Busy);
        self.forget_head();
    }

    /// The request has its answer.
    pub(super) fn end_request(&self) {
        self.enter(Phase::Idle);
    }

    fn forget_head(&self) {
        let bytes = self.head.swap(0, Ordering::Relaxed);
        if bytes > 0 {
            self.heads.0.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Tells the connection something; a stronger word stays.
    pub(super) fn tell(&self, word: Word) {
        let number = match word {
            Word::Stay => 0,
            Word::Finish => 1,
            Word::Leave => 2,
        };
        self.word.fetch_max(number, Ordering::AcqRel);
        self.told.notify_one();
    }

    pub(super) fn word(&self) -> Word {
        match self.word.load(Ordering::Acquire) {
            0 => Word::Stay,
            1 => Word::Finish,
            _ => Word::Leave,
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.forget_head();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(heads: &Arc<Heads>) -> Standing {
        Standing::new(Instant::now(), Arc::clone(heads))
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_begins_with_its_first_byte_and_not_with_each() {
        let heads = Arc::default();
        let standing = standing(&heads);
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(standing.received(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(standing.received(1));
        let since = begun + Duration::from_secs(1);
        assert_eq!(standing.look(), (Phase::Head, since));
        assert_eq!(heads.bytes(), 2);
        standing.begin_request();
        assert!(standing.received(1000), "a body is not a head");
        assert_eq!((standing.look().0, heads.bytes()), (Phase::Busy, 0));
        standing.end_request();
        assert_eq!(standing.look().0, Phase::Idle);
    }

    #[tokio::test]
    async fn unfinished_heads_have_one_bound_together_and_give_back_what_they_took() {
        let heads = Arc::default();
        let (a, b) = (standing(&heads), standing(&heads));
        assert!(a.received(Heads::MOST));
        assert!(!b.received(1));
        drop((a, b));
        assert_eq!(heads.bytes(), 0);
        assert!(standing(&heads).received(1));
    }

    #[test]
    fn a_word_is_not_taken_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let _entered = runtime.as_ref().unwrap().enter();
        let standing = standing(&Arc::default());
        standing.tell(Word::Leave);
        standing.tell(Word::Finish);
        assert_eq!(standing.word(), Word::Leave);
    }
}
