//! Ids and names of upstream objects that become path segments.

use super::fields::Fields;
use super::{InvalidOperation, is_safe_segment};
use std::fmt;

/// The id of a record, ruleset or rule as upstream names it: 1..=64 characters of
/// `[A-Za-z0-9_-]` (Cloudflare's are 32 hexadecimal digits), so that it is one safe path segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ObjectId(String);

impl ObjectId {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// `None` for what is no id.
    pub(super) fn of(text: &str) -> Option<Self> {
        is_safe_segment(text).then(|| Self(text.to_owned()))
    }

    pub(super) fn parse(
        fields: &mut Fields<'_>,
        name: &'static str,
    ) -> Result<Option<Self>, InvalidOperation> {
        let Some(text) = fields.text(name)? else {
            return Ok(None);
        };
        let id = Self::of(text).ok_or_else(|| {
            fields.refuse(name, "must be an id: 1..64 characters of A-Z a-z 0-9 _ -")
        })?;
        Ok(Some(id))
    }

    pub(super) fn required(
        fields: &mut Fields<'_>,
        name: &'static str,
    ) -> Result<Self, InvalidOperation> {
        Self::parse(fields, name)?.ok_or_else(|| fields.refuse(name, "is required"))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a Worker script: 1..=255 characters of `[a-z0-9_-]`, the first one no `-`, so that
/// it is one safe path segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ScriptName(String);

impl ScriptName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// `None` for what is no name.
    pub(super) fn of(text: &str) -> Option<Self> {
        let fine = (1..=255).contains(&text.len())
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        fine.then(|| Self(text.to_owned()))
    }

    pub(super) fn required(
        fields: &mut Fields<'_>,
        name: &'static str,
    ) -> Result<Self, InvalidOperation> {
        let text = fields.required_text(name)?;
        Self::of(text).ok_or_else(|| {
            fields.refuse(
                name,
                "must have 1..255 characters of a-z 0-9 _ - and not begin with -",
            )
        })
    }
}

impl fmt::Display for ScriptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
