//! The state that every handler can reach: settings, keys, clock, and the service behind the surface.

use crate::limits::body_memory::BodyMemory;
use crate::limits::bounds::RequestLimit;
use crate::limits::counted_for::CountedFor;
use crate::limits::links::LinkTraffic;
use crate::limits::rate_limit::RateLimiter;
use crate::limits::streams::StreamPlaces;
use crate::limits::turns::Turns;
use crate::problem::ApiError;
use crate::routes::views::Glances;
use crate::schemes::client_address::client_address;
use crate::schemes::cross_site::OwnOrigins;
use crate::schemes::service_token::ConfiguredToken;
use crate::schemes::subject::SubjectVerifier;
use crate::schemes::{self, Scheme};
use app::App;
use app::edge::Places;
use app::feed::Feed;
use app::identity::password::PasswordHasher;
use app::identity::session::session_key;
use app::identity::throttle::{Network, Throttle};
use app::pairing::{PairingCode, Pairings};
use app::passkey::{DecoyKey, RegistrationKey, RelyingParty};
use app::proxied_calls::UsedHere;
use app::token::agent_key::AgentKey;
use app::token::capability::OpenedTokens;
use app::token::jwt::TokenKey;
use app::token::link::{LinkKey, ShortLinkKey, SignedToken, absolute};
use app::token::setup::Setup;
use app::token::viewer::viewer_key;
use axum::body::Bytes;
use http::request::Parts;
use ipnet::IpNet;
use ledger::provider::ScopeNames;
use ledger::{ApprovalId, CallbackPolicy, Ledger, TaskId};
use projections::Projections;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use url::Url;

/// Secret, issuer and audience of one kind of JWT.
#[derive(Debug, Clone)]
pub struct JwtSettings {
    /// The HS256 secret; its bytes are used as they are.
    pub secret: SecretString,
    /// `iss`
    pub issuer: String,
    /// `aud`
    pub audience: String,
}

impl JwtSettings {
    fn key(&self) -> TokenKey {
        TokenKey::new(
            self.secret.expose_secret().as_bytes(),
            &self.issuer,
            &self.audience,
        )
    }
}

/// Settings of the HTTP surface, already checked. Nothing here reads the environment.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Where people and orchestrators reach us; links begin with it.
    pub base_url: Url,
    pub capability_jwt: JwtSettings,
    pub bootstrap_jwt: JwtSettings,
    /// MTLS_BINDING_SHARED_SECRET
    pub subject_secret: SecretString,
    /// APPROVAL_LINK_SECRET; also for enrolment links, under an audience of their own.
    pub approval_link_secret: SecretString,
    pub resume_token_secret: SecretString,
    /// SERVICE_TOKEN, where there is one.
    pub service_token: Option<SecretString>,
    /// How long a session of a person lasts.
    pub session_ttl: Duration,
    /// AUTH_DISABLE: a request without a credential is an admin's.
    pub is_open: bool,
    /// Proxies whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// AGENT_API_KEY, where there is one.
    pub agent_api_key: Option<SecretString>,
    /// How long a WebAuthn challenge can be answered.
    pub challenge_ttl: Duration,
    /// As whom passkeys know this service; the ledger's rules name the same id and origin.
    pub relying_party: RelyingParty,
    /// No upstream credential is configured, so approvals change nothing outside; pages say so.
    pub simulated: bool,
    pub callback_policy: CallbackPolicy,
    /// Requests a second for each subject, with a burst of twice that; 0 switches the limit off.
    pub rate_limit_rps: u32,
    /// How long the body of a request may take to arrive.
    pub body_patience: Duration,
}

/// Why the service should get no traffic at the moment; empty when it should.
pub trait Readiness: Send + Sync + 'static {
    /// The reasons, each a short phrase: `projection tasks is 1200 events behind`.
    fn reasons_against(&self) -> Vec<String>;
}

impl<F: Fn() -> Vec<String> + Send + Sync + 'static> Readiness for F {
    fn reasons_against(&self) -> Vec<String> {
        self()
    }
}

/// Gives the metrics in the Prometheus text format.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// The services behind the surface.
pub struct Services {
    /// Commands go in here, and time and ids come from it.
    pub ledger: Ledger,
    /// Lists and views come from here.
    pub projections: Projections,
    /// The names of zones in plans.
    pub scope_names: Arc<dyn ScopeNames>,
    /// Where addresses are.
    pub places: Places,
    pub readiness: Arc<dyn Readiness>,
    /// For `/metrics`; the route is absent without it.
    pub metrics: Option<MetricsText>,
    /// The service is to end: nobody is kept waiting for a human any longer.
    pub ending: CancellationToken,
}

/// The keys of what schemes check, prepared once.
#[derive(Debug)]
pub struct Keys {
    /// Signed subject headers.
    pub subject: SubjectVerifier,
    pub bootstrap: TokenKey,
    pub service: Option<ConfiguredToken>,
    /// The one key that all agents have.
    pub shared_agent_key: Option<ConfiguredToken>,
}

impl Keys {
    fn new(config: &ApiConfig) -> Self {
        Self {
            subject: SubjectVerifier::new(config.subject_secret.expose_secret().as_bytes()),
            bootstrap: config.bootstrap_jwt.key(),
            service: config.service_token.as_ref().map(ConfiguredToken::new),
            shared_agent_key: config.agent_api_key.as_ref().map(ConfiguredToken::new),
        }
    }
}

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// The parts behind [`AppState`].
pub struct Shared {
    pub config: ApiConfig,
    pub keys: Keys,
    pub app: App,
    pub(crate) readiness: Arc<dyn Readiness>,
    /// For `/metrics`.
    pub(crate) metrics: Option<MetricsText>,
    /// How callers prove who they are.
    pub(crate) schemes: Vec<Box<dyn Scheme>>,
    /// Where pages of ours come from.
    pub(crate) own_origins: OwnOrigins,
    /// Requests for each subject.
    pub(crate) limiter: RateLimiter,
    /// Capability tokens that were presented.
    pub(crate) opened_tokens: OpenedTokens,
    /// Requests through links.
    pub(crate) links: LinkTraffic,
    /// Requests of strangers, for each network: all together, and apart from them those with links that are none.
    pub(crate) strangers: RateLimiter,
    /// Turns of making large pages and answers.
    pub(crate) turns: Turns,
    /// Requests that are being answered.
    pub(crate) under_way: RequestLimit,
    pub(crate) bodies: BodyMemory,
    /// Streams that are open.
    pub(crate) streams: StreamPlaces,
    /// What lists say of open questions.
    pub(crate) glances: Glances,
    metrics_text: Mutex<Option<(Instant, Bytes)>>,
}

impl AppState {
    /// Prepares keys and limits.
    #[must_use]
    pub fn new(config: ApiConfig, services: Services) -> Self {
        Self::with_schemes(config, services, schemes::all())
    }

    /// As [`Self::new`], with other schemes than the service's.
    pub(crate) fn with_schemes(
        config: ApiConfig,
        services: Services,
        schemes: Vec<Box<dyn Scheme>>,
    ) -> Self {
        let keys = Keys::new(&config);
        let link_secret = config.approval_link_secret.expose_secret().as_bytes();
        let resume_secret = config.resume_token_secret.expose_secret().as_bytes();
        let random = Arc::clone(services.ledger.random());
        let app = App {
            feed: Feed::new(services.ledger.clone()),
            ledger: services.ledger,
            projections: services.projections,
            scope_names: services.scope_names,
            places: services.places,
            keys: app::Keys {
                capability: config.capability_jwt.key(),
                short_link: ShortLinkKey::derive(link_secret),
                approval_link: LinkKey::new(link_secret),
                enrolment_link: LinkKey::new(link_secret),
                resume: LinkKey::new(resume_secret),
                session: session_key(config.capability_jwt.secret.expose_secret().as_bytes()),
                viewer: viewer_key(config.capability_jwt.secret.expose_secret().as_bytes()),
                registration: RegistrationKey::derive(link_secret),
                decoys: DecoyKey::derive(link_secret),
            },
            relying_party: config.relying_party.clone(),
            challenge_ttl: config.challenge_ttl,
            session_ttl: config.session_ttl,
            setup: Setup::new(&*random),
            pairings: Arc::new(Pairings::new(&*random)),
            used: UsedHere::default(),
            passwords: PasswordHasher::new(random),
            logins: Throttle::default(),
            ending: services.ending,
        };
        let limiter = RateLimiter::new(config.rate_limit_rps);
        let links = LinkTraffic::new(config.rate_limit_rps);
        let strangers = RateLimiter::new(config.rate_limit_rps);
        let own_origins = OwnOrigins::new(&config.base_url, config.relying_party.origin());
        Self(Arc::new(Shared {
            own_origins,
            config,
            keys,
            app,
            readiness: services.readiness,
            metrics: services.metrics,
            schemes,
            limiter,
            opened_tokens: OpenedTokens::default(),
            links,
            strangers,
            turns: Turns::new(),
            under_way: RequestLimit::new(),
            bodies: BodyMemory::new(),
            streams: StreamPlaces::new(),
            glances: Glances::new(),
            metrics_text: Mutex::default(),
        }))
    }
}

impl AppState {
    /// Whether a text that is to be stored as another service's key is one by which callers of this service prove
    /// who they are.
    pub(crate) fn is_own_credential(&self, text: &str) -> bool {
        let configured = [&self.keys.service, &self.keys.shared_agent_key];
        let mut configured = configured.into_iter().flatten();
        let keys = &self.app.keys;
        configured.any(|known| known.is(text))
            || AgentKey::is_meant(text)
            || keys.session.open(text).is_ok()
            || keys.viewer.open(text).is_ok()
            || keys.capability.open::<serde_json::Value>(text).is_some()
            || self
                .keys
                .bootstrap
                .open::<serde_json::Value>(text)
                .is_some()
    }

    /// Sets the gauges of what is bounded here.
    pub(crate) fn measure(&self) {
        let gauge = |name: &'static str, value: usize| {
            metrics::gauge!(name).set(f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
        };
        let (requests, subjects) = self.under_way.counts();
        gauge("http_requests_under_way", requests);
        gauge("http_subjects_under_way", subjects);
        gauge("http_body_bytes_held", self.bodies.taken());
        gauge("http_streams", self.app.feed.watching());
        gauge("http_rates_remembered", self.limiter.remembered());
        gauge("http_link_rates_remembered", self.links.remembered());
        gauge(
            "http_stranger_rates_remembered",
            self.strangers.remembered(),
        );
        gauge("http_link_tasks_under_way", self.links.under_way());
        gauge("passwords_under_way", self.app.passwords.under_way());
        metrics::counter!("passwords_worked_total").absolute(self.app.passwords.worked());
        gauge("pairings_open", self.app.pairings.waiting());
        let (names, networks) = self.app.logins.remembered();
        gauge("login_names_remembered", names);
        gauge("login_networks_remembered", networks);
    }

    /// The metrics as text. It is made at most every tenth of a second, so that readers who take their
    /// time share it.
    pub(crate) fn metrics_text(&self) -> Bytes {
        let Some(render) = &self.metrics else {
            return Bytes::new();
        };
        let mut kept = self
            .metrics_text
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((made, text)) if made.elapsed() < METRICS_LIFE => text.clone(),
            _ => {
                self.measure();
                let text = Bytes::from(render());
                *kept = Some((Instant::now(), text.clone()));
                text
            }
        }
    }

    /// Counts a request of somebody who has not proven to be anybody, for the network that it comes from.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] when strangers of that network ask too much.
    pub(crate) fn admit_stranger(&self, parts: &Parts) -> Result<(), ApiError> {
        self.admit_from(parts, CountedFor::stranger)
    }

    /// Counts a request whose link is none, apart from those of other strangers.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] when there are too many of them from that network.
    pub(crate) fn admit_forged_link(&self, parts: &Parts) -> Result<(), ApiError> {
        self.admit_from(parts, CountedFor::forged_links_from)
    }

    fn admit_from(
        &self,
        parts: &Parts,
        counted_for: fn(Network) -> CountedFor,
    ) -> Result<(), ApiError> {
        let address = client_address(parts, &self.config.trusted_proxies);
        self.strangers
            .admit(&counted_for(Network::of(address)))
            .map_err(|retry_after| ApiError::RateLimited { retry_after })
    }
}

const METRICS_LIFE: Duration = Duration::from_millis(100);

/// Where things are, for people and programs outside.
impl AppState {
    /// A path of ours as an absolute URL.
    fn absolute(&self, path: &str) -> String {
        absolute(&self.config.base_url, path)
    }

    /// Where a task's newest approval can be asked for.
    #[must_use]
    pub fn approval_status_url(&self, task_id: TaskId) -> String {
        self.absolute(&format!("/v1/tasks/{task_id}/approval-status"))
    }

    /// The link for humans. Whoever holds it sees the page.
    #[must_use]
    pub fn approval_url(&self, approval: ApprovalId) -> String {
        self.app
            .keys
            .short_link
            .url(&self.config.base_url, approval)
    }

    /// The page that watches a task, with the token in its fragment, which no server is sent.
    pub(crate) fn watch_url(&self, token: &SignedToken) -> String {
        self.absolute(&format!("/watch#{}", token.reveal()))
    }

    /// The page on which a pairing is answered, by who may.
    pub(crate) fn confirm_url(&self, code: &PairingCode) -> String {
        self.absolute(&format!("/pairing/{}", code.reveal()))
    }

    /// Where the first admin is made.
    #[must_use]
    pub fn setup_url(&self) -> String {
        self.absolute(&format!("/v1/setup/{}", self.app.setup.reveal()))
    }

    /// The link for one registration of a passkey.
    pub(crate) fn enrolment_url(&self, link: &SignedToken) -> String {
        self.absolute(&format!("/v1/enrol/{}", link.reveal()))
    }
}

impl std::ops::Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppState")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
