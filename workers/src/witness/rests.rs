//! When each witness is asked.

use super::backoff::Backoff;
use ledger::Random;
use tokio::time::Instant;

/// What is known of a witness, between two questions.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// The size that it has cosigned last; 0 asks it to tell.
    pub(super) known: u64,
    /// One question at a time.
    pub(super) is_asked: bool,
    failures: u32,
    rests_until: Option<Instant>,
}

impl Standing {
    /// Whether it may be asked now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_asked && self.rests_until.is_none_or(|until| until <= now)
    }

    /// When it may be asked again, where that is later.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        self.rests_until
            .filter(|until| !self.is_asked && *until > now)
    }

    /// It has answered as it should.
    pub(super) const fn answered(&mut self) {
        self.failures = 0;
        self.rests_until = None;
    }

    /// It has not.
    pub(super) fn failed(&mut self, now: Instant, backoff: &Backoff, random: &dyn Random) {
        self.failures = self.failures.saturating_add(1);
        let mut jitter = [0; 8];
        random.fill(&mut jitter);
        self.rests_until = Some(now + backoff.delay(self.failures, jitter));
    }
}
