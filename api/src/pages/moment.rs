//! A moment as a page shows it: one text for people, one for machines.

use ledger::Timestamp;
use std::fmt;

/// A moment, printed as `22 Nov 2026, 14:05:09 UTC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(Timestamp);

impl Moment {
    #[must_use]
    pub const fn new(at: Timestamp) -> Self {
        Self(at)
    }

    /// Milliseconds since 1970, for the countdown.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.as_micros().div_euclid(1000)
    }

    /// RFC 3339 in whole seconds, for `datetime` attributes.
    #[must_use]
    pub fn machine(self) -> String {
        Timestamp::from_seconds(self.0.as_seconds()).to_string()
    }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0.as_seconds()) {
            Ok(at) => write!(f, "{}", at.strftime("%-d %b %Y, %H:%M:%S UTC")),
            Err(_) => fmt::Display::fmt(&self.0, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_for_people_and_for_machines() {
        let at = Moment::new(Timestamp::from_micros(1_795_356_309_250_000));
        assert_eq!(at.to_string(), "22 Nov 2026, 14:05:09 UTC");
        assert_eq!(at.machine(), "2026-11-22T14:05:09Z");
        assert_eq!(at.millis(), 1_795_356_309_250);
    }
}
