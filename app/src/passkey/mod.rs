//! Passkey ceremonies (Web Authentication Level 3) of approvers: registration and decision.
//!
//! The verification is `webauthn-rs-core`'s; the crate above it offers neither challenges of our own
//! nor keys that an administrator brings. Nothing is stored between the two halves of a ceremony:
//! both kinds of challenge carry a mac by which the service knows them again, and the library's state
//! is made anew around the challenge that came back. So asking for options costs nothing, never
//! disturbs somebody else's ceremony, and survives a restart.

mod assertion;
mod challenge;
mod decoys;
mod registration;
mod relying_party;
#[cfg(test)]
mod tests;

pub use assertion::{EligibleCredential, is_usable};
pub use challenge::{RegistrationChallenge, RegistrationKey};
pub use decoys::DecoyKey;
pub use registration::{Attestation, RegisteredCredential, Registrant};
pub use relying_party::{InvalidRelyingParty, RelyingParty};

use ledger::{AssertionError, KeyError};
use webauthn_rs_core::error::WebauthnError;

/// Why a passkey's answer was not accepted. Nothing in it is secret from the person who gave it.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyRefused {
    /// The credential is not among the eligible ones.
    #[error("this passkey may not be used here")]
    UnknownCredential,
    /// The challenge is not the one that was asked for, or was not made by this service.
    #[error("the answer is to another challenge: ask for new options")]
    Challenge,
    /// The challenge is older than its answer may be.
    #[error("the answer came too late: ask for new options")]
    ChallengeExpired,
    #[error("the passkey was used at another address than this service's")]
    Origin,
    /// The answer is for another relying party id.
    #[error("the passkey belongs to another service")]
    RelyingParty,
    /// Nobody touched the authenticator.
    #[error("the authenticator did not notice a user's presence")]
    UserPresence,
    /// The authenticator did not ask who its user is.
    #[error("the authenticator did not verify its user with a fingerprint, face or PIN")]
    UserVerification,
    /// The signature counter did not grow: there may be a second copy of the key.
    #[error("the passkey's counter did not grow: it may have been copied, and has to be replaced")]
    Counter,
    /// The backup flags contradict each other or what was registered.
    #[error("the passkey's backup flags are not what was registered")]
    BackupFlags,
    /// The signature is not by the registered key.
    #[error("the signature is not by the registered passkey")]
    Signature,
    /// The authenticator registered a credential that is registered already.
    #[error("this passkey is registered already")]
    AlreadyRegistered,
    /// The public key is of no supported kind, or not sound.
    #[error("the passkey's public key cannot be used")]
    Key(#[from] KeyError),
    /// It does not hold against the rules by which auditors verify.
    #[error(
        "it is to another question, decision or reason, or not as auditors need it: ask for new options"
    )]
    Unprovable(#[from] AssertionError),
    /// Anything else that is not as the standard says.
    #[error("the answer is not what an authenticator gives")]
    Malformed(#[source] WebauthnError),
    /// The library's state could not be made: a fault of ours.
    #[error("the ceremony could not be set up")]
    Setup(#[source] serde_json::Error),
}

impl From<WebauthnError> for PasskeyRefused {
    fn from(error: WebauthnError) -> Self {
        use WebauthnError as E;
        match error {
            E::CredentialNotFound => Self::UnknownCredential,
            E::MismatchedChallenge => Self::Challenge,
            E::InvalidRPOrigin | E::CredentialCrossOrigin => Self::Origin,
            E::InvalidRPIDHash => Self::RelyingParty,
            E::UserNotPresent => Self::UserPresence,
            E::UserNotVerified => Self::UserVerification,
            E::CredentialPossibleCompromise => Self::Counter,
            E::CredentialBackupEligibilityInconsistent | E::CredentialMayNotBeHardwareBound => {
                Self::BackupFlags
            }
            E::AuthenticationFailure | E::SignatureInvalid => Self::Signature,
            other => Self::Malformed(other),
        }
    }
}
