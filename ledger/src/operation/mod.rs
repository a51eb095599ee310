//! Operations: one action from the catalog on one scope, with params checked against the rules that
//! the upstream applies, in the form in which they will be sent.

use crate::catalog::ScopeType;
use std::fmt;

/// The id of a zone or account as upstream names it: 1..=64 characters of `[A-Za-z0-9_-]`,
/// so that it is one safe path segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeId(String);

impl ScopeId {
    /// Checks the form; `None` when it is not one safe path segment.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fine = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        fine.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an operation acts on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// Zone or account.
    pub scope_type: ScopeType,
    /// Which one.
    pub id: ScopeId,
}

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct InvalidOperation {
    /// Where, as a JSON path below the operation: `params.ttl`.
    pub path: String,
    /// What is wrong and what would be right.
    pub problem: String,
}
