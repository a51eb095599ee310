//! One attempt to deliver one event.

use crate::callback::connector::{self, Connector};
use crate::callback::failure::AttemptFailure;
use crate::callback::resolver::{GuardedResolver, Lookup, SystemLookup};
use crate::callback::retry_after::retry_after;
use crate::callback::signature::{
    EVENT_ID_HEADER, SIGNATURE_HEADER, WEBHOOK_ID_HEADER, WEBHOOK_SIGNATURE_HEADER,
    WEBHOOK_TIMESTAMP_HEADER, sign_body, sign_standard,
};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use ipnet::IpNet;
use ledger::{CallbackPolicy, CallbackSecret, CallbackUrl, EventId, Timestamp};
use reqwest::{Certificate, Client, RequestBuilder, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

const USER_AGENT: &str = concat!("llm-permission-proxy/", env!("CARGO_PKG_VERSION"));

/// The operator's settings of callbacks.
#[derive(Debug, Clone)]
pub struct CallbackSenderConfig {
    /// The hosts that may be sent to.
    pub policy: CallbackPolicy,
    /// Restricted networks that these hosts may lead to.
    pub allowed_nets: Vec<IpNet>,
    /// PEM certificates that are trusted beside the system's.
    pub extra_roots_pem: Option<Vec<u8>>,
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// For the whole attempt, until the head of the answer has come.
    pub total_timeout: Duration,
}

impl CallbackSenderConfig {
    /// No restricted networks, the system's roots, 5 s to connect and 10 s in all.
    #[must_use]
    pub const fn new(policy: CallbackPolicy) -> Self {
        Self {
            policy,
            allowed_nets: Vec::new(),
            extra_roots_pem: None,
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(10),
        }
    }
}

/// Why callbacks cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum CallbackSetupError {
    /// CALLBACK_CA_FILE holds no PEM certificate.
    #[error("CALLBACK_CA_FILE holds no PEM certificate")]
    NoRootsInFile,
    /// CALLBACK_CA_FILE holds something that is no certificate.
    #[error("CALLBACK_CA_FILE cannot be read as PEM certificates")]
    UnreadableRoots(#[source] reqwest::Error),
    /// A root that is not acceptable, or no root at all: neither in the file nor in the system.
    #[error(
        "TLS for callbacks cannot be set up: it takes the system's certificates (package \
         ca-certificates) or roots in CALLBACK_CA_FILE"
    )]
    Tls(#[source] Box<dyn Error + Send + Sync>),
}

/// One event for one callback, to be sent now.
#[derive(Debug, Clone)]
pub struct Attempt<'a> {
    /// The recorded URL; its form and host are checked again.
    pub url: &'a str,
    /// The secret of both signatures.
    pub secret: &'a CallbackSecret,
    pub event_id: EventId,
    /// The JSON document. Its event is the same on every attempt, its proof may be a newer one.
    pub body: Bytes,
    /// The time of sending; it is signed.
    pub now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The receiver answered 2xx.
    Delivered {
        /// 200..=299.
        status: u16,
        /// From the first thought of connecting to the head of the answer.
        duration: Duration,
    },
    /// Anything else.
    Failed(AttemptFailure),
}

/// Sends attempts. Cheap to clone; each attempt opens a connection of its own, so that its address
/// is checked each time and no receiver's connection outlives an answer.
#[derive(Debug, Clone)]
pub struct CallbackSender {
    client: Client,
    policy: Arc<CallbackPolicy>,
    settings: Arc<Settings>,
}

/// What a connection that is not for HTTP is made with.
struct Settings {
    resolver: GuardedResolver,
    extra_roots_pem: Option<Vec<u8>>,
    connect_timeout: Duration,
    total_timeout: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settings")
    }
}

impl CallbackSender {
    /// Takes names from the operating system's resolver.
    ///
    /// # Errors
    /// [`CallbackSetupError`] when TLS cannot be set up.
    pub fn new(config: CallbackSenderConfig) -> Result<Self, CallbackSetupError> {
        Self::with_lookup(config, Arc::new(SystemLookup))
    }

    /// Takes names from `lookup`; the answers are checked all the same.
    ///
    /// # Errors
    /// [`CallbackSetupError`] when TLS cannot be set up.
    pub fn with_lookup(
        config: CallbackSenderConfig,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, CallbackSetupError> {
        // The HTTP client panics without a process-wide provider; whoever installs one first wins.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let resolver = GuardedResolver::new(lookup, config.allowed_nets.into());
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .dns_resolver(resolver.clone())
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .https_only(true)
            .http1_only()
            .pool_max_idle_per_host(0)
            .connect_timeout(config.connect_timeout)
            .timeout(config.total_timeout)
            .tls_certs_merge(roots(config.extra_roots_pem.as_deref())?);
        let client = builder.build();
        let client = client.map_err(|error| CallbackSetupError::Tls(error.into()))?;
        Ok(Self {
            client,
            policy: Arc::new(config.policy),
            settings: Arc::new(Settings {
                resolver,
                extra_roots_pem: config.extra_roots_pem,
                connect_timeout: config.connect_timeout,
                total_timeout: config.total_timeout,
            }),
        })
    }

    /// Connections under the same rules of addresses, roots and times, for what is not HTTP.
    ///
    /// # Errors
    /// [`CallbackSetupError`] when TLS cannot be set up.
    pub(crate) fn connector(&self) -> Result<Connector, CallbackSetupError> {
        let roots = match &self.settings.extra_roots_pem {
            Some(pem) => CertificateDer::pem_slice_iter(pem).collect(),
            None => Ok(Vec::new()),
        };
        let roots = roots.map_err(|error| CallbackSetupError::Tls(error.into()))?;
        Ok(Connector {
            resolver: self.settings.resolver.clone(),
            tls: connector::tls(roots).map_err(|error| CallbackSetupError::Tls(error.into()))?,
            connect_timeout: self.settings.connect_timeout,
            answer_timeout: self.settings.total_timeout,
        })
    }

    /// The same, for the hosts of another policy.
    #[must_use]
    pub fn with_policy(&self, policy: CallbackPolicy) -> Self {
        Self {
            client: self.client.clone(),
            policy: Arc::new(policy),
            settings: Arc::clone(&self.settings),
        }
    }

    /// Sends once and says how it ended; it never fails otherwise. The body of the answer is not
    /// read. A caller that drops the future cannot know whether the receiver got the event.
    pub async fn attempt(&self, attempt: Attempt<'_>) -> AttemptOutcome {
        let Attempt {
            url,
            secret,
            event_id,
            body,
            now,
        } = attempt;
        let signed = |request: RequestBuilder| {
            request
                .header(EVENT_ID_HEADER, event_id.to_string())
                .header(SIGNATURE_HEADER, sign_body(secret, &body))
                .header(WEBHOOK_ID_HEADER, event_id.to_string())
                .header(WEBHOOK_TIMESTAMP_HEADER, now.as_seconds())
                .header(
                    WEBHOOK_SIGNATURE_HEADER,
                    sign_standard(secret, event_id, now, &body),
                )
        };
        self.send(url, now, body.clone(), signed).await
    }

    /// As [`Self::attempt`], without a signature: for receivers that know their sender by the address.
    pub(crate) async fn post(&self, url: &str, now: Timestamp, body: Bytes) -> AttemptOutcome {
        self.send(url, now, body, |request| request).await
    }

    /// As [`Self::post`], with these headers and no other than the client's own.
    pub(crate) async fn push(
        &self,
        url: &str,
        now: Timestamp,
        body: Bytes,
        headers: HeaderMap,
    ) -> AttemptOutcome {
        let finish = |request: RequestBuilder| request.headers(headers);
        self.send(url, now, body, finish).await
    }

    async fn send(
        &self,
        url: &str,
        now: Timestamp,
        body: Bytes,
        finish: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> AttemptOutcome {
        let url = match CallbackUrl::parse(url, &self.policy) {
            Ok(url) => url,
            Err(error) => return AttemptOutcome::Failed(AttemptFailure::of_url(&error)),
        };
        let request = self.client.post(url.as_url().clone());
        let request = finish(request.header(CONTENT_TYPE, "application/json")).body(body);
        let started = Instant::now();
        match request.send().await {
            Ok(answer) if answer.status().is_success() => AttemptOutcome::Delivered {
                status: answer.status().as_u16(),
                duration: started.elapsed(),
            },
            Ok(answer) => AttemptOutcome::Failed(AttemptFailure::of_status(
                answer.status(),
                retry_after(answer.headers(), now),
            )),
            Err(error) => AttemptOutcome::Failed(AttemptFailure::of_transport(&error)),
        }
    }
}

fn roots(pem: Option<&[u8]>) -> Result<Vec<Certificate>, CallbackSetupError> {
    let Some(pem) = pem else {
        return Ok(Vec::new());
    };
    let roots = Certificate::from_pem_bundle(pem).map_err(CallbackSetupError::UnreadableRoots)?;
    if roots.is_empty() {
        return Err(CallbackSetupError::NoRootsInFile);
    }
    Ok(roots)
}
