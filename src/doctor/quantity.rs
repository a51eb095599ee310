//! Numbers, bytes and lengths of time, as people say them.

use std::time::Duration;

const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

/// `1 event`, `12 events`, `2 applies`.
pub(super) fn counted(number: u64, what: &str) -> String {
    match (number, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (number, Some(stem)) => format!("{number} {stem}ies"),
        (number, None) => format!("{number} {what}s"),
    }
}

/// `3.2 GiB`, `512 bytes`.
pub(super) fn bytes(count: u64) -> String {
    let Some((unit, name)) = UNITS.iter().find(|(unit, _)| count >= *unit) else {
        return format!("{count} bytes");
    };
    let tenths = count.saturating_mul(10) / unit;
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

/// `2 d`, `3 h`, `5 min` or `12 s`, rounded down.
pub(super) fn time(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_said_in_the_largest_unit_that_fits() {
        let said: Vec<String> = [0, 1023, 1024, 1_600_000, 3 << 30].map(bytes).into();
        assert_eq!(
            said,
            ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 MiB", "3.0 GiB"]
        );
        let said: Vec<String> = [0, 59, 60, 7200, 200_000]
            .map(|seconds| time(Duration::from_secs(seconds)))
            .into();
        assert_eq!(said, ["0 s", "59 s", "1 min", "2 h", "2 d"]);
    }
}
