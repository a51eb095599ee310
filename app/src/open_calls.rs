//! Calls through the proxies that are open, and what breaks them off besides the end of their credential: a lock on their
//! operation, a block on their client, a denial that is kept, and a change of the policy that denies them; for a held write
//! also a lock on the task that was opened for it, and its close.

use crate::app::App;
use crate::edge::{SeenFrom, edge};
use crate::proxied_calls::{AskedCall, denied, judge, of_key, reads_body};
use crate::proxied_reads;
use crate::refusal::Error;
use ledger::aggregate::{Apply, Task};
use ledger::command::ReadAsked;
use ledger::event::{LockTarget, UpstreamKeyOwner};
use ledger::operation::Scope;
use ledger::policy::CurrentPolicy;
use ledger::{
    Admissions, AgentId, ApplyId, Client, Denials, Ledger, Level, Locks, OperationId, Rejection,
    Risk, ScopeType, StreamId, TaskId, UpstreamName,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How long a change of a task is waited for before it is looked up again.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How long what could not be read is let rest before it is read again.
const REST: Duration = Duration::from_secs(1);

/// A call that was let through.
#[derive(Debug, Clone)]
pub struct LetThrough {
    pub owner: UpstreamKeyOwner,
    pub task: Option<TaskId>,
    pub operation: OperationId,
    /// The operation of the messages that it brings, to which it was held besides.
    pub brings: Option<OperationId>,
    pub by: LetThroughBy,
    /// It is held for people instead: a denial of others is none of it.
    pub is_held: Arc<AtomicBool>,
    pub seen: SeenFrom,
}

impl LetThrough {
    fn operations(&self) -> impl Iterator<Item = OperationId> {
        std::iter::once(self.operation).chain(self.brings)
    }
}

/// The permission by which it was.
#[derive(Debug, Clone)]
pub enum LetThroughBy {
    /// The stored key of this upstream.
    Key(UpstreamName),
    /// A grant, for what only reads: of one object, or of all of a type.
    Read {
        level: Level,
        risk: Risk,
        scope: Result<Scope, ScopeType>,
    },
    /// A grant or people. What carries it out looks at the policy itself.
    Write,
}

/// The changes that can break a call off, from its making on.
#[derive(Debug)]
pub struct Changes {
    locks: watch::Receiver<Arc<Locks>>,
    admissions: watch::Receiver<Arc<Admissions>>,
    denials: watch::Receiver<Arc<Denials>>,
    policy: watch::Receiver<Arc<CurrentPolicy>>,
}

impl Changes {
    #[must_use]
    pub fn from_now(ledger: &Ledger) -> Self {
        Self {
            locks: ledger.watch_locks(),
            admissions: ledger.watch_admissions(),
            denials: ledger.watch_denials(),
            policy: ledger.watch_policy(),
        }
    }
}

/// Waits until a call may not go on, and gives the refusal. A quota that is used up meanwhile, and a rule that has people
/// asked, are for the next call; so is a rule that reads the body of this one.
pub async fn broken_off(app: &App, call: LetThrough, mut changes: Changes) -> Error {
    loop {
        let changed = tokio::select! {
            changed = changes.locks.changed() => changed.map(|()| false),
            changed = changes.admissions.changed() => changed.map(|()| false),
            changed = changes.denials.changed() => changed.map(|()| false),
            changed = changes.policy.changed() => changed.map(|()| true),
        };
        let Ok(is_of_policy) = changed else {
            // The ledger is closed, and with it the service.
            return std::future::pending().await;
        };
        loop {
            match holds(app, &call, is_of_policy).await {
                Ok(()) => break,
                Err(stopped) if is_end(&stopped) => return stopped,
                Err(refused) if is_rejected(&refused) => break,
                // What cannot be read now may forbid it.
                Err(error) => {
                    tracing::warn!(
                        error = ledger::with_sources(&error),
                        "an open call cannot be judged anew and is judged again"
                    );
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

/// Holds the call to what has changed.
async fn holds(app: &App, call: &LetThrough, is_of_policy: bool) -> Result<(), Error> {
    admit(app, call).await?;
    not_denied(app, call).await?;
    match is_of_policy {
        true => judge_anew(app, call).await,
        false => Ok(()),
    }
}

const fn is_rejected(refused: &Error) -> bool {
    matches!(refused, Error::Ledger(ledger::Error::Rejected(_)))
}

fn is_end(refused: &Error) -> bool {
    use Rejection::{Blocked, DeniedBefore, DeniedByPolicy, Locked};
    matches!(
        refused,
        Error::Ledger(ledger::Error::Rejected(
            Locked { .. } | Blocked { .. } | DeniedBefore { .. } | DeniedByPolicy { .. }
        ))
    )
}

/// Holds the call to locks on its operations and blocks on its client.
async fn admit(app: &App, call: &LetThrough) -> Result<(), Error> {
    let ledger = &app.ledger;
    let now = ledger.now();
    for operation in call.operations() {
        let operation = LockTarget::Operation(operation.into());
        ledger.locks().admit(&[operation], now)?;
    }
    let admissions = ledger.admissions();
    // A write that was asked for before a block goes on.
    if matches!(call.by, LetThroughBy::Write) || admissions.is_empty() {
        return Ok(());
    }
    let task = match call.task {
        Some(id) => Some(ledger.existing::<Task>(id).await?),
        None => None,
    };
    let client = Client {
        agent: match call.owner {
            UpstreamKeyOwner::Agent(id) => id,
            UpstreamKeyOwner::User(id) => AgentId::from(StreamId::from(id)),
        },
        subject: task.as_ref().map(|task| &task.subject),
        address: None,
        asn: None,
    };
    Ok(admissions.admit(&client.seen(&edge(app, &call.seen)), now)?)
}

/// Holds the call to the denials that are kept, whatever its params are. What people are asked about, or were, goes on.
async fn not_denied(app: &App, call: &LetThrough) -> Result<(), Error> {
    let UpstreamKeyOwner::Agent(agent_id) = call.owner else {
        return Ok(());
    };
    if call.is_held.load(Ordering::Relaxed) || app.ledger.denials().has_none(agent_id) {
        return Ok(());
    }
    for operation in call.operations() {
        let keyed;
        let scope = match &call.by {
            LetThroughBy::Key(upstream) => {
                (_, keyed) = of_key(app, upstream, operation)?;
                Ok(&keyed)
            }
            LetThroughBy::Read { scope, .. } => scope.as_ref().map_err(|of_type| *of_type),
            LetThroughBy::Write => return Ok(()),
        };
        let on = (operation, scope);
        if let Some(refused) = denied(app, (agent_id, call.task), on).await? {
            return Err(refused.into());
        }
    }
    Ok(())
}

/// Holds the call to the policy of this moment.
async fn judge_anew(app: &App, call: &LetThrough) -> Result<(), Error> {
    match (&call.by, call.owner) {
        (LetThroughBy::Key(upstream), owner) => {
            for operation in call.operations() {
                if reads_body(app, operation) {
                    continue;
                }
                let asked = AskedCall {
                    owner,
                    task: call.task,
                    upstream,
                    operation,
                    params: None,
                    counts: false,
                };
                match judge(app, asked, &call.seen).await.map(drop) {
                    // Not of what ends an open call: the next operation may be.
                    Err(stopped) if !is_end(&stopped) && is_rejected(&stopped) => {}
                    judged => judged?,
                }
            }
            Ok(())
        }
        (LetThroughBy::Read { level, risk, scope }, UpstreamKeyOwner::Agent(agent)) => {
            let read = ReadAsked {
                operation: call.operation,
                level: *level,
                risk: *risk,
                scope: scope.as_ref().map_err(|scope_type| *scope_type),
            };
            let judged = proxied_reads::judge(app, (agent, call.task), read, &call.seen);
            judged.await.map(drop)
        }
        _ => Ok(()),
    }
}

/// Waits until the task that was opened for a write stops it: by a lock on the task, or by its close while the write goes on.
/// Gives the refusal.
pub async fn stopped_in_task(app: &App, (task, write): (TaskId, ApplyId)) -> Error {
    let mut locks = app.ledger.watch_locks();
    loop {
        locks.mark_unchanged();
        let is_closed = match goes_on_in_task(app, (task, write)).await {
            Ok(is_closed) => is_closed,
            Err(stopped) if is_rejected(&stopped) => return stopped,
            Err(error) => {
                tracing::warn!(
                    error = ledger::with_sources(&error),
                    "the task of an open call cannot be looked up and is looked up again"
                );
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let closed = app
            .ledger
            .wait_for(task, PATIENCE, |task: &Task| task.closed_at.is_some());
        tokio::select! {
            changed = locks.changed() => {
                if changed.is_err() {
                    // The ledger is closed, and with it the service.
                    return std::future::pending().await;
                }
            }
            _ = closed, if !is_closed => {}
        }
    }
}

/// Holds a write to the task that was opened for it, and says whether that is closed: it is once the write has ended.
///
/// # Errors
/// [`Rejection::Locked`]; [`Rejection::TaskClosed`] where it was closed before.
pub(crate) async fn goes_on_in_task(
    app: &App,
    (task, write): (TaskId, ApplyId),
) -> Result<bool, Error> {
    let ledger = &app.ledger;
    let target = LockTarget::Task(task);
    ledger.locks().admit(&[target], ledger.now())?;
    let task = ledger.existing::<Task>(task).await?;
    let Some(closed_at) = task.closed_at else {
        return Ok(false);
    };
    let write = ledger.existing::<Apply>(write).await?;
    match write.ended_at.is_some_and(|ended| ended <= closed_at) {
        true => Ok(true),
        false => Err(Rejection::TaskClosed.into()),
    }
}
