//! Command-line keys: Ed25519 keys that software holds, beside passkeys, and what they sign.
//!
//! Frozen: what was signed must verify for good. A key signs
//! `"llm-permission-proxy software decision v2" ‖ SHA-256(statement) ‖ challenge` to decide, and
//! `"llm-permission-proxy key login v1" ‖ challenge` to log in. The challenge is one of ours, which binds the
//! statement itself ([`crate::challenge`]), so that neither signature is one for anything else.
//!
//! Verification is strict: the encoding of the key is the canonical one, no key and no part of a signature is of
//! small order, and a signature has one form only (RFC 8032, section 5.1.7, with the checks of its section 8.4).

use crate::assertion::{
    Assertion, AssertionError, Expectation, KeyError, KeyThumbprint, PublicKey, verify_assertion,
};
use crate::challenge::{Bound, Challenge, InvalidChallenge};
use crate::clock::Timestamp;
use crate::event::Assurance;
use ed25519_dalek::{PUBLIC_KEY_LENGTH, Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The algorithm of these keys, as requests and events have it.
pub const SOFTWARE_KEY_ALGORITHM: &str = "Ed25519";
/// The format of these keys: the 32 bytes of RFC 8032, section 5.1.5.
pub const SOFTWARE_KEY_FORMAT: &str = "raw";
/// The format of passkeys.
const PASSKEY_FORMAT: &str = "cose";

const DECISION_PREFIX: &[u8] = b"llm-permission-proxy software decision v2";
const LOGIN_PREFIX: &[u8] = b"llm-permission-proxy key login v1";

/// Why bytes are not a command-line key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SoftwareKeyError {
    /// Another length.
    #[error("an Ed25519 public key has {PUBLIC_KEY_LENGTH} bytes, these are {0}")]
    Length(usize),
    /// Not the encoding of a point, or not its canonical one.
    #[error("the bytes are not the canonical encoding of a point of Ed25519")]
    Point,
    /// A key for which anybody can make signatures.
    #[error("the key is of small order: anybody could sign for it")]
    SmallOrder,
}

/// The public half of a command-line key.
#[derive(Clone, PartialEq, Eq)]
pub struct SoftwareKey(VerifyingKey);

impl SoftwareKey {
    /// Reads the 32 bytes of RFC 8032.
    ///
    /// # Errors
    /// [`SoftwareKeyError`].
    pub fn from_raw(bytes: &[u8]) -> Result<Self, SoftwareKeyError> {
        let raw = <[u8; PUBLIC_KEY_LENGTH]>::try_from(bytes);
        let raw = raw.map_err(|_| SoftwareKeyError::Length(bytes.len()))?;
        let key = VerifyingKey::from_bytes(&raw).map_err(|_| SoftwareKeyError::Point)?;
        if key.to_edwards().compress().to_bytes() != raw {
            return Err(SoftwareKeyError::Point);
        }
        match key.is_weak() {
            true => Err(SoftwareKeyError::SmallOrder),
            false => Ok(Self(key)),
        }
    }

    /// The 32 bytes.
    #[must_use]
    pub fn to_raw(&self) -> [u8; PUBLIC_KEY_LENGTH] {
        self.0.to_bytes()
    }

    /// RFC 9679 over the key as a COSE key of type OKP (RFC 9053, section 7.2).
    #[must_use]
    pub fn thumbprint(&self) -> KeyThumbprint {
        // {1: 1 (OKP), -1: 6 (Ed25519), -2: x}
        let head = [0xA3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 0x20];
        let digest = Sha256::new().chain_update(head).chain_update(self.to_raw());
        KeyThumbprint::from_bytes(digest.finalize().into())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SoftwareKey({})", self.thumbprint())
    }
}

/// Why a registered key cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialKeyError {
    /// A format that is not known.
    #[error("a public key's format is \"cose\" or \"raw\"")]
    Format,
    /// A passkey's.
    #[error(transparent)]
    Passkey(#[from] KeyError),
    /// A command-line key.
    #[error(transparent)]
    Software(#[from] SoftwareKeyError),
}

/// The public key of a credential, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialKey {
    /// Of a passkey.
    Passkey(PublicKey),
    /// Of software.
    Software(SoftwareKey),
}

impl CredentialKey {
    /// Reads a key in its format.
    ///
    /// # Errors
    /// [`CredentialKeyError`].
    pub fn read(format: &str, bytes: &[u8]) -> Result<Self, CredentialKeyError> {
        match format {
            PASSKEY_FORMAT => Ok(Self::Passkey(PublicKey::from_cose(bytes)?)),
            SOFTWARE_KEY_FORMAT => Ok(Self::Software(SoftwareKey::from_raw(bytes)?)),
            _ => Err(CredentialKeyError::Format),
        }
    }

    /// The name of its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Passkey(key) => key.algorithm().as_str(),
            Self::Software(_) => SOFTWARE_KEY_ALGORITHM,
        }
    }

    /// The name of its thumbprint in all lists.
    #[must_use]
    pub fn thumbprint(&self) -> KeyThumbprint {
        match self {
            Self::Passkey(key) => key.thumbprint(),
            Self::Software(key) => key.thumbprint(),
        }
    }

    /// The key, where it is a passkey's.
    #[must_use]
    pub const fn passkey(&self) -> Option<&PublicKey> {
        match self {
            Self::Passkey(key) => Some(key),
            Self::Software(_) => None,
        }
    }
}

/// The format in which keys of an algorithm are registered.
pub(crate) fn format_of(algorithm: &str) -> &'static str {
    match algorithm {
        SOFTWARE_KEY_ALGORITHM => SOFTWARE_KEY_FORMAT,
        _ => PASSKEY_FORMAT,
    }
}

/// A signature by a command-line key, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoftwareSignature {
    /// The key that signed.
    pub credential_id: Vec<u8>,
    /// The challenge that was signed.
    pub challenge: Vec<u8>,
    /// The 64 bytes of RFC 8032.
    pub signature: Vec<u8>,
}

/// The bytes that a command-line key signs to decide: the digest is SHA-256 of the statement's bytes.
#[must_use]
pub fn software_decision_message(statement_digest: &[u8; 32], challenge: &[u8]) -> Vec<u8> {
    [DECISION_PREFIX, statement_digest, challenge].concat()
}

/// The bytes that a command-line key signs to log in.
#[must_use]
pub fn key_login_message(challenge: &[u8]) -> Vec<u8> {
    [LOGIN_PREFIX, challenge].concat()
}

/// Why a signature by a command-line key proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SoftwareSignatureError {
    /// Signed by another credential.
    #[error("the signature is by another credential than the public key's")]
    OtherCredential,
    /// The challenge is not one of ours.
    #[error("the challenge is not one of this service")]
    Challenge(#[from] InvalidChallenge),
    /// The challenge was made for something else.
    #[error("the challenge does not bind this statement")]
    OtherStatement,
    /// The signature does not fit the key and the signed bytes.
    #[error("the signature is not by this public key over these bytes")]
    Signature,
}

impl SoftwareSignature {
    /// The challenge that was signed, not checked in any way.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn challenge(&self) -> Result<Challenge, InvalidChallenge> {
        Challenge::parse(&self.challenge)
    }

    /// Checks that the key signed exactly this decision, and gives the time until which its challenge was good.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn verify_decision(
        &self,
        key: &SoftwareKey,
        credential_id: &[u8],
        statement: &dyn Bound,
    ) -> Result<Timestamp, SoftwareSignatureError> {
        let message = software_decision_message(&statement.digest(), &self.challenge);
        self.verify(key, credential_id, statement, &message)
    }

    /// Checks that the key signed a login, and gives the time until which its challenge was good.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn verify_login(
        &self,
        key: &SoftwareKey,
        credential_id: &[u8],
        statement: &dyn Bound,
    ) -> Result<Timestamp, SoftwareSignatureError> {
        let message = key_login_message(&self.challenge);
        self.verify(key, credential_id, statement, &message)
    }

    fn verify(
        &self,
        key: &SoftwareKey,
        credential_id: &[u8],
        statement: &dyn Bound,
        message: &[u8],
    ) -> Result<Timestamp, SoftwareSignatureError> {
        if self.credential_id != credential_id {
            return Err(SoftwareSignatureError::OtherCredential);
        }
        let challenge = self.challenge()?;
        if !challenge.binds(statement) {
            return Err(SoftwareSignatureError::OtherStatement);
        }
        match key.verify(message, &self.signature) {
            true => Ok(challenge.valid_until()),
            false => Err(SoftwareSignatureError::Signature),
        }
    }
}

/// The proof of a person's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionProof {
    /// By a passkey.
    Passkey(Assertion),
    /// By a command-line key.
    Software(SoftwareSignature),
}

impl From<Assertion> for DecisionProof {
    fn from(assertion: Assertion) -> Self {
        Self::Passkey(assertion)
    }
}

impl From<SoftwareSignature> for DecisionProof {
    fn from(signature: SoftwareSignature) -> Self {
        Self::Software(signature)
    }
}

/// The facts of a good proof besides its decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenDecision {
    /// How often the credential has signed; 0 where it does not count.
    pub sign_count: u32,
    /// Whether the passkey may be backed up; `None` of a command-line key.
    pub backup_eligible: Option<bool>,
    /// Until when the service would have taken the answer to this challenge.
    pub valid_until: Timestamp,
}

/// Why a proof does not prove a decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionProofError {
    /// A passkey's answer.
    #[error(transparent)]
    Passkey(#[from] AssertionError),
    /// A command-line key's signature.
    #[error(transparent)]
    Software(#[from] SoftwareSignatureError),
    /// A passkey's answer for a command-line key, or the other way round.
    #[error(
        "the proof is of another kind than the credential: a passkey's answer and a command-line key's signature do not stand for each other"
    )]
    OtherKind,
}

impl DecisionProofError {
    /// Whether the challenge is what is wrong.
    #[must_use]
    pub const fn is_of_challenge(&self) -> bool {
        matches!(
            self,
            Self::Passkey(
                AssertionError::OtherStatement
                    | AssertionError::Challenge(_)
                    | AssertionError::ChallengeEncoding
            ) | Self::Software(
                SoftwareSignatureError::OtherStatement | SoftwareSignatureError::Challenge(_)
            )
        )
    }
}

impl DecisionProof {
    /// The credential that it says it is by.
    #[must_use]
    pub fn credential_id(&self) -> &[u8] {
        match self {
            Self::Passkey(assertion) => &assertion.credential_id,
            Self::Software(signature) => &signature.credential_id,
        }
    }

    /// The assertion, where it is by a passkey.
    #[must_use]
    pub const fn passkey(&self) -> Option<&Assertion> {
        match self {
            Self::Passkey(assertion) => Some(assertion),
            Self::Software(_) => None,
        }
    }

    /// How strongly it proves who decided. A command-line key is never as good as a passkey, whose authenticator has
    /// verified its user.
    #[must_use]
    pub const fn assurance(&self) -> Assurance {
        match self {
            Self::Passkey(_) => Assurance::PasskeyUv,
            Self::Software(_) => Assurance::SoftwareKey,
        }
    }

    /// The challenge that was signed, not checked in any way.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn challenge(&self) -> Result<Challenge, DecisionProofError> {
        match self {
            Self::Passkey(assertion) => Ok(assertion.challenge()?),
            Self::Software(signature) => {
                let challenge = signature.challenge();
                Ok(challenge.map_err(SoftwareSignatureError::from)?)
            }
        }
    }

    /// Checks that the holder of the key's private half made exactly this decision. Where the page was is asked of
    /// passkeys alone.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn verify(
        &self,
        key: &CredentialKey,
        expectation: &Expectation<'_>,
    ) -> Result<ProvenDecision, DecisionProofError> {
        match (self, key) {
            (Self::Passkey(assertion), CredentialKey::Passkey(key)) => {
                let verified = verify_assertion(key, assertion, expectation)?;
                Ok(ProvenDecision {
                    sign_count: verified.sign_count,
                    backup_eligible: Some(verified.backup_eligible),
                    valid_until: verified.valid_until,
                })
            }
            (Self::Software(signature), CredentialKey::Software(key)) => {
                let id = expectation.credential_id;
                let until = signature.verify_decision(key, id, expectation.challenge_binds)?;
                Ok(ProvenDecision {
                    sign_count: 0,
                    backup_eligible: None,
                    valid_until: until,
                })
            }
            _ => Err(DecisionProofError::OtherKind),
        }
    }
}

#[cfg(test)]
mod tests;
