//! When a failed delivery is tried again.

use std::time::Duration;

/// Exponential back-off with full jitter: before the next attempt passes a time drawn evenly
/// between nothing and a ceiling that doubles with every failure, so that deliveries that failed
/// together do not come back together. A receiver that says `Retry-After` is not asked earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Never earlier than this, whatever is drawn.
    pub floor: Duration,
    /// The ceiling after the first failure.
    pub first_ceiling: Duration,
    /// The ceiling stops doubling here.
    pub last_ceiling: Duration,
    /// The longest `Retry-After` that is obeyed; a longer one counts as this long.
    pub longest_retry_after: Duration,
}

impl Default for Backoff {
    /// Between 1 s and a ceiling of 10 s that doubles up to 15 min; `Retry-After` up to 1 h.
    fn default() -> Self {
        Self {
            floor: Duration::from_secs(1),
            first_ceiling: Duration::from_secs(10),
            last_ceiling: Duration::from_secs(15 * 60),
            longest_retry_after: Duration::from_secs(60 * 60),
        }
    }
}

impl Backoff {
    /// How long to wait after the `failures`-th failure in a row (from 1; 0 counts as 1).
    ///
    /// `jitter` is eight random bytes.
    #[must_use]
    pub fn delay(&self, failures: u32, jitter: [u8; 8], retry_after: Option<Duration>) -> Duration {
        let drawn = fraction(self.ceiling(failures), u64::from_le_bytes(jitter));
        let asked = retry_after
            .unwrap_or_default()
            .min(self.longest_retry_after);
        drawn.max(self.floor).max(asked)
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

    #[test]
    fn the_ceiling_doubles_and_stops() {
        let ceilings: Vec<u64> = [0, 1, 2, 3, 4, 7, 8, 20, 32, 33, u32::MAX]
            .into_iter()
            .map(|failures| Backoff::default().ceiling(failures).as_secs())
            .collect();
        assert_eq!(ceilings, [10, 10, 20, 40, 80, 640, 900, 900, 900, 900, 900]);
    }

    #[test]
    fn what_is_drawn_spreads_from_the_floor_to_the_ceiling() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(3, [0; 8], None), backoff.floor);
        assert_eq!(backoff.delay(3, MIDDLE, None), Duration::from_secs(20));
        let nearly = Duration::from_secs(40) - Duration::from_micros(1);
        assert_eq!(backoff.delay(3, HIGHEST, None), nearly);
    }

    #[test]
    fn retry_after_delays_and_is_bounded() {
        let backoff = Backoff::default();
        let with = |seconds| backoff.delay(1, MIDDLE, Some(Duration::from_secs(seconds)));
        assert_eq!(with(0), Duration::from_secs(5));
        assert_eq!(with(4), Duration::from_secs(5));
        assert_eq!(with(120), Duration::from_secs(120));
        assert_eq!(with(u64::MAX), Duration::from_secs(3600));
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_its_bounds(
            failures: u32, jitter: [u8; 8], asked in proptest::option::of(any::<Duration>()),
        ) {
            let backoff = Backoff::default();
            let delay = backoff.delay(failures, jitter, asked);
            let asked = asked.unwrap_or_default().min(backoff.longest_retry_after);
            prop_assert!(delay >= backoff.floor.max(asked));
            prop_assert!(delay <= backoff.ceiling(failures).max(asked));
        }
    }
}
