//! What a connection is told to do, by whoever counts connections or memory.

use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::Notify;

/// What a connection is told to do; the later ones are stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    /// Go on.
    Stay,
    /// End after the request that is being answered.
    Finish,
    /// End at once: another connection needs the place.
    GivePlace,
    /// End at once: others need the memory.
    GiveMemory,
}

/// The strongest word so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    word: AtomicU8,
    notify: Notify,
}

impl Told {
    /// Says something; a stronger word stays.
    pub(super) fn tell(&self, word: Word) {
        let number = match word {
            Word::Stay => 0,
            Word::Finish => 1,
            Word::GivePlace => 2,
            Word::GiveMemory => 3,
        };
        self.word.fetch_max(number, Ordering::AcqRel);
        self.notify.notify_one();
    }

    pub(super) fn word(&self) -> Word {
        match self.word.load(Ordering::Acquire) {
            0 => Word::Stay,
            1 => Word::Finish,
            2 => Word::GivePlace,
            _ => Word::GiveMemory,
        }
    }

    /// Ready when something was said since the last one was. One waits at a time.
    pub(super) async fn heard(&self) {
        self.notify.notified().await;
    }

    /// Ready when it is to end at once.
    pub(super) async fn to_leave(&self) {
        while self.word() < Word::GivePlace {
            self.heard().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_not_taken_back() {
        let told = Told::default();
        told.tell(Word::GivePlace);
        told.tell(Word::Finish);
        assert_eq!(told.word(), Word::GivePlace);
    }
}
