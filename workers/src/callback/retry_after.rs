//! `Retry-After`, as receivers send it (RFC 9110, section 10.2.3).

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};
use ledger::Timestamp;
use std::time::{Duration, UNIX_EPOCH};

/// Reads `Retry-After`, in seconds or as an HTTP date in any of its three forms. `None` when the
/// header is absent or says neither; a moment in the past is no delay.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are still a wish to be left alone for long.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    Some(date(headers, RETRY_AFTER)?.since(now))
}

/// The same, a date by the clock of whoever sent it, which stands in `Date`. Without that clock a date says
/// nothing.
pub(crate) fn retry_after_by_their_clock(headers: &HeaderMap) -> Option<Duration> {
    match date(headers, DATE) {
        Some(sent) => retry_after(headers, sent),
        None if date(headers, RETRY_AFTER).is_some() => None,
        None => retry_after(headers, Timestamp::from_seconds(0)),
    }
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    let at = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok()?;
    let at = at.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Timestamp::from_seconds(i64::try_from(at).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        // 1994-11-06T08:48:37Z, a minute before the dates below.
        retry_after(&headers, Timestamp::from_seconds(784_111_717))
    }

    #[test]
    fn seconds_are_read() {
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(
            read("99999999999999999999999"),
            Some(Duration::from_secs(u64::MAX))
        );
    }

    #[test]
    fn a_date_is_read_in_all_three_forms() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(read(date), Some(Duration::from_secs(60)), "{date}");
        }
        assert_eq!(read("Sun, 06 Nov 1994 08:48:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn anything_else_says_nothing() {
        for text in ["", "-1", "1.5", "soon", "12 s", "Sun, 06 Nov 1994"] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(
            retry_after(&HeaderMap::new(), Timestamp::from_seconds(0)),
            None
        );
    }

    #[test]
    fn a_date_is_read_by_the_clock_of_whoever_sent_it() {
        let by_their_clock = |sent: Option<&str>, text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            if let Some(sent) = sent {
                headers.insert(DATE, sent.parse().unwrap());
            }
            retry_after_by_their_clock(&headers).map(|wait| wait.as_secs())
        };
        let sent = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let later = "Sun, 06 Nov 1994 08:51:37 GMT";
        assert_eq!(by_their_clock(sent, later), Some(120));
        assert_eq!(by_their_clock(sent, "30"), Some(30));
        assert_eq!(by_their_clock(None, "30"), Some(30));
        assert_eq!(by_their_clock(None, later), None);
        assert_eq!(by_their_clock(sent, "soon"), None);
    }
}
