//! The secret that the deliveries of one callback are signed with.

use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The secret is empty or longer than [`CallbackSecret::MAX_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a callback secret has 1 to {} bytes", CallbackSecret::MAX_BYTES)]
pub struct InvalidCallbackSecret;

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
            Err(InvalidCallbackSecret)
        }
    }

    /// The bytes, for signing and sealing only.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
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

    #[test]
    fn debug_does_not_show_the_secret() {
        let secret = CallbackSecret::new("s3cret").unwrap();
        assert!(!format!("{secret:?}").contains("s3cret"));
        assert_eq!(secret, CallbackSecret::new("s3cret").unwrap());
        assert_ne!(secret, CallbackSecret::new("s3creT").unwrap());
    }
}
