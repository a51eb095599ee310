//! Checks of authority: capability tokens against the ledger, operations against allowlist and grants.

use crate::aggregate::{Agent, Task};
use crate::catalog::Risk;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{CheckedOperation, PermissionCheck};
use crate::id::{TaskId, TokenId};
use crate::name::{ClaimsHash, ClientSubject};
use crate::operation::Operation;
use crate::rejection::Rejection;
use crate::writer::Transaction;
use std::sync::Arc;

/// A capability token as a request presented it, its signature already checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedToken {
    /// Its `jti`.
    pub token_id: TokenId,
    /// Its `task_id`.
    pub task_id: TaskId,
    /// The hash of its claims, computed from what was presented.
    pub claims_hash: ClaimsHash,
    /// The signed subject of the request.
    pub subject: ClientSubject,
}

/// Checks a token against its task and its agent, in the order in which refusals matter.
pub fn check_token(
    presented: &PresentedToken,
    task: Option<&Task>,
    agent: Option<&Agent>,
    now: Timestamp,
) -> Result<(), Rejection> {
    let task = task.ok_or(Rejection::TokenUnknown)?;
    let token = task
        .token(presented.token_id)
        .ok_or(Rejection::TokenUnknown)?;
    if token.claims_hash != presented.claims_hash {
        return Err(Rejection::TokenAltered);
    }
    if token.subject != presented.subject {
        return Err(Rejection::SubjectMismatch);
    }
    if token.revoked_at.is_some() {
        return Err(Rejection::TokenRevoked);
    }
    if now >= token.expires_at {
        return Err(Rejection::TokenExpired);
    }
    let revision = agent.map_or(0, |agent| agent.permission_revision);
    if token.permission_revision < revision {
        return Err(Rejection::TokenStale);
    }
    Ok(())
}

/// Loads a task and its agent, and checks that the token may act in that task now.
pub(super) async fn admit(
    tx: &mut Transaction<'_>,
    task_id: TaskId,
    presented: &PresentedToken,
) -> Result<(Arc<Task>, Option<Arc<Agent>>), Error> {
    let task = tx.load::<Task>(task_id).await?;
    let agent = match &task {
        Some(task) => tx.load::<Agent>(task.agent_id).await?,
        None => None,
    };
    check_token(
        presented,
        task.as_deref(),
        agent.as_deref(),
        tx.context().now,
    )?;
    let task = task.ok_or(Rejection::TokenUnknown)?;
    Ok((task, agent))
}

/// Checks every operation against the task's allowlist and the agent's grants.
pub fn permission_check(
    task: &Task,
    agent: Option<&Agent>,
    operations: &[Operation],
    now: Timestamp,
) -> Result<PermissionCheck, Rejection> {
    let mut check = PermissionCheck::default();
    for operation in operations {
        let scope = &operation.scope;
        let Some((level, risk)) = task.allows(operation.entry.id, scope) else {
            return Err(Rejection::OutsideAllowlist {
                operation: operation.entry.id,
                scope: format!("{} {}", scope.scope_type, scope.id),
            });
        };
        let checked = CheckedOperation {
            operation: operation.entry.id,
            scope_type: scope.scope_type,
            scope_id: scope.id.clone(),
            required_level: level,
        };
        let granted =
            agent.is_some_and(|agent| agent.is_granted(operation.entry.id, scope, level, now));
        check.requested.push(checked.clone());
        if granted && risk < Risk::Sensitive {
            check.pre_approved.push(checked);
        } else {
            check.missing.push(checked);
        }
    }
    Ok(check)
}
