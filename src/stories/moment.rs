//! Moments beside lines.

use ledger::Timestamp;

/// `2026-11-22 09:00:00.123`, in UTC, always as long.
pub(crate) fn clock(at: Timestamp) -> String {
    let at = at.to_string();
    let (date, time) = at
        .trim_end_matches('Z')
        .split_once('T')
        .unwrap_or((&at, ""));
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    format!("{date} {seconds}.{millis}")
}

/// To the second, inside a sentence.
pub(super) fn moment(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.as_seconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_all_of_one_length() {
        let at = |micros: i64| clock(Timestamp::from_micros(1_763_769_600_000_000 + micros));
        assert_eq!(at(0), "2025-11-22 00:00:00.000");
        assert_eq!(at(500_000), "2025-11-22 00:00:00.500");
        assert_eq!(at(123_456), "2025-11-22 00:00:00.123");
    }
}
