//! Connections for what is not HTTP, to the addresses and under the roots that callbacks may have.

use crate::callback::failure::{AttemptFailure, FailureCode};
use crate::callback::resolver::GuardedResolver;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Opens connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(super) resolver: GuardedResolver,
    pub(super) tls: TlsConnector,
    /// For name resolution and TCP together, and for TLS.
    pub(super) connect_timeout: Duration,
    /// For each answer.
    pub(super) answer_timeout: Duration,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    /// How long an answer is waited for.
    pub(crate) const fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }

    /// Connects to the first address that answers, of those that may be connected to.
    pub(crate) async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, AttemptFailure> {
        in_time(self.connect_timeout, self.open(host, port)).await?
    }

    async fn open(&self, host: &str, port: u16) -> Result<TcpStream, AttemptFailure> {
        let addresses = self.resolver.clone().addresses(host).await;
        let addresses = addresses.map_err(|error| AttemptFailure::of_lookup(&*error))?;
        let share = self.connect_timeout / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let mut failure = timed_out();
        for address in addresses {
            let connect = TcpStream::connect(SocketAddr::new(address, port));
            match in_time(share, connect).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = AttemptFailure::of_connect(&error),
                Err(too_late) => failure = too_late,
            }
        }
        Err(failure)
    }

    /// TLS with this host, on a connection to it.
    pub(crate) async fn tls(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, AttemptFailure> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            AttemptFailure::without_answer(
                FailureCode::TlsFailed,
                "no certificate names such a host",
            )
        })?;
        let shaken = in_time(self.connect_timeout, self.tls.connect(name, stream)).await?;
        shaken.map_err(|error| AttemptFailure::of_tls(&error))
    }
}

async fn in_time<T>(
    patience: Duration,
    future: impl Future<Output = T>,
) -> Result<T, AttemptFailure> {
    let ended = tokio::time::timeout(patience, future).await;
    ended.map_err(|_| timed_out())
}

fn timed_out() -> AttemptFailure {
    AttemptFailure::without_answer(
        FailureCode::Timeout,
        "no connection to the receiver in time",
    )
}

/// TLS with the system's roots and these, as the client of callbacks has them.
pub(super) fn tls(roots: Vec<CertificateDer<'static>>) -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
