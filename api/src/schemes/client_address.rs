//! The address of a client: the connection's, or what a proxy of ours says of it.

use crate::problem::ApiError;
use crate::state::AppState;
use axum::extract::FromRequestParts;
use http::request::Parts;
use ipnet::IpNet;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The address at the other end of the connection; put among a request's extensions by the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerAddress(pub(crate) SocketAddr);

/// Where a request comes from. Of X-Forwarded-For counts the last address that is not a trusted proxy's,
/// as far as trusted proxies have written it: everything before it anybody can have made up.
pub(crate) fn client_address(parts: &Parts, trusted: &[IpNet]) -> IpAddr {
    let Some(PeerAddress(peer)) = parts.extensions.get() else {
        // Nobody but a test is without a connection.
        return Ipv4Addr::UNSPECIFIED.into();
    };
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut client = peer.ip().to_canonical();
    let fields = parts.headers.get_all("x-forwarded-for").iter().rev();
    let hops = fields.flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops {
        if !is_trusted(&client) {
            break;
        }
        match std::str::from_utf8(hop).ok().and_then(address) {
            Some(hop) => client = hop,
            // The proxy before it is all that is known.
            None => break,
        }
    }
    client
}

/// A request of somebody who need not prove to be anybody, within the rate of their network.
pub(crate) struct Stranger;

impl FromRequestParts<AppState> for Stranger {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        state.admit_stranger(parts).map(|()| Self)
    }
}

/// As an extractor.
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl FromRequestParts<AppState> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        Ok(Self(client_address(parts, &state.config.trusted_proxies)))
    }
}

/// An address, with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let bare = bare.unwrap_or(text).parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|it| it.ip());
    bare.or_else(with_port)
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    /// Seen from a peer, with the X-Forwarded-For fields in their order.
    fn seen(peer: &str, forwarded: &[&[u8]]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap());
        let mut request = Request::builder();
        for field in forwarded {
            request = request.header("x-forwarded-for", *field);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(PeerAddress(peer.parse().unwrap()));
        client_address(&parts, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_up_to_what_it_saw() {
        const PROXY: &str = "10.0.0.1:9";
        for (peer, forwarded, expected) in [
            ("192.0.2.1:9", &[][..], "192.0.2.1"),
            // Nobody dodges a limit, or frames somebody else, by saying who they are.
            ("192.0.2.1:9", &["198.51.100.7"], "192.0.2.1"),
            ("192.0.2.1:9", &["198.51.100.7, 10.0.0.2"], "192.0.2.1"),
            ("[::ffff:192.0.2.1]:9", &[], "192.0.2.1"),
            (PROXY, &[], "10.0.0.1"),
            (PROXY, &["192.0.2.1"], "192.0.2.1"),
            ("[::ffff:10.0.0.1]:9", &["192.0.2.1"], "192.0.2.1"),
            ("[fd00::1]:9", &["2001:db8::1"], "2001:db8::1"),
            (PROXY, &["198.51.100.7, 192.0.2.1"], "192.0.2.1"),
            (PROXY, &["198.51.100.7", "192.0.2.1"], "192.0.2.1"),
            (PROXY, &["198.51.100.7, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
            (
                PROXY,
                &["198.51.100.7,192.0.2.1", "10.0.0.2,10.0.0.3"],
                "192.0.2.1",
            ),
            (PROXY, &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (PROXY, &["192.0.2.1:4711"], "192.0.2.1"),
            (PROXY, &["[2001:db8::1]:4711"], "2001:db8::1"),
            (PROXY, &["[2001:db8::1]"], "2001:db8::1"),
            (PROXY, &["::ffff:192.0.2.1"], "192.0.2.1"),
            (PROXY, &["192.0.2.1, unknown"], "10.0.0.1"),
            (PROXY, &["192.0.2.1, "], "10.0.0.1"),
            (PROXY, &["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ] {
            let fields: Vec<&[u8]> = forwarded.iter().map(|field| field.as_bytes()).collect();
            assert_eq!(seen(peer, &fields), expected, "{peer} {forwarded:?}");
        }
        assert_eq!(seen(PROXY, &[b"192.0.2.1, \xff"]), "10.0.0.1");
    }
}
