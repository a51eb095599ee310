//! `waf.rules.read`: `{}` lists the zone's rulesets, `{ruleset_id}` reads one, `{phase}` reads the
//! phase's entry point.

use super::fields::Fields;
use super::object_id::ObjectId;
use super::{InvalidOperation, Scope};
use serde_json::{Value, json};
use std::fmt;

/// A phase of request handling in which firewall rules run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WafPhase {
    /// `http_request_firewall_custom`: the zone's own rules.
    Custom,
    /// `http_request_firewall_managed`: rulesets that upstream maintains.
    Managed,
    /// `http_ratelimit`: rate limits.
    RateLimit,
}

impl WafPhase {
    const ALL: [Self; 3] = [Self::Custom, Self::Managed, Self::RateLimit];

    /// Upstream's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Custom => "http_request_firewall_custom",
            Self::Managed => "http_request_firewall_managed",
            Self::RateLimit => "http_ratelimit",
        }
    }

    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Option<Self>, InvalidOperation> {
        let Some(text) = fields.text("phase")? else {
            return Ok(None);
        };
        let found = Self::ALL.into_iter().find(|phase| phase.as_str() == text);
        found.map(Some).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            fields.refuse("phase", format!("must be one of {known}"))
        })
    }
}

impl fmt::Display for WafPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which firewall rules to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WafRulesRead {
    /// The zone's rulesets, without their rules.
    List,
    /// One ruleset with its rules.
    Ruleset(ObjectId),
    /// The ruleset that a phase begins with, with its rules.
    Phase(WafPhase),
}

impl WafRulesRead {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        match (
            ObjectId::parse(fields, "ruleset_id")?,
            WafPhase::parse(fields)?,
        ) {
            (None, None) => Ok(Self::List),
            (Some(ruleset_id), None) => Ok(Self::Ruleset(ruleset_id)),
            (None, Some(phase)) => Ok(Self::Phase(phase)),
            (Some(_), Some(_)) => {
                Err(fields.refuse("phase", "give either ruleset_id or phase, not both"))
            }
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::List => json!({}),
            Self::Ruleset(ruleset_id) => json!({"ruleset_id": ruleset_id.as_str()}),
            Self::Phase(phase) => json!({"phase": phase.as_str()}),
        }
    }

    pub(super) fn summary(&self, scope: &Scope) -> String {
        match self {
            Self::List => format!("List rulesets in {scope}"),
            Self::Ruleset(ruleset_id) => format!("Read ruleset {ruleset_id} in {scope}"),
            Self::Phase(phase) => format!("Read the rules of phase {phase} in {scope}"),
        }
    }
}
