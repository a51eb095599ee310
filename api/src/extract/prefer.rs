//! `Prefer: wait=N` (RFC 7240, section 4.3): hold the answer back until there is news.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use std::convert::Infallible;
use std::time::Duration;

/// The longest wait that is honoured; longer ones are cut. Proxies commonly end a request that has no
/// answer after 60 seconds.
pub const LONGEST_WAIT: Duration = Duration::from_secs(50);

/// How long the caller wants to wait, at most [`LONGEST_WAIT`]; `None` when it said nothing that can
/// be understood, because a preference is never a reason to refuse (section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreferWait(pub Option<Duration>);

impl PreferWait {
    fn read(headers: &HeaderMap) -> Self {
        let wait = headers
            .get_all("prefer")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .find_map(wait_seconds)
            .map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
        Self(wait)
    }
}

fn wait_seconds(preference: &str) -> Option<u64> {
    // Parameters after a semicolon say nothing about `wait`.
    let (name, value) = preference.split(';').next()?.split_once('=')?;
    let value = value.trim().trim_matches('"');
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    (name.trim().eq_ignore_ascii_case("wait") && digits).then(|| value.parse().ok())?
}

impl<S: Send + Sync> FromRequestParts<S> for PreferWait {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_is_found_among_other_preferences() {
        let seconds = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", value.parse().unwrap());
            }
            PreferWait::read(&headers).0.map(|wait| wait.as_secs())
        };
        assert_eq!(seconds(&[]), None);
        assert_eq!(seconds(&["wait=10"]), Some(10));
        assert_eq!(seconds(&["respond-async, Wait = \"7\"; x=1"]), Some(7));
        assert_eq!(seconds(&["respond-async", "wait=5"]), Some(5));
        assert_eq!(seconds(&["wait=50"]), Some(50));
        assert_eq!(seconds(&["wait=60"]), Some(50));
        assert_eq!(seconds(&["wait=3600"]), Some(50));
        assert_eq!(seconds(&["wait=0"]), Some(0));
        for nonsense in [
            "wait",
            "wait=",
            "wait=-1",
            "wait=1.5",
            "wait=soon",
            "await=3",
        ] {
            assert_eq!(seconds(&[nonsense]), None, "{nonsense}");
        }
    }
}
