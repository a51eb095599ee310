//! The trust that an auditor brings along: the key, anchors, and a list of approvers' keys.

use super::backtest::Candidate;
use super::finding::MAX_FINDINGS;
use crate::assertion::KeyThumbprint;
use crate::provider::Providers;
use crate::schedules::ScheduleClock;
use crate::tlog::{LogKey, LogOrigin, Note, WitnessPolicy};
use std::collections::BTreeMap;
use std::str::FromStr;

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// Headers, hashes, chain, tree, checkpoints and payload digests; no payload is read.
    Hashes,
    /// All rules.
    #[default]
    Everything,
}

/// The trust and the depth of a verification.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// The log's keys; more than one only where a log has changed its key.
    pub keys: Vec<LogKey>,
    /// The origin that checkpoints must have; the name of the key that signed them when absent.
    pub origin: Option<LogOrigin>,
    /// The policy by which a checkpoint counts as witnessed.
    pub policy: Option<WitnessPolicy>,
    /// Checkpoints that the auditor kept from earlier.
    pub since: Vec<Note>,
    /// The only keys that may have decided.
    pub approvers: Option<PinnedApprovers>,
    /// The providers that know the request of an operation; one that none of them knows cannot be checked.
    pub providers: Providers,
    /// The clock that knows when schedules fire; instants that were found with other time zones cannot be checked.
    pub schedules: ScheduleClock,
    /// How far to look.
    pub depth: Depth,
    /// How many findings are kept; later ones are counted.
    pub max_findings: usize,
    /// A policy that is tried on the applies on the way; its result is [`super::Report::backtest`].
    pub backtest: Option<Candidate>,
}

impl VerifyOptions {
    /// Everything is checked against one key; there is no anchor.
    #[must_use]
    pub fn new(key: LogKey, providers: Providers) -> Self {
        Self {
            keys: vec![key],
            providers,
            schedules: ScheduleClock::default(),
            origin: None,
            policy: None,
            since: Vec::new(),
            approvers: None,
            depth: Depth::default(),
            max_findings: MAX_FINDINGS,
            backtest: None,
        }
    }
}

/// Thumbprints of approvers' keys that the auditor got from the approvers themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PinnedApprovers(BTreeMap<KeyThumbprint, Option<String>>);

/// A line is no thumbprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: expected the SHA-256 thumbprint of a public key (RFC 9679) in base64url, as the enrolment page shows it, or as 64 hexadecimal digits, then maybe a comment"
)]
pub struct InvalidPin {
    /// The line, from 1.
    pub line: usize,
}

impl PinnedApprovers {
    /// True when the key is on the list.
    #[must_use]
    pub fn contains(&self, key: &KeyThumbprint) -> bool {
        self.0.contains_key(key)
    }

    /// The comment behind the key on its line.
    #[must_use]
    pub fn comment(&self, key: &KeyThumbprint) -> Option<&str> {
        self.0.get(key)?.as_deref()
    }

    /// How many keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No key at all: then nobody may have decided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One thumbprint a line, then maybe blanks and a comment; empty lines and lines that begin with `#`
/// do not count.
impl FromStr for PinnedApprovers {
    type Err = InvalidPin;

    fn from_str(text: &str) -> Result<Self, InvalidPin> {
        let mut pins = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, comment) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let key = KeyThumbprint::read(key).map_err(|_| InvalidPin { line: at + 1 })?;
            let comment = comment.trim().trim_start_matches('#').trim();
            pins.insert(key, (!comment.is_empty()).then(|| comment.to_owned()));
        }
        Ok(Self(pins))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_thumbprint_a_line_and_comments() {
        let text = format!(
            "# ours\n\n{}  # alice\n{}\tbob's phone\r\n{}",
            "ab".repeat(32),
            "CD".repeat(32),
            "01".repeat(32)
        );
        let pins: PinnedApprovers = text.parse().unwrap();
        assert_eq!(pins.len(), 3);
        assert_eq!(
            pins.comment(&KeyThumbprint::from_bytes([0xab; 32])),
            Some("alice")
        );
        assert_eq!(
            pins.comment(&KeyThumbprint::from_bytes([0xcd; 32])),
            Some("bob's phone")
        );
        assert!(pins.contains(&KeyThumbprint::from_bytes([1; 32])));
        assert!(!pins.contains(&KeyThumbprint::from_bytes([2; 32])));
        let as_shown = KeyThumbprint::from_bytes([0xfb; 32]).to_base64url();
        let pins: PinnedApprovers = as_shown.parse().unwrap();
        assert!(pins.contains(&KeyThumbprint::from_bytes([0xfb; 32])));
    }

    #[test]
    fn both_spellings_of_a_thumbprint_are_one() {
        let bytes = [0xfb; 32];
        let in_base64url = format!("{}-_s", "-_v7".repeat(10));
        assert_eq!(
            KeyThumbprint::from_bytes(bytes).to_base64url(),
            in_base64url
        );
        let spelled = [hex::encode(bytes), in_base64url];
        for text in spelled {
            let pins: PinnedApprovers = format!("{text} alice").parse().unwrap();
            let key = KeyThumbprint::from_bytes(bytes);
            assert_eq!(pins.comment(&key), Some("alice"), "{text}");
        }
    }

    #[test]
    fn a_line_that_is_no_thumbprint_is_named() {
        let refused = |text: &str| text.parse::<PinnedApprovers>().unwrap_err().line;
        assert_eq!(refused("# ours\nalice"), 2);
        assert_eq!(refused(&"ab".repeat(31)), 1);
        assert!("".parse::<PinnedApprovers>().unwrap().is_empty());
    }
}
