//! Public keys of credentials: COSE keys (RFC 9052, section 7) of the algorithms that passkeys use.

mod cose;

use crate::digest::{InvalidDigest, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cose::Parameters;
use p256::ecdsa::signature::Verifier as _;
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// Smallest and largest length of an RSA modulus in bytes: 2048 and 4096 bits.
const RSA_MODULUS_LEN: std::ops::RangeInclusive<usize> = 256..=512;
/// 65537, the one public exponent that authenticators use.
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];
/// The prefix of a SHA-256 digest in a signature (RFC 8017, section 9.2, note 1).
const SHA256_PREFIX: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// How a credential signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256; COSE -7.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384; COSE -35.
    #[serde(rename = "ES384")]
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256; COSE -257.
    #[serde(rename = "RS256")]
    Rs256,
}

impl Algorithm {
    /// The name, as in requests and in the COSE registry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
        }
    }

    /// The number in the COSE registry.
    #[must_use]
    pub const fn cose_id(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::Es384 => -35,
            Self::Rs256 => -257,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name is of no algorithm that is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a supported algorithm: expected ES256, ES384 or RS256")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        [Self::Es256, Self::Es384, Self::Rs256]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or(UnknownAlgorithm)
    }
}

digest!(
    /// The COSE Key Thumbprint with SHA-256 (RFC 9679): names a public key however it was encoded.
    KeyThumbprint
);

impl KeyThumbprint {
    /// The spelling for people: base64url without padding, as answers and pages show it.
    #[must_use]
    pub fn to_base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.as_bytes())
    }

    /// Reads it as people have it: base64url or 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`InvalidDigest`] for anything else.
    pub fn read(text: &str) -> Result<Self, InvalidDigest> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map_or_else(|| text.parse(), |bytes| Ok(Self::from_bytes(bytes)))
    }
}

/// Why bytes are not a public key that can verify decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not one CBOR map of definite length from integers to integers and byte strings.
    #[error("not a COSE key: expected one CBOR map of integers and byte strings, and nothing else")]
    Cbor,
    /// A parameter twice.
    #[error("COSE key parameter {0} is there more than once")]
    Duplicate(i64),
    /// A parameter that the public key of a credential does not have (WebAuthn Level 3, 6.5.1.1).
    #[error("COSE key parameter {0} does not belong into a credential's public key")]
    Unexpected(i64),
    /// A parameter is not there, or not of its type.
    #[error("COSE key parameter {0} is missing or of the wrong type")]
    Missing(i64),
    /// An algorithm that is not supported.
    #[error("COSE algorithm {0} is not supported: expected -7 (ES256), -35 (ES384), -257 (RS256)")]
    Algorithm(i64),
    /// Key type or curve do not go with the algorithm.
    #[error("key type or curve do not go with the key's algorithm, {0}")]
    Mismatch(Algorithm),
    /// Coordinates of the wrong length, or of no point on the curve.
    #[error("the coordinates are not of a point on the curve of {0}")]
    Point(Algorithm),
    /// A modulus outside 2048 to 4096 bits, even, or with leading zeros.
    #[error("an RSA modulus has 2048 to 4096 bits, is odd and has no leading zeros")]
    Modulus,
    /// Another exponent than 65537.
    #[error("the RSA exponent must be 65537")]
    Exponent,
}

/// A public key, checked: an EC point is on its curve, an RSA modulus is long enough.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Key);

#[derive(Clone, PartialEq, Eq)]
enum Key {
    Es256(p256::ecdsa::VerifyingKey),
    Es384(p384::ecdsa::VerifyingKey),
    Rs256 { modulus: Vec<u8> },
}

impl PublicKey {
    /// Reads a COSE key.
    ///
    /// # Errors
    /// Whatever keeps it from being a sound public key of a supported algorithm; see [`KeyError`].
    pub fn from_cose(bytes: &[u8]) -> Result<Self, KeyError> {
        Parameters::read(bytes)?.into_key().map(Self)
    }

    /// The key as a COSE key in CTAP2 canonical CBOR, however it was written when it was read.
    #[must_use]
    pub fn to_cose(&self) -> Vec<u8> {
        cose::write(&self.0, true)
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    /// RFC 9679: SHA-256 over the required parameters in deterministic CBOR.
    #[must_use]
    pub fn thumbprint(&self) -> KeyThumbprint {
        KeyThumbprint::from_bytes(Sha256::digest(cose::write(&self.0, false)).into())
    }

    /// True when the signature, in the form that WebAuthn gives it, is this key's over the message.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Key::Es256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Key::Es384(key) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Key::Rs256 { modulus } => verify_rs256(modulus, message, signature),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.algorithm(), self.thumbprint())
    }
}

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2.2).
fn verify_rs256(modulus: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let modulus = BigUint::from_bytes_be(modulus);
    let padding = Pkcs1v15Sign {
        hash_len: Some(<Sha256 as sha2::digest::OutputSizeUser>::output_size()),
        prefix: Box::new(SHA256_PREFIX),
    };
    RsaPublicKey::new(modulus, BigUint::from_bytes_be(&RSA_EXPONENT))
        .and_then(|key| key.verify(padding, &Sha256::digest(message), signature))
        .is_ok()
}

impl Key {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256(_) => Algorithm::Es256,
            Self::Es384(_) => Algorithm::Es384,
            Self::Rs256 { .. } => Algorithm::Rs256,
        }
    }
}

#[cfg(test)]
mod tests;
