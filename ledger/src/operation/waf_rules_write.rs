//! `waf.rules.write`:
//!
//! | action | needs |
//! |---|---|
//! | `add_rule` | `ruleset_id`, `rule` |
//! | `update_rule` | `ruleset_id`, `rule_id`, `rule`: all of the rule's definition, or only `position` |
//! | `delete_rule` | `ruleset_id`, `rule_id` |
//! | `replace_phase` | `phase`, `rules` (0..=1000): every rule of the phase is replaced |
//!
//! The fields of a rule are in `waf_rule`.

use super::fields::Fields;
use super::object_id::ObjectId;
use super::waf_rule::{Place, WafRule, parse_position};
use super::waf_rules_read::WafPhase;
use super::{InvalidOperation, Scope, Warning};
use serde_json::{Map, Value, json};

/// Most rules that one request may set; upstream's largest plans allow as many in a phase.
const MOST_RULES: usize = 1000;

/// A change of firewall rules.
#[derive(Debug, Clone, PartialEq)]
pub enum WafRulesWrite {
    /// Add a rule to a ruleset.
    AddRule {
        /// The ruleset.
        ruleset_id: ObjectId,
        /// The new rule.
        rule: WafRule,
    },
    /// Redefine or move a rule.
    UpdateRule {
        /// The ruleset.
        ruleset_id: ObjectId,
        /// The rule in it.
        rule_id: ObjectId,
        /// What becomes of it.
        change: RuleChange,
    },
    /// Delete a rule.
    DeleteRule {
        /// The ruleset.
        ruleset_id: ObjectId,
        /// The rule in it.
        rule_id: ObjectId,
    },
    /// Replace all rules of a phase.
    ReplacePhase {
        /// The phase.
        phase: WafPhase,
        /// All rules that it will have.
        rules: Vec<WafRule>,
    },
}

/// What becomes of a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleChange {
    /// It is this from now on.
    Define(WafRule),
    /// It moves: `{before}`, `{after}` (rule ids) or `{index}` (from 1).
    Move(Map<String, Value>),
}

impl RuleChange {
    fn parse(value: &Value) -> Result<Self, InvalidOperation> {
        let mut fields = Fields::of(value, "params.rule")?;
        let only_moves = !fields.has("action") && !fields.has("expression");
        match parse_position(&mut fields)? {
            Some(position) if only_moves => {
                fields.finish()?;
                Ok(Self::Move(position))
            }
            _ => WafRule::parse(value, "params.rule".to_owned(), Place::Ruleset).map(Self::Define),
        }
    }

    /// The body of the request.
    #[must_use]
    pub fn body(&self) -> Value {
        match self {
            Self::Define(rule) => rule.body(),
            Self::Move(position) => json!({"position": position}),
        }
    }
}

impl WafRulesWrite {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        match fields.required_text("action")? {
            "add_rule" => Ok(Self::AddRule {
                ruleset_id: ObjectId::required(fields, "ruleset_id")?,
                rule: WafRule::parse(
                    fields.required("rule")?,
                    fields.path("rule"),
                    Place::Ruleset,
                )?,
            }),
            "update_rule" => Ok(Self::UpdateRule {
                ruleset_id: ObjectId::required(fields, "ruleset_id")?,
                rule_id: ObjectId::required(fields, "rule_id")?,
                change: RuleChange::parse(fields.required("rule")?)?,
            }),
            "delete_rule" => Ok(Self::DeleteRule {
                ruleset_id: ObjectId::required(fields, "ruleset_id")?,
                rule_id: ObjectId::required(fields, "rule_id")?,
            }),
            "replace_phase" => {
                let phase = WafPhase::parse(fields)?
                    .ok_or_else(|| fields.refuse("phase", "is required"))?;
                let rules = fields.list("rules", 0..=MOST_RULES)?.ok_or_else(|| {
                    fields.refuse("rules", "is required: all rules that the phase will have")
                })?;
                let rules = rules
                    .into_iter()
                    .map(|(path, rule)| WafRule::parse(rule, path, Place::Phase(phase)))
                    .collect::<Result<_, _>>()?;
                Ok(Self::ReplacePhase { phase, rules })
            }
            _ => Err(fields.refuse(
                "action",
                "must be add_rule, update_rule, delete_rule or replace_phase",
            )),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::AddRule { ruleset_id, rule } => json!({
                "action": "add_rule", "ruleset_id": ruleset_id.as_str(), "rule": rule.body(),
            }),
            Self::UpdateRule {
                ruleset_id,
                rule_id,
                change,
            } => json!({
                "action": "update_rule",
                "ruleset_id": ruleset_id.as_str(),
                "rule_id": rule_id.as_str(),
                "rule": change.body(),
            }),
            Self::DeleteRule {
                ruleset_id,
                rule_id,
            } => json!({
                "action": "delete_rule",
                "ruleset_id": ruleset_id.as_str(),
                "rule_id": rule_id.as_str(),
            }),
            Self::ReplacePhase { phase, rules } => json!({
                "action": "replace_phase",
                "phase": phase.as_str(),
                "rules": rules.iter().map(WafRule::body).collect::<Vec<_>>(),
            }),
        }
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        match self {
            Self::AddRule { rule, .. } => rule.warnings(),
            Self::UpdateRule {
                change: RuleChange::Define(rule),
                ..
            } => {
                let mut warnings = vec![Warning::new(
                    "replaces_rule",
                    "the rule's whole definition is replaced by this one",
                )];
                warnings.extend(rule.warnings());
                warnings
            }
            Self::UpdateRule {
                change: RuleChange::Move(_),
                ..
            } => vec![Warning::new(
                "reorders_rules",
                "a rule that moves runs before or after others; the first that ends a request wins",
            )],
            Self::DeleteRule { .. } => {
                vec![Warning::new(
                    "deletes_rule",
                    "the rule is deleted; what it stopped passes",
                )]
            }
            Self::ReplacePhase { rules, .. } => {
                let mut warnings = vec![Warning::new(
                    "replaces_all_rules",
                    format!(
                        "all rules of the phase are replaced by these {}; every other one is gone",
                        rules.len()
                    ),
                )];
                for warning in rules.iter().flat_map(WafRule::warnings) {
                    if !warnings.contains(&warning) {
                        warnings.push(warning);
                    }
                }
                warnings
            }
        }
    }

    pub(super) fn summary(&self, scope: &Scope) -> String {
        match self {
            Self::AddRule { ruleset_id, rule } => {
                format!(
                    "Add rule ({}) to ruleset {ruleset_id} in {scope}",
                    rule.described()
                )
            }
            Self::UpdateRule {
                ruleset_id,
                rule_id,
                change: RuleChange::Define(rule),
            } => format!(
                "Redefine rule {rule_id} ({}) of ruleset {ruleset_id} in {scope}",
                rule.described()
            ),
            Self::UpdateRule {
                ruleset_id,
                rule_id,
                change: RuleChange::Move(_),
            } => {
                format!("Move rule {rule_id} of ruleset {ruleset_id} in {scope}")
            }
            Self::DeleteRule {
                ruleset_id,
                rule_id,
            } => {
                format!("Delete rule {rule_id} of ruleset {ruleset_id} in {scope}")
            }
            Self::ReplacePhase { phase, rules } => {
                let count = rules.len();
                format!("Replace all rules of phase {phase} by {count} in {scope}")
            }
        }
    }
}
