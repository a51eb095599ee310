//! Signals to a connection: go on, finish, or end at once. The limits on connections and memory send them;
//! a stronger one is never taken back.

use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::Notify;

/// A request to a connection; the later ones are stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signal {
    Continue,
    /// End after the request that is being answered.
    Finish,
    /// End at once: another connection needs the slot.
    YieldSlot,
    /// End at once: others need the memory.
    YieldMemory,
}

/// The strongest signal so far.
#[derive(Debug, Default)]
pub(super) struct Signals {
    strongest: AtomicU8,
    notify: Notify,
}

impl Signals {
    /// Sends a signal; a stronger one stays.
    pub(super) fn send(&self, signal: Signal) {
        let number = match signal {
            Signal::Continue => 0,
            Signal::Finish => 1,
            Signal::YieldSlot => 2,
            Signal::YieldMemory => 3,
        };
        self.strongest.fetch_max(number, Ordering::AcqRel);
        self.notify.notify_one();
    }

    pub(super) fn strongest(&self) -> Signal {
        match self.strongest.load(Ordering::Acquire) {
            0 => Signal::Continue,
            1 => Signal::Finish,
            2 => Signal::YieldSlot,
            _ => Signal::YieldMemory,
        }
    }

    /// Ready when a signal was sent since the last wait. One task waits at a time.
    pub(super) async fn changed(&self) {
        self.notify.notified().await;
    }

    /// Ready when the connection must end at once.
    pub(super) async fn end_requested(&self) {
        while self.strongest() < Signal::YieldSlot {
            self.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_not_taken_back() {
        let signals = Signals::default();
        signals.send(Signal::YieldSlot);
        signals.send(Signal::Finish);
        assert_eq!(signals.strongest(), Signal::YieldSlot);
    }
}
