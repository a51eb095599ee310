//! Whether a tree is one that a document can be lowered to, and that is safe to evaluate: a tree can come from
//! elsewhere than from a document of ours.

use super::bounds::{
    CONDITION_FUEL, MAX_NEEDS, MAX_NESTING, MAX_NODES, MAX_PATTERN_BYTES, MAX_PEOPLE, MAX_PRIORITY,
    MAX_REASON_CHARS, MAX_RULES, MAX_WINDOWS, OPERATION_FUEL, PATTERN_BYTES, TTL_SECONDS,
};
use super::facts::{FACTS_OF_APPLY, FACTS_OF_OPERATION, window_of};
use super::tree::{Expr, Need, Policy, RetentionMode, Rule, RuleAction, RuleId, Value};
use crate::canonical::MAX_INTEGER;
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use std::collections::{BTreeMap, BTreeSet};

/// Why a tree is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", rule.map(|rule| format!("rule {rule}: ")).unwrap_or_default())]
pub struct InvalidPolicy {
    /// The stable code.
    pub code: &'static str,
    /// The rule, where it is about one.
    pub rule: Option<RuleId>,
    /// The mistake, for people.
    pub message: String,
}

impl InvalidPolicy {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            rule: None,
            message: message.into(),
        }
    }
}

/// Reads a pattern of `matches`.
///
/// # Errors
/// Says what is wrong with it.
pub fn read_pattern(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("a pattern has at most {MAX_PATTERN_BYTES} bytes"));
    }
    let read = RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES)
        .dfa_size_limit(PATTERN_BYTES)
        .nest_limit(32)
        .build();
    read.map_err(|error| error.to_string())
}

/// Reads a block of addresses of `in_cidr`.
///
/// # Errors
/// Says what is wrong with it.
pub fn read_block(block: &str) -> Result<IpNet, String> {
    let read: IpNet = block
        .parse()
        .map_err(|_| format!("{block:?} is no block of addresses, such as 10.0.0.0/8"))?;
    match read.trunc() == read {
        true => Ok(read),
        false => Err(format!(
            "{block:?} has bits set beyond its prefix; {} does not",
            read.trunc()
        )),
    }
}

impl Policy {
    /// Holds the tree to the bounds.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), InvalidPolicy> {
        if self.rules.len() > MAX_RULES {
            let most = format!("a document has at most {MAX_RULES} rules");
            return Err(InvalidPolicy::new("too_long", most));
        }
        if self.windows.len() > MAX_WINDOWS {
            let most = format!("a document has at most {MAX_WINDOWS} windows");
            return Err(InvalidPolicy::new("too_long", most));
        }
        let ids: BTreeSet<_> = self.rules.iter().map(|rule| rule.id).collect();
        if ids.len() != self.rules.len() {
            let twice = "two rules have one id";
            return Err(InvalidPolicy::new("duplicate_id", twice));
        }
        if let Some(change) = &self.policy_change {
            check_needs(&change.needs, true)?;
        }
        if let Some(break_glass) = &self.break_glass {
            check_needs(&break_glass.review, true)?;
        }
        for rule in &self.rules {
            self.check_rule(rule).map_err(|invalid| InvalidPolicy {
                rule: Some(rule.id),
                ..invalid
            })?;
        }
        self.check_fuel()
    }

    fn check_rule(&self, rule: &Rule) -> Result<(), InvalidPolicy> {
        let bad = |message: String| Err(InvalidPolicy::new("bad_value", message));
        if rule.priority > MAX_PRIORITY {
            return bad(format!("priority is at most {MAX_PRIORITY}"));
        }
        if rule.reason.chars().count() > MAX_REASON_CHARS {
            return bad(format!("reason has at most {MAX_REASON_CHARS} characters"));
        }
        if !TTL_SECONDS.contains(&rule.ttl) {
            return bad("ttl is 1 minute to 7 days".to_owned());
        }
        if !rule.retention.contains(&RetentionMode::Once) {
            return bad("retention has `once`: an answer can always hold for one apply".to_owned());
        }
        check_needs(&rule.needs, rule.action == RuleAction::Ask)?;
        self.check_condition(&rule.when)?;
        let reads_params = rule.when.any(&|part| matches!(part, Expr::Params));
        if reads_params && rule.operations.is_none() {
            let which = "a rule that reads params names its operations";
            return Err(InvalidPolicy::new("params_need_operations", which));
        }
        Ok(())
    }

    fn check_condition(&self, condition: &Expr) -> Result<(), InvalidPolicy> {
        // Before anything else walks through it.
        if condition.nesting() > MAX_NESTING {
            let deep = format!("its condition is nested deeper than {MAX_NESTING} levels");
            return Err(InvalidPolicy::new("too_deep", deep));
        }
        if condition.nodes() > MAX_NODES {
            let long = format!("its condition has more than {MAX_NODES} nodes");
            return Err(InvalidPolicy::new("too_long", long));
        }
        self.check_part(condition, false)?;
        if condition.cost() > CONDITION_FUEL {
            let costly = "its condition looks through too much for each operation";
            return Err(InvalidPolicy::new("too_costly", costly));
        }
        Ok(())
    }

    fn check_part(&self, part: &Expr, in_quantifier: bool) -> Result<(), InvalidPolicy> {
        match part {
            Expr::Literal(value) => check_value(value)?,
            Expr::Fact(name) => self.check_fact(name)?,
            Expr::Element if !in_quantifier => {
                let lost = "an element stands outside of exists and all";
                return Err(InvalidPolicy::new("profile", lost));
            }
            // An element that is no object has no field that could be there: that is unknown.
            Expr::Has(of, _) if !matches!(root_of(of), Expr::Params | Expr::Element) => {
                let other = "has() is about params only";
                return Err(InvalidPolicy::new("profile", other));
            }
            Expr::And(parts) | Expr::Or(parts) if parts.len() < 2 => {
                let few = "&& and || have two parts or more";
                return Err(InvalidPolicy::new("profile", few));
            }
            Expr::Matches(_, pattern) => {
                let read = read_pattern(pattern);
                read.map_err(|error| InvalidPolicy::new("pattern", error))?;
            }
            Expr::InCidr(_, block) => {
                let read = read_block(block);
                read.map_err(|error| InvalidPolicy::new("bad_value", error))?;
            }
            Expr::Quantified(_, list, body) => {
                if in_quantifier {
                    let nested = "exists and all do not stand within each other";
                    return Err(InvalidPolicy::new("profile", nested));
                }
                self.check_part(list, false)?;
                return self.check_part(body, true);
            }
            _ => {}
        }
        let mut checked = Ok(());
        part.each_part(&mut |part| {
            if checked.is_ok() {
                checked = self.check_part(part, in_quantifier);
            }
        });
        checked
    }

    fn check_fact(&self, name: &str) -> Result<(), InvalidPolicy> {
        let known = FACTS_OF_APPLY.contains(&name)
            || FACTS_OF_OPERATION.contains(&name)
            || window_of(name).is_some_and(|window| self.windows.contains_key(window));
        match known {
            true => Ok(()),
            false => Err(InvalidPolicy::new(
                "unknown_name",
                format!("there is no fact {name:?}"),
            )),
        }
    }

    /// No operation may cost more than the fuel, whichever it is.
    fn check_fuel(&self) -> Result<(), InvalidPolicy> {
        let mut every = 0_u64;
        let mut of_one: BTreeMap<_, u64> = BTreeMap::new();
        for rule in &self.rules {
            let cost = rule.when.cost();
            match &rule.operations {
                None => every = every.saturating_add(cost),
                Some(operations) => {
                    for operation in operations {
                        let sum = of_one.entry(*operation).or_default();
                        *sum = sum.saturating_add(cost);
                    }
                }
            }
        }
        let most = of_one.values().max().copied().unwrap_or(0);
        match every.saturating_add(most) > OPERATION_FUEL {
            true => Err(InvalidPolicy::new(
                "too_costly",
                "the rules about one operation look through too much together",
            )),
            false => Ok(()),
        }
    }
}

/// The expression that fields are read of.
fn root_of(mut of: &Expr) -> &Expr {
    while let Expr::Field(inner, _) = of {
        of = inner;
    }
    of
}

fn check_value(value: &Value) -> Result<(), InvalidPolicy> {
    match value {
        Value::Int(int) if int.unsigned_abs() > MAX_INTEGER => Err(InvalidPolicy::new(
            "bad_value",
            "integers are within 2^53 of 0",
        )),
        Value::Bool(_) | Value::Int(_) | Value::Text(_) => Ok(()),
        Value::List(list) => list.iter().try_for_each(check_value),
        Value::Map(map) => map.values().try_for_each(check_value),
    }
}

fn check_needs(needs: &[Need], are_asked: bool) -> Result<(), InvalidPolicy> {
    let bad = |message: String| Err(InvalidPolicy::new("bad_value", message));
    if needs.is_empty() && are_asked {
        return bad("needs name somebody: nobody would be asked".to_owned());
    }
    if needs.len() > MAX_NEEDS {
        return bad(format!("needs are at most {MAX_NEEDS}"));
    }
    if needs.iter().any(|need| need.n == 0 || need.n > MAX_PEOPLE) {
        return bad(format!("n is 1 to {MAX_PEOPLE} people"));
    }
    let mut groups = BTreeSet::new();
    match needs
        .iter()
        .all(|need| groups.insert((need.group, need.assurance)))
    {
        true => Ok(()),
        false => bad("needs name a group twice".to_owned()),
    }
}
