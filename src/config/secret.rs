//! Secrets: what each must be like before the service starts with it, and the tokens that they sign.

use super::parse::Fault;
use super::problem::Problem;
use super::sources::Sources;
use super::table::{self, Row, Variable};
use secrecy::SecretString;
use std::net::SocketAddr;
use std::time::Duration;

/// The least length of a secret, in bytes: that of the HMAC-SHA256 output it keys (RFC 2104, section 3).
const LEAST_BYTES: usize = 32;

/// The least that a secret must be estimated to hold, in bits.
const LEAST_BITS: f64 = 32.0;

/// The fault of a secret that nobody has set.
const NOT_SET: &str = "is not set; set it to at least 32 random bytes";

const DEVELOPMENT_PREFIX: &str = "insecure-development-only-";

/// The secrets without which nothing starts.
pub(crate) const REQUIRED: [&Variable; 5] = [
    &table::JWT_SECRET.variable,
    &table::BOOTSTRAP_JWT_SECRET.variable,
    &table::MTLS_BINDING_SHARED_SECRET.variable,
    &table::APPROVAL_LINK_SECRET.variable,
    &table::RESUME_TOKEN_SECRET.variable,
];

/// True for a problem that says that a secret is missing, and nothing else.
pub(crate) fn is_missing(problem: &Problem) -> bool {
    problem.text() == NOT_SET
}

/// The value that stands in for a secret on a developer's machine.
fn development_default(variable: &Variable) -> String {
    format!("{DEVELOPMENT_PREFIX}{}", variable.name.to_ascii_lowercase())
}

/// A required secret. Every rule it breaks is a problem, or a warning where insecure defaults are
/// allowed.
pub(crate) fn required(sources: &mut Sources, variable: &Variable) -> SecretString {
    let value = sources.set(variable).unwrap_or_default().to_owned();
    if value.trim().is_empty() {
        if sources.insecure() {
            sources.warn(
                variable,
                "is not set: a development default that everybody knows is used",
            );
        } else if sources.set(variable).is_some() {
            sources.problem(variable, "is empty; set it to at least 32 random bytes");
        } else {
            sources.problem(variable, NOT_SET);
        }
        return development_default(variable).into();
    }
    if value.trim() != value {
        sources.problem(
            variable,
            "begins or ends with a blank or a line break; remove it",
        );
    }
    if value.starts_with(DEVELOPMENT_PREFIX) {
        weak(
            sources,
            variable,
            "is a development default that everybody knows",
        );
    } else if value.len() < LEAST_BYTES {
        weak(sources, variable, "is shorter than 32 bytes");
    } else if is_guessable(value.as_bytes()) {
        weak(
            sources,
            variable,
            "repeats itself, counts up or holds few different characters; set it to random bytes (openssl rand \
             -hex 32)",
        );
    }
    value.into()
}

/// Reports secrets that are equal to each other: whoever learns one of them must not have another.
pub(crate) fn refuse_equal(sources: &mut Sources) {
    let others = [
        &table::SERVICE_TOKEN.variable,
        &table::AGENT_API_KEY.variable,
        &table::MASTER_KEY.variable,
        &table::MASTER_KEY_PREVIOUS.variable,
        &table::CLOUDFLARE_API_TOKEN.variable,
    ];
    let all: Vec<&Variable> = REQUIRED.into_iter().chain(others).collect();
    for (at, variable) in all.iter().enumerate() {
        let Some(value) = sources.set(variable).filter(|value| !value.is_empty()) else {
            continue;
        };
        let twin = all
            .iter()
            .take(at)
            .find(|earlier| sources.set(earlier).is_some_and(|it| it == value));
        if let Some(twin) = twin {
            let text = format!(
                "is equal to {}; every secret must be one of its own",
                twin.name
            );
            weak(sources, variable, text);
        }
    }
}

/// The fewest runs of equal and neighbouring characters (`0123`, `dcba`) that a random secret could have: `0123456789abcdef`
/// has two, 32 random hexadecimal digits some 26.
const LEAST_RUNS: usize = 8;

/// Whether a key is plainly none: the Shannon entropy of its bytes, times the length of the part that
/// repeats, is below [`LEAST_BITS`], or it has fewer than [`LEAST_RUNS`]. It finds `aaaa…`, `abcabc…`, `0123…` and a word
/// many times over, and says nothing about how a secret was made.
pub(super) fn is_guessable(bytes: &[u8]) -> bool {
    let period = (1..bytes.len()).find(|period| {
        let (head, tail) = (bytes.get(..bytes.len() - period), bytes.get(*period..));
        head == tail
    });
    let part = bytes.get(..period.unwrap_or(bytes.len())).unwrap_or(bytes);
    let mut counts = std::collections::HashMap::new();
    for byte in part {
        *counts.entry(*byte).or_insert(0_u32) += 1;
    }
    let length = f64::from(u32::try_from(part.len()).unwrap_or(u32::MAX));
    let bits: f64 = counts
        .values()
        .map(|count| f64::from(*count) * (length / f64::from(*count)).log2())
        .sum();
    let jumps = bytes.windows(2).filter(|pair| match pair {
        [one, next] => one.abs_diff(*next) > 1,
        _ => false,
    });
    bits < LEAST_BITS || jumps.count() + 1 < LEAST_RUNS
}

pub(super) fn weak(sources: &mut Sources, variable: &Variable, text: impl Into<Fault>) {
    let text: Fault = text.into();
    if sources.insecure() {
        sources.warn(variable, text);
    } else {
        sources.problem(variable, text);
    }
}

/// One family of HS256 tokens (RFC 7519): who signs them, for whom, with what.
pub(crate) struct TokenFamily {
    /// Keys the HMAC; at least 32 bytes unless insecure defaults are allowed.
    pub(crate) secret: SecretString,
    /// The `iss` claim.
    pub(crate) issuer: String,
    /// The `aud` claim.
    pub(crate) audience: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// Of orchestrators and administrators.
    Bootstrap,
    /// Of agents, each for one task.
    Capability,
}

impl TokenKind {
    /// What people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap token",
            Self::Capability => "capability token",
        }
    }
}

impl TokenFamily {
    fn read(
        sources: &mut Sources,
        secret: &Variable,
        issuer: &Row<String>,
        audience: &Row<String>,
    ) -> Self {
        Self {
            secret: required(sources, secret),
            issuer: sources.read(issuer),
            audience: sources.read(audience),
        }
    }

    /// The tokens of agents, each for one task.
    pub(crate) fn capability(sources: &mut Sources) -> Self {
        Self::read(
            sources,
            &table::JWT_SECRET,
            &table::JWT_ISSUER,
            &table::JWT_AUDIENCE,
        )
    }

    /// The tokens of orchestrators and administrators.
    pub(crate) fn bootstrap(sources: &mut Sources) -> Self {
        Self::read(
            sources,
            &table::BOOTSTRAP_JWT_SECRET,
            &table::BOOTSTRAP_JWT_ISSUER,
            &table::BOOTSTRAP_JWT_AUDIENCE,
        )
    }

    /// The family whose tokens are for that audience, and their kind; `None` when no
    /// tokens of this service are.
    pub(crate) fn of_audience(sources: &mut Sources, audience: &str) -> Option<(TokenKind, Self)> {
        if sources.read(&table::BOOTSTRAP_JWT_AUDIENCE) == audience {
            Some((TokenKind::Bootstrap, Self::bootstrap(sources)))
        } else if sources.read(&table::JWT_AUDIENCE) == audience {
            Some((TokenKind::Capability, Self::capability(sources)))
        } else {
            None
        }
    }
}

/// The secret that signs the subject headers of every request.
pub(crate) fn subject_secret(sources: &mut Sources) -> SecretString {
    required(sources, &table::MTLS_BINDING_SHARED_SECRET)
}

/// The one key that all agents have, which cannot be taken from a single one.
fn agent_api_key(sources: &mut Sources) -> Option<SecretString> {
    let key = bearer_token(sources, &table::AGENT_API_KEY);
    if key.is_some() {
        sources.warn(
            &table::AGENT_API_KEY,
            "is deprecated: who has it can say that it is any agent; give each agent a key of its own \
             (POST /v1/agents/NAME/keys) and unset it",
        );
    }
    key
}

/// Everything that authentication needs.
pub(crate) struct Auth {
    pub(crate) capability: TokenFamily,
    /// Tokens of orchestrators and administrators.
    pub(crate) bootstrap: TokenFamily,
    /// Keys the HMAC of the signed subject headers.
    pub(crate) subject_secret: SecretString,
    /// Signs approval and enrolment links and the mac inside a WebAuthn challenge.
    pub(crate) approval_link_secret: SecretString,
    pub(crate) resume_token_secret: SecretString,
    pub(crate) service_token: Option<SecretString>,
    /// How long a session of a person lasts.
    pub(crate) session_ttl: Duration,
    /// A request without a credential is an admin's.
    pub(crate) is_disabled: bool,
    /// The one key that all agents have.
    pub(crate) agent_api_key: Option<SecretString>,
}

impl Auth {
    /// Reads the section; problems are left with `sources`.
    pub(crate) fn read(sources: &mut Sources) -> Self {
        let auth = Self {
            capability: TokenFamily::capability(sources),
            bootstrap: TokenFamily::bootstrap(sources),
            subject_secret: subject_secret(sources),
            approval_link_secret: required(sources, &table::APPROVAL_LINK_SECRET),
            resume_token_secret: required(sources, &table::RESUME_TOKEN_SECRET),
            service_token: service_token(sources),
            session_ttl: sources.read(&table::SESSION_TTL_SECONDS),
            is_disabled: is_disabled(sources),
            agent_api_key: agent_api_key(sources),
        };
        refuse_equal(sources);
        auth
    }
}

/// The service's own token, for commands that hold its settings.
pub(crate) fn service_token(sources: &mut Sources) -> Option<SecretString> {
    bearer_token(sources, &table::SERVICE_TOKEN)
}

/// A bearer token opens more than a key signs, so a short one is refused on a developer's machine too.
fn bearer_token(sources: &mut Sources, row: &Row<String>) -> Option<SecretString> {
    let token = sources.given(row)?;
    if token.len() < LEAST_BYTES {
        sources.problem(row, "is shorter than 32 bytes");
    } else if is_guessable(token.as_bytes()) {
        sources.problem(
            row,
            "repeats itself, counts up or holds few different characters; set it to random bytes (openssl rand \
             -hex 32)",
        );
    }
    Some(token.into())
}

fn is_disabled(sources: &mut Sources) -> bool {
    let is_disabled = sources.read(&table::AUTH_DISABLE);
    if is_disabled {
        let is_local = |bind: SocketAddr| bind.ip().to_canonical().is_loopback();
        if !sources.is_refused(&table::BIND_ADDR) && !is_local(sources.read(&table::BIND_ADDR)) {
            sources.problem(
                &table::AUTH_DISABLE,
                "is on, so BIND_ADDR must be a loopback address",
            );
        }
        sources.warn(
            &table::AUTH_DISABLE,
            "is on: WHOEVER REACHES THIS SERVICE IS AN ADMIN, without any credential",
        );
    }
    is_disabled
}
