//! The settings by what they are about, and the rules between several of them.

use super::parse::{self, is_local};
use super::problem::Problem;
use super::sources::Sources;
use super::storage::Storage;
use super::table::{self, Row};
use crate::text_file;
use app::edge::Places;
use ipnet::IpNet;
use ledger::provider::Provider;
use ledger::tlog::WitnessPolicy;
use ledger::{ApproverName, CallbackPolicy, Notifier, Quotas};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::SecretString;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};
use workers::notifier::{MailAddress, MailServer};
use workers::witness::WitnessSettings;

/// The listener and the public address.
pub(crate) struct Http {
    /// Only loopback when insecure defaults are allowed.
    pub(crate) bind: SocketAddr,
    /// Where links point to.
    pub(crate) base_url: Url,
    /// Whose X-Forwarded-For is believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Files that say where addresses are.
    pub(crate) geoip_files: Vec<PathBuf>,
    /// Requests a second for each subject; 0 is no limit.
    pub(crate) rate_limit: u32,
    pub(crate) max_connections: u32,
    /// For a head, for a body, and for an answer beside what its length needs.
    pub(crate) client_timeout: Duration,
    /// Between two requests of one connection.
    pub(crate) keep_alive: Duration,
    /// For an orderly end.
    pub(crate) shutdown: Duration,
}

impl Http {
    pub(super) fn read(sources: &mut Sources) -> Self {
        Self {
            bind: http_bind(sources),
            base_url: sources.read(&table::BASE_URL),
            trusted_proxies: sources.list(&table::TRUSTED_PROXIES),
            geoip_files: sources.list(&table::GEOIP_FILE),
            rate_limit: sources.read(&table::RATE_LIMIT_RPS),
            max_connections: sources.read(&table::MAX_CONNECTIONS),
            client_timeout: sources.read(&table::CLIENT_TIMEOUT_SECS),
            keep_alive: sources.read(&table::KEEP_ALIVE_SECS),
            shutdown: sources.read(&table::SHUTDOWN_SECS),
        }
    }
}

impl Http {
    /// Reads the files that say where addresses are.
    pub(crate) fn read_places(&self) -> Result<Places, Problem> {
        Places::open(&self.geoip_files)
            .map_err(|error| Problem::new(table::GEOIP_FILE.name, format!("names {error}")))
    }
}

/// Files that say where addresses are.
pub(crate) fn geoip_files(sources: &mut Sources) -> Vec<PathBuf> {
    sources.list(&table::GEOIP_FILE)
}

/// The address to listen on.
pub(crate) fn http_bind(sources: &mut Sources) -> SocketAddr {
    let address = sources.read(&table::BIND_ADDR);
    if sources.insecure() && !address.ip().to_canonical().is_loopback() {
        sources.problem(
            &table::BIND_ADDR,
            "must be a loopback address while ALLOW_INSECURE_DEFAULTS is true",
        );
    }
    address
}

/// Where the world reaches the service, for commands that ask it.
pub(crate) fn base_url(sources: &mut Sources) -> Url {
    let url = sources.read(&table::BASE_URL);
    if let Err(fault) = parse::service_address(url.as_str()) {
        sources.problem(&table::BASE_URL, fault);
    }
    url
}

/// How long a session of a person lasts.
pub(crate) fn session_ttl(sources: &mut Sources) -> Duration {
    sources.read(&table::SESSION_TTL_SECONDS)
}

/// Questions to humans.
pub(crate) struct Approvals {
    /// How long a question waits, and how long an approved one may be continued.
    pub(crate) ttl: Duration,
    pub(crate) challenge_ttl: Duration,
    /// At least one, sorted.
    pub(crate) approvers: Vec<ApproverName>,
}

impl Approvals {
    pub(super) fn read(sources: &mut Sources) -> Self {
        let approvers = approvers(sources);
        if approvers.is_empty() && !sources.is_refused(&table::APPROVAL_APPROVERS) {
            sources.problem(
                &table::APPROVAL_APPROVERS,
                "names nobody; nobody could ever decide",
            );
        }
        Self {
            ttl: sources.read(&table::APPROVAL_TTL_SECONDS),
            challenge_ttl: sources.read(&table::APPROVAL_NONCE_TTL_SECONDS),
            approvers,
        }
    }
}

/// The principals who may decide, sorted.
pub(crate) fn approvers(sources: &mut Sources) -> Vec<ApproverName> {
    let names: Vec<ApproverName> = sorted(sources.list(&table::APPROVAL_APPROVERS));
    if names.iter().any(|name| name.contains(char::is_whitespace)) {
        sources.warn(
            &table::APPROVAL_APPROVERS,
            "holds a blank inside an item, which is one name; separate several with single commas",
        );
    }
    names
}

fn sorted<T: Ord>(mut names: Vec<T>) -> Vec<T> {
    names.sort();
    names.dedup();
    names
}

/// Reads what one agent may ask and have kept.
pub(super) fn quotas(sources: &mut Sources) -> Quotas {
    let open = sources.read(&table::TASK_MAX_OPEN_APPROVALS);
    Quotas {
        open_approvals: usize::try_from(open).unwrap_or(usize::MAX),
        task_bytes: sources.read(&table::TASK_MAX_BYTES_PER_HOUR),
        agent_bytes: sources.read(&table::AGENT_MAX_BYTES_PER_HOUR),
        min_free_bytes: min_free_bytes(sources),
    }
}

/// The least room on the ledger's disk.
pub(crate) fn min_free_bytes(sources: &mut Sources) -> u64 {
    sources.read(&table::LEDGER_MIN_FREE_BYTES)
}

/// Where callbacks may go, and how hard they are tried.
pub(crate) struct Callbacks {
    /// Empty: none.
    pub(crate) allowed_hosts: Vec<String>,
    /// Restricted networks that an allowed host may nevertheless resolve to.
    pub(crate) allowed_nets: Vec<IpNet>,
    ca_file: Option<PathBuf>,
    /// Tries for each delivery, the first included.
    pub(crate) max_retries: u32,
    /// Deliveries claimed at a time.
    pub(crate) batch_size: u32,
    /// The longest sleep between two looks at what is owed.
    pub(crate) worker_interval: Duration,
}

impl Callbacks {
    pub(crate) fn read(sources: &mut Sources) -> Self {
        Self {
            allowed_hosts: sorted(sources.list(&table::CALLBACK_ALLOWED_HOSTS)),
            allowed_nets: sources.list(&table::CALLBACK_ALLOWED_NETS),
            ca_file: sources.given(&table::CALLBACK_CA_FILE),
            max_retries: sources.read(&table::CALLBACK_MAX_RETRIES),
            batch_size: sources.read(&table::CALLBACK_BATCH_SIZE),
            worker_interval: sources.read(&table::CALLBACK_WORKER_INTERVAL_SECS),
        }
    }

    /// The bytes of the CA file, after a look at whether certificates stand in them; `None` when no
    /// file is named.
    pub(crate) fn read_ca_file(&self) -> Result<Option<Vec<u8>>, Problem> {
        let Some(path) = &self.ca_file else {
            return Ok(None);
        };
        let problem = |text: String| Problem::new(table::CALLBACK_CA_FILE.name, text);
        let bytes = text_file::read(path)
            .map(|text| text.as_bytes().to_vec())
            .map_err(|error| problem(format!("cannot be read from {}: {error}", path.display())))?;
        let mut found = 0_u32;
        for certificate in CertificateDer::pem_slice_iter(&bytes) {
            certificate.map_err(|_| problem(format!("{} is not valid PEM", path.display())))?;
            found += 1;
        }
        if found == 0 {
            let text = format!("{} holds no PEM certificate", path.display());
            return Err(problem(text));
        }
        Ok(Some(bytes))
    }
}

/// Where the operator is told of questions.
pub(crate) struct Notifiers {
    /// The kinds that are configured, with their addresses.
    pub(crate) places: Vec<(Notifier, SecretString)>,
    /// Signs what the webhook is told; there with it.
    pub(crate) secret: Option<SecretString>,
    pub(crate) email: Option<Email>,
}

/// The mailbox that is told of questions.
pub(crate) struct Email {
    pub(crate) server: MailServer,
    pub(crate) from: MailAddress,
    pub(crate) to: MailAddress,
}

impl Email {
    fn read(sources: &mut Sources) -> Option<Self> {
        let server = sources.given(&table::NOTIFY_EMAIL_URL);
        let mut end = |row: &Row<MailAddress>| {
            if sources.set(&table::NOTIFY_EMAIL_URL).is_some() && sources.set(row).is_none() {
                let text = "is not set, and NOTIFY_EMAIL_URL is: set it to an address such as proxy@example.com";
                sources.problem(row, text);
            }
            sources.given(row)
        };
        let (from, to) = (end(&table::NOTIFY_EMAIL_FROM), end(&table::NOTIFY_EMAIL_TO));
        for end in [
            &table::NOTIFY_EMAIL_FROM.variable,
            &table::NOTIFY_EMAIL_TO.variable,
        ] {
            if sources.set(end).is_some() && sources.set(&table::NOTIFY_EMAIL_URL).is_none() {
                let text = "is set, and NOTIFY_EMAIL_URL is not: nobody is told by e-mail";
                sources.warn(end, text);
            }
        }
        Some(Self {
            server: server?,
            from: from?,
            to: to?,
        })
    }
}

impl Notifiers {
    pub(crate) fn read(sources: &mut Sources) -> Self {
        let rows = [
            (Notifier::Slack, &table::NOTIFY_SLACK_URL),
            (Notifier::Discord, &table::NOTIFY_DISCORD_URL),
            (Notifier::Teams, &table::NOTIFY_TEAMS_URL),
            (Notifier::Webhook, &table::NOTIFY_WEBHOOK_URL),
        ];
        let mut places = Vec::new();
        for (notifier, row) in rows {
            if let Some(url) = sources.given(row) {
                places.push((notifier, url.into()));
            }
        }
        let secret = sources.given(&table::NOTIFY_WEBHOOK_SECRET);
        let has = |row: &table::Variable| sources.set(row).is_some();
        if has(&table::NOTIFY_WEBHOOK_URL) && !has(&table::NOTIFY_WEBHOOK_SECRET) {
            sources.problem(
                &table::NOTIFY_WEBHOOK_SECRET,
                "is not set, and NOTIFY_WEBHOOK_URL is: set it to at least 32 random bytes",
            );
        }
        Self {
            places,
            secret: secret.map(Into::into),
            email: Email::read(sources),
        }
    }

    pub(crate) fn kinds(&self) -> Vec<Notifier> {
        let places = self.places.iter().map(|(notifier, _)| *notifier);
        let email = self.email.as_ref().map(|_| Notifier::Email);
        places.chain(email).collect()
    }
}

/// The push services by which devices are told of questions.
pub(crate) fn push_services(sources: &mut Sources) -> CallbackPolicy {
    // Each entry was held to the same form as it was read.
    CallbackPolicy::with_domains(sources.list(&table::PUSH_SERVICES)).unwrap_or_default()
}

/// The relying party that passkeys are bound to (WebAuthn Level 3, section 5.1.2).
pub(crate) struct Webauthn {
    /// A registrable suffix of the origin's host, or the host itself.
    pub(crate) rp_id: String,
    /// The one origin that ceremonies may come from: scheme, host and port alone.
    pub(crate) origin: Url,
}

impl Webauthn {
    pub(super) fn read(sources: &mut Sources, http: &Http) -> Self {
        let rp_id = sources.read(&table::WEBAUTHN_RP_ID);
        let origin = sources.read(&table::WEBAUTHN_ORIGIN);
        if sources.is_refused(&table::WEBAUTHN_RP_ID) || sources.is_refused(&table::WEBAUTHN_ORIGIN)
        {
            return Self { rp_id, origin };
        }
        if origin.path() != "/" {
            sources.problem(&table::WEBAUTHN_ORIGIN, "must be an origin, without a path");
        }
        if origin.scheme() == "http" && !is_local(&origin) {
            sources.problem(
                &table::WEBAUTHN_ORIGIN,
                "must be https: browsers use passkeys on secure origins and on localhost alone",
            );
        }
        if is_public_suffix(&rp_id, &origin) {
            sources.problem(
                &table::WEBAUTHN_RP_ID,
                "is a public suffix, under which anybody may have a name; browsers refuse it: name the \
                 host of WEBAUTHN_ORIGIN or a domain of your own",
            );
        }
        let host = origin.host_str().unwrap_or_default();
        let rest = host.strip_suffix(&*rp_id);
        if !rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) {
            sources.problem(
                &table::WEBAUTHN_RP_ID,
                "must be the host of WEBAUTHN_ORIGIN or a domain that it lies in",
            );
        }
        if origin.origin() != http.base_url.origin() {
            sources.warn(
                &table::WEBAUTHN_ORIGIN,
                "is not the origin of BASE_URL: passkeys work only on pages opened under \
                 WEBAUTHN_ORIGIN",
            );
        }
        Self { rp_id, origin }
    }
}

/// Whether the Public Suffix List has it, or it is a name of one label above the origin's host: what an
/// origin is under without owning it (WebAuthn Level 3, section 5.1.2; HTML, "registrable domain suffix").
fn is_public_suffix(rp_id: &str, origin: &Url) -> bool {
    let Some(suffix) = psl::suffix(rp_id.as_bytes()) else {
        return false;
    };
    let is_all = suffix.as_bytes() == rp_id.as_bytes();
    is_all && (suffix.is_known() || origin.host_str() != Some(rp_id)) && rp_id != "localhost"
}

/// The API of a provider, or its simulation.
pub(crate) struct Upstream {
    pub(crate) provider: Arc<dyn Provider>,
    /// `None`: operations are simulated, and every answer says so.
    pub(crate) token: Option<SecretString>,
    /// Of every request.
    pub(crate) base: Url,
}

impl Upstream {
    /// One for each provider; its settings are rows of the table.
    pub(super) fn all(sources: &mut Sources) -> Vec<Self> {
        let providers = providers::all();
        // What is called through a proxy alone has no operations that this service carries out.
        let carried_out = providers
            .iter()
            .filter(|provider| !provider.catalog().is_empty());
        carried_out
            .map(|provider| Self::read(sources, provider))
            .collect()
    }

    fn read(sources: &mut Sources, provider: &Arc<dyn Provider>) -> Self {
        let names = provider.names();
        let token_row = Row::secret(names.token_setting, parse::header_token, "");
        let base_row = Row::plain(names.base_setting, names.base, parse::web_address, "");
        if sources.set(&token_row).is_none() {
            sources.warn(&token_row, "is not set: every operation is simulated");
        }
        let token = sources.given(&token_row);
        let base = sources.read(&base_row);
        let usual = Url::parse(names.base);
        let usual = usual.as_ref().map_or("/", Url::path);
        if usual != "/" && !base.path().ends_with(usual) {
            let text = format!("does not end in {usual}, as {} does", names.base);
            sources.warn(&base_row, text);
        }
        if token.is_some() && base.scheme() == "http" && !is_local(&base) {
            sources.problem(
                &base_row,
                "must be https: the API token would cross the network in the clear",
            );
        }
        let token = token.map(SecretString::from);
        let provider = Arc::clone(provider);
        Self {
            provider,
            token,
            base,
        }
    }
}

/// The transparent proxies.
pub(crate) struct Proxies {
    pub(crate) anthropic: Url,
    /// Where plain http may go besides loopback.
    pub(crate) allowed_nets: Vec<IpNet>,
    /// Open at a time, of all and of each credential.
    pub(crate) calls: u32,
    pub(crate) calls_per_key: u32,
    /// For an upstream that is silent.
    pub(crate) idle: Duration,
    pub(crate) connect: Duration,
    pub(crate) has_files: bool,
    /// Of bodies that are read whole.
    pub(crate) buffer_mib: u32,
    pub(crate) cloudflare_calls: u32,
    /// The longest that a call waits for people.
    pub(crate) hold: Duration,
}

impl Proxies {
    pub(super) fn read(sources: &mut Sources) -> Self {
        let allowed_nets: Vec<IpNet> = sources.list(&table::UPSTREAM_ALLOWED_NETS);
        let anthropic = sources.read(&table::ANTHROPIC_API_BASE);
        let is_allowed = |address: IpAddr| allowed_nets.iter().any(|net| net.contains(&address));
        let is_plain_allowed = is_local(&anthropic)
            || match anthropic.host() {
                Some(Host::Ipv4(address)) => is_allowed(address.into()),
                Some(Host::Ipv6(address)) => is_allowed(address.to_canonical()),
                // Its addresses are looked at when they are connected to.
                Some(Host::Domain(_)) => !allowed_nets.is_empty(),
                None => false,
            };
        if anthropic.scheme() == "http" && !is_plain_allowed {
            sources.problem(
                &table::ANTHROPIC_API_BASE,
                "must be https, except on loopback and in UPSTREAM_ALLOWED_NETS: keys would cross the network in \
                 the clear",
            );
        }
        Self {
            anthropic,
            allowed_nets,
            calls: sources.read(&table::PROXY_CALLS),
            calls_per_key: sources.read(&table::PROXY_CALLS_PER_KEY),
            idle: sources.read(&table::PROXY_IDLE_SECONDS),
            connect: sources.read(&table::PROXY_CONNECT_SECONDS),
            has_files: sources.read(&table::PROXY_FILES),
            buffer_mib: sources.read(&table::PROXY_BUFFER_MIB),
            cloudflare_calls: sources.read(&table::CLOUDFLARE_CALLS_PER_5_MIN),
            hold: sources.read(&table::PROXY_HOLD_SECONDS),
        }
    }
}

/// Whose cosignatures the ledger's checkpoints need.
pub(crate) struct Witnesses {
    policy: Option<PathBuf>,
    file: PathBuf,
    /// An apply that was approved is carried out only once its authorisation is witnessed.
    pub(crate) approvals_wait: bool,
}

impl Witnesses {
    pub(super) fn read(sources: &mut Sources, storage: &Storage) -> Self {
        let policy = sources.given(&table::LEDGER_WITNESS_POLICY);
        let approvals_wait = sources.read(&table::APPROVALS_WAIT_FOR_WITNESS);
        if approvals_wait && sources.set(&table::LEDGER_WITNESS_POLICY).is_none() {
            sources.problem(
                &table::APPROVALS_WAIT_FOR_WITNESS,
                "is true without LEDGER_WITNESS_POLICY: nothing that was approved would ever be \
                 carried out",
            );
        }
        Self {
            policy,
            file: storage.witnessed_file(),
            approvals_wait,
        }
    }

    /// Reads the policy (C2SP tlog-policy); `None` where none is named.
    ///
    /// # Errors
    /// A file that cannot be read, or that nobody can be asked by.
    pub(crate) fn settings(&self) -> Result<Option<WitnessSettings>, Problem> {
        let Some(path) = &self.policy else {
            return Ok(None);
        };
        let wrong = |why: &dyn Display| {
            let text = format!("names {}: {why}", path.display());
            Problem::new(table::LEDGER_WITNESS_POLICY.name, text)
        };
        let text = text_file::read(path).map_err(|error| wrong(&error))?;
        let policy: WitnessPolicy = text.parse().map_err(|error| wrong(&error))?;
        let settings = WitnessSettings::new(policy, self.file.clone());
        settings.map(Some).map_err(|error| wrong(&error))
    }
}
