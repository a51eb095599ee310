//! Policy documents: rules that say which operations run, which ask people, and which never run.
//!
//! A document is text that a person wrote. Saved, it is lowered to a [`Policy`], the tree that decisions and
//! the auditor evaluate; its digest is what statements and records name.

mod in_force;
mod tree;

pub use in_force::{CurrentPolicy, PolicyInForce};
pub use tree::{
    Assurance, BreakGlass, Comparison, DefaultAction, Engine, Expr, InvalidRuleId, Limits, Mode,
    Need, NeedGroup, Policy, PolicyChange, PolicyDigest, PreState, Quantifier, RetentionMode, Rule,
    RuleAction, RuleDigest, RuleId, TextTest, Value, Window,
};
