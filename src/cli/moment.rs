//! Moments and positions on the command line.

use ledger::Timestamp;

/// Where to begin or to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// At this position.
    Position(u64),
    /// At the first event that was recorded at this time or later.
    Time(Timestamp),
}

/// A position, a moment as in RFC 3339, or a date: its first moment, UTC.
pub(super) fn parse_bound(text: &str) -> Result<Bound, String> {
    if let Ok(position) = text.parse() {
        return Ok(Bound::Position(position));
    }
    let wrong = |_| {
        "expected a position such as 120, a time such as 2026-11-22T09:00:00Z, or a date".to_owned()
    };
    let at: jiff::Timestamp = match text.parse() {
        Ok(at) => at,
        Err(_) => format!("{text}T00:00:00Z").parse().map_err(wrong)?,
    };
    Ok(Bound::Time(Timestamp::from_micros(at.as_microsecond())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_times_and_dates_are_told_apart() {
        let day = Bound::Time(Timestamp::from_seconds(1_763_769_600));
        assert_eq!(parse_bound("12"), Ok(Bound::Position(12)));
        assert_eq!(parse_bound("2025-11-22T00:00:00Z"), Ok(day));
        assert_eq!(parse_bound("2025-11-22T01:00:00+01:00"), Ok(day));
        assert_eq!(parse_bound("2025-11-22"), Ok(day));
        for wrong in ["", "-1", "yesterday", "2025-11-22 00:00", "2025-13-01"] {
            assert!(parse_bound(wrong).is_err(), "{wrong}");
        }
    }
}
