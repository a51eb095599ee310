//! Names of Worker scripts.

use super::InvalidOperation;
use super::fields::Fields;
use std::fmt;

/// The name of a Worker script: 1..=255 characters of `[a-z0-9_-]`, the first one no `-`, so that
/// it is one safe path segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ScriptName(String);

impl ScriptName {
    /// The text.
    #[must_use]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn required(
        fields: &mut Fields<'_>,
        name: &'static str,
    ) -> Result<Self, InvalidOperation> {
        let text = fields.required_text(name)?;
        let fine = (1..=255).contains(&text.len())
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if fine {
            Ok(Self(text.to_owned()))
        } else {
            Err(fields.refuse(
                name,
                "must have 1..255 characters of a-z 0-9 _ - and not begin with -",
            ))
        }
    }
}

impl fmt::Display for ScriptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
