//! HTTP to one host, for all commands.

use anyhow::{Context, ensure};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use std::error::Error;
use std::io;
use std::time::Duration;
use url::Url;

/// A client for the service at this address. What authenticates a request goes to that host alone: no
/// redirect is followed, and without TLS no proxy of the environment is used.
///
/// # Errors
/// When the system's certificates cannot be read.
pub(crate) fn http_client(base: &Url, patience: Duration) -> anyhow::Result<Client> {
    let mut builder = Client::builder()
        .timeout(patience)
        .redirect(redirect::Policy::none());
    if base.scheme() != "https" {
        builder = builder.no_proxy();
    }
    Ok(builder.build()?)
}

/// Status and body, of which no more than `most` bytes are taken.
///
/// # Errors
/// When the service cannot be reached, or answers with more.
pub(crate) async fn bounded_answer(
    request: RequestBuilder,
    most: usize,
) -> anyhow::Result<(StatusCode, Vec<u8>)> {
    let response = request.send().await.map_err(in_a_sentence)?;
    let status = response.status();
    Ok((status, bounded_body(response, most).await?))
}

/// The body, of which no more than `most` bytes are taken.
///
/// # Errors
/// As [`bounded_answer`].
pub(super) async fn bounded_body(mut response: Response, most: usize) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.context("reading the answer")? {
        ensure!(
            body.len() + part.len() <= most,
            "the service's answer is too large"
        );
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// The reason that no answer came, as a person says it.
pub(super) fn in_a_sentence(error: reqwest::Error) -> anyhow::Error {
    match reason(&error) {
        Some(reason) => anyhow::anyhow!("{reason}"),
        None => anyhow::Error::new(error).context("it was not reached"),
    }
}

fn reason(error: &reqwest::Error) -> Option<&'static str> {
    if error.is_timeout() {
        return Some("it did not answer in time");
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(at) = cause {
        if let Some(tls) = tls_in(at) {
            return Some(of_tls(tls));
        }
        let system = at.downcast_ref::<io::Error>();
        if let Some(reason) = system.and_then(|inner| of_system(inner.kind())) {
            return Some(reason);
        }
        // The types of these are not public.
        let text = at.to_string();
        if text.starts_with("dns error") {
            return Some("no address is known for its name");
        }
        if text == "connection closed before message completed" {
            return Some(BROKEN_OFF);
        }
        cause = at.source();
    }
    error
        .is_connect()
        .then_some("no connection to it came about")
}

const BROKEN_OFF: &str = "the connection broke off before it answered";

const fn of_system(kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    Some(match kind {
        Kind::ConnectionRefused => "nothing listens there",
        Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::UnexpectedEof => BROKEN_OFF,
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
            "no network leads there from this machine"
        }
        Kind::TimedOut => "it did not answer in time",
        _ => return None,
    })
}

/// An error of TLS stands inside errors of the system, which do not name it as their source.
fn tls_in<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let inside = || tls_in(error.downcast_ref::<io::Error>()?.get_ref()?);
    error.downcast_ref().or_else(inside)
}

fn of_tls(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            Certificate::UnknownIssuer => {
                "its certificate was issued by an authority that this machine does not trust"
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "its certificate has expired; or the clock of this machine is wrong"
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet; or the clock of this machine is wrong"
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            Certificate::Revoked => "its certificate was revoked",
            Certificate::BadEncoding => "its certificate cannot be read",
            Certificate::BadSignature => "the signature of its certificate is wrong",
            Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
                "its certificate is not for servers"
            }
            Certificate::Other(why) if format!("{why:?}").contains("CaUsedAsEndEntity") => {
                "its certificate is that of an authority, which stands for no server: have it issue one for the server"
            }
            _ => "its certificate is not accepted: it has something that this program cannot judge",
        },
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS; its address may begin with http://"
        }
        rustls::Error::AlertReceived(_) => "it refused the TLS connection",
        _ => "no TLS connection came about",
    }
}
