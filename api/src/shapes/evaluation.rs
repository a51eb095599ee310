//! What the policy says of an apply.

use app::applies::Traced;
use ledger::event::{EvaluatedOperation, FactValue, PolicyEvaluation};
use ledger::policy::{Mode, Rule, RuleResult, is_from_log};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

const NO_MATCH: &str = "no_match";
const MATCH: &str = "match";
const UNEVALUABLE: &str = "unevaluable";

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
    /// The result of each rule; absent where the version's document cannot be evaluated any more.
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
    /// Why it could not be evaluated: a fact that was unknown, with the reason (`country: not_configured`), or a word of
    /// docs/policy.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl EvaluationView {
    /// With what became of the rules, where that is known.
    pub(crate) fn of(said: &PolicyEvaluation, traced: Option<&Traced>) -> Self {
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
                .map(|(index, said)| EvaluatedView::of(index, said, traced))
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
    fn of(index: usize, said: &EvaluatedOperation, traced: Option<&Traced>) -> Self {
        let trace = traced.and_then(|traced| {
            let again = &traced.operations.get(index)?.trace;
            let rules = traced.policy.rules.iter().zip(again).enumerate();
            let rules = rules.map(|(at, (rule, again))| {
                let recorded = said.trace.as_deref().map(|trace| result_in(trace, at));
                TracedRule::of(rule, recorded, again)
            });
            Some(rules.collect())
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
    /// As it was recorded; where the record had no room for that, as it is evaluated again.
    fn of(rule: &Rule, recorded: Option<&'static str>, again: &RuleResult) -> Self {
        let (found, why) = match again {
            RuleResult::NoMatch => (NO_MATCH, None),
            RuleResult::Match => (MATCH, None),
            RuleResult::Unevaluable(why) => (UNEVALUABLE, Some(why.to_string())),
        };
        let result = recorded.unwrap_or(found);
        Self {
            rule: rule.id.to_string(),
            priority: rule.priority,
            action: rule.action.as_str(),
            mode: match rule.mode {
                Mode::Enforce => "enforce",
                Mode::Observe => "observe",
            },
            result,
            why: why.filter(|_| result == UNEVALUABLE),
        }
    }
}

/// What a recorded trace says of the rule at a place.
fn result_in(trace: &[u8], at: usize) -> &'static str {
    let byte = trace.get(at / 4).copied().unwrap_or_default();
    match (byte >> (at % 4 * 2)) & 3 {
        0 => NO_MATCH,
        1 => MATCH,
        _ => UNEVALUABLE,
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
