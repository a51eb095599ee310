//! Agent keys: a secret that an agent keeps for as long as nobody takes it away.
//!
//! `cak_`, 256 random bits as 43 base-62 digits, and the CRC-32 (IEEE 802.3) of all before as 6 more. Digits
//! are 0-9, A-Z, a-z, the most significant first, so that a scanner can tell a key that leaked from a text
//! that only looks like one. The ledger knows its SHA-256 alone.

use ledger::AgentKeyHash;
use std::fmt;

const PREFIX: &str = "cak_";
const SECRET_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key of the right form, to be handed out once and never logged. Whether an agent has it is another
/// question.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentKey(String);

impl AgentKey {
    /// A key made of 32 random bytes.
    #[must_use]
    pub fn of(random: &[u8; 32]) -> Self {
        let mut text = PREFIX.to_owned();
        text.push_str(&digits(random, SECRET_DIGITS));
        let checksum = crc32(text.as_bytes()).to_be_bytes();
        text.push_str(&digits(&checksum, CHECKSUM_DIGITS));
        Self(text)
    }

    /// `None` unless it is exactly what [`Self::of`] makes of some 32 bytes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let secret = text.strip_prefix(PREFIX)?;
        let (secret, checksum) = secret.split_at_checked(SECRET_DIGITS)?;
        if checksum.len() != CHECKSUM_DIGITS {
            return None;
        }
        let random: [u8; 32] = bytes(secret)?;
        let key = Self::of(&random);
        (key.0 == text).then_some(key)
    }

    /// Whether a bearer token is meant as an agent key. No other token begins so.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The hash by which the ledger knows it.
    #[must_use]
    pub fn hash(&self) -> AgentKeyHash {
        AgentKeyHash::of(&self.0)
    }

    /// The key's text, by value, for the answer that hands it out.
    #[must_use]
    pub fn into_revealed(self) -> String {
        self.0
    }
}

impl fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentKey(redacted)")
    }
}

/// A big-endian number in so many base-62 digits.
fn digits(number: &[u8], count: usize) -> String {
    let mut number = number.to_vec();
    let mut text = vec![b'0'; count];
    for digit in text.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in &mut number {
            let value = rest << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or_default();
            rest = value % 62;
        }
        let rest = usize::try_from(rest).unwrap_or_default();
        *digit = DIGITS.get(rest).copied().unwrap_or(b'0');
    }
    text.into_iter().map(char::from).collect()
}

/// The number that base-62 digits stand for, big-endian; `None` where one is no digit or it does not fit.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut number = [0; N];
    for digit in text.bytes() {
        let value = DIGITS.iter().position(|known| *known == digit)?;
        let mut carry = u32::try_from(value).ok()?;
        for byte in number.iter_mut().rev() {
            let value = u32::from(*byte) * 62 + carry;
            *byte = u8::try_from(value & 0xff).unwrap_or_default();
            carry = value >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(number)
}

/// CRC-32 of IEEE 802.3, section 3.2.9.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by another implementation, in Python.
    const VECTORS: [([u8; 32], &str); 3] = [
        (
            [0; 32],
            "cak_00000000000000000000000000000000000000000000RmRGx",
        ),
        (
            [7; 32],
            "cak_1fJjkkpe9PiTw9KSulA8Ghct30vZz4HpdQ5c5b9cPF14OibJk",
        ),
        (
            [0xff; 32],
            "cak_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp13ILDjL",
        ),
    ];

    #[test]
    fn a_key_has_the_text_of_its_vectors() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        for (random, text) in VECTORS {
            assert_eq!(AgentKey::of(&random).into_revealed(), text);
            assert_eq!(AgentKey::parse(text).unwrap().into_revealed(), text);
            assert!(AgentKey::is_meant(text));
        }
    }

    #[test]
    fn what_differs_in_any_character_is_no_key() {
        let (_, text) = VECTORS[1];
        for at in 0..text.len() {
            for other in ["0", "1", "z", "-", "é"] {
                let mut changed = text.to_owned();
                changed.replace_range(at..=at, other);
                assert_eq!(
                    AgentKey::parse(&changed).is_some(),
                    changed == text,
                    "{changed}"
                );
            }
            assert!(AgentKey::parse(&text[..at]).is_none());
        }
        for around in [format!("{text}0"), format!(" {text}"), format!("{text} ")] {
            assert!(AgentKey::parse(&around).is_none(), "{around:?}");
        }
    }

    /// More digits than 32 bytes hold would be a second text of the same secret.
    #[test]
    fn a_number_beyond_256_bits_is_no_key() {
        let mut text = format!("{PREFIX}{}", "z".repeat(SECRET_DIGITS));
        let checksum = digits(&crc32(text.as_bytes()).to_be_bytes(), CHECKSUM_DIGITS);
        text.push_str(&checksum);
        assert!(AgentKey::parse(&text).is_none());
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = AgentKey::of(&[7; 32]);
        assert_eq!(format!("{key:?}"), "AgentKey(redacted)");
        assert_eq!(key.hash(), AgentKeyHash::of(&key.into_revealed()));
    }
}
