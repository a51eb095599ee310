//! The bounds of documents and the costs of conditions. They are a part of what `lpp-cel/1` means.
//!
//! The cost of a condition is counted in nodes and follows from its tree alone: a list counts with the most
//! elements that one may have, whatever it has. So a condition never costs more because a fact is known, and
//! never becomes evaluable because one is not. A value beyond the bounds is unknown.

use super::tree::{Expr, TextTest, Value};

/// The most rules of a document.
pub const MAX_RULES: usize = 500;
/// The most windows of a document.
pub const MAX_WINDOWS: usize = 32;
/// The most nodes of one condition.
pub const MAX_NODES: usize = 200;
/// How deep the nodes of a condition may stand in each other. As JSON each takes two levels.
pub const MAX_NESTING: usize = 26;
/// The most bytes of a pattern.
pub const MAX_PATTERN_BYTES: usize = 256;
/// The most needs of a rule, of a change of the document or of a review.
pub const MAX_NEEDS: usize = 16;
/// The most people of one need.
pub const MAX_PEOPLE: u32 = 20;
/// The most characters of a rule's reason.
pub const MAX_REASON_CHARS: usize = 1000;
/// The highest priority of a rule.
pub const MAX_PRIORITY: u32 = 1_000_000;
/// The least and the most seconds that a question may stay open.
pub const TTL_SECONDS: std::ops::RangeInclusive<u32> = 60..=604_800;
/// The most that one condition may cost.
pub const CONDITION_FUEL: u64 = 30_000;
/// The most that all rules about one operation may cost together.
pub const OPERATION_FUEL: u64 = 100_000;

/// The most elements of a list that is looked through.
pub const MAX_LIST: usize = 256;
/// The most bytes of a text that is looked at.
pub const MAX_TEXT_BYTES: usize = 8192;
/// The most bytes of a text that a pattern is held to.
pub const MAX_MATCHED_BYTES: usize = 2048;
/// The most values that one comparison of lists or objects looks at.
pub const MAX_COMPARED: usize = 256;

/// What a compiled pattern may weigh.
pub(super) const PATTERN_BYTES: usize = 256 * 1024;

const NODE: u64 = 1;
const MATCH: u64 = 50;
const SEARCH: u64 = 10;
const LIST: u64 = MAX_LIST as u64;

impl Expr {
    /// The nodes of the condition, itself included. A constant is one, whatever it holds.
    #[must_use]
    pub fn nodes(&self) -> usize {
        let mut nodes = 1;
        self.each_part(&mut |part| nodes += part.nodes());
        nodes
    }

    /// How deep its nodes stand in each other, itself included.
    #[must_use]
    pub fn nesting(&self) -> usize {
        let mut most = match self {
            Self::Literal(value) => nesting_of(value),
            _ => 0,
        };
        self.each_part(&mut |part| most = most.max(part.nesting()));
        most.saturating_add(1)
    }

    /// The most that evaluating it costs, in nodes.
    #[must_use]
    pub fn cost(&self) -> u64 {
        if let Self::Quantified(_, list, body) = self {
            let each = body.cost().saturating_mul(LIST);
            return NODE.saturating_add(list.cost()).saturating_add(each);
        }
        let mut parts = 0_u64;
        self.each_part(&mut |part| parts = parts.saturating_add(part.cost()));
        let own = match self {
            Self::Matches(..) => MATCH,
            Self::Text(TextTest::Contains, ..) | Self::Size(_) | Self::InCidr(..) => SEARCH,
            Self::In(_, list) => match &**list {
                Self::Literal(Value::List(list)) => u64::try_from(list.len()).unwrap_or(u64::MAX),
                _ => LIST,
            },
            Self::Compare(_, left, right) => match (&**left, &**right) {
                (Self::Literal(_), _) | (_, Self::Literal(_)) => NODE,
                _ => SEARCH,
            },
            _ => 0,
        };
        NODE.saturating_add(own).saturating_add(parts)
    }

    /// Hands over the parts that it is made of.
    pub(super) fn each_part<'a>(&'a self, to: &mut dyn FnMut(&'a Self)) {
        match self {
            Self::Literal(_) | Self::Fact(_) | Self::Params | Self::Element => {}
            Self::Field(part, _)
            | Self::Has(part, _)
            | Self::Not(part)
            | Self::Size(part)
            | Self::Matches(part, _)
            | Self::InCidr(part, _) => to(part),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(to),
            Self::If(condition, then, otherwise) => {
                to(condition);
                to(then);
                to(otherwise);
            }
            Self::Compare(_, left, right)
            | Self::In(left, right)
            | Self::Text(_, left, right)
            | Self::Quantified(_, left, right) => {
                to(left);
                to(right);
            }
        }
    }

    /// Whether this holds of it or of a node within it.
    pub(crate) fn any(&self, holds: &dyn Fn(&Self) -> bool) -> bool {
        let mut found = holds(self);
        self.each_part(&mut |part| found = found || part.any(holds));
        found
    }
}

fn nesting_of(value: &Value) -> usize {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Text(_) => 0,
        Value::List(list) => 1 + list.iter().map(nesting_of).max().unwrap_or(0),
        Value::Map(map) => 1 + map.values().map(nesting_of).max().unwrap_or(0),
    }
}
