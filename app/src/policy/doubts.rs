//! What an author should look at again.

use super::document::Placed;
use super::problem::{Code, Problems};
use ledger::policy::{Expr, Mode, Policy, Quantifier, Rule, RuleAction, Value};

/// Finds them.
pub(super) fn find(policy: &Policy, rules: &[Placed], warnings: &mut Problems) {
    if policy.self_approval {
        let message = "who opens a task may approve what its agent asks";
        warnings.add(Code::SelfApproval, None, message);
    }
    for placed in rules {
        warnings.rule = Some(placed.rule.id.to_string());
        if placed.rule.mode == Mode::Enforce {
            hides_deny(placed, rules, warnings);
            unreachable(placed, rules, warnings);
        }
        all_on_empty(placed, warnings);
    }
    warnings.rule = None;
}

/// An ask or allow above a deny: where both match, the deny does not act.
fn hides_deny(placed: &Placed, rules: &[Placed], warnings: &mut Problems) {
    let Placed { rule, line } = placed;
    if rule.action == RuleAction::Deny {
        return;
    }
    let hidden: Vec<_> = enforced(rules)
        .filter(|other| {
            other.action == RuleAction::Deny
                && other.priority < rule.priority
                && !is_constant(&other.when, false)
                && !is_constant(&rule.when, false)
                && overlap(rule, other)
        })
        .map(|other| other.id.to_string())
        .collect();
    if !hidden.is_empty() {
        let message = format!(
            "stands above the deny {}, which does not act where this rule matches",
            hidden.join(", ")
        );
        warnings.add(Code::HidesDeny, *line, message);
    }
}

/// A rule that never decides, whatever the facts are.
fn unreachable(placed: &Placed, rules: &[Placed], warnings: &mut Problems) {
    let Placed { rule, line } = placed;
    if is_constant(&rule.when, false) {
        let message = "its condition is never true";
        warnings.add(Code::Unreachable, *line, message);
        return;
    }
    let above = enforced(rules).find(|other| {
        let wins = other.priority > rule.priority
            || other.priority == rule.priority && other.action > rule.action;
        // An allow that sensitive operations do not see leaves them to the rules below.
        let always = other.action != RuleAction::Allow || other.sensitive;
        wins && always && is_constant(&other.when, true) && covers(other, rule)
    });
    if let Some(above) = above {
        let message = format!(
            "never decides: {} matches always and goes before it",
            above.id
        );
        warnings.add(Code::Unreachable, *line, message);
    }
}

fn enforced(rules: &[Placed]) -> impl Iterator<Item = &Rule> {
    let rules = rules.iter().map(|placed| &placed.rule);
    rules.filter(|rule| rule.mode == Mode::Enforce)
}

fn is_constant(condition: &Expr, truth: bool) -> bool {
    *condition == Expr::Literal(Value::Bool(truth))
}

/// Whether there is an operation that both are about.
fn overlap(one: &Rule, other: &Rule) -> bool {
    match (&one.operations, &other.operations) {
        (Some(these), Some(those)) => !these.is_disjoint(those),
        _ => true,
    }
}

/// Whether one is about every operation of the other.
fn covers(one: &Rule, other: &Rule) -> bool {
    match (&one.operations, &other.operations) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(these), Some(those)) => these.is_superset(those),
    }
}

/// An `all` over a list that may be empty, without a look at its size beside it.
fn all_on_empty(placed: &Placed, warnings: &mut Problems) {
    let mut found = false;
    look(&placed.rule.when, &[], &mut found);
    if found {
        let message =
            "all(…) is true of an empty list: say size(…) > 0 && before it where that is not meant";
        warnings.add(Code::AllOnEmpty, placed.line, message);
    }
}

/// Looks for it in a part of a condition; `beside` are the lists whose size the `&&` around it tests.
fn look(part: &Expr, beside: &[&Expr], found: &mut bool) {
    match part {
        Expr::Quantified(Quantifier::All, list, _) => {
            let is_literal =
                matches!(&**list, Expr::Literal(Value::List(items)) if !items.is_empty());
            *found |= !is_literal && !beside.contains(&&**list);
        }
        Expr::And(parts) => {
            let sized = parts.iter().filter_map(sized).chain(beside.iter().copied());
            let sized: Vec<_> = sized.collect();
            for part in parts {
                look(part, &sized, found);
            }
        }
        Expr::Or(parts) => parts.iter().for_each(|part| look(part, beside, found)),
        Expr::Not(part) => look(part, &[], found),
        Expr::If(condition, then, otherwise) => {
            for part in [condition, then, otherwise] {
                look(part, beside, found);
            }
        }
        Expr::Compare(_, left, right) => {
            look(left, beside, found);
            look(right, beside, found);
        }
        _ => {}
    }
}

/// The list whose size a part tests, where it does.
fn sized(part: &Expr) -> Option<&Expr> {
    let Expr::Compare(_, left, right) = part else {
        return None;
    };
    [left, right].into_iter().find_map(|side| match &**side {
        Expr::Size(list) => Some(&**list),
        _ => None,
    })
}
