//! Checks of authority: capability tokens and agent keys against the ledger, operations against allowlist
//! and grants.

use crate::agent_key::SHARED_KEY;
use crate::aggregate::{Agent, Key, Task, User};
use crate::catalog::Risk;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{CheckedOperation, LockTarget, PermissionCheck};
use crate::id::{AgentId, KeyId, TaskId, TokenId};
use crate::locks::Locks;
use crate::name::{ApproverName, ClaimsHash, ClientSubject};
use crate::operation::Operation;
use crate::rejection::Rejection;
use crate::storage::LookupKey;
use crate::writer::Transaction;
use std::sync::Arc;

/// The credential by which an agent acts in a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// A capability token of the task.
    Token(PresentedToken),
    /// A key of the agent.
    Key(PresentedKey),
}

impl Presented {
    /// The task in which it is presented.
    #[must_use]
    pub const fn task_id(&self) -> TaskId {
        match self {
            Self::Token(token) => token.task_id,
            Self::Key(key) => key.task_id,
        }
    }

    /// The id by which an apply names it: the token's `jti`, or the id of the key.
    #[must_use]
    pub const fn id(&self) -> TokenId {
        match self {
            Self::Token(token) => token.token_id,
            Self::Key(key) => TokenId::from_bytes(*key.key_id.as_bytes()),
        }
    }
}

impl From<PresentedToken> for Presented {
    fn from(token: PresentedToken) -> Self {
        Self::Token(token)
    }
}

impl From<PresentedKey> for Presented {
    fn from(key: PresentedKey) -> Self {
        Self::Key(key)
    }
}

/// An agent key as a request presented it in a task. That it is the agent's was found by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedKey {
    /// The key; [`SHARED_KEY`] for the one that all agents have.
    pub key_id: KeyId,
    /// The agent that it proves.
    pub agent_id: AgentId,
    /// The task of the request.
    pub task_id: TaskId,
}

/// Checks that a key still proves its agent.
///
/// # Errors
/// [`Rejection::KeyRevoked`].
pub fn check_key(key_id: KeyId, agent_id: AgentId, known: Option<&Key>) -> Result<(), Rejection> {
    let proves = |key: &Key| key.agent_id == agent_id && key.revoked_at.is_none();
    if key_id == SHARED_KEY || known.is_some_and(proves) {
        Ok(())
    } else {
        Err(Rejection::KeyRevoked)
    }
}

/// Checks that a key of the agent opens the task now.
///
/// # Errors
/// [`Rejection::NotOpenedByKey`] for a task that there is not too, [`Rejection::TaskExpired`].
pub fn check_opened_by_key(
    agent_id: AgentId,
    task: Option<&Task>,
    now: Timestamp,
) -> Result<(), Rejection> {
    let task = task.filter(|task| task.agent_id == agent_id);
    match task.and_then(Task::end_for_keys) {
        None => Err(Rejection::NotOpenedByKey),
        Some(at) if now >= at => Err(Rejection::TaskExpired { at }),
        Some(_) => Ok(()),
    }
}

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

/// Loads a task and its agent, and checks that the token or key may act in that task now.
pub(super) async fn admit(
    tx: &mut Transaction<'_>,
    task_id: TaskId,
    presented: &Presented,
) -> Result<(Arc<Task>, Option<Arc<Agent>>), Error> {
    let task = tx.load::<Task>(task_id).await?;
    let agent = match &task {
        Some(task) => tx.load::<Agent>(task.agent_id).await?,
        None => None,
    };
    let now = tx.context().now;
    match presented {
        Presented::Token(token) => check_token(token, task.as_deref(), agent.as_deref(), now)?,
        Presented::Key(key) => {
            admit_key(tx, key.key_id, key.agent_id).await?;
            check_opened_by_key(key.agent_id, task.as_deref(), now)?;
        }
    }
    let task = task.ok_or(Rejection::TokenUnknown)?;
    check_locks(&tx.locks(), &task, agent.as_deref(), presented, now)?;
    Ok((task, agent))
}

/// Holds an agent in a task to the locks: one in force stops it, and a token from before one is dead.
///
/// # Errors
/// [`Rejection::Locked`], [`Rejection::TokenRevoked`].
pub fn check_locks(
    locks: &Locks,
    task: &Task,
    agent: Option<&Agent>,
    presented: &Presented,
    now: Timestamp,
) -> Result<(), Rejection> {
    if locks.is_empty() {
        return Ok(());
    }
    let mut targets = Locks::targets_of_agent(agent);
    targets.push(LockTarget::Agent(task.agent_id));
    targets.push(LockTarget::Task(task.id));
    if let Presented::Key(key) = presented {
        targets.push(LockTarget::Key(key.key_id));
    }
    locks.admit(&targets, now)?;
    let token = match presented {
        Presented::Token(token) => task.token(token.token_id),
        Presented::Key(_) => None,
    };
    match token.is_some_and(|token| locks.end(&targets, token.made_at, now)) {
        true => Err(Rejection::TokenRevoked),
        false => Ok(()),
    }
}

/// Checks that a key proves its agent as of this commit.
pub(super) async fn admit_key(
    tx: &mut Transaction<'_>,
    key_id: KeyId,
    agent_id: AgentId,
) -> Result<(), Error> {
    let known = match key_id {
        SHARED_KEY => None,
        _ => tx.load::<Key>(key_id).await?,
    };
    Ok(check_key(key_id, agent_id, known.as_deref())?)
}

/// The user whose principal it is: by its name, or because the user has shown a passkey of it.
pub(super) async fn owner(
    tx: &mut Transaction<'_>,
    principal: &ApproverName,
) -> Result<Option<Arc<User>>, Error> {
    if let Some(id) = User::named_by(principal) {
        return tx.load::<User>(id).await;
    }
    tx.find_state::<User>(&LookupKey::linked(principal)).await
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
        if granted && risk < Risk::Sensitive && !task.needs_approval() {
            check.pre_approved.push(checked);
        } else {
            check.missing.push(checked);
        }
    }
    Ok(check)
}
