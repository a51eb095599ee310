//! The parts of a document that this build does not carry out. A document must never promise something that is
//! not done, so one with such a part is not saved.
//!
//! To carry a part out, take its row away.

use super::tree::{Policy, PreState, Rule, RuleAction, RuleId};
use crate::catalog::Risk;
use crate::provider::Providers;
use std::fmt;

/// A part of a document that this build does not carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCarriedOut {
    /// The rule that it stands in.
    pub rule: Option<RuleId>,
    /// The key.
    pub key: &'static str,
    /// What to write instead.
    pub instead: &'static str,
}

impl fmt::Display for NotCarriedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, instead) = (self.key, self.instead);
        write!(f, "{key}: this build does not carry it out yet; {instead}")
    }
}

struct OfRule {
    key: &'static str,
    instead: &'static str,
    asks: fn(&Rule, &Providers) -> bool,
}

const OF_RULE: &[OfRule] = &[OfRule {
    key: "pre_state",
    instead: "write pre_state = \"shown\"",
    asks: binds_pre_state,
}];

/// Bound is what an ask gets of a sensitive operation where it says nothing.
fn binds_pre_state(rule: &Rule, providers: &Providers) -> bool {
    let asks_of_sensitive = || {
        let mut catalog = providers.catalog();
        catalog.any(|entry| entry.risk == Risk::Sensitive && rule.is_about(entry.id))
    };
    match rule.pre_state {
        Some(PreState::Bind) => true,
        Some(PreState::Shown) => false,
        None => rule.action == RuleAction::Ask && asks_of_sensitive(),
    }
}

/// Every part of the document that this build does not carry out.
#[must_use]
pub fn not_carried_out(policy: &Policy, providers: &Providers) -> Vec<NotCarriedOut> {
    let mut found = Vec::new();
    for rule in &policy.rules {
        let of_rule = OF_RULE.iter().filter(|row| (row.asks)(rule, providers));
        found.extend(of_rule.map(|row| NotCarriedOut {
            rule: Some(rule.id),
            key: row.key,
            instead: row.instead,
        }));
    }
    found
}
