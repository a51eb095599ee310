//! Where the service listens and under which address the world reaches it.

use super::sources::Sources;
use super::variable::{self, Variable};
use super::web_address;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use url::Url;

/// The listener and the public address.
pub(crate) struct Http {
    /// The address to bind; only loopback when insecure defaults are allowed.
    pub(crate) bind: SocketAddr,
    /// Where links point to; http or https, without credentials, query and fragment.
    pub(crate) base_url: Url,
    /// Requests a second for each subject; 0 is no limit.
    pub(crate) rate_limit: u32,
    /// Connections at a time.
    pub(crate) max_connections: u32,
    /// How long a client may take for a head, for a body, and for an answer beside what its length needs.
    pub(crate) client_timeout: Duration,
    /// How long a connection may rest between two requests.
    pub(crate) keep_alive: Duration,
    /// How long an orderly end may take.
    pub(crate) shutdown: Duration,
}

impl Http {
    /// Reads the section; problems are left with `sources`.
    pub(crate) fn read(sources: &mut Sources) -> Self {
        Self {
            bind: bind(sources),
            base_url: web_address::read(sources, &variable::BASE_URL),
            rate_limit: sources.number(&variable::RATE_LIMIT_RPS, 0, 1_000_000),
            max_connections: sources.number(&variable::MAX_CONNECTIONS, 16, 1_000_000),
            client_timeout: seconds(sources, &variable::CLIENT_TIMEOUT_SECS, 300),
            keep_alive: seconds(sources, &variable::KEEP_ALIVE_SECS, 3600),
            shutdown: seconds(sources, &variable::SHUTDOWN_SECS, 3600),
        }
    }
}

fn seconds(sources: &mut Sources, variable: &Variable, most: u32) -> Duration {
    Duration::from_secs(sources.number(variable, 1, most).into())
}

/// The address to listen on.
pub(crate) fn bind(sources: &mut Sources) -> SocketAddr {
    let text = sources.text(&variable::BIND_ADDR);
    let Ok(address) = text.parse::<SocketAddr>() else {
        sources.problem(
            &variable::BIND_ADDR,
            "must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080",
        );
        return SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
    };
    if sources.insecure() && !address.ip().to_canonical().is_loopback() {
        sources.problem(
            &variable::BIND_ADDR,
            "must be a loopback address while ALLOW_INSECURE_DEFAULTS is true",
        );
    }
    address
}
