//! Calls through the proxies that are open, and what breaks them off besides the end of their credential: a lock on their
//! operation, a block on their client, and a change of the policy that denies them.

use crate::app::App;
use crate::edge::{SeenFrom, edge};
use crate::proxied_calls::{AskedCall, judge, reads_body};
use crate::proxied_reads;
use crate::refusal::Error;
use ledger::command::ReadAsked;
use ledger::event::{LockTarget, UpstreamKeyOwner};
use ledger::operation::Scope;
use ledger::policy::CurrentPolicy;
use ledger::{
    Admissions, AgentId, Client, Ledger, Level, Locks, OperationId, Rejection, Risk, ScopeType,
    StreamId, TaskId, UpstreamName,
};
use std::sync::Arc;
use tokio::sync::watch;

/// A call that was let through.
#[derive(Debug, Clone)]
pub struct LetThrough {
    pub owner: UpstreamKeyOwner,
    pub task: Option<TaskId>,
    pub operation: OperationId,
    pub by: LetThroughBy,
    pub seen: SeenFrom,
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
    policy: watch::Receiver<Arc<CurrentPolicy>>,
}

impl Changes {
    #[must_use]
    pub fn from_now(ledger: &Ledger) -> Self {
        Self {
            locks: ledger.watch_locks(),
            admissions: ledger.watch_admissions(),
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
            changed = changes.policy.changed() => changed.map(|()| true),
        };
        let Ok(is_of_policy) = changed else {
            // The ledger is closed, and with it the service.
            return std::future::pending().await;
        };
        let stopped = match (admit(app, &call), is_of_policy) {
            (Err(stopped), _) => Err(stopped.into()),
            (Ok(()), true) => judge_anew(app, &call).await,
            (Ok(()), false) => Ok(()),
        };
        if let Err(stopped) = stopped
            && is_end(&stopped)
        {
            return stopped;
        }
    }
}

fn is_end(refused: &Error) -> bool {
    use Rejection::{Blocked, DeniedByPolicy, Locked};
    matches!(
        refused,
        Error::Ledger(ledger::Error::Rejected(
            Locked { .. } | Blocked { .. } | DeniedByPolicy { .. }
        ))
    )
}

/// Holds the call to locks on its operation and blocks on its client.
fn admit(app: &App, call: &LetThrough) -> Result<(), Rejection> {
    let ledger = &app.ledger;
    let now = ledger.now();
    let operation = LockTarget::Operation(call.operation.into());
    ledger.locks().admit(&[operation], now)?;
    let admissions = ledger.admissions();
    // A write that was asked for before a block goes on.
    if matches!(call.by, LetThroughBy::Write) || admissions.is_empty() {
        return Ok(());
    }
    let client = Client {
        agent: match call.owner {
            UpstreamKeyOwner::Agent(id) => id,
            UpstreamKeyOwner::User(id) => AgentId::from(StreamId::from(id)),
        },
        subject: None,
        address: None,
        asn: None,
    };
    admissions.admit(&client.seen(&edge(app, &call.seen)), now)
}

/// Holds the call to the policy of this moment.
async fn judge_anew(app: &App, call: &LetThrough) -> Result<(), Error> {
    match (&call.by, call.owner) {
        (LetThroughBy::Key(upstream), owner) if !reads_body(app, call.operation) => {
            let asked = AskedCall {
                owner,
                task: call.task,
                upstream,
                operation: call.operation,
                params: None,
                counts: false,
            };
            judge(app, asked, &call.seen).await.map(drop)
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
