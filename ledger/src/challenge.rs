//! The WebAuthn challenge that ties a passkey's signature to one statement: a decision, or a login.
//!
//! Frozen, 72 bytes: `nonce [16] · valid_until u64 LE, seconds since 1970 · binding [32] · mac [16]`.
//!
//! - The binding is SHA-256 over the prefix of its kind of statement, nonce, valid_until and the statement's
//!   SHA-256.
//!   Whoever has the statement can check it, without any key, for good.
//! - The mac is the first half of HMAC-SHA-256 over the 56 bytes before it. It tells the service that
//!   it issued the challenge itself, so that nothing has to be stored when one is handed out.

use crate::clock::Timestamp;
use crate::statement::Statement;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// Length of a challenge in bytes.
pub const CHALLENGE_LEN: usize = 72;

const NONCE_LEN: usize = 16;
const MAC_LEN: usize = 16;
const KEY_CONTEXT: &str = "llm-permission-proxy challenge key v1";

/// What a challenge can bind.
pub trait Bound: fmt::Debug {
    /// Of its kind alone, so that what is signed for one kind is nothing for another.
    fn prefix(&self) -> &'static [u8];

    /// SHA-256 of the statement.
    fn digest(&self) -> [u8; 32];
}

impl Bound for Statement {
    fn prefix(&self) -> &'static [u8] {
        b"llm-permission-proxy decision v1"
    }

    fn digest(&self) -> [u8; 32] {
        Self::digest(self)
    }
}

/// The key that the service knows its own challenges by.
#[derive(Clone)]
pub struct ChallengeKey(Zeroizing<[u8; 32]>);

impl ChallengeKey {
    /// Derives the key from APPROVAL_LINK_SECRET, which signs approval links under other keys.
    #[must_use]
    pub fn derive(approval_link_secret: &[u8]) -> Self {
        Self(Zeroizing::new(blake3::derive_key(
            KEY_CONTEXT,
            approval_link_secret,
        )))
    }

    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of any length (RFC 2104, section 2)"
    )]
    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(self.0.as_slice())
            .expect("HMAC takes keys of any length")
            .chain_update(bytes)
    }
}

impl fmt::Debug for ChallengeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChallengeKey(..)")
    }
}

/// The bytes have another length than a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a challenge has {CHALLENGE_LEN} bytes, these are {0}")]
pub struct InvalidChallenge(usize);

/// A challenge; made by [`Challenge::issue`], or received and still to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    nonce: [u8; NONCE_LEN],
    valid_until: u64,
    binding: [u8; 32],
    mac: [u8; MAC_LEN],
}

impl Challenge {
    /// A challenge for one statement. `nonce` is random; `valid_until` is cut to whole seconds.
    #[must_use]
    pub fn issue(
        key: &ChallengeKey,
        nonce: [u8; NONCE_LEN],
        valid_until: Timestamp,
        statement: &dyn Bound,
    ) -> Self {
        let valid_until = u64::try_from(valid_until.as_seconds()).unwrap_or(0);
        let binding = binding(&nonce, valid_until, statement);
        let mut challenge = Self {
            nonce,
            valid_until,
            binding,
            mac: [0; MAC_LEN],
        };
        let full = key.mac(&challenge.authenticated()).finalize().into_bytes();
        for (place, byte) in challenge.mac.iter_mut().zip(full) {
            *place = byte;
        }
        challenge
    }

    /// Reads a challenge from its bytes. That it can be read says nothing about who made it.
    ///
    /// # Errors
    /// When there are not exactly [`CHALLENGE_LEN`] bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidChallenge> {
        let wrong = || InvalidChallenge(bytes.len());
        let (nonce, rest) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let (valid_until, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (binding, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let mac = rest.try_into().map_err(|_| wrong())?;
        let valid_until = u64::from_le_bytes(*valid_until);
        Ok(Self {
            nonce: *nonce,
            valid_until,
            binding: *binding,
            mac,
        })
    }

    /// The bytes to hand to the authenticator.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.authenticated().as_slice(), &self.mac].concat()
    }

    /// True when the holder of the key issued it. Takes the same time for every wrong mac.
    #[must_use]
    pub fn check_mac(&self, key: &ChallengeKey) -> bool {
        key.mac(&self.authenticated())
            .verify_truncated_left(&self.mac)
            .is_ok()
    }

    /// True when it was made for exactly this statement. Needs no key.
    #[must_use]
    pub fn binds(&self, statement: &dyn Bound) -> bool {
        self.binding == binding(&self.nonce, self.valid_until, statement)
    }

    /// The random part, by which one is told from all others.
    #[must_use]
    pub const fn nonce(&self) -> &[u8; NONCE_LEN] {
        &self.nonce
    }

    /// The moment from which the service does not take it any more. Trustworthy only when
    /// [`Challenge::check_mac`] or [`Challenge::binds`] holds.
    #[must_use]
    pub fn valid_until(&self) -> Timestamp {
        Timestamp::from_seconds(i64::try_from(self.valid_until).unwrap_or(i64::MAX))
    }

    fn authenticated(&self) -> Vec<u8> {
        [
            self.nonce.as_slice(),
            &self.valid_until.to_le_bytes(),
            &self.binding,
        ]
        .concat()
    }
}

fn binding(nonce: &[u8; NONCE_LEN], valid_until: u64, statement: &dyn Bound) -> [u8; 32] {
    Sha256::new()
        .chain_update(statement.prefix())
        .chain_update(nonce)
        .chain_update(valid_until.to_le_bytes())
        .chain_update(statement.digest())
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::tests::{golden, others};
    use proptest::prelude::*;

    fn key() -> ChallengeKey {
        ChallengeKey::derive(b"an approval link secret of 32 by")
    }

    fn issued() -> (Challenge, Statement) {
        let statement = golden()[0].statement();
        (
            Challenge::issue(
                &key(),
                [3; 16],
                Timestamp::from_seconds(1_800_000_000),
                &statement,
            ),
            statement,
        )
    }

    #[test]
    fn golden_challenges_do_not_change() {
        for case in golden() {
            let key = ChallengeKey::derive(case.challenge.secret.as_bytes());
            let nonce = hex::decode(&case.challenge.nonce)
                .unwrap()
                .try_into()
                .unwrap();
            let valid_until = Timestamp::from_seconds(case.challenge.valid_until);
            let challenge = Challenge::issue(&key, nonce, valid_until, &case.statement());
            assert_eq!(hex::encode(challenge.to_bytes()), case.challenge.bytes);
            assert_eq!(Challenge::parse(&challenge.to_bytes()), Ok(challenge));
            assert!(challenge.check_mac(&key) && challenge.binds(&case.statement()));
            assert_eq!(challenge.valid_until(), valid_until);
        }
    }

    #[test]
    fn it_binds_one_statement_only() {
        let (challenge, statement) = issued();
        assert!(challenge.binds(&statement));
        for other in others(statement) {
            assert!(!challenge.binds(&other), "{other:?}");
        }
    }

    #[test]
    fn every_changed_bit_fails_the_mac_and_most_fail_the_binding() {
        let (challenge, statement) = issued();
        for place in 0..CHALLENGE_LEN {
            for bit in 0..8 {
                let mut bytes = challenge.to_bytes();
                bytes[place] ^= 1 << bit;
                let changed = Challenge::parse(&bytes).unwrap();
                assert!(!changed.check_mac(&key()), "byte {place}");
                assert_eq!(changed.binds(&statement), place >= CHALLENGE_LEN - MAC_LEN);
            }
        }
    }

    #[test]
    fn another_secret_knows_nothing_of_it() {
        assert!(!issued().0.check_mac(&ChallengeKey::derive(b"another")));
    }

    #[test]
    fn other_lengths_are_refused() {
        let bytes = [issued().0.to_bytes(), vec![0]].concat();
        for len in (0..=bytes.len()).filter(|len| *len != CHALLENGE_LEN) {
            assert_eq!(Challenge::parse(&bytes[..len]), Err(InvalidChallenge(len)));
        }
    }

    #[test]
    fn the_time_is_cut_to_whole_seconds_and_never_wraps() {
        let (_, statement) = issued();
        let at = |micros| {
            Challenge::issue(&key(), [0; 16], Timestamp::from_micros(micros), &statement)
                .valid_until()
                .as_micros()
        };
        assert_eq!(at(1_999_999), 1_000_000);
        assert_eq!(at(-1), 0);
        let endless = Challenge::parse(&[0xff; CHALLENGE_LEN]).unwrap();
        assert_eq!(endless.valid_until().as_micros(), i64::MAX);
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", key()), "ChallengeKey(..)");
    }

    proptest! {
        #[test]
        fn reading_any_bytes_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(challenge) = Challenge::parse(&bytes) {
                prop_assert_eq!(challenge.to_bytes(), bytes);
                prop_assert!(!challenge.check_mac(&key()));
            }
        }
    }
}
