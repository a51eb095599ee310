//! The secret that the deliveries of one callback are signed with.
//!
//! A secret that begins with `whsec_` is written as the Standard Webhooks specification writes a key:
//! padded base64 of 24 to 64 bytes. Receivers' libraries decode what follows, so what is not written so
//! would be verified with other bytes than it was signed with, or not at all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Why a secret is not taken. The texts never repeat any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCallbackSecret {
    /// Empty, or longer than [`CallbackSecret::MAX_BYTES`].
    #[error("a callback secret has 1 to {} bytes", CallbackSecret::MAX_BYTES)]
    Length,
    /// A Standard Webhooks prefix in other letters, or behind or before blanks.
    #[error(
        "a Standard Webhooks secret begins with whsec_, in small letters, and has no blanks at its ends"
    )]
    Prefix,
    /// What follows `whsec_` is not padded base64 in the standard alphabet.
    #[error(
        "what follows whsec_ must be base64 in the standard alphabet (+ and /, not - and _) with its \
         padding (=), as receivers' libraries decode it"
    )]
    NotBase64,
    /// The key has too few bytes or too many.
    #[error("what follows whsec_ must be base64 of 24 to 64 bytes; this is base64 of {bytes}")]
    KeyLength {
        /// How many it has.
        bytes: usize,
    },
    /// A key of an asymmetric scheme.
    #[error(
        "whsk_ and whpk_ keys are for Ed25519 signatures, and callbacks are signed with HMAC-SHA256: send \
         a whsec_ secret"
    )]
    Asymmetric,
}

/// 1..=256 bytes. Never shown by `Debug`, compared in constant time, wiped when dropped.
#[derive(Clone)]
pub struct CallbackSecret(Zeroizing<Vec<u8>>);

impl CallbackSecret {
    /// The most bytes a secret can have.
    pub const MAX_BYTES: usize = 256;

    /// Takes the secret's bytes as they are.
    ///
    /// # Errors
    /// [`InvalidCallbackSecret`] when there are none or too many.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, InvalidCallbackSecret> {
        let bytes = Zeroizing::new(bytes.into());
        if (1..=Self::MAX_BYTES).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(InvalidCallbackSecret::Length)
        }
    }

    /// A secret as a request registers it. Secrets that were sealed before this rule are opened with
    /// [`CallbackSecret::new`] and sign as they always did.
    ///
    /// # Errors
    /// [`InvalidCallbackSecret`], where no library would verify with the key that it is signed with.
    pub fn for_registration(text: &str) -> Result<Self, InvalidCallbackSecret> {
        let secret = Self::new(text)?;
        if let Some(encoded) = text.strip_prefix(STANDARD_PREFIX) {
            check_key(encoded)?;
            return Ok(secret);
        }
        let bare = text.trim();
        let begins = |prefix: &str| {
            let start = bare.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if begins(STANDARD_PREFIX) {
            return Err(InvalidCallbackSecret::Prefix);
        }
        if begins("whsk_") || begins("whpk_") {
            return Err(InvalidCallbackSecret::Asymmetric);
        }
        Ok(secret)
    }

    /// The bytes, for signing and sealing only.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// How a Standard Webhooks secret begins.
const STANDARD_PREFIX: &str = "whsec_";

fn check_key(encoded: &str) -> Result<(), InvalidCallbackSecret> {
    let key = STANDARD.decode(encoded).map(Zeroizing::new);
    let key = key.map_err(|_| InvalidCallbackSecret::NotBase64)?;
    match key.len() {
        24..=64 => Ok(()),
        bytes => Err(InvalidCallbackSecret::KeyLength { bytes }),
    }
}

impl fmt::Debug for CallbackSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackSecret(..)")
    }
}

impl PartialEq for CallbackSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for CallbackSecret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_bounded() {
        assert!(CallbackSecret::new("").is_err());
        assert!(CallbackSecret::new("s").is_ok());
        assert!(CallbackSecret::new([7; CallbackSecret::MAX_BYTES]).is_ok());
        assert!(CallbackSecret::new([7; CallbackSecret::MAX_BYTES + 1]).is_err());
    }

    fn registered(text: &str) -> Result<(), InvalidCallbackSecret> {
        CallbackSecret::for_registration(text).map(drop)
    }

    #[test]
    fn a_plain_secret_is_taken_as_it_is() {
        let most = "s".repeat(CallbackSecret::MAX_BYTES);
        for text in [
            "s",
            "a plain secret",
            "whsecret",
            "whsec-AAAA",
            "ключ",
            &most,
        ] {
            assert_eq!(registered(text), Ok(()), "{text}");
        }
        assert_eq!(registered(""), Err(InvalidCallbackSecret::Length));
    }

    #[test]
    fn a_whsec_secret_is_what_every_library_decodes_alike() {
        use InvalidCallbackSecret::{Asymmetric, KeyLength, NotBase64, Prefix};
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![0xfb; bytes]));
        for bytes in [24, 25, 26, 32, 64] {
            assert_eq!(registered(&of(bytes)), Ok(()), "{bytes}");
        }
        for bytes in [1, 16, 23, 65, 100] {
            assert_eq!(registered(&of(bytes)), Err(KeyLength { bytes }));
        }
        assert_eq!(registered("whsec_"), Err(KeyLength { bytes: 0 }));
        let unpadded = of(25).trim_end_matches('=').to_owned();
        let url_safe = of(24).replace('+', "-").replace('/', "_");
        let trailing = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGB==";
        let broken = of(24).replace("whsec_", "whsec_ ");
        for text in [
            &*unpadded,
            &*url_safe,
            trailing,
            &*broken,
            "whsec_not base64!",
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\n",
            "whsec_whsec_AAECAwQFBgcICQoLDA0ODxAREhMU",
        ] {
            assert_eq!(registered(text), Err(NotBase64), "{text}");
        }
        for text in [format!(" {}", of(24)), of(24).replace("whsec", "WHSEC")] {
            assert_eq!(registered(&text), Err(Prefix), "{text}");
        }
        for text in ["whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whpk_AAEC"] {
            assert_eq!(registered(text), Err(Asymmetric), "{text}");
        }
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let secret = CallbackSecret::new("s3cret").unwrap();
        assert!(!format!("{secret:?}").contains("s3cret"));
        assert_eq!(secret, CallbackSecret::new("s3cret").unwrap());
        assert_ne!(secret, CallbackSecret::new("s3creT").unwrap());
    }
}
