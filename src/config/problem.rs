//! What can be wrong with a configuration. Neither form ever carries a value.

use std::fmt;

/// Why the service will not start with this configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    name: String,
    text: String,
}

impl Problem {
    /// `name` is the variable (or the key or file) that is wrong, `text` what is wrong and what to
    /// do about it, without the value.
    pub(crate) fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// The fault, without its place.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The variable, key or file that is wrong.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.text)
    }
}

impl std::error::Error for Problem {}

/// What works but should be known.
pub(crate) type Warning = Problem;

/// All problems of one configuration, at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// At least one problem, sorted by name.
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self(problems)
    }

    /// The problems.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is refused:")?;
        for problem in &self.0 {
            write!(f, "\n  - {problem}")?;
        }
        if self.0.iter().any(super::is_missing) {
            f.write_str("\nllm-permission-proxy init makes a settings file with fresh secrets")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
