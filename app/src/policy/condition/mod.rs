//! Conditions of rules: a part of CEL, parsed by a crate and lowered to the tree's own nodes.
//!
//! | file | holds |
//! |---|---|
//! | `parse` | the bounds that are checked first, and the parser |
//! | `facts` | what a condition can read, with types |
//! | `lower` | CEL's tree, type-checked and lowered node by node |
//! | `functions` | the same for calls: operators and functions |

mod facts;
mod functions;
mod lower;
mod parse;

use super::problem::{Code, Problems};
pub(super) use facts::Type;
use ledger::policy::bounds::{CONDITION_FUEL, MAX_NESTING, MAX_NODES};
use ledger::policy::{Expr, RuleAction, Window};
use ledger::{OperationId, Providers};
use std::collections::{BTreeMap, BTreeSet};

pub(super) use parse::on_a_large_stack;

/// Longest condition, in bytes.
const MOST_BYTES: usize = 2048;
/// What a condition may name.
pub(super) struct Surroundings<'a> {
    pub(super) action: Option<RuleAction>,
    pub(super) operations: Option<&'a BTreeSet<OperationId>>,
    pub(super) providers: &'a Providers,
    pub(super) windows: &'a BTreeMap<String, Window>,
}

/// Reads a condition that begins on that line.
pub(super) fn read(
    text: &str,
    line: Option<u32>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Expr> {
    let parsed = parse::parse(text, line, problems)?;
    let mut lowering = lower::Lowering::new(&parsed, surroundings, problems);
    let condition = lowering.lower(&parsed.root)?;
    if condition.of != Type::Bool {
        let message = format!(
            "a condition must be true or false, and this is {}: it would never match",
            condition.of
        );
        problems.add(Code::Type, line, message);
        return None;
    }
    let expr = condition.expr;
    if expr.nesting() > MAX_NESTING {
        let message = format!("the parts of a condition are nested {MAX_NESTING} deep at most");
        problems.add(Code::TooDeep, line, message);
        return None;
    }
    let nodes = expr.nodes();
    if nodes > MAX_NODES {
        let message = format!("a condition has {MAX_NODES} parts at most, this one {nodes}");
        problems.add(Code::TooCostly, line, message);
        return None;
    }
    if expr.cost() > CONDITION_FUEL {
        let message = "a condition looks through too much: do less in exists and all";
        problems.add(Code::TooCostly, line, message);
        return None;
    }
    Some(expr)
}

/// The type of a fact, windows included; `None` where there is no such fact.
pub(super) fn type_of_fact(name: &str) -> Option<Type> {
    match name.strip_prefix("window.") {
        Some(_) => Some(Type::Bool),
        None => facts::type_of(name),
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
