//! A moment as a page shows it: one text for people, one for machines.

use ledger::Timestamp;
use std::fmt;
use std::time::Duration;

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

/// A moment beside the time of the page: `3 min ago`, `8 min left`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beside {
    pub(crate) at: Moment,
    pub(crate) words: String,
}

impl Beside {
    /// One that has been.
    pub(crate) fn past(at: Timestamp, now: Timestamp) -> Self {
        let words = match span(now.since(at)) {
            None => "just now".to_owned(),
            Some(span) => format!("{span} ago"),
        };
        Self {
            at: Moment(at),
            words,
        }
    }

    /// One that is to come.
    pub(crate) fn ahead(at: Timestamp, now: Timestamp) -> Self {
        let words = match span(at.since(now)) {
            None => "less than a minute left".to_owned(),
            Some(span) => format!("{span} left"),
        };
        Self {
            at: Moment(at),
            words,
        }
    }
}

/// In its largest whole unit; `None` below a minute.
fn span(of: Duration) -> Option<String> {
    let minutes = of.as_secs() / 60;
    match minutes {
        0 => None,
        1..60 => Some(format!("{minutes} min")),
        60..2880 => Some(format!("{} h", minutes / 60)),
        _ => Some(format!("{} days", minutes / 1440)),
    }
}

/// `12 h`, `90 s`: in the largest unit that is whole.
pub(crate) fn lasting(length: Duration) -> String {
    let seconds = length.as_secs();
    for (unit, name) in [(86_400, "days"), (3600, "h"), (60, "min")] {
        // One day is said as 24 h.
        if seconds > 0 && seconds.is_multiple_of(unit) && (unit < 86_400 || seconds > unit) {
            return format!("{} {name}", seconds / unit);
        }
    }
    format!("{seconds} s")
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

    #[test]
    fn a_length_of_time_is_told_exactly() {
        for (seconds, told) in [
            (0, "0 s"),
            (90, "90 s"),
            (600, "10 min"),
            (43_200, "12 h"),
            (86_400, "24 h"),
            (604_800, "7 days"),
        ] {
            assert_eq!(lasting(Duration::from_secs(seconds)), told);
        }
    }

    #[test]
    fn a_span_is_told_in_its_largest_whole_unit() {
        let now = Timestamp::from_seconds(1_000_000);
        for (seconds, past, ahead) in [
            (59, "just now", "less than a minute left"),
            (60, "1 min ago", "1 min left"),
            (3599, "59 min ago", "59 min left"),
            (3600, "1 h ago", "1 h left"),
            (172_800, "2 days ago", "2 days left"),
        ] {
            let span = Duration::from_secs(seconds);
            assert_eq!(Beside::past(now.minus(span), now).words, past);
            assert_eq!(Beside::ahead(now.plus(span), now).words, ahead);
        }
        // A clock that was set back.
        let later = now.plus(Duration::from_secs(600));
        assert_eq!(Beside::past(later, now).words, "just now");
    }
}
