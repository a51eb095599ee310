//! Policy documents: rules that say which operations run, which ask people, and which never run.
//!
//! A document is text that a person wrote. Saved, it is lowered to a [`Policy`], the tree that decisions and
//! the auditor evaluate; its digest is what statements and records name. [`Prepared`] is a tree that was held to
//! its [`bounds`], and [`evaluate`] says what it means for operations that are asked for.

mod asked;
pub mod bounds;
mod condition;
mod evaluation;
mod facts;
mod in_force;
mod missing;
mod needs;
mod prepared;
mod requirement;
#[cfg(test)]
mod tests;
mod tree;
mod validate;
mod window_clock;

pub(crate) use asked::recordable;
pub use asked::{Allowed, AskedOperation, Edge};
pub use evaluation::{Evaluation, OperationEvaluation, OperationFacts, RuleResult, evaluate};
pub use facts::{
    FACTS_OF_APPLY, FACTS_OF_OPERATION, Fact, Facts, NOT_GIVEN, Why, is_from_log, is_of_model,
    is_of_usage, window_of,
};
pub use in_force::{CurrentPolicy, PolicyInForce};
pub(crate) use missing::decisive;
pub use needs::{Candidates, are_met, assigned};
pub use prepared::Prepared;
pub use requirement::{Excluded, Exclusion, Requirement, RequirementDigest, Retention};
pub use tree::{
    Assurance, BreakGlass, Comparison, DefaultAction, Engine, Expr, InvalidRuleId, Limits, Mode,
    Need, NeedGroup, Policy, PolicyChange, PolicyDigest, PreState, Quantifier, RetentionMode, Rule,
    RuleAction, RuleDigest, RuleId, TextTest, Value, Window,
};
pub use validate::{InvalidPolicy, read_block, read_pattern};
pub use window_clock::WindowClock;

/// The most bytes of a document's text.
pub const MAX_SOURCE_BYTES: usize = 64 * 1024;
