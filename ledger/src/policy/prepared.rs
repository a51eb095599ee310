//! A tree that is ready to be evaluated: held to its bounds, with its patterns compiled and its rules by level.

use super::facts::{FACTS_OF_OPERATION, window_of};
use super::tree::{Expr, Mode, Policy, PolicyDigest, Rule};
use super::validate::{InvalidPolicy, read_pattern};
use crate::catalog::OperationId;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The patterns of a document, by their text.
#[derive(Debug, Clone, Default)]
pub(super) struct Patterns(HashMap<String, Regex>);

impl Patterns {
    pub(super) fn get(&self, pattern: &str) -> Option<&Regex> {
        self.0.get(pattern)
    }
}

/// A policy that is ready to be evaluated.
#[derive(Debug, Clone)]
pub struct Prepared {
    policy: Arc<Policy>,
    digest: PolicyDigest,
    pub(super) patterns: Patterns,
    /// The names of the facts that conditions read, in order.
    facts: BTreeSet<String>,
    /// The indices of the rules that read params.
    params: Vec<usize>,
    /// The indices of the rules that act, by priority.
    pub(super) levels: BTreeMap<u32, Vec<usize>>,
}

impl Prepared {
    /// Prepares a tree.
    ///
    /// # Errors
    /// The first thing for which [`Policy::validate`] refuses it.
    pub fn new(policy: impl Into<Arc<Policy>>) -> Result<Self, InvalidPolicy> {
        let policy: Arc<Policy> = policy.into();
        policy.validate()?;
        let mut patterns = Patterns::default();
        let mut facts = BTreeSet::new();
        for rule in &policy.rules {
            gather(&rule.when, &mut patterns, &mut facts);
        }
        // Questions are counted by it, and counted again after a start by what is recorded.
        if policy.limits.per_address > 0 {
            facts.insert("address".to_owned());
        }
        let mut levels: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        let mut params = Vec::new();
        for (index, rule) in policy.rules.iter().enumerate() {
            if rule.when.any(&|part| matches!(part, Expr::Params)) {
                params.push(index);
            }
            if rule.mode == Mode::Enforce {
                levels.entry(rule.priority).or_default().push(index);
            }
        }
        Ok(Self {
            digest: policy.digest(),
            policy,
            patterns,
            facts,
            params,
            levels,
        })
    }

    /// The tree.
    #[must_use]
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Its digest.
    #[must_use]
    pub const fn digest(&self) -> PolicyDigest {
        self.digest
    }

    /// The facts that its conditions and limits read, params besides, by name.
    pub fn facts(&self) -> impl Iterator<Item = &str> {
        self.facts.iter().map(String::as_str)
    }

    /// Whether a condition reads that fact.
    #[must_use]
    pub fn reads(&self, fact: &str) -> bool {
        self.facts.contains(fact)
    }

    /// The windows that its conditions read.
    pub fn windows(&self) -> impl Iterator<Item = &str> {
        self.facts().filter_map(window_of)
    }

    /// The facts that its conditions read and that operations do not have of their own.
    pub fn facts_of_apply(&self) -> impl Iterator<Item = &str> {
        self.facts()
            .filter(|name| !FACTS_OF_OPERATION.contains(name))
    }

    /// Whether a rule about that operation reads its params.
    #[must_use]
    pub fn reads_params(&self, operation: OperationId) -> bool {
        let mut reading = self.params.iter().filter_map(|index| self.rule(*index));
        reading.any(|rule| rule.is_about(operation))
    }

    /// Whether a rule about that operation reads such a fact.
    #[must_use]
    pub fn reads_about(&self, operation: OperationId, wanted: impl Fn(&str) -> bool) -> bool {
        let reads = |part: &Expr| matches!(part, Expr::Fact(name) if wanted(name));
        let mut rules = self.policy.rules.iter();
        rules.any(|rule| rule.is_about(operation) && rule.when.any(&reads))
    }

    pub(super) fn rule(&self, index: usize) -> Option<&Rule> {
        self.policy.rules.get(index)
    }
}

fn gather(expr: &Expr, patterns: &mut Patterns, facts: &mut BTreeSet<String>) {
    match expr {
        Expr::Fact(name) => {
            facts.insert(name.clone());
        }
        Expr::Matches(_, pattern) => {
            // The tree is valid, so that each can be read; one that could not be has no match.
            if let Ok(read) = read_pattern(pattern) {
                patterns.0.insert(pattern.clone(), read);
            }
        }
        _ => {}
    }
    expr.each_part(&mut |part| gather(part, patterns, facts));
}
