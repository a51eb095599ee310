//! Asking the service on this machine, over HTTP.

use anyhow::{Context, bail};
use serde::Deserialize;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long connecting, and every read, may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// More than any readiness answer with its headers.
const MOST_BYTES: u64 = 64 * 1024;

/// The answer of `/v1/readyz`.
pub(crate) struct Answer {
    /// Whether the status was 200.
    pub(crate) ok: bool,
    pub(crate) body: String,
}

/// The body of that answer.
#[derive(Deserialize)]
pub(crate) struct Ready {
    pub(crate) ready: bool,
    #[serde(default)]
    pub(crate) reasons: Vec<String>,
}

/// Asks `/v1/readyz`: one request of HTTP/1.0, after which the service closes the connection.
///
/// # Errors
/// When nothing answers in time, or not in HTTP.
pub(crate) fn ask_ready(address: SocketAddr) -> anyhow::Result<Answer> {
    if address.port() == 0 {
        bail!("BIND_ADDR has port 0: the service's port is not known");
    }
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /v1/readyz HTTP/1.0\r\nhost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MOST_BYTES).read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the answer is not HTTP")?;
    Ok(Answer {
        ok: head.split(' ').nth(1) == Some("200"),
        body: body.to_owned(),
    })
}

/// A service that listens on every address is reached on loopback.
pub(crate) fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_reached_on_loopback() {
        let of = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(of("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(of("[::]:8080"), "[::1]:8080");
        assert_eq!(of("10.0.0.1:80"), "10.0.0.1:80");
    }
}
