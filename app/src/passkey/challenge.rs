//! The challenge of a registration, 56 bytes: `nonce [16] · valid_until u64 LE, seconds since 1970 ·
//! mac [32]`. The mac covers both and the enrolment that the challenge was made for, so nothing needs
//! to be stored when it is handed out. The ledger sees to it that an enrolment registers one passkey.

use super::PasskeyRefused;
use hmac::{Hmac, KeyInit, Mac};
use ledger::{EnrolmentId, Random, Timestamp};
use sha2::Sha256;
use std::fmt;

const CONTEXT: &[u8] = b"llm-permission-proxy registration challenge v1";

/// The key that the service knows its own registration challenges by.
#[derive(Clone)]
pub struct RegistrationKey(Hmac<Sha256>);

impl RegistrationKey {
    /// Derives the key from APPROVAL_LINK_SECRET; other keys made from that secret have other
    /// contexts.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of any length (RFC 2104, section 2)"
    )]
    pub fn derive(approval_link_secret: &[u8]) -> Self {
        let derived = Hmac::<Sha256>::new_from_slice(approval_link_secret)
            .expect("HMAC takes keys of any length")
            .chain_update(CONTEXT)
            .finalize()
            .into_bytes();
        Self(Hmac::new_from_slice(&derived).expect("HMAC takes keys of any length"))
    }

    fn mac(&self, nonce: &[u8; 16], valid_until: u64, enrolment: EnrolmentId) -> Hmac<Sha256> {
        self.0
            .clone()
            .chain_update(nonce)
            .chain_update(valid_until.to_le_bytes())
            .chain_update(enrolment.as_bytes())
    }
}

impl fmt::Debug for RegistrationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistrationKey(..)")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationChallenge(Vec<u8>);

impl RegistrationChallenge {
    /// A fresh challenge for one enrolment; `valid_until` is cut to whole seconds.
    #[must_use]
    pub fn issue(
        key: &RegistrationKey,
        random: &dyn Random,
        valid_until: Timestamp,
        enrolment: EnrolmentId,
    ) -> Self {
        let nonce = random.sixteen();
        let until = u64::try_from(valid_until.as_seconds()).unwrap_or(0);
        let mac = key.mac(&nonce, until, enrolment).finalize().into_bytes();
        Self([nonce.as_slice(), &until.to_le_bytes(), &mac].concat())
    }

    /// Takes back a challenge, given when it came back.
    ///
    /// # Errors
    /// When it was not made by the holder of the key for this enrolment, or when `now` is past its
    /// time.
    pub fn accept(
        key: &RegistrationKey,
        bytes: &[u8],
        now: Timestamp,
        enrolment: EnrolmentId,
    ) -> Result<Self, PasskeyRefused> {
        let foreign = || PasskeyRefused::Challenge;
        let (nonce, rest) = bytes.split_first_chunk::<16>().ok_or_else(foreign)?;
        let (until, mac) = rest.split_first_chunk::<8>().ok_or_else(foreign)?;
        let until = u64::from_le_bytes(*until);
        key.mac(nonce, until, enrolment)
            .verify_slice(mac)
            .map_err(|_| foreign())?;
        if now >= Timestamp::from_seconds(i64::try_from(until).unwrap_or(i64::MAX)) {
            return Err(PasskeyRefused::ChallengeExpired);
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The bytes to hand to the authenticator.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
