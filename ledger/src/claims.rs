//! Claims of a capability token, and the hash by which the ledger knows them again.

use crate::aggregate::{Task, Token};
use crate::name::{AgentName, ClaimsHash, ClientSubject};
use crate::rules::Rules;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// One scope that a token covers; id `*` covers every one of its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeClaim {
    /// `zone` or `account`.
    pub kind: String,
    /// The id or `*`.
    pub id: String,
}

/// The binding of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bindings {
    /// The signed subject of every request that uses it.
    pub mtls_subject: ClientSubject,
}

/// The claims of a capability token (RFC 7519 and ours).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapabilityClaims {
    /// Issuer.
    pub iss: String,
    /// `agent:NAME`.
    pub sub: String,
    /// Audience.
    pub aud: String,
    /// The token's id.
    pub jti: String,
    /// Seconds since 1970.
    pub iat: i64,
    /// Seconds since 1970.
    pub nbf: i64,
    /// Seconds since 1970.
    pub exp: i64,
    /// The one task that it opens.
    pub task_id: String,
    /// The agent's name.
    pub agent_id: AgentName,
    /// The operations of the task's allowlist.
    pub allowed_ops: Vec<String>,
    /// The scopes of the task's allowlist.
    pub resource_scopes: Vec<ScopeClaim>,
    /// Its binding.
    pub bindings: Bindings,
    /// The agent's permission revision when it was issued.
    pub perms_rev: u64,
}

impl CapabilityClaims {
    /// The claims of a task's token; the same whenever they are made again.
    #[must_use]
    pub fn of(task: &Task, token: &Token, rules: &Rules) -> Self {
        let operations: BTreeSet<_> = task
            .allowed
            .iter()
            .map(|entry| entry.operation.as_str())
            .collect();
        let scopes: BTreeSet<_> = task
            .allowed
            .iter()
            .map(|entry| ScopeClaim {
                kind: entry.scope_type.as_str().to_owned(),
                id: entry.scope_id.to_string(),
            })
            .collect();
        Self {
            iss: rules.token_issuer.clone(),
            sub: format!("agent:{}", task.agent),
            aud: rules.token_audience.clone(),
            jti: token.id.to_string(),
            iat: token.issued_at.as_seconds(),
            nbf: token.issued_at.as_seconds(),
            exp: token.expires_at.as_seconds(),
            task_id: task.id.to_string(),
            agent_id: task.agent.clone(),
            allowed_ops: operations.into_iter().map(str::to_owned).collect(),
            resource_scopes: scopes.into_iter().collect(),
            bindings: Bindings {
                mtls_subject: token.subject.clone(),
            },
            perms_rev: token.permission_revision,
        }
    }

    /// SHA-256 under a prefix of its own over the claims as JSON with the fields in the order in
    /// which they stand here.
    #[must_use]
    pub fn hash(&self) -> ClaimsHash {
        let mut hash = Sha256::new().chain_update(b"llm-permission-proxy claims v1");
        // Strings and integers always become JSON; were it otherwise, no token would match.
        if let Ok(json) = serde_json::to_vec(self) {
            hash.update(json);
        }
        ClaimsHash::unchecked(hash.finalize().to_vec())
    }
}
