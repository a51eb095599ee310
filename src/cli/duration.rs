//! Lengths of time on the command line.

use std::time::Duration;

const LEAST: Duration = Duration::from_secs(60);
const MOST: Duration = Duration::from_secs(30 * 24 * 3600);

/// `90`, `90s`, `15m`, `2h` or `1d`, from a minute to thirty days.
pub(super) fn parse_ttl(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let seconds_each = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("expected a whole number and one of s, m, h, d, such as 15m".to_owned()),
    };
    let ttl = text
        .strip_suffix(unit)
        .and_then(|digits| digits.parse::<u64>().ok())
        .and_then(|number| number.checked_mul(seconds_each))
        .map(Duration::from_secs)
        .ok_or("expected a whole number and one of s, m, h, d, such as 15m")?;
    if (LEAST..=MOST).contains(&ttl) {
        Ok(ttl)
    } else {
        Err("must be from 60s to 30d".to_owned())
    }
}
