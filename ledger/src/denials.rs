//! The kept denials of a ledger, as decisions and requests ask for them: a small map in memory, so that nothing is read
//! where none was ever kept.

use crate::aggregate::{Apply, Clearance};
use crate::catalog::ScopeType;
use crate::clearance_key::OperationsDigest;
use crate::error::Error;
use crate::fingerprint::operations_of;
use crate::id::AgentId;
use crate::operation::{MatchDigest, Operation, Scope, match_digest_of};
use crate::retention::Breadth;
use serde_json::Value;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// An operation on a scope, as it stands in a submission.
type OnScope = [String; 3];

fn on_scope(operation: &Value) -> OnScope {
    ["operation_id", "scope_type", "scope_id"].map(|name| {
        let text = operation.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    })
}

fn digest(operations: &[Value]) -> Result<OperationsDigest, Error> {
    let digest = OperationsDigest::of(operations, Breadth::Exact);
    digest.map_err(|error| Error::defect(error.to_string()))
}

/// The match digests of the requests that operations forward, each made once.
pub(crate) fn match_digests(operations: &[Operation]) -> Vec<Option<MatchDigest>> {
    let digests = operations.iter().map(Operation::match_digest);
    digests.map(|digest| digest?.ok()).collect()
}

/// Operations that are held to denials. Their digests are made where a denial needs them, since they may be large.
#[derive(Debug, Clone)]
pub(crate) struct SubmittedOperations {
    operations: Vec<Value>,
    /// Those of their requests.
    digests: Vec<Option<MatchDigest>>,
    on_scopes: Vec<OnScope>,
    whole: OnceLock<OperationsDigest>,
}

impl SubmittedOperations {
    /// Those in a submission, and the same as they were read, where they were: they keep the digests of their requests.
    pub(crate) fn new(operations: Vec<Value>, read: Option<&[Operation]>) -> Self {
        let digests = match read {
            Some(read) => match_digests(read),
            None => operations.iter().map(match_digest_of).collect(),
        };
        Self {
            on_scopes: operations.iter().map(on_scope).collect(),
            digests,
            operations,
            whole: OnceLock::new(),
        }
    }

    pub(crate) fn whole(&self) -> Result<OperationsDigest, Error> {
        if let Some(known) = self.whole.get() {
            return Ok(*known);
        }
        let made = self.digest(0..self.operations.len())?;
        Ok(*self.whole.get_or_init(|| made))
    }

    fn digest(&self, which: Range<usize>) -> Result<OperationsDigest, Error> {
        let operations = self.operations.get(which.clone()).unwrap_or_default();
        let digests = self.digests.get(which).unwrap_or_default();
        let digest = OperationsDigest::matched(operations, digests);
        digest.map_err(|error| Error::defect(error.to_string()))
    }
}

/// A kept denial, with the operations that it refuses.
#[derive(Debug, Clone)]
pub(crate) struct Denial {
    pub(crate) clearance: Arc<Clearance>,
    on_scopes: Vec<OnScope>,
    /// The digest of the operations, where they alone are refused.
    exact: Option<OperationsDigest>,
}

impl Denial {
    /// That of the question of an apply.
    pub(crate) fn of(clearance: Arc<Clearance>, apply: &Apply) -> Result<Self, Error> {
        let operations = operations_of(apply.submission.as_bytes());
        let operations = operations.map_err(|error| Error::defect(error.to_string()))?;
        let exact = match clearance.retention.breadth {
            Breadth::Exact => Some(digest(&operations)?),
            Breadth::Scope => None,
        };
        Ok(Self {
            clearance,
            on_scopes: operations.iter().map(on_scope).collect(),
            exact,
        })
    }

    /// One that somebody has ended.
    pub(crate) const fn ended(clearance: Arc<Clearance>) -> Self {
        Self {
            clearance,
            on_scopes: Vec::new(),
            exact: None,
        }
    }

    /// Whether it is about operations: those that it denied, or one of them where it denied one.
    pub(crate) fn covers(&self, asked: &SubmittedOperations) -> Result<bool, Error> {
        let is_whole = self.on_scopes == asked.on_scopes;
        let Some(exact) = self.exact else {
            return Ok(is_whole
                || matches!(self.on_scopes.as_slice(), [one] if asked.on_scopes.contains(one)));
        };
        if is_whole {
            return Ok(exact == asked.whole()?);
        }
        let [denied] = self.on_scopes.as_slice() else {
            return Ok(false);
        };
        for (index, one) in asked.on_scopes.iter().enumerate() {
            if one == denied && asked.digest(index..index + 1)? == exact {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether it refuses a call whatever its params are. A list of all of a type has what is denied of one.
    fn refuses(&self, call: &RelayedCall) -> bool {
        let [[operation, scope_type, scope_id]] = self.on_scopes.as_slice() else {
            return false;
        };
        let is_on = match &call.scope {
            Ok(scope) => scope.scope_type.as_str() == scope_type && scope.id.as_str() == scope_id,
            Err(of_type) => of_type.as_str() == scope_type,
        };
        let mut operations = call.operations.iter();
        self.exact.is_none() && is_on && operations.any(|one| one == operation)
    }
}

/// A call that a proxy relays without holding it, as far as denials look at it.
#[derive(Debug, Clone)]
pub struct RelayedCall {
    /// The operations to which it is held.
    pub operations: Vec<String>,
    /// The object; `Err` has the type of all of them, for a list.
    pub scope: Result<Scope, ScopeType>,
}

/// Every kept denial that nobody has ended, by agent. One that has ended by itself stays until the next start.
#[derive(Debug, Clone, Default)]
pub struct Denials(HashMap<AgentId, Vec<Arc<Denial>>>);

impl Denials {
    /// Takes one in, in its newest state. As in the lookups, the newest of several with one key is the one that counts.
    pub(crate) fn put(&mut self, denial: Arc<Denial>) {
        let clearance = &denial.clearance;
        let of_agent = self.0.entry(clearance.agent_id).or_default();
        of_agent.retain(|known| known.clearance.key != clearance.key);
        match clearance.ended {
            None => of_agent.push(denial),
            Some(_) if of_agent.is_empty() => drop(self.0.remove(&denial.clearance.agent_id)),
            Some(_) => {}
        }
    }

    /// Those of an agent.
    pub(crate) fn of(&self, agent: AgentId) -> impl Iterator<Item = &Arc<Denial>> {
        self.0.get(&agent).into_iter().flatten()
    }

    /// Those that refuse such a call of an agent whatever its params are.
    pub(crate) fn refusing<'a>(
        &'a self,
        agent: AgentId,
        call: &'a RelayedCall,
    ) -> impl Iterator<Item = &'a Arc<Denial>> {
        self.of(agent).filter(|denial| denial.refuses(call))
    }

    /// Whether none of an agent was ever kept.
    #[must_use]
    pub fn has_none(&self, agent: AgentId) -> bool {
        !self.0.contains_key(&agent)
    }

    /// Whether one may refuse such a call of an agent, whatever its params are.
    #[must_use]
    pub fn may_refuse(&self, agent: AgentId, call: &RelayedCall) -> bool {
        self.refusing(agent, call).next().is_some()
    }

    /// Whether one is about just such a call of an agent: its body says whether it is that.
    #[must_use]
    pub fn compares(&self, agent: AgentId, operation: &str) -> bool {
        let is_about = |denial: &Arc<Denial>| {
            let [[denied, ..]] = denial.on_scopes.as_slice() else {
                return false;
            };
            denial.exact.is_some() && denied == operation
        };
        self.of(agent).any(is_about)
    }
}
