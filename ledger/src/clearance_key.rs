//! The key of a clearance: a digest of everything that an apply must be for a kept decision to answer it.
//!
//! Frozen, as keys stand in events. Each part goes in with its length before it, so that no two lists of parts
//! have the same bytes.

use crate::canonical::{StrictJsonError, canonicalise};
use crate::digest::digest;
use crate::event::{FactValue, PolicyEvaluation};
use crate::id::{AgentId, TaskId};
use crate::name::ClientSubject;
use crate::operation::{MatchDigest, match_digest_of};
use crate::policy::{Excluded, FACTS_OF_APPLY, is_from_log};
use crate::retention::{Binding, Breadth};
use crate::statement::{Decision, SignedRule};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

const KEY_PREFIX: &[u8] = b"llm-permission-proxy clearance v1";
const OPERATIONS_PREFIX: &[u8] = b"llm-permission-proxy cleared operations v1";

digest!(
    /// SHA-256 over [`KeyParts`], under a prefix of its own.
    ClearanceKey
);
digest!(
    /// Stands for the operations of an apply in a key: all of them in their order, or only what they are on which
    /// scopes.
    OperationsDigest
);

impl OperationsDigest {
    /// That of operations as they will be sent, in which each request of a client counts as its match digest says it: the
    /// client's own headers and the spelling of its body do not. Params count where the breadth is exact.
    ///
    /// # Errors
    /// As of [`Self::as_sent`].
    pub fn of(operations: &[Value], breadth: Breadth) -> Result<Self, StrictJsonError> {
        match breadth {
            Breadth::Exact => {
                let digests = operations.iter().map(match_digest_of);
                Self::matched(operations, &digests.collect::<Vec<_>>())
            }
            Breadth::Scope => Self::as_sent(operations, breadth),
        }
    }

    /// That of exactly these operations, where the match digests of their requests were made before.
    ///
    /// # Errors
    /// As of [`Self::as_sent`].
    pub(crate) fn matched(
        operations: &[Value],
        digests: &[Option<MatchDigest>],
    ) -> Result<Self, StrictJsonError> {
        if digests.iter().all(Option::is_none) {
            return Self::as_sent(operations, Breadth::Exact);
        }
        let operations = operations.iter().zip(digests);
        let operations: Vec<_> = operations
            .map(|(operation, digest)| match digest {
                None => operation.clone(),
                Some(digest) => json!({
                    "operation_id": operation.get("operation_id"),
                    "scope_type": operation.get("scope_type"),
                    "scope_id": operation.get("scope_id"),
                    "matches": digest.to_string(),
                }),
            })
            .collect();
        Self::as_sent(&operations, Breadth::Exact)
    }

    /// That of now, and that of before: one twice where no request of a client is among them.
    pub(crate) fn both(
        operations: &[Value],
        breadth: Breadth,
    ) -> Result<[Self; 2], StrictJsonError> {
        Ok([
            Self::of(operations, breadth)?,
            Self::as_sent(operations, breadth)?,
        ])
    }

    /// That of operations as they will be sent, with the requests of clients byte for byte, as it stood in keys before
    /// those had match digests. Params count where the breadth is exact.
    ///
    /// # Errors
    /// When an operation holds a number that is not exact in JSON, or nests too deeply.
    pub(crate) fn as_sent(operations: &[Value], breadth: Breadth) -> Result<Self, StrictJsonError> {
        let bytes = match breadth {
            Breadth::Exact => canonicalise(&Value::Array(operations.to_vec()))?,
            Breadth::Scope => {
                let scopes = operations.iter().map(|operation| {
                    json!([
                        operation.get("operation_id"),
                        operation.get("scope_type"),
                        operation.get("scope_id"),
                    ])
                });
                canonicalise(&scopes.collect())?
            }
        };
        let digest = Sha256::new()
            .chain_update(OPERATIONS_PREFIX)
            .chain_update(bytes);
        Ok(Self::from_bytes(digest.finalize().into()))
    }
}

/// Whose applies a clearance answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundTo<'a> {
    /// Those of one task.
    Task(TaskId),
    /// Those of the agent under one subject, and with one client certificate where there is one.
    Agent {
        /// The subject of the task.
        subject: &'a ClientSubject,
        /// SHA-256 of the client certificate.
        certificate: Option<[u8; 32]>,
    },
}

impl<'a> BoundTo<'a> {
    /// What a task's applies are bound to.
    #[must_use]
    pub const fn of(binding: Binding, task_id: TaskId, subject: &'a ClientSubject) -> Self {
        match binding {
            Binding::Task => Self::Task(task_id),
            Binding::Agent => Self::Agent {
                subject,
                certificate: None,
            },
        }
    }
}

/// Everything that an apply must be for a kept decision to answer it. No part is a token or a key: those change,
/// and the agent stays.
#[derive(Debug, Clone, Copy)]
pub struct KeyParts<'a> {
    /// What is kept. A kept denial does not depend on rules.
    pub decision: Decision,
    /// The agent.
    pub agent_id: AgentId,
    /// Whose applies.
    pub bound_to: BoundTo<'a>,
    /// The rules that asked.
    pub rules: &'a [SignedRule],
    /// What those rules read of the request's way here: names and values. Behind them whom the question excludes, as
    /// `excluded` and the id of the user.
    pub edge: &'a [(String, String)],
    /// What of the operations must be the same.
    pub breadth: Breadth,
    /// The operations, as far as that.
    pub operations: OperationsDigest,
}

impl ClearanceKey {
    /// The key of these parts.
    #[must_use]
    pub fn of(parts: &KeyParts<'_>) -> Self {
        let mut key = Parts(Sha256::new().chain_update(KEY_PREFIX));
        key.add(parts.decision.as_str().as_bytes());
        key.add(parts.agent_id.as_bytes());
        match parts.bound_to {
            BoundTo::Task(task_id) => {
                key.add(b"task");
                key.add(task_id.as_bytes());
            }
            BoundTo::Agent {
                subject,
                certificate,
            } => {
                key.add(b"agent");
                key.add(subject.as_bytes());
                key.add(certificate.as_ref().map_or(&[][..], |hash| hash.as_slice()));
            }
        }
        let rules = match parts.decision {
            Decision::Approve => parts.rules,
            Decision::Deny => &[],
        };
        key.count(rules.len());
        for rule in rules {
            key.add(rule.id.as_str().as_bytes());
            key.add(rule.digest.as_bytes());
        }
        key.count(parts.edge.len());
        for (name, value) in parts.edge {
            key.add(name.as_bytes());
            key.add(value.as_bytes());
        }
        key.add(parts.breadth.as_str().as_bytes());
        key.add(parts.operations.as_bytes());
        Self::from_bytes(key.0.finalize().into())
    }
}

/// What an evaluation read of the request's way here, as it stands in keys; `None` where it was not known: then nothing
/// says that another request came the same way.
#[must_use]
pub(crate) fn edge_of(said: &PolicyEvaluation) -> Option<Vec<(String, String)>> {
    let read = said.facts.iter().filter(|fact| is_of_edge(&fact.name));
    let values = read.map(|fact| {
        let value = match &fact.value {
            FactValue::Text(text) => text.clone(),
            FactValue::Int(number) => number.to_string(),
            FactValue::Bool(truth) => truth.to_string(),
            FactValue::Texts(_) | FactValue::Unknown(_) => return None,
        };
        Some((fact.name.clone(), value))
    });
    values.collect()
}

/// The name under which somebody stands in keys whom a question excludes; no fact has it.
pub(crate) const EXCLUDED: &str = "excluded";

/// Whom a question excludes, as it stands in keys beside that: a decision that somebody was excluded from answers only
/// what excludes the same people.
pub(crate) fn excluded_of(excluded: &[Excluded]) -> impl Iterator<Item = (String, String)> {
    let users: BTreeSet<_> = excluded.iter().map(|one| one.user_id).collect();
    let users = users.into_iter();
    users.map(|user_id| (EXCLUDED.to_owned(), user_id.to_string()))
}

/// A fact that the service says, and not the log.
fn is_of_edge(fact: &str) -> bool {
    FACTS_OF_APPLY.contains(&fact) && !is_from_log(fact)
}

struct Parts(Sha256);

impl Parts {
    fn count(&mut self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0.update(count.to_le_bytes());
    }

    fn add(&mut self, part: &[u8]) {
        self.count(part.len());
        self.0.update(part);
    }
}

#[cfg(test)]
mod tests;
