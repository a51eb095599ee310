//! `ssl.mode.write`: `{value}`, one of `off`, `flexible`, `full`, `strict`.

use super::fields::Fields;
use super::{InvalidOperation, Scope, Warning};
use serde_json::{Value, json};

/// How a zone's edge talks TLS to visitors and to the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS at all.
    Off,
    /// TLS to the visitor, plain text to the origin.
    Flexible,
    /// TLS to the origin, its certificate unchecked.
    Full,
    /// TLS to the origin, its certificate checked.
    Strict,
}

impl SslMode {
    const ALL: [Self; 4] = [Self::Off, Self::Flexible, Self::Full, Self::Strict];

    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        let value = fields.required_text("value")?;
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == value)
            .ok_or_else(|| fields.refuse("value", "must be off, flexible, full or strict"))
    }

    /// Upstream's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Flexible => "flexible",
            Self::Full => "full",
            Self::Strict => "strict",
        }
    }

    /// The params, which are the request's body too.
    #[must_use]
    pub fn body(self) -> Value {
        json!({"value": self.as_str()})
    }

    pub(super) fn warnings(self) -> Vec<Warning> {
        match self {
            Self::Off => vec![Warning::new(
                "ssl_downgrade",
                "TLS is switched off: visitors and origin are reached in plain text",
            )],
            Self::Flexible => vec![Warning::new(
                "ssl_downgrade",
                "the origin is reached in plain text while visitors see TLS",
            )],
            Self::Full => vec![Warning::new(
                "ssl_origin_unverified",
                "the origin's certificate is not checked; a downgrade if the zone is strict now",
            )],
            Self::Strict => Vec::new(),
        }
    }

    pub(super) fn summary(self, scope: &Scope) -> String {
        format!("Set SSL mode to {} in {scope}", self.as_str())
    }
}
