//! The schedule of questions to each witness: one question at a time, and after a failure a pause that
//! grows and is drawn at random, so that witnesses and logs do not meet in step.

use ledger::Random;
use std::time::Duration;
use tokio::time::Instant;

/// When one witness may be asked, and from which size.
#[derive(Debug, Clone, Default)]
pub(super) struct Schedule {
    /// The size that it has cosigned last; 0 asks it to tell.
    pub(super) known: u64,
    /// One question at a time.
    pub(super) is_asked: bool,
    failures: u32,
    paused_until: Option<Instant>,
}

impl Schedule {
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_asked && self.paused_until.is_none_or(|until| until <= now)
    }

    /// When it may be asked again, where that is later.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until
            .filter(|until| !self.is_asked && *until > now)
    }

    pub(super) const fn answered(&mut self) {
        self.failures = 0;
        self.paused_until = None;
    }

    pub(super) fn failed(&mut self, now: Instant, backoff: &Backoff, random: &dyn Random) {
        self.failures = self.failures.saturating_add(1);
        let mut jitter = [0; 8];
        random.fill(&mut jitter);
        self.paused_until = Some(now + backoff.delay(self.failures, jitter));
    }
}

/// Exponential back-off with full jitter: before the next attempt passes a time drawn evenly
/// between nothing and a ceiling that doubles with every failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backoff {
    /// Never earlier than this, whatever is drawn.
    pub(super) floor: Duration,
    /// The ceiling after the first failure.
    pub(super) first_ceiling: Duration,
    /// The ceiling stops doubling here.
    pub(super) last_ceiling: Duration,
}

impl Backoff {
    /// How long to wait after the `failures`-th failure in a row (from 1; 0 counts as 1).
    ///
    /// `jitter` is eight random bytes.
    pub(super) fn delay(&self, failures: u32, jitter: [u8; 8]) -> Duration {
        let drawn = fraction(self.ceiling(failures), u64::from_le_bytes(jitter));
        drawn.max(self.floor)
    }

    fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1);
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first_ceiling
            .saturating_mul(factor)
            .min(self.last_ceiling)
    }
}

/// `whole * numerator / 2^64`, to the microsecond.
fn fraction(whole: Duration, numerator: u64) -> Duration {
    let whole = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
    let scaled = (u128::from(whole) * u128::from(numerator)) >> 64;
    Duration::from_micros(u64::try_from(scaled).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HIGHEST: [u8; 8] = [0xff; 8];
    const MIDDLE: [u8; 8] = (1_u64 << 63).to_le_bytes();
    const BACKOFF: Backoff = Backoff {
        floor: Duration::from_secs(1),
        first_ceiling: Duration::from_secs(10),
        last_ceiling: Duration::from_secs(15 * 60),
    };

    #[test]
    fn the_ceiling_doubles_and_stops() {
        let ceilings: Vec<u64> = [0, 1, 2, 3, 4, 7, 8, 20, 32, 33, u32::MAX]
            .into_iter()
            .map(|failures| BACKOFF.ceiling(failures).as_secs())
            .collect();
        assert_eq!(ceilings, [10, 10, 20, 40, 80, 640, 900, 900, 900, 900, 900]);
    }

    #[test]
    fn what_is_drawn_spreads_from_the_floor_to_the_ceiling() {
        assert_eq!(BACKOFF.delay(3, [0; 8]), BACKOFF.floor);
        assert_eq!(BACKOFF.delay(3, MIDDLE), Duration::from_secs(20));
        let nearly = Duration::from_secs(40) - Duration::from_micros(1);
        assert_eq!(BACKOFF.delay(3, HIGHEST), nearly);
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_its_bounds(failures: u32, jitter: [u8; 8]) {
            let delay = BACKOFF.delay(failures, jitter);
            prop_assert!(delay >= BACKOFF.floor && delay <= BACKOFF.ceiling(failures));
        }
    }
}
