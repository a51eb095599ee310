//! Every variable the service knows, once: its name, its default, whether it is a secret.

/// One setting, under the name it has in the environment and in the configuration file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    name: &'static str,
    default: Option<&'static str>,
    secret: bool,
}

impl Variable {
    const fn plain(name: &'static str, default: &'static str) -> Self {
        Self {
            name,
            default: Some(default),
            secret: false,
        }
    }

    const fn optional(name: &'static str) -> Self {
        Self {
            name,
            default: None,
            secret: false,
        }
    }

    const fn secret(name: &'static str) -> Self {
        Self {
            name,
            default: None,
            secret: true,
        }
    }

    /// The name, as in the environment.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// What holds when it is not set; `None` when nothing does or when it is derived.
    pub(crate) const fn default(&self) -> Option<&'static str> {
        self.default
    }

    /// Whether its value must never be shown.
    pub(crate) const fn is_secret(&self) -> bool {
        self.secret
    }
}

macro_rules! variables {
    ($($name:ident = $value:expr;)*) => {
        $(pub(crate) const $name: Variable = $value;)*

        /// All of them, in the order in which they are documented and printed.
        pub(crate) const ALL: &[Variable] = &[$($value),*];
    };
}

variables! {
    BIND_ADDR = Variable::plain("BIND_ADDR", "127.0.0.1:8080");
    BASE_URL = Variable::plain("BASE_URL", "http://localhost:8080");
    DATABASE_URL = Variable::plain("DATABASE_URL", "sqlite://data/proxy.db");
    LEDGER_URL = Variable::optional("LEDGER_URL");
    LEDGER_ORIGIN = Variable::optional("LEDGER_ORIGIN");
    LEDGER_SIGNING_KEY = Variable::secret("LEDGER_SIGNING_KEY");
    LEDGER_SIGNING_STATE = Variable::optional("LEDGER_SIGNING_STATE");
    JWT_SECRET = Variable::secret("JWT_SECRET");
    JWT_ISSUER = Variable::plain("JWT_ISSUER", "llm-permission-proxy");
    JWT_AUDIENCE = Variable::plain("JWT_AUDIENCE", "llm-proxy-api");
    BOOTSTRAP_JWT_SECRET = Variable::secret("BOOTSTRAP_JWT_SECRET");
    BOOTSTRAP_JWT_ISSUER =
        Variable::plain("BOOTSTRAP_JWT_ISSUER", "llm-permission-proxy-bootstrap");
    BOOTSTRAP_JWT_AUDIENCE = Variable::plain("BOOTSTRAP_JWT_AUDIENCE", "llm-proxy-bootstrap");
    MTLS_BINDING_SHARED_SECRET = Variable::secret("MTLS_BINDING_SHARED_SECRET");
    APPROVAL_LINK_SECRET = Variable::secret("APPROVAL_LINK_SECRET");
    RESUME_TOKEN_SECRET = Variable::secret("RESUME_TOKEN_SECRET");
    MASTER_KEY = Variable::secret("MASTER_KEY");
    MASTER_KEY_PREVIOUS = Variable::secret("MASTER_KEY_PREVIOUS");
    MASTER_KEY_LOST = Variable::plain("MASTER_KEY_LOST", "false");
    CALLBACK_ALLOWED_HOSTS = Variable::plain("CALLBACK_ALLOWED_HOSTS", "localhost");
    CALLBACK_ALLOWED_NETS = Variable::optional("CALLBACK_ALLOWED_NETS");
    CALLBACK_CA_FILE = Variable::optional("CALLBACK_CA_FILE");
    CALLBACK_MAX_RETRIES = Variable::plain("CALLBACK_MAX_RETRIES", "5");
    CALLBACK_BATCH_SIZE = Variable::plain("CALLBACK_BATCH_SIZE", "50");
    CALLBACK_WORKER_INTERVAL_SECS = Variable::plain("CALLBACK_WORKER_INTERVAL_SECS", "2");
    APPROVAL_TTL_SECONDS = Variable::plain("APPROVAL_TTL_SECONDS", "600");
    APPROVAL_NONCE_TTL_SECONDS = Variable::plain("APPROVAL_NONCE_TTL_SECONDS", "90");
    APPROVAL_APPROVERS = Variable::plain("APPROVAL_APPROVERS", "default");
    WEBAUTHN_RP_ID = Variable::plain("WEBAUTHN_RP_ID", "localhost");
    WEBAUTHN_ORIGIN = Variable::plain("WEBAUTHN_ORIGIN", "http://localhost:8080");
    CLOUDFLARE_API_TOKEN = Variable::secret("CLOUDFLARE_API_TOKEN");
    CLOUDFLARE_API_BASE =
        Variable::plain("CLOUDFLARE_API_BASE", "https://api.cloudflare.com/client/v4");
    LEDGER_WITNESS_POLICY = Variable::optional("LEDGER_WITNESS_POLICY");
    APPROVALS_WAIT_FOR_WITNESS = Variable::plain("APPROVALS_WAIT_FOR_WITNESS", "false");
    TASK_MAX_OPEN_APPROVALS = Variable::plain("TASK_MAX_OPEN_APPROVALS", "100");
    TASK_MAX_BYTES_PER_HOUR = Variable::plain("TASK_MAX_BYTES_PER_HOUR", "67108864");
    AGENT_MAX_BYTES_PER_HOUR = Variable::plain("AGENT_MAX_BYTES_PER_HOUR", "134217728");
    LEDGER_MIN_FREE_BYTES = Variable::plain("LEDGER_MIN_FREE_BYTES", "268435456");
    RATE_LIMIT_RPS = Variable::plain("RATE_LIMIT_RPS", "200");
    MAX_CONNECTIONS = Variable::plain("MAX_CONNECTIONS", "16384");
    CLIENT_TIMEOUT_SECS = Variable::plain("CLIENT_TIMEOUT_SECS", "30");
    KEEP_ALIVE_SECS = Variable::plain("KEEP_ALIVE_SECS", "75");
    SHUTDOWN_SECS = Variable::plain("SHUTDOWN_SECS", "8");
    ALLOW_INSECURE_DEFAULTS = Variable::plain("ALLOW_INSECURE_DEFAULTS", "false");
}

/// The variable of that name.
pub(crate) fn find(name: &str) -> Option<&'static Variable> {
    ALL.iter().find(|variable| variable.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for variable in ALL {
            assert_eq!(find(variable.name()), Some(variable));
        }
        assert_eq!(find("JWT_SECRETS"), None);
    }

    #[test]
    fn no_secret_has_a_default() {
        assert!(
            ALL.iter()
                .all(|variable| !variable.is_secret() || variable.default().is_none())
        );
    }
}
