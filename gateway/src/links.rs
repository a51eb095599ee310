//! Links in answers that a client follows with its credential. They lead to upstream, where that credential means
//! nothing and should not go, so they are made to lead here.

use crate::refusal::{Refusal, Word};
use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use url::Url;

/// Where a finished batch is read, in Anthropic's answers about batches.
const RESULTS_URL: &str = "results_url";

/// The longest answer about batches: a page has at most a thousand.
const LONGEST: usize = 8 * 1024 * 1024;

/// The whole body of an answer.
///
/// # Errors
/// [`Word::Unreachable`] where upstream breaks it off, or it is longer than such an answer can be;
/// [`Word::Timeout`] where upstream is silent.
pub(crate) async fn whole(mut body: Incoming, idle: Duration) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    loop {
        let next = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let frame = tokio::time::timeout(idle, next).await;
        let frame = frame.map_err(|_| Refusal::new(Word::Timeout, "upstream went silent"))?;
        let Some(frame) = frame else {
            return Ok(bytes);
        };
        let broken = |_| Refusal::new(Word::Unreachable, "upstream broke its answer off");
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        if bytes.len().saturating_add(data.len()) > LONGEST {
            return Err(unreadable());
        }
        bytes.extend_from_slice(&data);
    }
}

pub(crate) fn unreadable() -> Refusal {
    Refusal::new(
        Word::Unreachable,
        "upstream's answer cannot be read, so that its links could lead past this service",
    )
}

/// The JSON text with every `results_url` leading to `here`, and everything else as it was.
///
/// # Errors
/// [`Word::Unreachable`] for what is no JSON.
pub(crate) fn led_here(json: &[u8], here: &str, upstream: &Url) -> Result<Bytes, Refusal> {
    if serde_json::from_slice::<serde::de::IgnoredAny>(json).is_err() {
        return Err(unreadable());
    }
    let mut made = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'"') {
        let (before, from) = rest.split_at(at);
        made.extend_from_slice(before);
        let (text, after) = string(from).ok_or_else(unreadable)?;
        made.extend_from_slice(text);
        rest = after;
        if !is_results_url(text) {
            continue;
        }
        // Of a name, but not of a value, a colon follows.
        let Some(value) = after.trim_ascii_start().strip_prefix(b":") else {
            continue;
        };
        let value = value.trim_ascii_start();
        if let Some((link, after)) = string(value) {
            made.extend_from_slice(b":");
            made.extend_from_slice(&here_for(link, here, upstream));
            rest = after;
        }
    }
    made.extend_from_slice(rest);
    Ok(made.into())
}

/// A string at the beginning of a text, with its quotes, and what follows it.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut is_escaped = false;
    let inner = text.strip_prefix(b"\"")?;
    let end = inner.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    })?;
    Some(text.split_at(end.saturating_add(2)))
}

fn is_results_url(text: &[u8]) -> bool {
    serde_json::from_slice::<String>(text).is_ok_and(|name| name == RESULTS_URL)
}

/// The link in JSON; `null` for what is no link, which no client can follow.
fn here_for(link: &[u8], here: &str, upstream: &Url) -> Vec<u8> {
    let link = serde_json::from_slice::<String>(link).ok();
    let link = link.and_then(|link| Url::parse(&link).ok());
    let made = link.map(|link| {
        let base = upstream.path().trim_end_matches('/');
        let path = link.path();
        let path = path.strip_prefix(base).filter(|it| it.starts_with('/'));
        let mut made = format!("{here}{}", path.unwrap_or(link.path()));
        if let Some(query) = link.query() {
            made.push('?');
            made.push_str(query);
        }
        made
    });
    serde_json::to_vec(&made).unwrap_or_else(|_| b"null".to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "https://proxy.example/proxy/anthropic";

    fn led(json: &str) -> String {
        let upstream = "https://api.anthropic.com".parse().unwrap();
        let made = led_here(json.as_bytes(), HERE, &upstream).unwrap();
        String::from_utf8(made.to_vec()).unwrap()
    }

    #[test]
    fn every_link_leads_here_whatever_its_host_and_nothing_else_changes() {
        const PATH: &str = "/v1/messages/batches/b1/results";
        for (before, after) in [
            (
                format!(
                    r#"{{"id": "b1",  "results_url":"https://api.anthropic.com{PATH}" , "x":1.0}}"#
                ),
                format!(r#"{{"id": "b1",  "results_url":"{HERE}{PATH}" , "x":1.0}}"#),
            ),
            (
                format!(
                    r#"{{"data":[{{"results_url":"http://evil.example:8/a?b=c"}},{{"results_url":"https:\/\/x{PATH}"}}]}}"#
                ),
                format!(
                    r#"{{"data":[{{"results_url":"{HERE}/a?b=c"}},{{"results_url":"{HERE}{PATH}"}}]}}"#
                ),
            ),
            (
                r#"{"results\u005furl":"https://x/y"}"#.to_owned(),
                format!(r#"{{"results\u005furl":"{HERE}/y"}}"#),
            ),
            (
                r#"{"results_url":"no link"}"#.to_owned(),
                r#"{"results_url":null}"#.to_owned(),
            ),
        ] {
            assert_eq!(led(&before), after);
        }
        for same in [
            r#"{"results_url":null,"a":"\"results_url\": \"https://x/y\""}"#,
            r#"["results_url","https://x/y"]"#,
            r#"{"a":"results_url","b":"https://x/y\\"}"#,
            "{}",
        ] {
            assert_eq!(led(same), same);
        }
        let upstream: Url = "http://127.0.0.1:9/base".parse().unwrap();
        let made = led_here(
            br#"{"results_url":"http://127.0.0.1:9/base/v1/x"}"#,
            HERE,
            &upstream,
        );
        assert_eq!(made.unwrap(), format!(r#"{{"results_url":"{HERE}/v1/x"}}"#));
    }

    #[test]
    fn what_is_no_json_is_not_handed_on() {
        let upstream = "https://api.anthropic.com".parse().unwrap();
        for text in ["", "{", "\"results_url\": \"https://x\"", "<html>"] {
            assert!(
                led_here(text.as_bytes(), HERE, &upstream).is_err(),
                "{text}"
            );
        }
    }
}
