//! What the policy says of an apply.

use ledger::event::{EvaluatedOperation, FactValue, PolicyEvaluation};
use ledger::policy::{Mode, Policy, Rule, is_from_log};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What the policy says of an apply, and from which facts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvaluationView {
    /// The version that was evaluated.
    policy: PolicyNamed,
    /// The language and its semantics.
    engine: &'static str,
    /// `allow`, `ask` or `deny`.
    outcome: &'static str,
    /// The rules whose action that is; none where grants and risk, or the document's default, decide.
    rules: Vec<String>,
    /// Each operation, in order.
    operations: Vec<EvaluatedView>,
    /// The facts that were read.
    #[schema(value_type = HashMap<String, Value>)]
    facts: BTreeMap<String, Value>,
}

/// A version of the policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyNamed {
    /// Its number.
    version: u64,
    /// The digest of its tree.
    digest: String,
}

/// What the policy says of one operation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvaluatedView {
    /// Its place in the apply.
    index: usize,
    /// `allow`, `ask` or `deny`.
    outcome: &'static str,
    /// The priority of the rules that decided; null where the default did.
    level: Option<u32>,
    /// What became of each rule; absent where the version is not in force any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Vec<TracedRule>>,
}

/// What became of one rule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TracedRule {
    /// Its id.
    rule: String,
    /// Its priority.
    priority: u32,
    /// `allow`, `ask` or `deny`.
    action: &'static str,
    /// `enforce` or `observe`.
    mode: &'static str,
    /// `match`, `no_match` or `unevaluable`.
    result: &'static str,
}

impl EvaluationView {
    /// With the rules of the version, where they are at hand.
    pub(crate) fn of(said: &PolicyEvaluation, policy: Option<&Policy>) -> Self {
        let policy = policy.filter(|policy| policy.digest() == said.digest);
        let operations = said.operations.iter().enumerate();
        Self {
            policy: PolicyNamed {
                version: said.version,
                digest: said.digest.to_string(),
            },
            engine: "lpp-cel/1",
            outcome: said.outcome.as_str(),
            rules: said.rules.iter().map(ToString::to_string).collect(),
            operations: operations
                .map(|(index, said)| EvaluatedView::of(index, said, policy))
                .collect(),
            facts: said
                .facts
                .iter()
                .map(|read| (read.name.clone(), fact(&read.name, &read.value)))
                .collect(),
        }
    }
}

impl EvaluatedView {
    fn of(index: usize, said: &EvaluatedOperation, policy: Option<&Policy>) -> Self {
        let trace = policy.zip(said.trace.as_ref()).map(|(policy, trace)| {
            let rules = policy.rules.iter().enumerate();
            rules
                .map(|(at, rule)| TracedRule::of(rule, trace, at))
                .collect()
        });
        Self {
            index,
            outcome: said.outcome.as_str(),
            level: said.level,
            trace,
        }
    }
}

impl TracedRule {
    fn of(rule: &Rule, trace: &[u8], at: usize) -> Self {
        let byte = trace.get(at / 4).copied().unwrap_or_default();
        Self {
            rule: rule.id.to_string(),
            priority: rule.priority,
            action: rule.action.as_str(),
            mode: match rule.mode {
                Mode::Enforce => "enforce",
                Mode::Observe => "observe",
            },
            result: match (byte >> (at % 4 * 2)) & 3 {
                0 => "no_match",
                1 => "match",
                _ => "unevaluable",
            },
        }
    }
}

fn fact(name: &str, value: &FactValue) -> Value {
    let source = match is_from_log(name) {
        true => "log",
        false => "service",
    };
    match value {
        FactValue::Bool(value) => json!({ "value": value, "source": source }),
        FactValue::Int(value) => json!({ "value": value, "source": source }),
        FactValue::Text(value) => json!({ "value": value, "source": source }),
        FactValue::Texts(value) => json!({ "value": value, "source": source }),
        FactValue::Unknown(why) => json!({ "unknown": why, "source": source }),
    }
}
