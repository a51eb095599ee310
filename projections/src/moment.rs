//! Moments as they stand in the tables: RFC 3339 in UTC, always with six decimals, so that their
//! order as text is their order in time.

use jiff::fmt::temporal::DateTimePrinter;
use ledger::Timestamp;

static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// `2026-11-22T14:07:57.000000Z`.
pub(crate) fn to_text(at: Timestamp) -> String {
    let mut text = String::new();
    write(at, &mut text);
    text
}

/// Adds the moment to a text. What lies beyond the calendar (years before -9999 or after 9999)
/// becomes its first or last moment.
pub(crate) fn write(at: Timestamp, text: &mut String) {
    let at = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or({
        if at.as_micros() < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        }
    });
    // Writing into memory does not fail.
    let _ = PRINTER.print_timestamp(&at, text);
}

/// Reads what [`to_text`] wrote.
pub(crate) fn from_text(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(at.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIRST_OF_1970: i64 = 0;
    const LAST_OF_9998: i64 = 253_370_764_799_999_999;

    #[test]
    fn every_moment_has_six_decimals() {
        assert_eq!(
            to_text(Timestamp::from_seconds(1_800_000_000)),
            "2027-01-15T08:00:00.000000Z"
        );
    }

    proptest! {
        #[test]
        fn text_is_read_back_and_sorts_as_time(
            one in FIRST_OF_1970..LAST_OF_9998,
            other in FIRST_OF_1970..LAST_OF_9998,
        ) {
            let (one, other) = (Timestamp::from_micros(one), Timestamp::from_micros(other));
            prop_assert_eq!(from_text(&to_text(one)), Some(one));
            prop_assert_eq!(to_text(one).cmp(&to_text(other)), one.cmp(&other));
        }
    }
}
