//! Whether facts that are missing could change what a policy says.

use super::evaluation::{Evaluation, OperationEvaluation, OperationFacts, RuleResult};
use super::prepared::Prepared;
use super::tree::{Expr, Rule, RuleAction};
use crate::catalog::Risk;
use std::collections::BTreeSet;

/// Those of the missing facts whose values could change what the policy said of an apply; the evaluation took
/// each of them for unknown. Where a fact is not named here, the same holds whatever it was.
pub(crate) fn decisive<'a>(
    policy: &Prepared,
    operations: &[OperationFacts<'_>],
    said: &Evaluation,
    missing: &'a BTreeSet<String>,
) -> BTreeSet<&'a str> {
    if missing.is_empty() {
        return BTreeSet::new();
    }
    let mut all = BTreeSet::new();
    for (operation, said) in operations.iter().zip(&said.operations) {
        let of_one = decisive_for(policy, operation, said, missing);
        // Nothing makes up for an operation that is surely denied.
        if of_one.is_empty() && said.outcome == RuleAction::Deny {
            return BTreeSet::new();
        }
        all.extend(of_one);
    }
    all
}

/// A rule that may have matched if only the missing facts were known.
struct Doubtful<'a> {
    action: RuleAction,
    reads: BTreeSet<&'a str>,
}

/// Walks down the levels as an evaluation does, as far as one with a rule that surely matches.
fn decisive_for<'a>(
    policy: &Prepared,
    operation: &OperationFacts<'_>,
    said: &OperationEvaluation,
    missing: &'a BTreeSet<String>,
) -> BTreeSet<&'a str> {
    let is_sensitive = operation.risk == Risk::Sensitive;
    let mut doubtful: Vec<Doubtful<'a>> = Vec::new();
    for level in policy.levels.values().rev() {
        let mut sure: Option<RuleAction> = None;
        let mut here = Vec::new();
        for index in level {
            let (Some(rule), Some(result)) = (policy.rule(*index), said.trace.get(*index)) else {
                continue;
            };
            if rule.action == RuleAction::Allow && is_sensitive && !rule.sensitive {
                continue;
            }
            match result {
                RuleResult::NoMatch => {}
                RuleResult::Match => sure = sure.max(Some(rule.action)),
                RuleResult::Unevaluable(_) => {
                    let reads = read_of(rule, missing);
                    if !reads.is_empty() {
                        let action = rule.action;
                        here.push(Doubtful { action, reads });
                    }
                }
            }
        }
        // Beside a rule that surely matches, a laxer one decides nothing.
        here.retain(|one| sure.is_none_or(|sure| one.action >= sure));
        doubtful.append(&mut here);
        if sure.is_some() {
            break;
        }
    }
    // Whether or not they match, it is allowed.
    let all_allow = doubtful.iter().all(|one| one.action == RuleAction::Allow);
    if all_allow && said.outcome == RuleAction::Allow {
        return BTreeSet::new();
    }
    doubtful.into_iter().flat_map(|one| one.reads).collect()
}

/// The missing facts that the condition of a rule reads.
fn read_of<'a>(rule: &Rule, missing: &'a BTreeSet<String>) -> BTreeSet<&'a str> {
    let reads = |fact: &str| {
        rule.when
            .any(&|part| matches!(part, Expr::Fact(name) if name == fact))
    };
    let names = missing.iter().map(String::as_str);
    names.filter(|name| reads(name)).collect()
}
