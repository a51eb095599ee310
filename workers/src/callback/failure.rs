//! Failures of an attempt, under codes that stay the same and in texts that are safe to record.
//!
//! Nothing here repeats the URL, a header or a body of the receiver: all of these can hold secrets.

use crate::callback::resolver::HostRefused;
use ledger::CallbackUrlError;
use ledger::event::AttemptOutcome;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// The longest detail that is kept, in characters.
const MAX_DETAIL_CHARS: usize = 300;

/// Stable names for the ways in which an attempt can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureCode {
    /// `url_not_allowed`: the URL's form or its host is not, or no longer, allowed.
    UrlNotAllowed,
    /// `address_refused`: the host leads only to addresses that must not be connected to.
    AddressRefused,
    /// `dns_failed`: the host could not be resolved.
    DnsFailed,
    /// `connect_failed`: no TCP connection came about.
    ConnectFailed,
    /// `tls_failed`: the receiver's certificate or its TLS was not acceptable.
    TlsFailed,
    /// `timeout`: no connection, or no answer, in time. The receiver may have acted on it.
    Timeout,
    /// `no_answer`: the connection broke, or carried something that is not HTTP. The receiver may
    /// have acted on it.
    NoAnswer,
    /// `redirect_refused`: a 3xx answer; redirects are not followed.
    RedirectRefused,
    /// `http_status`: any other answer that is not 2xx.
    HttpStatus,
    /// `mail_deferred`: a mail server does not take the message now.
    MailDeferred,
    /// `mail_refused`: a mail server refused the message for good; it is not tried again.
    MailRefused,
}

impl FailureCode {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UrlNotAllowed => "url_not_allowed",
            Self::AddressRefused => "address_refused",
            Self::DnsFailed => "dns_failed",
            Self::ConnectFailed => "connect_failed",
            Self::TlsFailed => "tls_failed",
            Self::Timeout => "timeout",
            Self::NoAnswer => "no_answer",
            Self::RedirectRefused => "redirect_refused",
            Self::HttpStatus => "http_status",
            Self::MailDeferred => "mail_deferred",
            Self::MailRefused => AttemptOutcome::MAIL_REFUSED,
        }
    }
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why one attempt did not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptFailure {
    /// The stable reason.
    pub code: FailureCode,
    /// One sentence for people, at most 300 characters.
    pub detail: String,
    /// The receiver's status, when it answered.
    pub http_status: Option<u16>,
    /// How long the receiver asked to be left alone, unbounded.
    pub retry_after: Option<Duration>,
}

impl AttemptFailure {
    pub(crate) fn without_answer(code: FailureCode, detail: impl Into<String>) -> Self {
        let detail = bounded(detail.into());
        Self {
            code,
            detail,
            http_status: None,
            retry_after: None,
        }
    }

    pub(crate) fn of_url(error: &CallbackUrlError) -> Self {
        Self::without_answer(FailureCode::UrlNotAllowed, error.to_string())
    }

    pub(crate) fn of_status(status: http::StatusCode, retry_after: Option<Duration>) -> Self {
        let (code, detail) = if status.is_redirection() {
            let detail = format!("the receiver answered {status}; redirects are not followed");
            (FailureCode::RedirectRefused, detail)
        } else {
            (
                FailureCode::HttpStatus,
                format!("the receiver answered {status}"),
            )
        };
        Self {
            code,
            detail,
            http_status: Some(status.as_u16()),
            retry_after,
        }
    }

    /// A mail server's reply that is not the one wanted (RFC 5321, section 4.2.1); `step` is what it replied to.
    pub(crate) fn of_reply(code: u16, step: &str) -> Self {
        let kind = match code {
            500..=599 => FailureCode::MailRefused,
            _ => FailureCode::MailDeferred,
        };
        Self {
            http_status: Some(code),
            ..Self::without_answer(kind, format!("the mail server answered {code} to {step}"))
        }
    }

    /// No address of the host to connect to.
    pub(crate) fn of_lookup(error: &(dyn Error + 'static)) -> Self {
        let (code, detail) = match find::<HostRefused>(error) {
            Some(refused) => of_host(refused),
            None => (FailureCode::DnsFailed, unresolved(error)),
        };
        Self::without_answer(code, detail)
    }

    pub(crate) fn of_connect(error: &io::Error) -> Self {
        Self::without_answer(FailureCode::ConnectFailed, unconnected(error))
    }

    pub(crate) fn of_tls(error: &io::Error) -> Self {
        match find::<rustls::Error>(error) {
            Some(tls) => Self::without_answer(FailureCode::TlsFailed, broken_tls(tls)),
            None => Self::without_answer(
                FailureCode::NoAnswer,
                "the connection ended before TLS was there",
            ),
        }
    }

    pub(crate) fn of_transport(error: &reqwest::Error) -> Self {
        let (code, detail) = classify(error);
        Self::without_answer(code, detail)
    }
}

fn classify(error: &reqwest::Error) -> (FailureCode, String) {
    if let Some(refused) = find::<HostRefused>(error) {
        return of_host(refused);
    }
    if error.is_timeout() {
        let detail = if error.is_connect() {
            "no connection to the receiver in time"
        } else {
            "no answer from the receiver in time"
        };
        return (FailureCode::Timeout, detail.to_owned());
    }
    if error.is_dns() {
        return (FailureCode::DnsFailed, unresolved(error));
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return (FailureCode::TlsFailed, broken_tls(tls));
    }
    if error.is_connect() {
        return (FailureCode::ConnectFailed, unconnected(error));
    }
    (
        FailureCode::NoAnswer,
        "the connection ended before a whole answer came".to_owned(),
    )
}

fn of_host(refused: &HostRefused) -> (FailureCode, String) {
    match refused {
        HostRefused::NoAddress => (FailureCode::DnsFailed, refused.to_string()),
        HostRefused::AllRefused(first) => {
            (FailureCode::AddressRefused, format!("{refused}: {first}"))
        }
    }
}

fn unresolved(error: &(dyn Error + 'static)) -> String {
    format!("the host could not be resolved: {}", io_cause(error))
}

fn unconnected(error: &(dyn Error + 'static)) -> String {
    format!("no connection to the receiver: {}", io_cause(error))
}

fn broken_tls(error: &rustls::Error) -> String {
    format!("TLS with the receiver failed: {error}")
}

fn io_cause(error: &(dyn Error + 'static)) -> String {
    find::<io::Error>(error)
        .map(io::Error::to_string)
        .unwrap_or_default()
}

/// The first cause of type `E`. An `io::Error` hides what it wraps from `source`, so what it wraps
/// is looked at too.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<E>() {
            return Some(found);
        }
        next = match cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    None
}

fn bounded(detail: String) -> String {
    match detail.char_indices().nth(MAX_DETAIL_CHARS) {
        Some((end, _)) => detail.get(..end).unwrap_or_default().to_owned(),
        None => detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_bounded_in_characters() {
        assert_eq!(bounded("é".repeat(301)), "é".repeat(300));
        assert_eq!(bounded("é".repeat(300)), "é".repeat(300));
    }

    #[test]
    fn a_cause_is_found_through_an_io_error() {
        let wrapped = io::Error::other(HostRefused::NoAddress);
        assert!(find::<HostRefused>(&wrapped).is_some());
        assert!(find::<rustls::Error>(&wrapped).is_none());
    }
}
