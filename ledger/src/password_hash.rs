//! The hash of a password, on its way to where it is sealed and from there.

use std::fmt;
use zeroize::Zeroizing;

/// The most bytes of a PHC string.
const MOST: usize = 512;

/// Not the hash of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password's hash is a PHC string of at most {MOST} visible ASCII characters")]
pub struct InvalidPasswordHash;

/// A password's hash as a PHC string. Never shown by `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct PasswordHash(Zeroizing<String>);

impl PasswordHash {
    /// The name of the sealed field.
    pub(crate) const FIELD: &'static str = "user.password_hash";

    /// # Errors
    /// [`InvalidPasswordHash`].
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidPasswordHash> {
        let text = Zeroizing::new(text.into());
        let fits = text.len() <= MOST && text.bytes().all(|byte| byte.is_ascii_graphic());
        match fits && text.starts_with('$') {
            true => Ok(Self(text)),
            false => Err(InvalidPasswordHash),
        }
    }

    /// The PHC string, for verifying and sealing only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_a_phc_string_and_is_never_shown() {
        let hash = PasswordHash::parse("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA").unwrap();
        assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
        for wrong in [
            "",
            "plain text",
            "password",
            "$a\n",
            &format!("${}", "a".repeat(512)),
        ] {
            assert!(PasswordHash::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
