//! `waf.rules.write`:
//!
//! | action | needs |
//! |---|---|
//! | `add_rule` | `ruleset_id`, `rule`; or `phase`, `rule`: the first rule of a phase that has none |
//! | `update_rule` | `ruleset_id`, `rule_id`, `rule`: all of the rule's definition, or only `position` |
//! | `delete_rule` | `ruleset_id`, `rule_id` |
//! | `replace_phase` | `phase`, `rules` (0..=1000): every rule of the phase is replaced |
//!
//! The fields of a rule are in `waf_rule`. A replaced phase takes upstream's other fields of a ruleset
//! along; the other actions send nothing but the rule, so a field beside it is refused.
//!
//! A phase without rules has no ruleset that a rule could be added to. Its first rule makes one, by a
//! request that upstream refuses where the phase has a ruleset already: it cannot replace anything.

use super::Before;
use super::fields::{At, Fields};
use super::object_id::ObjectId;
use super::phase_diff::{RulePairs, entries_of_phase};
use super::values::says_something;
use super::waf_rule::{RulePlace, SKIPS_EVERYTHING, WafRule, parse_position, warnings_of_all};
use super::waf_rules_read::WafPhase;
use super::{InvalidOperation, Scope, Warning};
use ledger::operation::Beside;
use serde_json::{Map, Value, json};

/// The name that upstream's own pages give to the ruleset of a phase.
const NEW_RULESET: &str = "default";

/// The warning of rules that run in another order.
pub(super) const REORDERS: &str = "reorders_rules";

/// Most rules that one request may set; upstream's largest plans allow as many in a phase.
const MOST_RULES: usize = 1000;

/// A change of firewall rules.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum WafRulesWrite {
    AddRule {
        ruleset_id: ObjectId,
        rule: WafRule,
    },
    /// Make the ruleset of a phase that has none, with this rule in it.
    FirstRule {
        phase: WafPhase,
        rule: WafRule,
    },
    /// Redefine or move a rule.
    UpdateRule {
        ruleset_id: ObjectId,
        rule_id: ObjectId,
        change: RuleChange,
    },
    DeleteRule {
        ruleset_id: ObjectId,
        rule_id: ObjectId,
    },
    ReplacePhase {
        phase: WafPhase,
        rules: Vec<WafRule>,
        /// Fields of the ruleset that are not known here.
        more: Map<String, Value>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum RuleChange {
    Define(WafRule),
    /// It moves: `{before}`, `{after}` (rule ids) or `{index}` (from 1).
    Move(Map<String, Value>),
}

impl RuleChange {
    fn parse(rule: At<'_>) -> Result<Self, InvalidOperation> {
        let mut fields = rule.clone().fields()?;
        let only_moves = !fields.has("action") && !fields.has("expression");
        match parse_position(&mut fields)? {
            Some(position) if only_moves => {
                fields.finish()?;
                Ok(Self::Move(position))
            }
            _ => WafRule::parse(rule, RulePlace::Ruleset).map(Self::Define),
        }
    }

    pub(super) fn body(&self) -> Value {
        match self {
            Self::Define(rule) => rule.body(),
            Self::Move(position) => json!({"position": position}),
        }
    }
}

impl WafRulesWrite {
    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        let action = fields.required_text("action")?;
        if action == "replace_phase" {
            return Self::parse_phase(fields);
        }
        let write = match action {
            "add_rule" => Self::parse_new(&mut fields)?,
            "update_rule" => Self::UpdateRule {
                ruleset_id: ObjectId::required(&mut fields, "ruleset_id")?,
                rule_id: ObjectId::required(&mut fields, "rule_id")?,
                change: RuleChange::parse(required_rule(&mut fields)?)?,
            },
            "delete_rule" => Self::DeleteRule {
                ruleset_id: ObjectId::required(&mut fields, "ruleset_id")?,
                rule_id: ObjectId::required(&mut fields, "rule_id")?,
            },
            _ => {
                return Err(fields.refuse(
                    "action",
                    "must be add_rule, update_rule, delete_rule or replace_phase",
                ));
            }
        };
        fields.finish().map(|()| write)
    }

    fn parse_new(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        let ruleset_id = ObjectId::parse(fields, "ruleset_id")?;
        let phase = WafPhase::parse(fields)?;
        let rule = required_rule(fields)?;
        match (ruleset_id, phase) {
            (Some(ruleset_id), None) => Ok(Self::AddRule {
                ruleset_id,
                rule: WafRule::parse(rule, RulePlace::Ruleset)?,
            }),
            (None, Some(phase)) => Ok(Self::FirstRule {
                phase,
                rule: WafRule::parse(rule, RulePlace::Phase(phase))?,
            }),
            (Some(_), Some(_)) => {
                Err(fields.refuse("phase", "give either ruleset_id or phase, not both"))
            }
            (None, None) => Err(fields.refuse(
                "ruleset_id",
                "is required: waf.rules.read of a phase shows it; where the phase has no rules yet, \
                 give phase instead",
            )),
        }
    }

    fn parse_phase(mut fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        let phase =
            WafPhase::parse(&mut fields)?.ok_or_else(|| fields.refuse("phase", "is required"))?;
        let rules = fields.list("rules", 0..=MOST_RULES)?.ok_or_else(|| {
            fields.refuse("rules", "is required: all rules that the phase will have")
        })?;
        let rules = rules
            .into_iter()
            .map(|rule| WafRule::parse(rule, RulePlace::Phase(phase)))
            .collect::<Result<_, _>>()?;
        Ok(Self::ReplacePhase {
            phase,
            rules,
            more: fields.rest()?,
        })
    }

    /// The body of the request that carries it out; a delete has none.
    pub(super) fn body(&self) -> Option<Value> {
        match self {
            Self::AddRule { rule, .. } => Some(rule.body()),
            Self::FirstRule { phase, rule } => Some(json!({
                "name": NEW_RULESET, "kind": "zone", "phase": phase.as_str(),
                "rules": [rule.body()],
            })),
            Self::UpdateRule { change, .. } => Some(change.body()),
            Self::DeleteRule { .. } => None,
            Self::ReplacePhase { rules, more, .. } => {
                let mut body = more.clone();
                let rules = rules.iter().map(WafRule::body).collect();
                body.insert("rules".to_owned(), Value::Array(rules));
                Some(Value::Object(body))
            }
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::AddRule { ruleset_id, rule } => json!({
                "action": "add_rule", "ruleset_id": ruleset_id.as_str(), "rule": rule.body(),
            }),
            Self::FirstRule { phase, rule } => json!({
                "action": "add_rule", "phase": phase.as_str(), "rule": rule.body(),
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
            Self::ReplacePhase { phase, .. } => {
                let mut params = self.body().unwrap_or_else(|| json!({}));
                if let Some(params) = params.as_object_mut() {
                    params.insert("action".to_owned(), json!("replace_phase"));
                    params.insert("phase".to_owned(), json!(phase.as_str()));
                }
                params
            }
        }
    }

    /// The fields of its one rule that say what upstream takes where they are left out.
    pub(super) fn defaults(&self) -> Vec<&'static str> {
        match self {
            Self::AddRule { rule, .. }
            | Self::FirstRule { rule, .. }
            | Self::UpdateRule {
                change: RuleChange::Define(rule),
                ..
            } => rule.defaults(),
            Self::ReplacePhase { .. } => vec!["rules.enabled"],
            Self::UpdateRule { .. } | Self::DeleteRule { .. } => Vec::new(),
        }
    }

    pub(super) fn warnings(&self, before: &Before<'_>) -> Vec<Warning> {
        match self {
            Self::AddRule { rule, .. } => rule.warnings(),
            Self::FirstRule { rule, .. } => {
                let mut warnings = rule.warnings();
                if before.object("ruleset").is_some() {
                    warnings.push(Warning::new(
                        "will_fail",
                        "will fail: the phase has rules now; add this one to its ruleset",
                    ));
                }
                warnings
            }
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
                REORDERS,
                "a rule that moves runs before or after others; the first that ends a request wins",
            )],
            Self::DeleteRule { .. } => {
                vec![Warning::danger(
                    "deletes_rule",
                    "the rule is deleted; what it stopped passes",
                )]
            }
            Self::ReplacePhase { rules, .. } => {
                let pairs = RulePairs::of(rules, rules_before(before));
                warnings_of_phase(rules, before, &pairs)
            }
        }
    }

    /// Everything that is told of a phase that is replaced; its rules are paired once for all of it.
    pub(super) fn beside(&self, before: &Before<'_>) -> Option<Beside> {
        let Self::ReplacePhase { rules, .. } = self else {
            return None;
        };
        let pairs = RulePairs::of(rules, rules_before(before));
        Some(Beside {
            warnings: warnings_of_phase(rules, before, &pairs),
            lost: lost_rules(&pairs),
            entries: Some(entries_of_phase(rules, before, &pairs)),
        })
    }

    /// What a replace drops: the rules of the phase that are not sent back, or what a rule says that is
    /// not said again.
    pub(super) fn lost(&self, before: &Before<'_>) -> Map<String, Value> {
        match self {
            Self::ReplacePhase { rules, .. } => {
                lost_rules(&RulePairs::of(rules, rules_before(before)))
            }
            Self::UpdateRule {
                rule_id,
                change: RuleChange::Define(rule),
                ..
            } => lost_of_rule(rule, rule_id, rules_before(before)),
            Self::AddRule { .. }
            | Self::FirstRule { .. }
            | Self::UpdateRule { .. }
            | Self::DeleteRule { .. } => Map::new(),
        }
    }

    pub(super) fn summary(&self, scope: &Scope) -> String {
        match self {
            Self::FirstRule { phase, rule } => {
                format!(
                    "Add the first rule ({}) to phase {phase} in {scope}",
                    rule.described()
                )
            }
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
            Self::ReplacePhase { phase, rules, .. } => {
                let count = rules.len();
                format!("Replace all rules of phase {phase} by {count} in {scope}")
            }
        }
    }
}

fn warnings_of_phase(
    rules: &[WafRule],
    before: &Before<'_>,
    pairs: &RulePairs<'_>,
) -> Vec<Warning> {
    let mut warnings = vec![replaces_all(rules, before, pairs)];
    warnings.extend(reorders(pairs));
    warnings.extend(warnings_of_all(rules));
    // Nothing is worse than a firewall that everything passes.
    warnings.sort_by_key(|warning| warning.code != SKIPS_EVERYTHING);
    warnings
}

/// The warning that a phase has so many rules afterwards, and no others.
pub(super) fn all_are_replaced(rules: usize) -> String {
    let by = match rules {
        0 => return "all rules of the phase are taken away".to_owned(),
        1 => "this one".to_owned(),
        many => format!("these {many}"),
    };
    format!("all rules of the phase are replaced by {by}; every other one is gone")
}

/// The danger of replacing a phase depends on how many of its rules are sent back.
fn replaces_all(rules: &[WafRule], before: &Before<'_>, pairs: &RulePairs<'_>) -> Warning {
    let text = all_are_replaced(rules.len());
    if before.is_known("ruleset") && pairs.lost().next().is_none() {
        return Warning::new("replaces_all_rules", text);
    }
    Warning::danger("replaces_all_rules", text)
}

/// The warning that rules which stay run in another order.
fn reorders(pairs: &RulePairs<'_>) -> Option<Warning> {
    let text = match pairs.moved().len() {
        0 => return None,
        1 => "a rule that stays runs".to_owned(),
        many => format!("{many} rules that stay run"),
    };
    Some(Warning::new(
        REORDERS,
        format!("{text} in another order; the first that ends a request wins"),
    ))
}

fn required_rule<'a>(fields: &mut Fields<'a>) -> Result<At<'a>, InvalidOperation> {
    let rule = fields.at("rule");
    rule.ok_or_else(|| fields.refuse("rule", "is required"))
}

/// Rules that are there now and not among those that are sent, by their place.
fn lost_rules(pairs: &RulePairs<'_>) -> Map<String, Value> {
    let lost = pairs.lost();
    lost.map(|(index, rule)| (format!("rules[{index}]"), rule.clone()))
        .collect()
}

/// Fields beside the rule's definition that are not sent again.
fn lost_of_rule(rule: &WafRule, rule_id: &ObjectId, now: &[Value]) -> Map<String, Value> {
    const WRITTEN_BY_UPSTREAM: [&str; 5] = ["id", "version", "last_updated", "ref", "categories"];
    let said = rule.body();
    let now = now
        .iter()
        .find(|rule| rule.get("id").and_then(Value::as_str) == Some(rule_id.as_str()));
    now.and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(name, value)| {
            said.get(name.as_str()).is_none()
                && !WRITTEN_BY_UPSTREAM.contains(&name.as_str())
                && says_something(value)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

pub(super) fn rules_before<'a>(before: &Before<'a>) -> &'a [Value] {
    let rules = before
        .object("ruleset")
        .and_then(|found| found.get("rules"));
    rules
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}
