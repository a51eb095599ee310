//! `ssl.mode.write`: `{value}`, one of `off`, `flexible`, `full`, `strict`, `origin_pull`.
//!
//! The set is closed, and so are the params: a setting is one word, and an approver is told what each
//! of them does to the zone's TLS. A mode that is not known here could not be told, and neither could
//! which mode is weaker than another.

use super::Before;
use super::fields::Fields;
use super::{InvalidOperation, Scope, Warning, shown};
use serde_json::{Value, json};

/// How a zone's edge talks TLS to visitors and to the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Off,
    /// TLS to the visitor, plain text to the origin.
    Flexible,
    /// TLS to the origin, its certificate unchecked.
    Full,
    /// TLS to the origin, its certificate checked.
    Strict,
    /// The same, and the origin is reached by TLS however the visitor came (Enterprise zones).
    OriginPull,
}

impl SslMode {
    /// From the weakest to the strictest.
    const ALL: [Self; 5] = [
        Self::Off,
        Self::Flexible,
        Self::Full,
        Self::Strict,
        Self::OriginPull,
    ];

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        let value = fields.required_text("value")?;
        let mode = Self::of_word(value).ok_or_else(|| {
            fields.refuse(
                "value",
                "must be off, flexible, full, strict or origin_pull",
            )
        })?;
        fields.finish().map(|()| mode)
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }

    fn strictness(self) -> Option<usize> {
        Self::ALL.into_iter().position(|mode| mode == self)
    }

    /// Upstream's word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Flexible => "flexible",
            Self::Full => "full",
            Self::Strict => "strict",
            Self::OriginPull => "origin_pull",
        }
    }

    /// The params, which are the request's body too.
    pub(super) fn body(self) -> Value {
        json!({"value": self.as_str()})
    }

    pub(super) fn warnings(self, before: &Before<'_>) -> Vec<Warning> {
        let now = before.object("ssl").and_then(|found| found.get("value"));
        let now = now.and_then(Value::as_str);
        if now == Some(self.as_str()) {
            return vec![Warning::new(
                "changes_nothing",
                format!("nothing changes: the zone is in mode {} now", self.as_str()),
            )];
        }
        let mut warnings = match self {
            Self::Off => vec![Warning::danger(
                "ssl_downgrade",
                "TLS is switched off: visitors and origin are reached in plain text",
            )],
            Self::Flexible => vec![Warning::danger(
                "ssl_downgrade",
                "the origin is reached in plain text while visitors see TLS",
            )],
            Self::Full => vec![Warning::new(
                "ssl_origin_unverified",
                match now {
                    None => {
                        "the origin's certificate is not checked; a downgrade if the zone is strict now"
                    }
                    Some(_) => "the origin's certificate is not checked",
                },
            )],
            Self::Strict | Self::OriginPull => Vec::new(),
        };
        warnings.extend(now.and_then(|now| self.left(now)));
        warnings
    }

    /// The warning of leaving the mode that the zone has now.
    fn left(self, now: &str) -> Option<Warning> {
        let Some(mode) = Self::of_word(now) else {
            return Some(Warning::danger(
                "leaves_unknown_mode",
                format!(
                    "the zone is in mode {}, which is not known here: whether this is weaker cannot \
                     be told",
                    shown(now, 40)
                ),
            ));
        };
        (mode.strictness() > self.strictness()).then(|| {
            Warning::danger(
                "ssl_weakened",
                format!(
                    "the zone is in mode {now} now, which is stricter than {}",
                    self.as_str()
                ),
            )
        })
    }

    pub(super) fn summary(self, scope: &Scope) -> String {
        format!("Set SSL mode to {} in {scope}", self.as_str())
    }
}
