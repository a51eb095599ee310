//! Rules of evaluation, each by an example, and what holds of all of it.

mod examples;
mod properties;

use super::*;
use crate::catalog::{Level, OperationId, Risk, ScopeType};
use crate::operation::{Scope, ScopeId};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn fact(name: &str) -> Expr {
    Expr::Fact(name.to_owned())
}

pub(super) fn text(text: &str) -> Expr {
    Expr::Literal(Value::Text(text.to_owned()))
}

pub(super) fn truth(truth: bool) -> Expr {
    Expr::Literal(Value::Bool(truth))
}

pub(super) fn is(name: &str, value: &str) -> Expr {
    let (left, right) = (Box::new(fact(name)), Box::new(text(value)));
    Expr::Compare(Comparison::Equal, left, right)
}

pub(super) fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

pub(super) fn rule(id: &str, priority: u32, action: RuleAction, when: Expr) -> Rule {
    let asks = action == RuleAction::Ask;
    Rule {
        id: id.parse().unwrap(),
        priority,
        action,
        operations: None,
        when,
        reason: format!("by {id}"),
        mode: Mode::Enforce,
        sensitive: false,
        needs: asks.then(Need::default).into_iter().collect(),
        ttl: 600,
        retention: BTreeSet::from([RetentionMode::Once]),
        max_duration: 86_400,
        pre_state: None,
    }
}

pub(super) fn policy(rules: impl IntoIterator<Item = Rule>) -> Policy {
    Policy {
        engine: Engine::LppCel1,
        default: DefaultAction::Catalog,
        policy_change: None,
        break_glass: None,
        limits: Limits::default(),
        self_approval: false,
        rules: rules.into_iter().collect(),
        windows: BTreeMap::from([(
            "office".to_owned(),
            Window {
                zone: "Europe/Berlin".to_owned(),
                open: BTreeSet::from(["mon 09:00-18:00".to_owned()]),
                except: BTreeSet::new(),
            },
        )]),
    }
}

pub(super) fn scope() -> Scope {
    Scope {
        scope_type: ScopeType::of("zone"),
        id: ScopeId::parse("shop").unwrap(),
    }
}

pub(super) fn purge(scope: &Scope) -> OperationFacts<'_> {
    OperationFacts {
        operation: OperationId::of("cache.purge.execute"),
        scope,
        level: Level::Write,
        risk: Risk::Elevated,
        params: None,
        granted: true,
        always_asked: false,
    }
}

/// What the rules say of one purge that is granted.
pub(super) fn of(rules: impl IntoIterator<Item = Rule>, facts: &Facts) -> Evaluation {
    let prepared = Prepared::new(policy(rules)).unwrap();
    evaluate(&prepared, &[purge(&scope())], facts)
}

pub(super) fn country(country: &str) -> Facts {
    let mut facts = Facts::default();
    facts.know("country", Value::Text(country.to_owned()));
    facts
}

pub(super) fn ids(rules: &[RuleId]) -> Vec<&str> {
    rules.iter().map(RuleId::as_str).collect()
}
