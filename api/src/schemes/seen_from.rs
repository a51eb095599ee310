//! Where a request came from, and by which client certificate: what the connection and proxies of ours say of it.

use super::client_address::{PeerAddress, client_address};
use crate::state::AppState;
use app::edge::SeenFrom;
use axum::extract::FromRequestParts;
use http::request::Parts;
use ipnet::IpNet;
use ledger::policy::{Fact, Value};
use std::convert::Infallible;

const SUBJECT: &str = "x-client-cert-subject";
const FINGERPRINT: &str = "x-client-cert-sha256";

/// Nobody said it.
const NOT_TOLD: &str = "not_told";
/// It was said, and not in a way that can be read.
const UNREADABLE: &str = "unreadable";

/// As an extractor.
pub(crate) struct Seen(pub(crate) SeenFrom);

impl FromRequestParts<AppState> for Seen {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        Ok(Self(seen_from(parts, &state.config.trusted_proxies)))
    }
}

pub(crate) fn seen_from(parts: &Parts, trusted: &[IpNet]) -> SeenFrom {
    SeenFrom {
        address: Some(client_address(parts, trusted)),
        tls_subject: said(parts, trusted, SUBJECT, subject),
        tls_fingerprint: said(parts, trusted, FINGERPRINT, fingerprint),
    }
}

/// A header's word on the client's certificate. It counts where the connection is a trusted proxy's: from anybody
/// else it is made up.
fn said(parts: &Parts, trusted: &[IpNet], name: &str, read: fn(&str) -> Option<String>) -> Fact {
    let peer = parts.extensions.get::<PeerAddress>();
    let is_trusted = peer.is_some_and(|PeerAddress(peer)| {
        let peer = peer.ip().to_canonical();
        trusted.iter().any(|net| net.contains(&peer))
    });
    let mut fields = parts.headers.get_all(name).iter();
    match (is_trusted.then(|| fields.next()).flatten(), fields.next()) {
        (None, _) => Fact::unknown(NOT_TOLD),
        (Some(field), None) if field.is_empty() => Fact::unknown(NOT_TOLD),
        (Some(field), None) => match field.to_str().ok().and_then(read) {
            Some(text) => Fact::Known(Value::Text(text)),
            None => Fact::unknown(UNREADABLE),
        },
        // One of them is not the proxy's.
        (Some(_), Some(_)) => Fact::unknown(UNREADABLE),
    }
}

fn subject(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Hex in either case, with or without colons.
fn fingerprint(text: &str) -> Option<String> {
    let hex: String = text.trim().chars().filter(|sign| *sign != ':').collect();
    let is_digest = hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| hex.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const PROXY: &str = "10.0.0.1:9";

    fn seen(peer: &str, headers: &[(&str, &str)]) -> (Fact, Fact) {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(PeerAddress(peer.parse().unwrap()));
        let seen = seen_from(&parts, &["10.0.0.0/8".parse().unwrap()]);
        (seen.tls_subject, seen.tls_fingerprint)
    }

    fn text(text: &str) -> Fact {
        Fact::Known(Value::Text(text.to_owned()))
    }

    #[test]
    fn a_certificate_is_believed_of_a_trusted_proxy_only() {
        let digest = "ab".repeat(32);
        let headers = [(SUBJECT, "CN=agent,O=Shop"), (FINGERPRINT, &digest)];
        let known = (text("CN=agent,O=Shop"), text(&digest));
        assert_eq!(seen(PROXY, &headers), known);
        assert_eq!(seen("[::ffff:10.0.0.1]:9", &headers), known);
        let unknown = || Fact::unknown(NOT_TOLD);
        assert_eq!(seen("192.0.2.1:9", &headers), (unknown(), unknown()));
        assert_eq!(seen(PROXY, &[]), (unknown(), unknown()));
        // The proxy's word for a connection without a certificate.
        let empty = [(SUBJECT, ""), (FINGERPRINT, "")];
        assert_eq!(seen(PROXY, &empty), (unknown(), unknown()));
    }

    #[test]
    fn a_certificate_that_is_said_twice_or_unreadably_is_unknown() {
        let unreadable = || Fact::unknown(UNREADABLE);
        let digest = "ab".repeat(32);
        let twice = [(SUBJECT, "CN=a"), (SUBJECT, "CN=b"), (FINGERPRINT, "ab")];
        assert_eq!(seen(PROXY, &twice), (unreadable(), unreadable()));
        let colons = ["AB"; 32].join(":");
        let read = seen(PROXY, &[(FINGERPRINT, &colons)]).1;
        assert_eq!(read, text(&digest));
    }
}
