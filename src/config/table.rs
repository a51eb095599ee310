//! The table of settings: for each its name, type, default and meaning, and how its text is read.
//! Reading, `--check-config`, the help of `serve` and the test of docs/configuration.md follow from it.

use super::parse::{self, Fault};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// A setting, but for its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variable {
    /// In the environment and in the file.
    pub(crate) name: &'static str,
    /// `None` when nothing holds, or when what holds is derived from others.
    pub(crate) default: Option<&'static str>,
    pub(crate) is_secret: bool,
    /// The first words of its line in docs/configuration.md.
    pub(crate) about: &'static str,
}

/// A setting whose text, or of a list each item, is read as a `T`.
pub(crate) struct Row<T> {
    pub(super) variable: Variable,
    pub(super) read: fn(&str) -> Result<T, Fault>,
}

impl<T> Deref for Row<T> {
    type Target = Variable;

    fn deref(&self) -> &Variable {
        &self.variable
    }
}

type Read<T> = fn(&str) -> Result<T, Fault>;

impl<T> Row<T> {
    const fn new(
        name: &'static str,
        default: Option<&'static str>,
        read: Read<T>,
        about: &'static str,
    ) -> Self {
        let is_secret = false;
        let variable = Variable {
            name,
            default,
            is_secret,
            about,
        };
        Self { variable, read }
    }

    pub(super) const fn plain(
        name: &'static str,
        default: &'static str,
        read: Read<T>,
        about: &'static str,
    ) -> Self {
        Self::new(name, Some(default), read, about)
    }

    const fn unset(name: &'static str, read: Read<T>, about: &'static str) -> Self {
        Self::new(name, None, read, about)
    }

    pub(super) const fn secret(name: &'static str, read: Read<T>, about: &'static str) -> Self {
        let mut row = Self::new(name, None, read, about);
        row.variable.is_secret = true;
        row
    }
}

macro_rules! settings {
    ($($name:ident: $of:ty = $kind:ident($($part:expr),+);)+) => {
        $(pub(crate) const $name: Row<$of> = Row::$kind(stringify!($name), $($part),+);)+

        /// All of them, in the order in which they are documented and printed.
        pub(crate) const ALL: &[Variable] = &[$($name.variable),+];
    };
}

settings! {
    BIND_ADDR: SocketAddr = plain("127.0.0.1:8080", parse::socket_address, "IP address and port to listen on");
    BASE_URL: Url = plain("http://localhost:8080", parse::web_address, "where the world reaches the service");
    DATABASE_URL: PathBuf = plain("sqlite://data/proxy.db", parse::database, "the read tables, disposable");
    LEDGER_URL: PathBuf = unset(parse::database, "the ledger, precious");
    LEDGER_ORIGIN: ledger::tlog::LogOrigin = unset(parse::origin, "the identity of the log in its checkpoints");
    LEDGER_SIGNING_KEY: ledger::tlog::LogSigner = secret(parse::signing_key, "signs checkpoints");
    LEDGER_SIGNING_STATE: PathBuf = unset(parse::path, "where the newest checkpoint is kept");
    JWT_SECRET: String = secret(parse::text, "signs capability tokens (HS256)");
    JWT_ISSUER: String = plain("llm-permission-proxy", parse::text, "`iss` of capability tokens");
    JWT_AUDIENCE: String = plain("llm-proxy-api", parse::text, "`aud` of capability tokens");
    BOOTSTRAP_JWT_SECRET: String = secret(parse::text, "verifies bootstrap tokens (HS256)");
    BOOTSTRAP_JWT_ISSUER: String = plain("llm-permission-proxy-bootstrap", parse::text, "`iss` of bootstrap tokens");
    BOOTSTRAP_JWT_AUDIENCE: String = plain("llm-proxy-bootstrap", parse::text, "`aud` of bootstrap tokens");
    MTLS_BINDING_SHARED_SECRET: String = secret(parse::text, "signs the subject headers of every request");
    APPROVAL_LINK_SECRET: String = secret(parse::text, "signs approval and enrolment links and WebAuthn challenges");
    RESUME_TOKEN_SECRET: String = secret(parse::text, "signs resume tokens");
    SERVICE_TOKEN: String = secret(parse::header_token, "a bearer token with the rights of an admin, for programs of the operator");
    SESSION_TTL_SECONDS: Duration = plain("43200", parse::seconds::<60, 86_400>, "how long a session of a person lasts");
    TRUSTED_PROXIES: IpNet = unset(parse::network, "networks of proxies, comma-separated, whose X-Forwarded-For is believed");
    GEOIP_FILE: PathBuf = unset(parse::path, "MaxMind files, comma-separated: countries and networks of addresses");
    AUTH_DISABLE: bool = plain("0", parse::numeric_switch, "`1` or `true` makes whoever reaches the service an admin; a developer's machine only");
    AGENT_API_KEY: String = secret(parse::header_token, "deprecated: one key that every agent sends, with its name");
    MASTER_KEY: parse::Key = secret(parse::key, "seals callback secrets and stored keys");
    MASTER_KEY_PREVIOUS: parse::Key = secret(parse::key, "earlier master keys, comma-separated");
    MASTER_KEY_LOST: bool = plain("false", parse::switch, "`true` starts although the ledger holds secrets that no configured key opens");
    CALLBACK_ALLOWED_HOSTS: String = plain("localhost", parse::callback_host, "host names that callbacks may name, comma-separated");
    CALLBACK_ALLOWED_NETS: IpNet = unset(parse::network, "networks (`10.1.0.0/16`), comma-separated, otherwise restricted");
    CALLBACK_CA_FILE: PathBuf = unset(parse::path, "PEM roots trusted for callbacks beside the system's");
    CALLBACK_MAX_RETRIES: u32 = plain("5", parse::count::<1, 20>, "tries for each delivery");
    CALLBACK_BATCH_SIZE: u32 = plain("50", parse::count::<1, 500>, "deliveries taken up at a time");
    CALLBACK_WORKER_INTERVAL_SECS: Duration = plain("2", parse::seconds::<1, 60>, "the longest pause between two looks at what is owed");
    NOTIFY_SLACK_URL: String = secret(parse::notifier, "incoming webhook of a Slack channel that is told of questions");
    NOTIFY_DISCORD_URL: String = secret(parse::notifier, "webhook of a Discord channel that is told of questions");
    NOTIFY_TEAMS_URL: String = secret(parse::notifier, "webhook of a Teams channel that is told of questions");
    NOTIFY_WEBHOOK_URL: String = secret(parse::notifier, "any https address that is told of questions, as callbacks are");
    NOTIFY_WEBHOOK_SECRET: String = secret(parse::callback_secret, "signs what NOTIFY_WEBHOOK_URL is told");
    NOTIFY_EMAIL_URL: workers::notifier::MailServer = secret(parse::mail_server, "mail server by which a mailbox is told of questions");
    NOTIFY_EMAIL_FROM: workers::notifier::MailAddress = unset(parse::mail_address, "the address that these messages are from");
    NOTIFY_EMAIL_TO: workers::notifier::MailAddress = unset(parse::mail_address, "the mailbox that is told");
    PUSH_SERVICES: String = plain("fcm.googleapis.com,*.push.services.mozilla.com,*.push.apple.com,*.notify.windows.com", parse::push_service, "hosts of push services by which people's devices are told of questions, comma-separated");
    APPROVAL_TTL_SECONDS: Duration = plain("600", parse::seconds::<60, 604_800>, "how long a question waits");
    APPROVAL_NONCE_TTL_SECONDS: Duration = plain("90", parse::seconds::<30, 300>, "how long a WebAuthn challenge is good");
    APPROVAL_APPROVERS: ledger::ApproverName = plain("default", parse::principal, "the principals who may decide, comma-separated");
    WEBAUTHN_RP_ID: String = plain("localhost", parse::domain, "the relying party");
    WEBAUTHN_ORIGIN: Url = plain("http://localhost:8080", parse::web_address, "the one origin passkey ceremonies come from");
    CLOUDFLARE_API_TOKEN: String = secret(parse::header_token, "the privileged credential");
    CLOUDFLARE_API_BASE: Url = plain("https://api.cloudflare.com/client/v4", parse::web_address, "https, except on loopback");
    ANTHROPIC_API_BASE: Url = plain("https://api.anthropic.com", parse::address_before_v1, "where /proxy/anthropic leads; https, except on loopback and in UPSTREAM_ALLOWED_NETS");
    UPSTREAM_ALLOWED_NETS: IpNet = unset(parse::network, "networks (`10.1.0.0/16`), comma-separated, to which proxies may speak plain http");
    PROXY_CALLS: u32 = plain("2048", parse::count::<1, 1_000_000>, "calls through the proxies that are open at a time");
    PROXY_CALLS_PER_KEY: u32 = plain("64", parse::count::<1, 1_000_000>, "of them for each caller's credential");
    PROXY_IDLE_SECONDS: Duration = plain("600", parse::seconds::<5, 3600>, "how long an upstream of a proxy may be silent");
    PROXY_CONNECT_SECONDS: Duration = plain("10", parse::seconds::<1, 60>, "how long connecting to it may take");
    PROXY_BUFFER_MIB: u32 = plain("256", parse::count::<1, 65_536>, "memory for bodies that proxies read whole, of all calls together");
    CLOUDFLARE_CALLS_PER_5_MIN: u32 = plain("1100", parse::count::<0, 1_000_000>, "calls through /proxy/cloudflare in five minutes with one key of Cloudflare's; 0 for no limit");
    PROXY_HOLD_SECONDS: Duration = plain("240", parse::seconds::<0, 280>, "the longest that a write or call through a proxy waits for people");
    PROXY_FILES: bool = plain("off", parse::on_or_off, "`on` opens /v1/files of Anthropic's API, whose files outlive tasks");
    LEDGER_WITNESS_POLICY: PathBuf = unset(parse::path, "file with the witnesses that are asked to cosign checkpoints");
    APPROVALS_WAIT_FOR_WITNESS: bool = plain("false", parse::switch, "`true` carries out what was approved only once its authorisation is witnessed");
    TASK_MAX_OPEN_APPROVALS: u32 = plain("100", parse::count::<1, 1000>, "questions of one task that are open at a time, and of all writes of one agent through proxies");
    TASK_MAX_BYTES_PER_HOUR: u64 = plain("67108864", parse::quota, "bytes of events that are recorded for one task in an hour");
    AGENT_MAX_BYTES_PER_HOUR: u64 = plain("134217728", parse::quota, "bytes of events that are recorded for all tasks of one agent in an hour");
    LEDGER_MIN_FREE_BYTES: u64 = plain("268435456", parse::bytes, "the least room on the ledger's file system");
    RATE_LIMIT_RPS: u32 = plain("200", parse::count::<0, 1_000_000>, "requests a second for each subject");
    MAX_CONNECTIONS: u32 = plain("16384", parse::count::<16, 1_000_000>, "connections at a time");
    CLIENT_TIMEOUT_SECS: Duration = plain("30", parse::seconds::<1, 300>, "how long a client may take to send a request's head");
    SHUTDOWN_SECS: Duration = plain("8", parse::seconds::<1, 3600>, "how long an orderly end may take");
    KEEP_ALIVE_SECS: Duration = plain("75", parse::seconds::<1, 3600>, "how long a connection may rest between two requests");
    ALLOW_INSECURE_DEFAULTS: bool = plain("false", parse::switch, "`true` on a developer's machine only");
}

pub(crate) fn find(name: &str) -> Option<&'static Variable> {
    ALL.iter().find(|variable| variable.name == name)
}

/// How many characters a line of the help may have.
const HELP_WIDTH: usize = 100;

/// All of them, for the help of `serve`.
pub(crate) fn help() -> String {
    let line = |variable: &Variable| {
        let default = variable
            .default
            .map_or(String::new(), |default| format!(" [default: {default}]"));
        let mut line = format!("  {}{default}", variable.name);
        if line.len() > HELP_WIDTH {
            line = format!("  {}\n   {default}", variable.name);
        }
        format!("{line}\n      {}\n", variable.about)
    };
    let lines: String = ALL.iter().map(line).collect();
    format!(
        "Settings, from the environment or the file of --config (docs/configuration.md says more):\n{lines}"
    )
}
