//! What an apply asks for and what the service knows of its request, as rules look at both.

use super::evaluation::OperationFacts;
use super::facts::{Fact, Facts, Why};
use super::prepared::Prepared;
use super::tree::Value;
use crate::catalog::{Level, OperationId, Risk};
use crate::event::CheckedOperation;
use crate::operation::{Operation, Scope, ScopeId};
use std::borrow::Cow;

/// The most bytes of a text that is a fact. A longer one is unknown: facts stand in the record.
const MAX_FACT_BYTES: usize = 256;
/// The most bytes of all texts of a list that is a fact.
const MAX_FACT_LIST_BYTES: usize = 1024;

/// One operation that is asked for.
#[derive(Debug, Clone)]
pub struct AskedOperation<'a> {
    operation: OperationId,
    scope: Scope,
    level: Level,
    risk: Risk,
    params: Option<Cow<'a, serde_json::Value>>,
    granted: bool,
    always_asked: bool,
}

/// What a task and its grants say of an operation.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// The level that a grant must have.
    pub level: Level,
    /// Its risk.
    pub risk: Risk,
    /// A grant covers it.
    pub granted: bool,
    /// Everything in its task is asked about.
    pub always_asked: bool,
}

impl<'a> AskedOperation<'a> {
    /// Of an operation; its params are written down only where a rule about it reads them.
    #[must_use]
    pub fn of(operation: &Operation, allowed: Allowed, policy: &Prepared) -> Self {
        let id = operation.entry.id;
        let params = policy
            .reads_params(id)
            .then(|| Cow::Owned(operation.effect().to_json()));
        Self::new(id, operation.scope.clone(), allowed, params)
    }

    /// Of a call that goes through a proxy as it is, with what rules can read of it.
    #[must_use]
    pub fn called(
        operation: OperationId,
        scope: &Scope,
        allowed: Allowed,
        params: Option<&'a serde_json::Value>,
    ) -> Self {
        Self::new(operation, scope.clone(), allowed, params.map(Cow::Borrowed))
    }

    /// Of one that was recorded, with its entry in the submission; `None` for a scope that is none.
    #[must_use]
    pub fn recorded(
        checked: &CheckedOperation,
        submitted: Option<&'a serde_json::Value>,
        allowed: Allowed,
    ) -> Option<Self> {
        let scope = Scope {
            scope_type: checked.scope_type,
            id: ScopeId::of_route(&checked.scope_id)?,
        };
        let params = submitted.and_then(|operation| operation.get("params"));
        let params = params.map(Cow::Borrowed);
        Some(Self::new(checked.operation, scope, allowed, params))
    }

    fn new(
        operation: OperationId,
        scope: Scope,
        allowed: Allowed,
        params: Option<Cow<'a, serde_json::Value>>,
    ) -> Self {
        Self {
            operation,
            scope,
            level: allowed.level,
            risk: allowed.risk,
            params,
            granted: allowed.granted,
            always_asked: allowed.always_asked,
        }
    }

    /// As rules look at it.
    #[must_use]
    pub fn facts(&self) -> OperationFacts<'_> {
        OperationFacts {
            operation: self.operation,
            scope: &self.scope,
            level: self.level,
            risk: self.risk,
            params: self.params.as_deref(),
            granted: self.granted,
            always_asked: self.always_asked,
        }
    }
}

/// What the service knows of a request and the log does not: where it came from. What is not said here is
/// unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge(Facts);

impl Edge {
    /// Says what is known of `address`, `country`, `asn`, `tls.subject` or `tls.fingerprint`, for people to read also of
    /// `city` and `isp`, which no rule can name, and of a call what was used before it: `usage.requests_1h` and others.
    pub fn say(&mut self, name: impl Into<String>, fact: Fact) {
        self.0.set(name, fact);
    }

    /// What was said of a fact that only the service can know.
    #[must_use]
    pub fn fact(&self, name: &str) -> Fact {
        let said = self.0.get(name).cloned();
        said.unwrap_or(Fact::unknown("not_told"))
    }
}

/// A fact as it can be recorded: what is too long is unknown.
#[must_use]
pub(crate) fn recordable(fact: Fact) -> Fact {
    const TOO_LONG: Fact = Fact::Unknown(Why::Borrowed("too_long"));
    match &fact {
        Fact::Known(Value::Text(text)) if text.len() > MAX_FACT_BYTES => TOO_LONG,
        Fact::Known(Value::List(list)) => {
            let length: usize = list
                .iter()
                .map(|value| match value {
                    Value::Text(text) => text.len() + 1,
                    _ => MAX_FACT_LIST_BYTES,
                })
                .sum();
            if length > MAX_FACT_LIST_BYTES {
                return TOO_LONG;
            }
            fact
        }
        _ => fact,
    }
}
