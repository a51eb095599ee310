//! Cases that say what a policy should do, and the trying of them.

use super::Format;
use super::condition;
use super::document::ACTIONS;
use super::fields::{Fields, list_of, text_of};
use super::problem::{Code, Problem, Problems, quoted};
use super::source::{self, Node, Value};
use super::windows::windows_at;
use ledger::operation::Operation;
use ledger::policy::{
    Evaluation, Fact, Facts, Mode, NOT_GIVEN, OperationFacts, Policy, Prepared, Requirement,
    RuleAction, RuleId, RuleResult, Value as Constant, evaluate,
};
use ledger::{Level, Providers, Timestamp};
use serde::Serialize;
use std::collections::BTreeSet;

/// Longest file of cases, in bytes.
const MOST_BYTES: usize = 1024 * 1024;
/// Most cases.
const MOST_CASES: usize = 1000;
/// Most operations of one case.
const MOST_OPERATIONS: usize = 100;
/// Most entries of a list in the facts of a case.
const MOST_FACTS: usize = 256;

/// Operations that an agent could ask for, and what should become of them.
#[derive(Debug, Clone)]
pub struct Case {
    name: String,
    at: Timestamp,
    operations: Vec<Operation>,
    granted: Option<Level>,
    facts: Facts,
    params_unknown: bool,
    outcome: RuleAction,
    rules: Option<BTreeSet<RuleId>>,
}

/// What became of cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub passed: usize,
    pub failed: usize,
    pub results: Vec<CaseResult>,
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseResult {
    pub name: String,
    pub passed: bool,
    /// `None` where it cannot be told.
    pub outcome: Option<RuleAction>,
    /// The rules whose action that is.
    pub rules: Vec<RuleId>,
    pub operations: Vec<OperationResult>,
    pub requirement: Option<Requirement>,
    /// `fact_missing`: a rule reads a fact that the case neither gives nor calls unknown.
    pub error: Option<&'static str>,
    /// For people, where it did not pass.
    pub detail: Option<String>,
}

/// What became of one operation of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OperationResult {
    pub index: usize,
    pub outcome: RuleAction,
    /// The priority of the rules that decided; `None` where the default did.
    pub level: Option<u32>,
    pub rules: Vec<RuleId>,
    pub trace: Vec<Traced>,
}

/// What one rule says of an operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traced {
    pub rule: RuleId,
    pub priority: u32,
    pub action: RuleAction,
    pub mode: Mode,
    /// `match`, `no_match` or `unevaluable`.
    pub result: &'static str,
    pub why: Option<String>,
}

/// Reads a file of cases.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_cases(
    source: &[u8],
    format: Format,
    providers: &Providers,
) -> Result<Vec<Case>, Vec<Problem>> {
    condition::on_a_large_stack(|| {
        let root = source::parse(source, format, MOST_BYTES)?;
        let mut problems = Problems::default();
        let cases = file(&root, providers, &mut problems);
        finished(cases, problems)
    })
}

/// Reads cases that stand in a larger JSON document: the list of them.
///
/// # Errors
/// Everything that is wrong with them.
pub fn cases_from_json(
    cases: serde_json::Value,
    providers: &Providers,
) -> Result<Vec<Case>, Vec<Problem>> {
    let mut problems = Problems::default();
    let node = source::from_json(cases, &mut problems);
    let cases = node.and_then(|node| list(&node, providers, &mut problems));
    finished(cases, problems)
}

fn finished(cases: Option<Vec<Case>>, problems: Problems) -> Result<Vec<Case>, Vec<Problem>> {
    match cases {
        Some(cases) if problems.found.is_empty() => Ok(cases),
        _ => Err(problems.found),
    }
}

fn file(root: &Node, providers: &Providers, problems: &mut Problems) -> Option<Vec<Case>> {
    let mut fields = Fields::of(root, "a file of cases", problems)?;
    let cases = match fields.get("case") {
        Some(node) => list(node, providers, problems),
        None => {
            let message = "a file of cases has [[case]], at least one";
            problems.add(Code::BadValue, fields.line, message);
            None
        }
    };
    fields.finish("a file of cases", problems);
    cases
}

fn list(node: &Node, providers: &Providers, problems: &mut Problems) -> Option<Vec<Case>> {
    let nodes = list_of(node, "case", 1..=MOST_CASES, problems)?;
    let cases: Vec<_> = nodes
        .iter()
        .map(|node| case(node, providers, problems))
        .collect();
    cases.into_iter().collect()
}

fn case(node: &Node, providers: &Providers, problems: &mut Problems) -> Option<Case> {
    let mut fields = Fields::of(node, "a case", problems)?;
    for key in ["name", "at", "operations", "expect"] {
        fields.must_have(key, format!("a case must have {key}"), problems);
    }
    let name = fields.text("name", problems);
    let at = fields.text("at", problems).and_then(|text| {
        let moment = text.parse::<jiff::Timestamp>();
        let line = fields.line_of("at");
        moment
            .map_err(|_| {
                let message = "at must be a moment such as \"2026-01-05T10:00:00+01:00\"";
                problems.add(Code::BadValue, line, message);
            })
            .ok()
    });
    let operations = fields
        .list("operations", 1..=MOST_OPERATIONS, problems)
        .and_then(|nodes| {
            let read: Vec<_> = nodes
                .iter()
                .map(|node| operation(node, providers, problems))
                .collect();
            read.into_iter().collect::<Option<Vec<_>>>()
        });
    let levels = [
        ("read", Level::Read),
        ("write", Level::Write),
        ("admin", Level::Admin),
    ];
    let granted = fields.word("granted", &levels, problems);
    let mut facts = Facts::default();
    if let Some(node) = fields.get("facts") {
        given(node, &mut facts, problems);
    }
    let mut params_unknown = false;
    for (fact, line) in fields
        .texts("unknown", 0..=MOST_FACTS, problems)
        .unwrap_or_default()
    {
        if fact == "params" {
            params_unknown = true;
        } else if condition::type_of_fact(fact).is_none() {
            let message = format!("there is no fact {}", quoted(fact));
            problems.add(Code::UnknownName, line, message);
        } else if facts.get(fact).is_some() {
            let message = format!("{fact} is given and unknown at once");
            problems.add(Code::BadValue, line, message);
        } else {
            facts.set(fact, Fact::unknown("unknown in this case"));
        }
    }
    let expected = fields
        .get("expect")
        .and_then(|node| expected(node, problems));
    fields.finish("a case", problems);
    let (outcome, rules) = expected?;
    Some(Case {
        name: name?.to_owned(),
        at: Timestamp::from_micros(at?.as_microsecond()),
        operations: operations?,
        granted,
        facts,
        params_unknown,
        outcome,
        rules,
    })
}

fn operation(node: &Node, providers: &Providers, problems: &mut Problems) -> Option<Operation> {
    let Some(json) = source::to_json(node) else {
        let message = "an operation holds texts, whole numbers and truth values";
        problems.add(Code::BadValue, node.line, message);
        return None;
    };
    let read = providers.read(&json);
    read.map_err(|error| problems.add(Code::BadValue, node.line, error.to_string()))
        .ok()
}

fn given(node: &Node, facts: &mut Facts, problems: &mut Problems) {
    let Some(fields) = Fields::of(node, "facts", problems) else {
        return;
    };
    for (name, node) in fields.entries() {
        let Some(wanted) = condition::type_of_fact(name) else {
            let message = format!(
                "there is no fact {}; names with a dot stand in quotes, such as \"agent.name\"",
                quoted(name)
            );
            problems.add(Code::UnknownName, node.line, message);
            continue;
        };
        match constant(node) {
            Some(value) if wanted.is_of(&value) => facts.know(name, value),
            _ => {
                let message = format!("{name} must be {wanted}, not {}", node.value.kind());
                problems.add(Code::BadValue, node.line, message);
            }
        }
    }
}

fn constant(node: &Node) -> Option<Constant> {
    Some(match &node.value {
        Value::Bool(truth) => Constant::Bool(*truth),
        Value::Int(number) => Constant::Int(*number),
        Value::Text(text) => Constant::Text(text.clone()),
        Value::List(items) if items.len() <= MOST_FACTS => {
            Constant::List(items.iter().map(constant).collect::<Option<_>>()?)
        }
        Value::List(_) | Value::Table(_) | Value::Other(_) => return None,
    })
}

type Expected = (RuleAction, Option<BTreeSet<RuleId>>);

fn expected(node: &Node, problems: &mut Problems) -> Option<Expected> {
    let mut fields = Fields::of(node, "expect", problems)?;
    fields.must_have("outcome", "expect must have outcome", problems);
    let outcome = fields.word("outcome", &ACTIONS, problems);
    let mut rules = None;
    if let Some(node) = fields.get("rules") {
        let nodes = list_of(node, "rules", 0..=super::MOST_RULES, problems)?;
        let mut ids = BTreeSet::new();
        for node in nodes {
            let text = text_of(node, "an entry of rules", problems)?;
            match text.parse() {
                Ok(id) => {
                    ids.insert(id);
                }
                Err(_) => {
                    let message = format!("{} is no id of a rule", quoted(text));
                    problems.add(Code::BadValue, node.line, message);
                }
            }
        }
        rules = Some(ids);
    }
    fields.finish("expect", problems);
    Some((outcome?, rules))
}

/// Tries cases on a policy.
#[must_use]
pub fn run_cases(policy: &Prepared, cases: &[Case]) -> Report {
    let results: Vec<_> = cases.iter().map(|case| case.run(policy)).collect();
    let passed = results.iter().filter(|result| result.passed).count();
    Report {
        passed,
        failed: results.len() - passed,
        results,
    }
}

impl Case {
    fn run(&self, policy: &Prepared) -> CaseResult {
        let mut facts = self.facts.clone();
        for (name, open) in windows_at(policy.policy(), self.at) {
            let name = format!("window.{name}");
            if facts.get(&name).is_none() {
                facts.know(name, Constant::Bool(open));
            }
        }
        let params: Vec<_> = self
            .operations
            .iter()
            .map(|operation| operation.effect().to_json())
            .collect();
        let operations: Vec<_> = self
            .operations
            .iter()
            .zip(&params)
            .map(|(operation, params)| OperationFacts {
                operation: operation.entry.id,
                scope: &operation.scope,
                level: operation.entry.level,
                risk: operation.entry.risk,
                params: (!self.params_unknown).then_some(params),
                granted: self
                    .granted
                    .is_some_and(|level| level >= operation.entry.level),
                always_asked: false,
            })
            .collect();
        let evaluation = evaluate(policy, &operations, &facts);
        self.result(policy.policy(), evaluation)
    }

    fn result(&self, policy: &Policy, evaluation: Evaluation) -> CaseResult {
        let missing: Vec<_> = evaluation
            .facts
            .iter()
            .filter(|(name, fact)| {
                **fact == Fact::unknown(NOT_GIVEN) && self.facts.get(name).is_none()
            })
            .map(|(name, _)| name.as_str())
            .collect();
        let found: BTreeSet<_> = evaluation.rules.iter().copied().collect();
        let fits = evaluation.outcome == self.outcome
            && self.rules.as_ref().is_none_or(|rules| *rules == found);
        let detail = if missing.is_empty() {
            (!fits).then(|| self.otherwise(&evaluation))
        } else {
            let missing = missing.join(", ");
            Some(format!(
                "the rules read {missing}: give it in facts or name it in unknown"
            ))
        };
        CaseResult {
            name: self.name.clone(),
            passed: fits && missing.is_empty(),
            error: (!missing.is_empty()).then_some("fact_missing"),
            outcome: missing.is_empty().then_some(evaluation.outcome),
            rules: evaluation.rules,
            operations: operations(policy, evaluation.operations),
            requirement: evaluation.requirement,
            detail,
        }
    }

    fn otherwise(&self, found: &Evaluation) -> String {
        let expected = match &self.rules {
            Some(rules) => format!("{} by {}", self.outcome.as_str(), by(rules.iter())),
            None => self.outcome.as_str().to_owned(),
        };
        let found = format!("{} by {}", found.outcome.as_str(), by(found.rules.iter()));
        format!("expected {expected}, found {found}")
    }
}

fn by<'a>(ids: impl Iterator<Item = &'a RuleId>) -> String {
    let ids: Vec<_> = ids.map(RuleId::as_str).collect();
    match ids.is_empty() {
        true => "no rule".to_owned(),
        false => ids.join(", "),
    }
}

fn operations(
    policy: &Policy,
    operations: Vec<ledger::policy::OperationEvaluation>,
) -> Vec<OperationResult> {
    let results = operations.into_iter().enumerate();
    results
        .map(|(index, operation)| {
            let traced = policy.rules.iter().zip(operation.trace);
            let traced = traced.map(|(rule, result)| {
                let (result, why) = match result {
                    RuleResult::Match => ("match", None),
                    RuleResult::NoMatch => ("no_match", None),
                    RuleResult::Unevaluable(why) => ("unevaluable", Some(why.into_owned())),
                };
                Traced {
                    rule: rule.id,
                    priority: rule.priority,
                    action: rule.action,
                    mode: rule.mode,
                    result,
                    why,
                }
            });
            OperationResult {
                index,
                outcome: operation.outcome,
                level: operation.level,
                rules: operation.rules,
                trace: traced.collect(),
            }
        })
        .collect()
}
