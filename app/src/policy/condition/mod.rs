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
use facts::Type;
use ledger::policy::{Expr, RuleAction, Window};
use ledger::{OperationId, Providers};
use std::collections::{BTreeMap, BTreeSet};

pub(super) use parse::on_a_large_stack;

/// Longest condition, in bytes.
const MOST_BYTES: usize = 2048;
/// Most nodes of a condition.
const MOST_NODES: usize = 200;
/// Deepest condition, in nodes. Each can be two levels of JSON, of which a policy may have 64.
const MOST_DEPTH: usize = 24;

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
    let (nodes, depth) = extent(&condition.expr);
    if nodes > MOST_NODES {
        let message = format!("a condition has {MOST_NODES} parts at most, this one {nodes}");
        problems.add(Code::TooCostly, line, message);
        return None;
    }
    if depth > MOST_DEPTH {
        let message = format!("the parts of a condition are nested {MOST_DEPTH} deep at most");
        problems.add(Code::TooDeep, line, message);
        return None;
    }
    Some(condition.expr)
}

/// How many nodes a condition has, and how many of them stand inside one another.
fn extent(part: &Expr) -> (usize, usize) {
    let parts: Vec<&Expr> = match part {
        Expr::Literal(_) | Expr::Fact(_) | Expr::Params | Expr::Element => Vec::new(),
        Expr::Field(one, _)
        | Expr::Has(one, _)
        | Expr::Not(one)
        | Expr::Size(one)
        | Expr::Matches(one, _)
        | Expr::InCidr(one, _) => vec![one],
        Expr::And(parts) | Expr::Or(parts) => parts.iter().collect(),
        Expr::If(condition, then, otherwise) => vec![condition, then, otherwise],
        Expr::Compare(_, left, right)
        | Expr::In(left, right)
        | Expr::Text(_, left, right)
        | Expr::Quantified(_, left, right) => vec![left, right],
    };
    let extents = parts.into_iter().map(extent);
    let (nodes, depth) = extents.fold((0, 0), |(nodes, depth), (more, deep)| {
        (nodes + more, depth.max(deep))
    });
    (nodes + 1, depth + 1)
}

#[cfg(test)]
mod tests;
