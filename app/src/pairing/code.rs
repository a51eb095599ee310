//! Codes that people read from one screen and type at another.

use ledger::Random;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// 2-9 and A-Z without I, L and O, which are taken for others.
const CHARACTERS: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
const LENGTH: usize = 8;

/// A code of 8 of the 31 characters: 852 thousand million of them.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode([u8; LENGTH]);

/// SHA-256 of a code or of a device secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }
}

impl PairingCode {
    pub(super) fn draw(random: &dyn Random) -> Self {
        let mut code = [0; LENGTH];
        for character in &mut code {
            *character = draw(random);
        }
        Self(code)
    }

    /// `None` for what is no code; small letters stand for large ones.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text: [u8; LENGTH] = text.as_bytes().try_into().ok()?;
        let code = text.map(|byte| byte.to_ascii_uppercase());
        let is_code = code.iter().all(|byte| CHARACTERS.contains(byte));
        is_code.then_some(Self(code))
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// The code, for who shows it.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.iter().copied().map(char::from).collect()
    }
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode(redacted)")
    }
}

/// One of the characters, each as likely as the others.
fn draw(random: &dyn Random) -> u8 {
    loop {
        let mut byte = [0];
        random.fill(&mut byte);
        let [byte] = byte;
        // Eight times all of them; what is above would favour the first ones.
        if byte < 248
            && let Some(drawn) = CHARACTERS.get(usize::from(byte % 31))
        {
            return *drawn;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger_sqlite::SystemRandom;
    use std::collections::BTreeMap;

    #[test]
    fn a_code_is_8_characters_that_are_not_taken_for_others() {
        let mut seen: BTreeMap<char, u32> = BTreeMap::new();
        for _ in 0..4000 {
            let code = PairingCode::draw(&SystemRandom);
            let text = code.reveal();
            assert_eq!(text.len(), 8);
            assert!(PairingCode::parse(&text) == Some(code.clone()));
            assert!(PairingCode::parse(&text.to_lowercase()) == Some(code));
            for character in text.chars() {
                *seen.entry(character).or_default() += 1;
            }
        }
        assert_eq!(seen.len(), 31);
        assert!(!seen.keys().any(|it| "01ILO".contains(*it)));
        // 32,000 characters: about 1,032 of each.
        for (character, times) in seen {
            assert!((850..1250).contains(&times), "{character}: {times}");
        }
        for wrong in [
            "",
            "2345678",
            "234567890",
            "2345678I",
            "2345678é",
            "234-5678",
        ] {
            assert!(PairingCode::parse(wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{:?}", PairingCode::draw(&SystemRandom)).contains('2'));
    }
}
