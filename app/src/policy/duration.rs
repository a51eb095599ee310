//! Lengths of time in documents.

/// `10s`, `10m`, `1h`, `1d`, `1w` or `1y` (365 days) in seconds; a number without a unit is seconds.
pub(super) fn seconds(text: &str) -> Option<u32> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    let each: u32 = match text.strip_prefix(digits)? {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        "y" => 31_536_000,
        _ => return None,
    };
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = digits.parse().ok().filter(|_| only_digits)?;
    number.checked_mul(each)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_length_of_time_is_a_number_with_a_unit_or_seconds() {
        for (text, expected) in [
            ("10s", Some(10)),
            ("10m", Some(600)),
            ("1h", Some(3600)),
            ("1d", Some(86_400)),
            ("1w", Some(604_800)),
            ("1y", Some(31_536_000)),
            ("90", Some(90)),
            ("", None),
            ("m", None),
            ("+1m", None),
            ("-1m", None),
            ("1.5h", None),
            ("1 h", None),
            ("1hh", None),
            ("1H", None),
            ("137y", None),
            ("4294967296", None),
        ] {
            assert_eq!(seconds(text), expected, "{text:?}");
        }
    }
}
