//! The schedule of tries of a failed delivery.

use std::time::Duration;

const SECOND: u64 = 1;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The waits after the first failures, in seconds; the last one holds for all that follow.
const WAITS: [u64; 7] = [
    5 * SECOND,
    10 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    8 * HOUR,
    12 * HOUR,
];

/// The longest `Retry-After` that is obeyed; a longer one counts as this long.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * HOUR);

/// How long a delivery rests after its `failures`-th failure in a row (from 1; 0 counts as 1).
///
/// A receiver that restarts gets it seconds later, and one that a person must repair has hours: five
/// tries span three hours, twenty a week. Each wait is drawn evenly between three quarters and five
/// quarters of its length, so that deliveries that failed together do not come back together. A receiver
/// that says `Retry-After` is never asked earlier. `jitter` is eight random bytes.
#[must_use]
pub fn retry_delay(failures: u32, jitter: [u8; 8], retry_after: Option<Duration>) -> Duration {
    let at = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let [.., last] = WAITS;
    let wait = Duration::from_secs(WAITS.get(at).copied().unwrap_or(last));
    let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
    jittered(wait, jitter).max(asked)
}

/// How long a delivery rests whose try this service broke off itself: the receiver has done nothing that
/// it should be spared for.
#[must_use]
pub fn delay_after_interruption(jitter: [u8; 8]) -> Duration {
    retry_delay(1, jitter, None)
}

/// Between three quarters and five quarters of the wait, to the millisecond.
fn jittered(wait: Duration, jitter: [u8; 8]) -> Duration {
    let millis = wait.as_millis();
    let drawn = (millis * u128::from(u64::from_le_bytes(jitter))) >> 64;
    let millis = millis * 3 / 4 + drawn / 2;
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOWEST: [u8; 8] = [0; 8];
    const MIDDLE: [u8; 8] = (1_u64 << 63).to_le_bytes();
    const HIGHEST: [u8; 8] = [0xff; 8];

    /// From the first try to the last one.
    fn span(tries: u32, jitter: [u8; 8]) -> Duration {
        (1..tries)
            .map(|failures| retry_delay(failures, jitter, None))
            .sum()
    }

    #[test]
    fn five_tries_span_hours_and_twenty_a_week() {
        let hours = |tries, jitter| span(tries, jitter).as_secs() as f64 / HOUR as f64;
        assert!(
            (3.0..3.5).contains(&hours(5, MIDDLE)),
            "{}",
            hours(5, MIDDLE)
        );
        assert!(hours(5, LOWEST) > 2.0 && hours(5, HIGHEST) < 4.0);
        let days = hours(20, MIDDLE) / 24.0;
        assert!((6.5..7.5).contains(&days), "{days}");
        assert!(hours(20, LOWEST) > 5.0 * 24.0 && hours(20, HIGHEST) < 9.0 * 24.0);
    }

    #[test]
    fn the_first_failure_is_followed_by_a_try_within_seconds() {
        assert_eq!(retry_delay(1, LOWEST, None), Duration::from_millis(3_750));
        assert_eq!(retry_delay(0, MIDDLE, None), Duration::from_secs(5));
        assert!(retry_delay(1, HIGHEST, None) < Duration::from_millis(6_250));
        assert_eq!(delay_after_interruption(MIDDLE), Duration::from_secs(5));
    }

    #[test]
    fn retry_after_delays_and_is_bounded() {
        let with = |seconds| retry_delay(1, MIDDLE, Some(Duration::from_secs(seconds))).as_secs();
        assert_eq!(with(0), 5);
        assert_eq!(with(4), 5);
        assert_eq!(with(120), 120);
        assert_eq!(with(20 * HOUR), 20 * HOUR);
        assert_eq!(with(u64::MAX), 24 * HOUR);
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_its_bounds(
            failures: u32, jitter: [u8; 8], asked in proptest::option::of(any::<Duration>()),
        ) {
            let delay = retry_delay(failures, jitter, asked);
            let asked = asked.unwrap_or_default().min(LONGEST_RETRY_AFTER);
            prop_assert!(delay >= asked.max(Duration::from_millis(3_750)));
            prop_assert!(delay <= asked.max(Duration::from_secs(15 * HOUR)));
        }
    }
}
