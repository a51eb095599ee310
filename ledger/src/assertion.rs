//! Verifies offline that one credential decided one question: a WebAuthn assertion against a public
//! key and a decision statement, with no server and no database.
//!
//! It follows Web Authentication Level 3, section 7.2 (verifying an authentication assertion), and is
//! stricter where this use allows it: the user must have been verified, nothing may come from a frame
//! of another origin, and the challenge must bind the statement ([`crate::challenge`]). What needs
//! memory is left to the caller: that the credential was eligible, that its sign count grew, that its
//! backup eligibility is what it was, that the service issued the challenge ([`Assertion::challenge`],
//! then [`Challenge::check_mac`]) and that it came back in time.

mod authenticator_data;
mod client_data;
mod public_key;

pub use authenticator_data::InvalidAuthenticatorData;
pub use public_key::{Algorithm, KeyError, KeyThumbprint, PublicKey, UnknownAlgorithm};

use crate::canonical::StrictJsonError;
use crate::challenge::{Bound, Challenge, InvalidChallenge};
use crate::clock::Timestamp;
use authenticator_data::AuthenticatorData;
use client_data::ClientData;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A browser's answer after the ceremony, as bytes; kept whole in the decision's event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assertion {
    /// The credential that signed.
    pub credential_id: Vec<u8>,
    /// The client data exactly as the browser serialised it; the signature covers its hash.
    pub client_data_json: Vec<u8>,
    /// The authenticator data exactly as signed.
    pub authenticator_data: Vec<u8>,
    /// ECDSA in DER, or RSASSA-PKCS1-v1_5.
    pub signature: Vec<u8>,
    /// The authenticator's name of the user, if it gives one. Not signed, and not relied on.
    pub user_handle: Option<Vec<u8>>,
}

/// The expectation that an assertion must meet.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// The credential that the public key belongs to.
    pub credential_id: &'a [u8],
    /// The relying party's id, a domain: `proxy.example`.
    pub rp_id: &'a str,
    /// Where the page was: `https://proxy.example`. A slash at the end makes no difference.
    pub origin: &'a str,
    /// The statement that the challenge must bind.
    pub challenge_binds: &'a dyn Bound,
}

/// The facts of a good assertion besides its decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How often the credential has signed; 0 from authenticators that do not count.
    pub sign_count: u32,
    /// The authenticator verified who its user is; an assertion without that is not good.
    pub user_verified: bool,
    /// The credential may be backed up, so it may exist on more than one device.
    pub backup_eligible: bool,
    /// It is backed up now.
    pub backup_state: bool,
    /// Until when the service would have taken the answer to this challenge.
    pub valid_until: Timestamp,
}

/// Why an assertion does not prove the decision. Each rule has its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Signed by another credential.
    #[error("the assertion is by another credential than the public key's")]
    OtherCredential,
    /// The client data is not the JSON that browsers write.
    #[error("the client data is not what a browser writes")]
    ClientData(#[source] StrictJsonError),
    /// The client data is of another ceremony.
    #[error("the client data is not of an authentication: its type is not webauthn.get")]
    Type,
    /// The page was embedded in a page of another origin.
    #[error("the passkey was asked for from inside a page of another origin")]
    CrossOrigin,
    /// The page was somewhere else.
    #[error("the passkey was asked for at {actual:?} instead of {expected:?}")]
    Origin {
        /// The origin of the service.
        expected: String,
        /// The origin that the browser saw.
        actual: String,
    },
    /// The challenge is not base64url without padding.
    #[error("the challenge is not base64url")]
    ChallengeEncoding,
    /// The challenge is not one of ours.
    #[error("the challenge is not a decision challenge")]
    Challenge(#[from] InvalidChallenge),
    /// The challenge was made for another decision.
    #[error("the challenge does not bind this decision statement")]
    OtherStatement,
    /// The authenticator data cannot be read.
    #[error("the authenticator data cannot be read")]
    AuthenticatorData(#[from] InvalidAuthenticatorData),
    /// The credential is of another relying party.
    #[error("the authenticator signed for another relying party id")]
    RpId,
    /// Nobody touched the authenticator.
    #[error("the authenticator did not notice a user's presence")]
    UserPresence,
    /// The authenticator did not ask who its user is.
    #[error("the authenticator did not verify its user")]
    UserVerification,
    /// Backed up, but not to be backed up: no authenticator is in that state.
    #[error("the authenticator says that the credential is backed up but cannot be backed up")]
    BackupFlags,
    /// The signature does not fit the key and the signed bytes.
    #[error("the signature is not by this public key over these bytes")]
    Signature,
}

impl Assertion {
    /// The challenge that was signed, not checked in any way.
    ///
    /// # Errors
    /// When the client data or the challenge in it cannot be read.
    pub fn challenge(&self) -> Result<Challenge, AssertionError> {
        Self::challenge_in(&self.client_data_json)
    }

    /// The challenge that client data has, not checked in any way.
    ///
    /// # Errors
    /// As [`Self::challenge`].
    pub fn challenge_in(client_data_json: &[u8]) -> Result<Challenge, AssertionError> {
        ClientData::parse(client_data_json)?.challenge()
    }
}

/// Checks that the holder of the public key's private half made exactly this decision.
///
/// # Errors
/// The first rule that does not hold; see [`AssertionError`].
pub fn verify_assertion(
    public_key: &PublicKey,
    assertion: &Assertion,
    expectation: &Expectation<'_>,
) -> Result<Verified, AssertionError> {
    if assertion.credential_id != expectation.credential_id {
        return Err(AssertionError::OtherCredential);
    }
    let client_data = ClientData::parse(&assertion.client_data_json)?;
    client_data.check_ceremony(expectation.origin)?;
    let challenge = client_data.challenge()?;
    if !challenge.binds(expectation.challenge_binds) {
        return Err(AssertionError::OtherStatement);
    }
    let data = AuthenticatorData::parse(&assertion.authenticator_data)?;
    check_flags(&data, expectation.rp_id)?;
    let client_data_hash = Sha256::digest(&assertion.client_data_json);
    let signed = [assertion.authenticator_data.as_slice(), &client_data_hash].concat();
    if !public_key.verify(&signed, &assertion.signature) {
        return Err(AssertionError::Signature);
    }
    Ok(Verified {
        sign_count: data.sign_count,
        user_verified: data.user_verified(),
        backup_eligible: data.backup_eligible(),
        backup_state: data.backup_state(),
        valid_until: challenge.valid_until(),
    })
}

fn check_flags(data: &AuthenticatorData, rp_id: &str) -> Result<(), AssertionError> {
    if data.rp_id_hash != *Sha256::digest(rp_id) {
        return Err(AssertionError::RpId);
    }
    if !data.user_present() {
        return Err(AssertionError::UserPresence);
    }
    if !data.user_verified() {
        return Err(AssertionError::UserVerification);
    }
    if data.backup_state() && !data.backup_eligible() {
        return Err(AssertionError::BackupFlags);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
