//! What the rules say of an apply.

use super::condition::{self, Evaluator, Leaves, Seen};
use super::facts::{Fact, Facts, NOT_GIVEN, Why};
use super::prepared::Prepared;
use super::requirement::{Requirement, joined};
use super::tree::{DefaultAction, Rule, RuleAction, RuleId};
use crate::catalog::{Level, OperationId, Risk};
use crate::operation::Scope;
use std::collections::{BTreeMap, BTreeSet};

/// One operation as the rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct OperationFacts<'a> {
    /// The operation.
    pub operation: OperationId,
    /// Its object.
    pub scope: &'a Scope,
    /// The level that a grant must have.
    pub level: Level,
    /// Its risk by the catalog and the task's allowlist.
    pub risk: Risk,
    /// Its params as they will be sent; `None`: they cannot be read.
    pub params: Option<&'a serde_json::Value>,
    /// A grant covers it.
    pub granted: bool,
    /// Its task is opened by a template of which every apply is asked about, whatever is granted or allowed.
    pub always_asked: bool,
}

impl OperationFacts<'_> {
    /// What holds without a document.
    const fn by_catalog(&self) -> RuleAction {
        let is_sensitive = matches!(self.risk, Risk::Sensitive);
        match self.granted && !is_sensitive && !self.always_asked {
            true => RuleAction::Allow,
            false => RuleAction::Ask,
        }
    }
}

/// What the rules say of an apply, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The strictest of its operations.
    pub outcome: RuleAction,
    /// The rules whose action that is, in the document's order; none where no rule decided.
    pub rules: Vec<RuleId>,
    /// Why, in the words of those rules; may be empty.
    pub reason: String,
    /// Each operation, in order.
    pub operations: Vec<OperationEvaluation>,
    /// The facts that were read, by name.
    pub facts: BTreeMap<String, Fact>,
    /// What an answer needs, where people are asked.
    pub requirement: Option<Requirement>,
}

/// What the rules say of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationEvaluation {
    /// What holds of it.
    pub outcome: RuleAction,
    /// The priority of the rules that decided; `None` where the default did.
    pub level: Option<u32>,
    /// The rules whose action is the outcome, in the document's order.
    pub rules: Vec<RuleId>,
    /// What became of each rule, in the document's order.
    pub trace: Vec<RuleResult>,
    /// What an answer needs, where people are asked.
    pub requirement: Option<Requirement>,
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleResult {
    /// Its condition does not hold, or it is not about the operation.
    NoMatch,
    /// Its condition holds.
    Match,
    /// It cannot be told, and why.
    Unevaluable(Why),
}

/// What a policy says of operations that are asked for together.
///
/// Levels are looked at by priority, the highest first; the first one with a rule that surely matches decides,
/// and inside it deny comes before ask before allow. A rule that cannot be evaluated counts as matched and as
/// not matched, and the stricter result holds. Equal inputs give equal answers.
#[must_use]
pub fn evaluate(policy: &Prepared, operations: &[OperationFacts<'_>], facts: &Facts) -> Evaluation {
    let mut read = BTreeSet::new();
    if policy.policy().limits.per_address > 0 {
        read.insert("address");
    }
    let operations: Vec<_> = operations
        .iter()
        .map(|operation| evaluate_one(policy, operation, facts, &mut read))
        .collect();
    let outcome = operations.iter().map(|one| one.outcome).max();
    let outcome = outcome.unwrap_or(RuleAction::Ask);
    let deciding = operations.iter().filter(|one| one.outcome == outcome);
    let named: BTreeSet<_> = deciding.flat_map(|one| &one.rules).collect();
    let acting = policy.policy().rules.iter();
    let acting: Vec<_> = acting.filter(|rule| named.contains(&rule.id)).collect();
    let requirements = operations.iter().filter_map(|one| one.requirement.clone());
    let requirement = match outcome {
        RuleAction::Ask => requirements.reduce(Requirement::join),
        RuleAction::Allow | RuleAction::Deny => None,
    };
    let said = |name: &str| facts.get(name).cloned();
    Evaluation {
        outcome,
        rules: acting.iter().map(|rule| rule.id).collect(),
        reason: acting
            .iter()
            .fold(String::new(), |text, rule| joined(text, &rule.reason)),
        facts: read
            .into_iter()
            .map(|name| {
                let fact = said(name).unwrap_or(Fact::unknown(NOT_GIVEN));
                (name.to_owned(), fact)
            })
            .collect(),
        requirement,
        operations,
    }
}

fn evaluate_one<'a>(
    policy: &'a Prepared,
    operation: &'a OperationFacts<'a>,
    facts: &'a Facts,
    read: &mut BTreeSet<&'a str>,
) -> OperationEvaluation {
    let mut leaves = Read {
        operation,
        facts,
        read,
    };
    let rules = &policy.policy().rules;
    let trace: Vec<_> = rules
        .iter()
        .map(|rule| look_at(policy, rule, operation.operation, &mut leaves))
        .collect();
    let decided = decide(policy, operation, &trace);
    let (mut outcome, mut acting) = (decided.outcome(), decided.acting);
    let mut requirement = None;
    if outcome == RuleAction::Allow && operation.always_asked {
        outcome = RuleAction::Ask;
        acting.clear();
        requirement = Some(Requirement::of_default(operation.risk));
    }
    acting.retain(|(rule, _)| rule.action == outcome);
    acting.sort_by_key(|(_, index)| *index);
    if outcome == RuleAction::Ask {
        let by_rules = acting
            .iter()
            .map(|(rule, _)| Requirement::of_rule(rule, operation.risk));
        let by_default = decided
            .default
            .filter(|default| *default == RuleAction::Ask)
            .map(|_| Requirement::of_default(operation.risk));
        requirement = by_rules
            .chain(by_default)
            .chain(requirement)
            .reduce(Requirement::join);
    }
    OperationEvaluation {
        outcome,
        level: decided.level,
        rules: acting.into_iter().map(|(rule, _)| rule.id).collect(),
        trace,
        requirement,
    }
}

fn look_at<'a>(
    policy: &'a Prepared,
    rule: &'a Rule,
    operation: OperationId,
    leaves: &mut Read<'a, '_>,
) -> RuleResult {
    if !rule.is_about(operation) {
        return RuleResult::NoMatch;
    }
    let mut evaluator = Evaluator {
        patterns: &policy.patterns,
        leaves,
    };
    match evaluator.holds(&rule.when) {
        Ok(true) => RuleResult::Match,
        Ok(false) => RuleResult::NoMatch,
        Err(why) => RuleResult::Unevaluable(why),
    }
}

/// The rules that act on an operation, and the default where the levels led to it.
struct Decided<'a> {
    /// With their indices.
    acting: Vec<(&'a Rule, usize)>,
    default: Option<RuleAction>,
    level: Option<u32>,
}

impl Decided<'_> {
    fn outcome(&self) -> RuleAction {
        let acting = self.acting.iter().map(|(rule, _)| rule.action);
        acting.chain(self.default).max().unwrap_or(RuleAction::Ask)
    }
}

/// Walks down the levels, carries the denies and asks that cannot be evaluated, and stops at the first level
/// with a rule that surely matches.
fn decide<'a>(
    policy: &'a Prepared,
    operation: &OperationFacts<'_>,
    trace: &[RuleResult],
) -> Decided<'a> {
    let is_sensitive = operation.risk == Risk::Sensitive;
    let mut acting = Vec::new();
    for (priority, level) in policy.levels.iter().rev() {
        let mut is_decided = false;
        for index in level {
            let (Some(rule), Some(result)) = (policy.rule(*index), trace.get(*index)) else {
                continue;
            };
            if rule.action == RuleAction::Allow && is_sensitive && !rule.sensitive {
                continue;
            }
            match result {
                RuleResult::NoMatch => continue,
                // Without it the levels below decide, which is never laxer.
                RuleResult::Unevaluable(_) if rule.action == RuleAction::Allow => continue,
                RuleResult::Unevaluable(_) => {}
                RuleResult::Match => is_decided = true,
            }
            acting.push((rule, *index));
        }
        if is_decided {
            return Decided {
                acting,
                default: None,
                level: Some(*priority),
            };
        }
    }
    let default = match policy.policy().default {
        DefaultAction::Catalog => operation.by_catalog(),
        DefaultAction::Ask => RuleAction::Ask,
        DefaultAction::Deny => RuleAction::Deny,
    };
    Decided {
        acting,
        default: Some(default),
        level: None,
    }
}

/// Facts as conditions read them.
struct Read<'a, 'r> {
    operation: &'a OperationFacts<'a>,
    facts: &'a Facts,
    read: &'r mut BTreeSet<&'a str>,
}

impl<'a> OperationFacts<'a> {
    /// A fact that it has of its own.
    fn own(&'a self, name: &str) -> Option<&'a str> {
        Some(match name {
            "level" => self.level.as_str(),
            "operation" => self.operation.as_str(),
            "risk" => self.risk.as_str(),
            "scope.id" => self.scope.id.as_str(),
            "scope.type" => self.scope.scope_type.as_str(),
            _ => return None,
        })
    }
}

impl<'a> Leaves<'a> for Read<'a, '_> {
    fn fact(&mut self, name: &'a str) -> condition::Result<'a> {
        let said = self.facts.get(name);
        if said.is_none()
            && let Some(own) = self.operation.own(name)
        {
            return Ok(Seen::Text(own));
        }
        self.read.insert(name);
        match said {
            Some(Fact::Known(value)) => Ok(value.into()),
            Some(Fact::Unknown(why)) => Err(format!("{name}: {why}").into()),
            None => Err(format!("{name}: {NOT_GIVEN}").into()),
        }
    }

    fn params(&mut self) -> condition::Result<'a> {
        let params = self
            .operation
            .params
            .ok_or(Why::Borrowed("params: unreadable"))?;
        Seen::json(params)
    }
}
