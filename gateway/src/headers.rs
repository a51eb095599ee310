//! The headers that go on in each direction, as lists of what may: everything else stays behind.

use crate::refusal::Refusal;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use ledger::operation::carries_secret;
use std::borrow::Cow;

const EVENT_STREAM: &[u8] = b"text/event-stream";

/// Keeps a proxy before us from holding events back.
pub(crate) const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The names of headers that pass; one with a star at its end stands for all that begin so.
#[derive(Debug, Clone)]
pub(crate) struct Passing {
    names: Cow<'static, [Cow<'static, str>]>,
    /// They are shown to people, so that no star stands for one that carries a secret.
    are_shown: bool,
}

macro_rules! names {
    ($($name:literal),+ $(,)?) => {
        Passing {
            names: Cow::Borrowed(&[$(Cow::Borrowed($name)),+]),
            are_shown: false,
        }
    };
}

impl Passing {
    /// Of requests to Anthropic.
    pub(crate) const TO_ANTHROPIC: Self = names![
        "accept",
        "content-type",
        "content-length",
        "user-agent",
        "x-app",
        "anthropic-*",
    ];

    /// Of answers from Anthropic.
    pub(crate) const FROM_ANTHROPIC: Self = names![
        "content-type",
        "content-encoding",
        "content-length",
        "cache-control",
        "date",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "cf-ray",
        "anthropic-*",
    ];

    /// Of requests to Cloudflare.
    pub(crate) const TO_CLOUDFLARE: Self = names![
        "accept",
        "content-type",
        "content-length",
        "user-agent",
        "api-version",
        "cloudflare-workers-script-api-date",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "range",
    ];

    /// Of answers from Cloudflare.
    pub(crate) const FROM_CLOUDFLARE: Self = names![
        "content-type",
        "content-encoding",
        "content-length",
        "cache-control",
        "date",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "cf-ray",
        "etag",
        "last-modified",
        "content-range",
        "content-disposition",
        "ratelimit*",
        "api-version",
    ];

    /// Of requests to an API that an administrator opened, with the names that they gave.
    pub(crate) fn to_opened(named: &[String]) -> Self {
        const ALWAYS: [&str; 7] = [
            "accept",
            "content-type",
            "content-length",
            "user-agent",
            "if-none-match",
            "if-modified-since",
            "range",
        ];
        Self {
            are_shown: true,
            ..Self::with(&ALWAYS, named)
        }
    }

    /// Of its answers.
    pub(crate) fn from_opened(named: &[String]) -> Self {
        const ALWAYS: [&str; 10] = [
            "content-type",
            "content-encoding",
            "content-length",
            "content-range",
            "content-disposition",
            "cache-control",
            "date",
            "etag",
            "last-modified",
            "retry-after",
        ];
        Self::with(&ALWAYS, named)
    }

    fn with(always: &[&'static str], named: &[String]) -> Self {
        let always = always.iter().map(|name| Cow::Borrowed(*name));
        let named = named.iter().map(|name| Cow::Owned(name.clone()));
        Self {
            names: always.chain(named).collect(),
            are_shown: false,
        }
    }

    fn passes(&self, name: &HeaderName) -> bool {
        let name = name.as_str();
        self.names
            .iter()
            .any(|known| match known.strip_suffix('*') {
                Some(prefix) => {
                    name.starts_with(prefix) && !(self.are_shown && carries_secret(name))
                }
                None => name == known,
            })
    }

    /// The headers that go on.
    pub(crate) fn of(&self, headers: &HeaderMap) -> HeaderMap {
        let mut passed = HeaderMap::new();
        for (name, value) in headers {
            // What `connection` names is for this hop alone (RFC 9110, section 7.6.1).
            if self.passes(name) && !is_of_this_hop(headers, name) {
                passed.append(name, value.clone());
            }
        }
        passed
    }
}

fn is_of_this_hop(headers: &HeaderMap, name: &HeaderName) -> bool {
    let values = headers.get_all(header::CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|named| {
            named
                .trim_ascii()
                .eq_ignore_ascii_case(name.as_str().as_bytes())
        })
}

/// Checks that every reader sees the same end of the body, and the bytes that were judged.
///
/// # Errors
/// A refusal for two lengths, a length beside a transfer coding, and a coded body.
pub(crate) fn judge_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    if lengths > 1 || (lengths == 1 && headers.contains_key(header::TRANSFER_ENCODING)) {
        return Err(Refusal::malformed("the length of the body is said twice"));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::malformed(
            "a body must be sent without a content encoding",
        ));
    }
    Ok(())
}

/// The codings that may be asked of upstream: those that can be read here, and that the client takes.
pub(crate) fn accept_encoding(headers: &HeaderMap) -> HeaderValue {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let takes_gzip = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().trim_start_matches("q=");
            let is_refused = weight.starts_with('0') && weight.trim_matches(['0', '.']).is_empty();
            matches!(
                name.trim().to_ascii_lowercase().as_str(),
                "gzip" | "x-gzip" | "*"
            ) && !is_refused
        });
    HeaderValue::from_static(if takes_gzip { "gzip" } else { "identity" })
}

/// Whether an answer is a stream of events.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = kind.and_then(|kind| kind.get(..EVENT_STREAM.len()));
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_request_takes_no_credential_no_address_and_nothing_of_the_hop_along() {
        let sent = headers(&[
            "host: ours",
            "accept: application/json",
            "content-type: application/json",
            "content-length: 2",
            "user-agent: x",
            "x-app: cli",
            "anthropic-version: 2023-06-01",
            "anthropic-beta: a",
            "anthropic-beta: b",
            "x-api-key: secret",
            "authorization: Bearer secret",
            "proxy-authorization: Basic x",
            "cookie: a=b",
            "forwarded: for=x",
            "x-forwarded-for: 192.0.2.1",
            "traceparent: 00",
            "x-stainless-os: Linux",
            "x-claude-code-session-id: s",
            "te: trailers",
            "expect: 100-continue",
            "connection: keep-alive, X-App",
        ]);
        let passed = Passing::TO_ANTHROPIC.of(&sent);
        let mut names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept",
                "anthropic-beta",
                "anthropic-version",
                "content-length",
                "content-type",
                "user-agent"
            ]
        );
        assert_eq!(passed.get_all("anthropic-beta").iter().count(), 2);
    }

    #[test]
    fn a_star_in_a_description_stands_for_no_header_that_carries_a_secret() {
        let named = ["x-shop-*".to_owned()];
        let sent = headers(&["x-shop-id: a", "x-shop-token: b", "x-shop-signature: c"]);
        let passed = Passing::to_opened(&named).of(&sent);
        assert_eq!(passed.keys().collect::<Vec<_>>(), ["x-shop-id"]);
        assert_eq!(Passing::from_opened(&named).of(&sent).len(), 3);
    }

    #[test]
    fn an_answer_brings_no_cookie_and_no_location() {
        let answered = headers(&[
            "content-type: application/json",
            "request-id: req_1",
            "anthropic-ratelimit-requests-remaining: 1",
            "set-cookie: a=b",
            "location: https://elsewhere.example",
            "server: x",
            "x-llm-proxy-code: forbidden",
        ]);
        let passed = Passing::FROM_ANTHROPIC.of(&answered);
        assert_eq!(passed.len(), 3, "{passed:?}");
    }

    #[test]
    fn a_conditional_read_of_cloudflare_passes_and_no_credential_of_any_form_does() {
        let sent = headers(&[
            "authorization: Bearer secret",
            "x-auth-email: a@example.com",
            "x-auth-key: secret",
            "x-auth-user-service-key: secret",
            "api-version: 2026-01-01",
            "if-none-match: \"a\"",
            "range: bytes=0-1",
            "x-app: cli",
            "anthropic-beta: a",
        ]);
        let passed = Passing::TO_CLOUDFLARE.of(&sent);
        let mut names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["api-version", "if-none-match", "range"]);
        let answered = headers(&[
            "etag: \"a\"",
            "ratelimit: \"default\";r=1;t=1",
            "ratelimit-policy: \"default\";q=1200;w=300",
            "set-cookie: a=b",
            "location: https://elsewhere.example",
        ]);
        assert_eq!(Passing::FROM_CLOUDFLARE.of(&answered).len(), 3);
    }

    #[test]
    fn a_body_with_two_ends_or_a_coding_is_refused() {
        for lines in [
            &["content-length: 2", "content-length: 2"][..],
            &["content-length: 2", "transfer-encoding: chunked"],
            &["content-encoding: gzip"],
        ] {
            assert!(judge_framing(&headers(lines)).is_err(), "{lines:?}");
        }
        for lines in [
            &["content-length: 2"][..],
            &["transfer-encoding: chunked"],
            &[],
        ] {
            assert!(judge_framing(&headers(lines)).is_ok(), "{lines:?}");
        }
    }

    #[test]
    fn only_codings_that_can_be_read_here_are_asked_for() {
        for (lines, expected) in [
            (&[][..], "identity"),
            (&["accept-encoding: gzip, deflate, br, zstd"], "gzip"),
            (&["accept-encoding: br"], "identity"),
            (&["accept-encoding: br, *"], "gzip"),
            (&["accept-encoding: gzip;q=0"], "identity"),
            (&["accept-encoding: gzip; q=0.0, identity"], "identity"),
            (&["accept-encoding: gzip;q=0.5"], "gzip"),
        ] {
            assert_eq!(accept_encoding(&headers(lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn an_event_stream_is_told_by_its_type() {
        assert!(is_event_stream(&headers(&[
            "content-type: Text/Event-Stream; charset=utf-8"
        ])));
        assert!(!is_event_stream(&headers(&[
            "content-type: application/json"
        ])));
    }
}
