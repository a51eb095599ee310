//! The refusals that no route gives: what was sent is no request, or there is no room for it. They are
//! problem details (RFC 9457) like every other, and below `/proxy/` errors of the API that is spoken, as the
//! gateway gives them. The connection ends with them.

use super::speaks::Speaks;
use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

/// Longer than the status line and the three fields of an answer without a body.
const MOST_BARE: usize = 256;

/// Why nobody looks at what a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400: not HTTP/1.1 or 1.0, or not unambiguously (RFC 9112).
    Malformed,
    /// 414
    TargetTooLong,
    /// 431: more bytes or fields than a head may have.
    HeadTooLarge,
    /// 408: the head did not become whole in time.
    HeadTooSlow,
    /// 503: the limit of connections is reached, and all of them are busy.
    NoSlot,
    /// 503: unfinished heads take as much memory as they may, and this one is the oldest.
    TooManyHeads,
    /// 400: no host, more than one, one that is none, or another than in the target (RFC 9112, section
    /// 3.2).
    Host,
}

impl Refusal {
    /// A refusal by the HTTP library itself.
    pub(super) const fn of_library(status: StatusCode) -> Self {
        match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Self::HeadTooLarge,
            StatusCode::URI_TOO_LONG => Self::TargetTooLong,
            _ => Self::Malformed,
        }
    }

    /// True for a want of room, which passes by itself.
    const fn is_busy(self) -> bool {
        matches!(self, Self::NoSlot | Self::TooManyHeads)
    }

    const fn status(self, speaks: Speaks) -> StatusCode {
        match speaks {
            Speaks::Ours => self.own_status(),
            // Clients of other APIs know these two.
            _ if self.is_busy() => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    const fn own_status(self) -> StatusCode {
        match self {
            Self::Malformed | Self::Host => StatusCode::BAD_REQUEST,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::HeadTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoSlot | Self::TooManyHeads => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Malformed => (
                "Bad request",
                "bad_request",
                "this HTTP/1.1 request is malformed or ambiguous: end each line of the head with CRLF, and \
                 send one content-length or transfer-encoding",
            ),
            Self::Host => (
                "Bad request",
                "bad_request",
                "send one host field with a host and no more than a port, the same as in the target",
            ),
            Self::TargetTooLong => (
                "URI too long",
                "uri_too_long",
                "the request's target is too long",
            ),
            Self::HeadTooLarge => (
                "Request header fields too large",
                "header_too_large",
                "a request's head may have 32 KiB and 100 fields",
            ),
            Self::HeadTooSlow => (
                "Request timeout",
                "request_timeout",
                "the request's head did not arrive in time",
            ),
            Self::NoSlot => (
                "Service unavailable",
                "unavailable",
                "the service has reached its limit of connections: try again in a moment",
            ),
            Self::TooManyHeads => (
                "Service unavailable",
                "unavailable",
                "too many unfinished requests are waiting: send this one again in a moment",
            ),
        }
    }

    /// The body as JSON, counted as an answered request.
    fn body(self, speaks: Speaks) -> Vec<u8> {
        let status = self.status(speaks);
        let labels = [
            ("method", "other".to_owned()),
            ("route", "(unread)".to_owned()),
            ("status", status.as_u16().to_string()),
        ];
        metrics::counter!("http_requests_total", &labels).increment(1);
        let (title, code, detail) = self.words();
        let told = match speaks {
            Speaks::Ours | Speaks::Opened => {
                let (title, code) = match speaks {
                    Speaks::Ours => (title, code),
                    _ => (status.canonical_reason().unwrap_or(title), self.word()),
                };
                let problem = Problem::new(status, title, code, detail.to_owned());
                serde_json::to_vec(&problem)
            }
            Speaks::Anthropic => {
                let kind = match self.is_busy() {
                    true => "rate_limit_error",
                    false => "invalid_request_error",
                };
                let error = json!({"type": kind, "message": detail});
                serde_json::to_vec(&json!({"type": "error", "error": error, "request_id": null}))
            }
            Speaks::Cloudflare => {
                let code = match self.is_busy() {
                    true => 99430,
                    false => 99400,
                };
                let errors = json!([{"code": code, "message": detail}]);
                serde_json::to_vec(
                    &json!({"success": false, "errors": errors, "messages": [], "result": null}),
                )
            }
        };
        // Texts and numbers always serialise.
        told.unwrap_or_default()
    }

    /// As `x-llm-proxy-code` has it.
    const fn word(self) -> &'static str {
        match self.is_busy() {
            true => "busy",
            false => "malformed",
        }
    }

    fn fields(self, speaks: Speaks) -> Vec<(&'static str, &'static str)> {
        let media_type = match speaks {
            Speaks::Ours | Speaks::Opened => "application/problem+json",
            Speaks::Anthropic | Speaks::Cloudflare => "application/json",
        };
        let mut fields = vec![
            ("content-type", media_type),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("connection", "close"),
        ];
        if self.is_busy() {
            fields.push(("retry-after", "1"));
        }
        if speaks != Speaks::Ours {
            fields.push(("x-llm-proxy-code", self.word()));
            let retry = match self.is_busy() {
                true => "true",
                false => "false",
            };
            fields.push(("x-should-retry", retry));
        }
        fields
    }

    /// The whole answer, head and body.
    pub(super) fn answer(self, speaks: Speaks) -> Vec<u8> {
        let body = self.body(speaks);
        let mut answer = format!("HTTP/1.1 {}\r\n", self.status(speaks));
        for (name, value) in self.fields(speaks) {
            answer += &format!("{name}: {value}\r\n");
        }
        answer += &format!("content-length: {}\r\n\r\n", body.len());
        let mut answer = answer.into_bytes();
        answer.extend(body);
        answer
    }

    /// The answer as the HTTP library sends it.
    pub(super) fn response(self, speaks: Speaks) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body(speaks)));
        *response.status_mut() = self.status(speaks);
        for (name, value) in self.fields(speaks) {
            let (name, value) = (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Where the answer without a body begins that the HTTP library gives by itself, if the bytes end in
/// one, and its status. It is the last thing on a connection. Answers of ours always have fields that
/// it has not.
pub(super) fn bare_answer(bytes: &[u8]) -> Option<(usize, StatusCode)> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = bytes.len().saturating_sub(MOST_BARE);
    let tail = bytes.get(from..)?;
    let at = tail.windows(9).rposition(|window| window == b"HTTP/1.1 ")?;
    let head = std::str::from_utf8(tail.get(at..)?).ok()?;
    let mut lines = head.trim_end_matches("\r\n").split("\r\n");
    let status = lines.next()?.get(9..12)?.parse().ok()?;
    let is_refusal = matches!(status, 400 | 414 | 431);
    let is_bare = lines.all(|line| {
        line.eq_ignore_ascii_case("connection: close")
            || line.eq_ignore_ascii_case("content-length: 0")
            || line
                .get(..5)
                .is_some_and(|name| name.eq_ignore_ascii_case("date:"))
    });
    if !is_refusal || !is_bare {
        return None;
    }
    Some((from.saturating_add(at), StatusCode::from_u16(status).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
                        content-length: 0\r\ndate: Sun, 22 Nov 2026 20:00:00 GMT\r\n\r\n";

    #[test]
    fn the_librarys_own_refusal_is_found_behind_whatever_was_answered_before() {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        assert_eq!(bare_answer(BARE.as_bytes()), Some((0, status)));
        let before = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let both = format!("{before}{BARE}");
        assert_eq!(bare_answer(both.as_bytes()), Some((before.len(), status)));
    }

    #[test]
    fn an_answer_of_ours_is_never_taken_for_it() {
        let own = BARE.replace("date:", "x-request-id: 1\r\ndate:");
        assert_eq!(bare_answer(own.as_bytes()), None);
        assert_eq!(bare_answer(BARE.replace("431", "200").as_bytes()), None);
        assert_eq!(bare_answer(format!("{BARE}x").as_bytes()), None);
        assert_eq!(bare_answer(b"\r\n\r\n"), None);
        assert_eq!(bare_answer(b""), None);
    }

    #[test]
    fn a_refusal_is_a_whole_answer_with_a_problem() {
        let answer = String::from_utf8(Refusal::NoSlot.answer(Speaks::Ours)).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{head}"
        );
        assert!(head.contains(&format!("content-length: {}", body.len())));
        assert!(head.contains("retry-after: 1\r\n"));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&body["status"], &body["code"]),
            (&503.into(), &"unavailable".into())
        );
    }

    #[test]
    fn a_refusal_below_proxy_has_the_form_of_the_api_that_is_spoken() {
        let told = |refusal: Refusal, speaks| {
            let answer = String::from_utf8(refusal.answer(speaks)).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            (head.to_owned(), body)
        };
        let (head, body) = told(Refusal::Malformed, Speaks::Anthropic);
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        for line in ["x-llm-proxy-code: malformed", "x-should-retry: false"] {
            assert!(head.contains(line), "{head}");
        }
        assert_eq!(body["error"]["type"], "invalid_request_error");
        let (head, body) = told(Refusal::HeadTooLarge, Speaks::Cloudflare);
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        assert_eq!(body["errors"][0]["code"], 99400);
        let (head, body) = told(Refusal::Host, Speaks::Opened);
        assert!(head.contains("application/problem+json"), "{head}");
        assert_eq!(
            (&body["code"], &body["message"]),
            (&"malformed".into(), &body["detail"])
        );
        let (head, body) = told(Refusal::TooManyHeads, Speaks::Anthropic);
        assert!(
            head.starts_with("HTTP/1.1 429 ") && head.contains("x-should-retry: true"),
            "{head}"
        );
        assert_eq!(body["error"]["type"], "rate_limit_error");
    }
}
