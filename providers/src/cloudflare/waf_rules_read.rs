//! `waf.rules.read`: `{}` lists the zone's rulesets, `{ruleset_id}` reads one, `{phase}` reads the
//! phase's entry point. Other fields of a list are passed on as query parameters.

use super::fields::Fields;
use super::object_id::ObjectId;
use super::values::{as_text, other_filters};
use super::{InvalidOperation, Scope};
use ledger::Word;
use serde_json::{Map, Value, json};
use std::fmt;

/// A phase of request handling in which rules run.
///
/// The set is open: upstream has more phases than those of its firewall, and gains others. A name that
/// is not known here is one safe path segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum WafPhase {
    /// `http_request_firewall_custom`: the zone's own rules.
    Custom,
    /// `http_request_firewall_managed`: rulesets that upstream maintains.
    Managed,
    /// `http_ratelimit`: rate limits.
    RateLimit,
    /// One that is not known here.
    Other(Word<64>),
}

impl WafPhase {
    const KNOWN: [Self; 3] = [Self::Custom, Self::Managed, Self::RateLimit];

    /// Upstream's word.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Custom => "http_request_firewall_custom",
            Self::Managed => "http_request_firewall_managed",
            Self::RateLimit => "http_ratelimit",
            Self::Other(word) => word.as_str(),
        }
    }

    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Option<Self>, InvalidOperation> {
        let Some(text) = fields.text("phase")? else {
            return Ok(None);
        };
        let mut known = Self::KNOWN.into_iter();
        if let Some(known) = known.find(|phase| phase.as_str() == text) {
            return Ok(Some(known));
        }
        // It becomes a part of the path.
        let is_segment =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let word = Word::parse(text, is_segment).ok_or_else(|| {
            let known: Vec<_> = Self::KNOWN.iter().map(Self::as_str).collect();
            let known = known.join(", ");
            fields.refuse(
                "phase",
                format!("must be 1..64 of a-z 0-9 _, such as {known}"),
            )
        })?;
        fields.mark("phase");
        Ok(Some(Self::Other(word)))
    }
}

impl fmt::Display for WafPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum WafRulesRead {
    /// The zone's rulesets, without their rules; with query parameters that are not known here.
    List(Map<String, Value>),
    Ruleset(ObjectId),
    /// The ruleset that a phase begins with, with its rules.
    Phase(WafPhase),
}

impl WafRulesRead {
    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        let ruleset_id = ObjectId::parse(&mut fields, "ruleset_id")?;
        let phase = WafPhase::parse(&mut fields)?;
        match (ruleset_id, phase) {
            (None, None) => other_filters(fields).map(Self::List),
            (Some(ruleset_id), None) => fields.finish().map(|()| Self::Ruleset(ruleset_id)),
            (None, Some(phase)) => fields.finish().map(|()| Self::Phase(phase)),
            (Some(_), Some(_)) => {
                Err(fields.refuse("phase", "give either ruleset_id or phase, not both"))
            }
        }
    }

    /// The query parameters of a list.
    pub(super) fn query(&self) -> Vec<(String, String)> {
        match self {
            Self::List(filters) => filters
                .iter()
                .map(|(name, value)| (name.clone(), as_text(value)))
                .collect(),
            Self::Ruleset(_) | Self::Phase(_) => Vec::new(),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::List(filters) => Value::Object(filters.clone()),
            Self::Ruleset(ruleset_id) => json!({"ruleset_id": ruleset_id.as_str()}),
            Self::Phase(phase) => json!({"phase": phase.as_str()}),
        }
    }

    pub(super) fn summary(&self, scope: &Scope) -> String {
        match self {
            Self::List(_) => format!("List rulesets in {scope}"),
            Self::Ruleset(ruleset_id) => format!("Read ruleset {ruleset_id} in {scope}"),
            Self::Phase(phase) => format!("Read the rules of phase {phase} in {scope}"),
        }
    }
}
