//! Connections of the gateway's own to an upstream: HTTP/1.1, because the limit on streams in one HTTP/2
//! connection would have calls wait for each other. Nothing is followed, decoded, proxied or sent twice.

use crate::forward::Unanswered;
use crate::refusal::{Refusal, Word};
use crate::upload::Upload;
use futures_util::future::BoxFuture;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ipnet::IpNet;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::Service;
use url::{Host, Url};

/// How long a connection is kept for the next request. Upstream may close one that rests just as a request is
/// written to it.
const LONGEST_REST: Duration = Duration::from_secs(10);
/// Connections that are kept so.
const MOST_RESTING: usize = 256;

/// Why nothing can be sent to an upstream at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Not an absolute http(s) URL without credentials, query and fragment.
    #[error("{0} must be an http(s) URL without credentials, query and fragment")]
    BaseUrl(&'static str),
    /// Keys would cross a network in plain text.
    #[error("{0} must be https unless its host is a loopback address or in UPSTREAM_ALLOWED_NETS")]
    PlainText(&'static str),
    /// An API that an administrator described is in a network that nobody named.
    #[error(
        "{0} is an address outside of the public network, and UPSTREAM_ALLOWED_NETS does not name it"
    )]
    NotPublic(&'static str),
    /// No usable roots of trust.
    #[error("TLS for upstreams cannot be set up: it takes the system's certificates")]
    Tls(#[source] rustls::Error),
}

/// The limits of connections to an upstream.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// For name resolution, TCP and TLS together.
    pub(crate) connect: Duration,
    /// Where plain http may go besides loopback.
    pub(crate) allowed_nets: Vec<IpNet>,
    /// Says which addresses are of the public network; the ones that an upstream may have whom an administrator
    /// describes, besides those networks.
    pub(crate) public: Option<fn(IpAddr) -> bool>,
}

/// One upstream. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub(crate) struct Upstream {
    client: Client<Timed<HttpsConnector<HttpConnector<Guarded>>>, Upload>,
    /// Without a slash at its end.
    base: Arc<str>,
}

impl Upstream {
    /// An upstream by its base URL, which that setting has.
    ///
    /// # Errors
    /// [`SetupError`]
    pub(crate) fn new(
        setting: &'static str,
        base: &Url,
        limits: &Limits,
    ) -> Result<Self, SetupError> {
        let is_plain = base.scheme() == "http";
        let is_base = (is_plain || base.scheme() == "https")
            && base.has_host()
            && base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none();
        if !is_base {
            return Err(SetupError::BaseUrl(setting));
        }
        let nets = || limits.allowed_nets.clone().into();
        let resolver = Guarded(match (is_plain, limits.public) {
            (true, _) => Allowed::Plain(nets()),
            (false, Some(public)) => Allowed::Public(public, nets()),
            (false, None) => Allowed::Every,
        });
        // The connector does not resolve an address.
        let literal = match base.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => None,
        };
        if literal.is_some_and(|address| !resolver.allows(address)) {
            return Err(match limits.public {
                Some(_) if !is_plain => SetupError::NotPublic(setting),
                _ => SetupError::PlainText(setting),
            });
        }
        let mut http = HttpConnector::new_with_resolver(resolver);
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(limits.connect));
        let tls = tls(is_plain).map_err(SetupError::Tls)?;
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(LONGEST_REST)
            .pool_max_idle_per_host(MOST_RESTING)
            .build(Timed {
                inner: https,
                limit: limits.connect,
            });
        let base = base.as_str().trim_end_matches('/').into();
        Ok(Self { client, base })
    }

    /// Where a path and query go, as they are.
    ///
    /// # Errors
    /// What is no target of a request.
    pub(crate) fn uri(&self, path_and_query: &str) -> Result<Uri, Refusal> {
        format!("{}{path_and_query}", self.base)
            .parse()
            .map_err(|_| Refusal::malformed("the path cannot be sent on"))
    }

    /// Sends a request once, and gives the head of its answer. To drop this drops the connection.
    ///
    /// # Errors
    /// [`Word::Timeout`] when there was no connection in time, [`Word::Unreachable`] when there was none or no
    /// answer in HTTP.
    pub(crate) async fn send(
        &self,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, Refusal> {
        let answer = self.attempt(request).await;
        answer.map_err(|why| match why {
            Unanswered::NotSent(refusal) | Unanswered::MaybeSent(refusal) => refusal,
        })
    }

    /// The same for who must know whether the request may have arrived.
    ///
    /// # Errors
    /// The refusals of [`Self::send`].
    pub(crate) async fn attempt(
        &self,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, Unanswered> {
        self.client.request(request).await.map_err(|error| {
            let is_late = is_late(&error);
            tracing::debug!(
                error = ledger::with_sources(&error),
                "no answer from upstream"
            );
            match is_late {
                true => Unanswered::NotSent(Refusal::new(
                    Word::Timeout,
                    "upstream could not be connected to in time",
                )),
                false if error.is_connect() => Unanswered::NotSent(Refusal::new(
                    Word::Unreachable,
                    match is_not_allowed(&error) {
                        true => {
                            "upstream's name leads to no address of the public network, and UPSTREAM_ALLOWED_NETS does not name it"
                        }
                        false => "upstream cannot be connected to",
                    },
                )),
                false => Unanswered::MaybeSent(Refusal::new(
                    Word::Unreachable,
                    "upstream closed the connection without an answer",
                )),
            }
        })
    }
}

/// TLS with the system's roots; with none where nothing goes over TLS, so that a machine without certificates
/// can still run the tests.
fn tls(is_plain: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    if is_plain {
        return Ok(builder
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth());
    }
    let verifier = Verifier::new(provider)?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn is_late(error: &Error) -> bool {
    let mut source = error.source();
    while let Some(inner) = source {
        let is_of_system = inner
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
        if inner.is::<Late>() || (error.is_connect() && is_of_system) {
            return true;
        }
        source = inner.source();
    }
    false
}

/// A name resolver that gives only addresses to which keys may go.
#[derive(Debug, Clone)]
struct Guarded(Allowed);

#[derive(Debug, Clone)]
enum Allowed {
    /// TLS says who is there.
    Every,
    /// Loopback and these networks.
    Plain(Arc<[IpNet]>),
    /// The public network and these.
    Public(fn(IpAddr) -> bool, Arc<[IpNet]>),
}

impl Guarded {
    fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let holds = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        match &self.0 {
            Allowed::Every => true,
            Allowed::Plain(nets) => address.is_loopback() || holds(nets),
            Allowed::Public(is_public, nets) => is_public(address) || holds(nets),
        }
    }
}

impl Service<Name> for Guarded {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.filter(|it| guard.allows(it.ip())).collect();
            if found.is_empty() {
                return Err(io::Error::other(NotAllowed));
            }
            Ok(found.into_iter())
        })
    }
}

/// No address of a host may be reached.
#[derive(Debug, thiserror::Error)]
#[error("no address of the host may be reached; UPSTREAM_ALLOWED_NETS does not name it")]
struct NotAllowed;

fn is_not_allowed(error: &Error) -> bool {
    let mut source = error.source();
    while let Some(inner) = source {
        let of_system = inner.downcast_ref::<io::Error>();
        let custom = of_system.and_then(io::Error::get_ref);
        if custom.is_some_and(|custom| custom.is::<NotAllowed>()) {
            return true;
        }
        source = inner.source();
    }
    false
}

/// There was no connection in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection in time")]
struct Late;

/// A connector within a limit of time.
#[derive(Clone)]
struct Timed<C> {
    inner: C,
    limit: Duration,
}

impl<C> Service<Uri> for Timed<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
    C::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = C::Response;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = BoxFuture<'static, Result<C::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let limit = self.limit;
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(Late.into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_up(base: &str, nets: &[&str]) -> Result<Upstream, SetupError> {
        let limits = Limits {
            connect: Duration::from_secs(1),
            allowed_nets: nets.iter().map(|net| net.parse().unwrap()).collect(),
            public: None,
        };
        Upstream::new("ANTHROPIC_API_BASE", &base.parse().unwrap(), &limits)
    }

    #[test]
    fn plain_text_goes_to_loopback_and_named_networks_alone() {
        for (base, nets) in [
            ("http://127.0.0.1:9", &[][..]),
            ("http://[::1]:9", &[]),
            ("http://localhost:9", &[]),
            ("http://10.1.2.3", &["10.0.0.0/8"]),
        ] {
            assert!(set_up(base, nets).is_ok(), "{base}");
        }
        for (base, nets) in [
            ("http://10.1.2.3", &[][..]),
            ("http://10.1.2.3", &["10.2.0.0/16"]),
            ("http://[::ffff:10.1.2.3]", &["10.2.0.0/16"]),
        ] {
            let refused = set_up(base, nets).err();
            assert!(matches!(refused, Some(SetupError::PlainText(_))), "{base}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_is_not_connected_to_in_plain_text() {
        let mut guarded = Guarded(Allowed::Plain(Arc::new([])));
        let name: Name = "localhost".parse().unwrap();
        assert!(guarded.call(name).await.is_ok());
        let name: Name = "192.0.2.1".parse().unwrap();
        assert!(guarded.call(name).await.is_err());
    }

    #[test]
    fn what_an_administrator_describes_is_on_the_public_network_or_in_a_named_one() {
        let nets: Vec<IpNet> = vec!["10.1.0.0/16".parse().unwrap()];
        let is_public = |address: IpAddr| address == IpAddr::from([192, 0, 2, 1]);
        let guarded = Guarded(Allowed::Public(is_public, nets.into()));
        for (address, expected) in [
            ("192.0.2.1", true),
            ("10.1.2.3", true),
            ("10.2.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
        ] {
            assert_eq!(
                guarded.allows(address.parse().unwrap()),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn a_base_has_no_credentials_query_or_fragment() {
        for base in [
            "https://a:b@x.example",
            "https://x.example?a",
            "https://x.example#a",
            "ftp://x.example",
        ] {
            let refused = set_up(base, &[]).err();
            assert!(matches!(refused, Some(SetupError::BaseUrl(_))), "{base}");
        }
        let upstream = set_up("http://127.0.0.1:9/base/", &[]).unwrap();
        let uri = upstream.uri("/v1/a%3Fb?q='{x}").unwrap();
        assert_eq!(uri, "http://127.0.0.1:9/base/v1/a%3Fb?q='{x}");
    }
}
