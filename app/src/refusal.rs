//! Why something is not done. Each refusal has a text that says what to do next; its HTTP status is the
//! surface's affair.

use crate::action::Who;
use crate::identity::throttle::Throttled;
use crate::passkey::PasskeyRefused;
use crate::policy::Problem;
use ledger::Rejection;
use std::error::Error as StdError;

/// Why a request carries no identity that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// A signed subject header is absent, given twice or not in its form.
    #[error(
        "send x-client-subject, x-client-subject-ts and x-client-subject-sig, each once and in its form"
    )]
    SubjectHeaders,
    /// The signed time is too far from the service's.
    #[error(
        "x-client-subject-ts is more than 60 seconds from the service's time: sign a fresh one"
    )]
    SubjectStale,
    /// The signature over subject and time is not right.
    #[error("x-client-subject-sig does not match the subject and time")]
    SubjectSignature,
    /// No bearer token.
    #[error("send `authorization: Bearer TOKEN`")]
    TokenMissing,
    /// The shared agent key without the agent.
    #[error("send the agent's name as `x-agent: NAME` beside the shared agent key")]
    AgentMissing,
    /// A token that is malformed, foreign, of another kind, or unknown to the ledger.
    #[error("the token is not valid here")]
    TokenInvalid,
    /// A token of the right secret with a claim that does not fit.
    #[error("the token's {claim} does not fit: it {must}")]
    TokenClaim {
        /// The claim.
        claim: &'static str,
        /// What would be right.
        must: &'static str,
    },
    /// A token that would be valid for too long.
    #[error(
        "the token's exp is too far away: a bootstrap token lives 366 days at most; mint one that ends sooner"
    )]
    TokenLivesTooLong,
    /// A token past its `exp`.
    #[error("the token has expired: ask for a new one")]
    TokenExpired,
    /// A token before its `nbf`.
    #[error("the token is not valid yet")]
    TokenNotYetValid,
    /// A secret of a pairing that this process has not given out.
    #[error("this device secret was not given out here: begin again with POST /v1/pairing")]
    DeviceSecret,
    /// A capability token where only keys and sessions count.
    #[error(
        "this task's token does not open the proxies: make the task with \"proxy\": true, or send a key of the agent, which \
         `key create` makes"
    )]
    NoProxyToken,
    /// A signed link or resume token that is forged, foreign or meant for something else.
    #[error("the link or resume token is not valid")]
    LinkInvalid,
}

impl Unauthorized {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::SubjectHeaders
            | Self::SubjectStale
            | Self::SubjectSignature
            | Self::TokenMissing
            | Self::AgentMissing
            | Self::TokenInvalid
            | Self::TokenClaim { .. }
            | Self::TokenLivesTooLong
            | Self::TokenNotYetValid
            | Self::DeviceSecret
            | Self::NoProxyToken
            | Self::LinkInvalid => "unauthorized",
            Self::TokenExpired => "token_expired",
        }
    }
}

/// Why a caller that is known may not do this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The token is bound to another client.
    #[error("the token belongs to another client subject")]
    OtherSubject,
    /// The bootstrap token lacks the right; the field names the claim.
    #[error("the bootstrap token lacks the right {0}")]
    MissingRight(&'static str),
    /// The token's `sub` names no agent that tasks could belong to.
    #[error("tasks belong to an agent: the bootstrap token's sub must be \"agent:NAME\"")]
    NotAnAgent,
    /// A task may never hold this.
    #[error("permissions.admin is not available to tasks")]
    PermissionsAdmin,
    /// An agent with a key of its own opens tasks from templates only.
    #[error(
        "an agent opens a task from a template: send {{\"task_name\":…,\"template\":…}}, and ask an operator which templates there are"
    )]
    TemplateRequired,
    /// The path names a task that the token is not for.
    #[error("the token is for another task")]
    OtherTask,
    /// The table of actions does not admit this kind of principal.
    #[error("this is not for callers of this kind")]
    OtherKind,
    /// As [`Self::OtherKind`], for users, agent keys and the service token, with those who may.
    #[error("this identity cannot do that: only {} can", joined(.0))]
    WrongIdentity(&'static [Who]),
    /// A page of another site has made the request, or it is for a host that is not ours.
    #[error(
        "a page of another site may not do this: open the service under its own address and try there; a proxy in front of it has to pass on the Host header that it got"
    )]
    CrossSite,
    #[error("the password has to be changed first: POST /v1/auth/password")]
    PasswordChangeRequired,
    /// A user who was not given the right to read every payload.
    #[error("this needs can_audit, which an admin can give")]
    NotAuditor,
    #[error("the current password is not right")]
    PasswordWrong,
}

impl Forbidden {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::OtherSubject
            | Self::MissingRight(_)
            | Self::NotAnAgent
            | Self::PermissionsAdmin
            | Self::OtherTask
            | Self::OtherKind
            | Self::NotAuditor => "forbidden",
            Self::WrongIdentity(_) => "wrong_identity",
            Self::TemplateRequired => "template_required",
            Self::CrossSite => "cross_site",
            Self::PasswordChangeRequired => "password_change_required",
            Self::PasswordWrong => "password_wrong",
        }
    }
}

/// Why a use case did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody that is known.
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    /// Known, but not allowed.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The ledger refused the command, or cannot answer now.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The read tables cannot be read now.
    #[error(transparent)]
    Tables(#[from] projections::Error),
    /// What an authenticator made cannot be registered.
    #[error(transparent)]
    Registration(PasskeyRefused),
    /// Too many attempts have failed.
    #[error("too many attempts have failed: wait as long as retry-after says")]
    Throttled(Throttled),
    /// As many passwords are being verified as may be.
    #[error("too many passwords are being verified: try again in a moment")]
    Busy,
    /// A policy, or cases to try on one, that are not valid.
    #[error("the document is not valid: {}", first_of(.0))]
    PolicyInvalid(Vec<Problem>),
    /// It is not there.
    #[error("no such {what}")]
    NotFound {
        /// What was looked for, in a word of the domain.
        what: &'static str,
    },
    /// What cannot happen: a defect of ours.
    #[error("internal error")]
    Defect(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// A defect, with its cause.
    pub fn defect(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Defect(cause.into())
    }
}

impl From<Rejection> for Error {
    fn from(refused: Rejection) -> Self {
        Self::Ledger(refused.into())
    }
}

impl From<Throttled> for Error {
    fn from(throttled: Throttled) -> Self {
        Self::Throttled(throttled)
    }
}

/// Those who may, in words.
fn joined(who: &[Who]) -> String {
    let mut holders: Vec<_> = who.iter().map(|who| who.holder()).collect();
    holders.dedup();
    holders.join(" or ")
}

/// The first problem, and how many more there are.
fn first_of(problems: &[Problem]) -> String {
    match problems {
        [] => String::new(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}
