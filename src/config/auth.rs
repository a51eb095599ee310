//! Who may speak to the service: token issuers and the secrets behind every signature.

use super::secret;
use super::sources::Sources;
use super::variable::{self, Variable};
use secrecy::SecretString;

/// One family of HS256 tokens (RFC 7519): who signs them, for whom, with what.
pub(crate) struct TokenFamily {
    /// Keys the HMAC; at least 32 bytes unless insecure defaults are allowed.
    pub(crate) secret: SecretString,
    /// The `iss` claim.
    pub(crate) issuer: String,
    /// The `aud` claim.
    pub(crate) audience: String,
}

/// The two kinds of tokens.
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
        issuer: &Variable,
        audience: &Variable,
    ) -> Self {
        Self {
            secret: secret::required(sources, secret),
            issuer: sources.text(issuer),
            audience: sources.text(audience),
        }
    }

    /// The tokens of agents, each for one task.
    pub(crate) fn capability(sources: &mut Sources) -> Self {
        use variable::{JWT_AUDIENCE, JWT_ISSUER, JWT_SECRET};
        Self::read(sources, &JWT_SECRET, &JWT_ISSUER, &JWT_AUDIENCE)
    }

    /// The tokens of orchestrators and administrators.
    pub(crate) fn bootstrap(sources: &mut Sources) -> Self {
        use variable::{BOOTSTRAP_JWT_AUDIENCE, BOOTSTRAP_JWT_ISSUER, BOOTSTRAP_JWT_SECRET};
        Self::read(
            sources,
            &BOOTSTRAP_JWT_SECRET,
            &BOOTSTRAP_JWT_ISSUER,
            &BOOTSTRAP_JWT_AUDIENCE,
        )
    }

    /// The family whose tokens are for that audience, and their kind; `None` when no
    /// tokens of this service are.
    pub(crate) fn of_audience(sources: &mut Sources, audience: &str) -> Option<(TokenKind, Self)> {
        if sources.text(&variable::BOOTSTRAP_JWT_AUDIENCE) == audience {
            Some((TokenKind::Bootstrap, Self::bootstrap(sources)))
        } else if sources.text(&variable::JWT_AUDIENCE) == audience {
            Some((TokenKind::Capability, Self::capability(sources)))
        } else {
            None
        }
    }
}

/// The secret that signs the subject headers of every request.
pub(crate) fn subject_secret(sources: &mut Sources) -> SecretString {
    secret::required(sources, &variable::MTLS_BINDING_SHARED_SECRET)
}

/// Everything that authentication needs.
pub(crate) struct Auth {
    /// Tokens of agents.
    pub(crate) capability: TokenFamily,
    /// Tokens of orchestrators and administrators.
    pub(crate) bootstrap: TokenFamily,
    /// Keys the HMAC of the signed subject headers.
    pub(crate) subject_secret: SecretString,
    /// Signs approval and enrolment links and the mac inside a WebAuthn challenge.
    pub(crate) approval_link_secret: SecretString,
    /// Signs resume tokens.
    pub(crate) resume_token_secret: SecretString,
}

impl Auth {
    /// Reads the section; problems are left with `sources`.
    pub(crate) fn read(sources: &mut Sources) -> Self {
        let auth = Self {
            capability: TokenFamily::capability(sources),
            bootstrap: TokenFamily::bootstrap(sources),
            subject_secret: subject_secret(sources),
            approval_link_secret: secret::required(sources, &variable::APPROVAL_LINK_SECRET),
            resume_token_secret: secret::required(sources, &variable::RESUME_TOKEN_SECRET),
        };
        secret::refuse_equal(sources);
        auth
    }
}
