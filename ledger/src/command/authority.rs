//! Checks of authority: capability tokens and agent keys against the ledger, operations against allowlist
//! and grants.

use crate::agent_key::SHARED_KEY;
use crate::aggregate::{Agent, Key, Task, User};
use crate::catalog::Risk;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Actor, CheckedOperation, LockTarget, PermissionCheck};
use crate::id::{AgentId, KeyId, ScheduleId, TaskId, TokenId};
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
    /// A schedule that fires: the scheduler asks for the agent, in a task that the same command has opened.
    Schedule(PresentedSchedule),
}

impl Presented {
    /// The task in which it is presented.
    #[must_use]
    pub const fn task_id(&self) -> TaskId {
        match self {
            Self::Token(token) => token.task_id,
            Self::Key(key) => key.task_id,
            Self::Schedule(schedule) => schedule.task_id,
        }
    }

    /// The id by which an apply names it: the token's `jti`, or the id of the key or of the schedule.
    #[must_use]
    pub const fn id(&self) -> TokenId {
        match self {
            Self::Token(token) => token.token_id,
            Self::Key(key) => TokenId::from_bytes(*key.key_id.as_bytes()),
            Self::Schedule(schedule) => TokenId::from_bytes(*schedule.schedule_id.as_bytes()),
        }
    }

    /// The key of the agent, where it is one.
    #[must_use]
    pub(super) const fn key_id(&self) -> Option<KeyId> {
        match self {
            Self::Token(_) | Self::Schedule(_) => None,
            Self::Key(key) => Some(key.key_id),
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

/// The part of the service that fires schedules, as it stands in events.
pub const SCHEDULER: &str = "scheduler";

/// What stands before the id of a schedule in the subject of the tasks that it opens.
const SUBJECT_PREFIX: &str = "schedule:";

/// The subject of the tasks that a schedule opens.
pub(super) fn subject_of(schedule: ScheduleId) -> ClientSubject {
    ClientSubject::unchecked(format!("{SUBJECT_PREFIX}{schedule}"))
}

/// The schedule in whose name a task stands, by its subject.
pub(crate) fn scheduled(subject: &ClientSubject) -> Option<ScheduleId> {
    let id = subject.as_str().strip_prefix(SUBJECT_PREFIX)?;
    id.parse().ok()
}

/// Refuses subjects of schedules to everybody else: rules know by them what a schedule asks, and decisions that are
/// kept for it are bound to them.
///
/// # Errors
/// [`Rejection::Invalid`].
pub(super) fn admit_subject(subject: &ClientSubject) -> Result<(), Rejection> {
    match subject.as_str().starts_with(SUBJECT_PREFIX) {
        false => Ok(()),
        true => Err(Rejection::Invalid {
            code: "invalid_subject",
            detail: "subject: one that begins with schedule: is that of a schedule, which alone opens tasks with it".to_owned(),
        }),
    }
}

/// A schedule that fires. Nothing that comes from outside makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedSchedule {
    /// The schedule.
    pub(super) schedule_id: ScheduleId,
    /// The put with which its operations came.
    pub(super) origin: ScheduleId,
    /// The task that it opened.
    pub(super) task_id: TaskId,
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

/// The token of that id of a task that opens the proxies. Whoever asks has seen it shown; it is checked as of this
/// commit where it is used.
///
/// # Errors
/// [`Rejection::TokenUnknown`].
pub(super) async fn proxy_token(
    tx: &mut Transaction<'_>,
    (agent_id, task_id, token_id): (AgentId, TaskId, TokenId),
) -> Result<Presented, Error> {
    let task = tx.load::<Task>(task_id).await?;
    let task = task.filter(|task| task.agent_id == agent_id && task.opens_proxies);
    let task = task.ok_or(Rejection::TokenUnknown)?;
    let token = task.token(token_id).ok_or(Rejection::TokenUnknown)?;
    let presented = PresentedToken {
        token_id,
        task_id,
        claims_hash: token.claims_hash.clone(),
        subject: token.subject.clone(),
    };
    Ok(presented.into())
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
        // The command that fires has found it active.
        Presented::Schedule(_) if tx.envelope().actor == Actor::system(SCHEDULER) => {}
        Presented::Schedule(_) => return Err(Rejection::TokenUnknown.into()),
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
        Presented::Key(_) | Presented::Schedule(_) => None,
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
        let granted = operation.provider().is_granted_by_key()
            || agent.is_some_and(|agent| agent.is_granted(operation.entry.id, scope, level, now));
        check.requested.push(checked.clone());
        if granted && risk < Risk::Sensitive && !task.needs_approval() {
            check.pre_approved.push(checked);
        } else {
            check.missing.push(checked);
        }
    }
    Ok(check)
}
