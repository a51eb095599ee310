//! Calls through the proxies for which a stored key is enough: what locks, blocks and the policy say of them.

use crate::app::App;
use crate::edge::{SeenFrom, edge};
use crate::refusal::Error;
use ledger::aggregate::{Agent, Task};
use ledger::command::{Called, Calling, may_call};
use ledger::event::{AgentDescribed, UpstreamKeyOwner, UsageCounts};
use ledger::operation::{Scope, ScopeId};
use ledger::policy::{PolicyInForce, WindowClock, is_of_model, is_of_usage};
use ledger::{
    AgentId, AgentName, CatalogEntry, OperationId, Rejection, ScopePattern, ScopeType, StreamId,
    TaskId, Timestamp, Used, UsedLately,
};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Sums of what calls used lately, seen by this process and read from the log at the start.
#[derive(Debug, Default)]
pub struct UsedHere(Mutex<Used>);

impl UsedHere {
    fn used(&self) -> MutexGuard<'_, Used> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with what the log knows. Nothing is called before.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn begin(&self, app: &App) -> Result<(), ledger::Error> {
        let size = *app.ledger.size().borrow();
        let read = Used::read(&**app.ledger.log(), size, app.ledger.now()).await?;
        *self.used() = read;
        Ok(())
    }

    /// Takes in what a call used.
    pub fn take(
        &self,
        owner: UpstreamKeyOwner,
        task: Option<TaskId>,
        model: &str,
        counts: &UsageCounts,
        at: Timestamp,
    ) {
        self.used().take(owner, task, model, counts, at);
    }

    /// Forgets what was used in a task that has ended.
    pub fn forget(&self, task: TaskId) {
        self.used().forget(task);
    }

    fn lately(
        &self,
        owner: UpstreamKeyOwner,
        task: Option<TaskId>,
        model: Option<&str>,
        now: Timestamp,
    ) -> UsedLately {
        self.used().lately(owner, task, model, now)
    }
}

/// A call that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct AskedCall<'a> {
    pub owner: UpstreamKeyOwner,
    pub task: Option<TaskId>,
    pub operation: OperationId,
    /// The fields of its body that rules can read; `None`: it was not read.
    pub params: Option<&'a Value>,
}

/// Holds a call to the locks, blocks and policy of this moment. To rules a user is an agent with the name `user:ID`.
///
/// # Errors
/// The refusal: [`Rejection::Locked`], [`Rejection::Blocked`], [`Rejection::DeniedByPolicy`],
/// [`Rejection::UsageUsedUp`], [`Rejection::CallNotHeld`].
pub async fn judge(app: &App, asked: AskedCall<'_>, seen: &SeenFrom) -> Result<(), Error> {
    let ledger = &app.ledger;
    let entry = entry(app, asked.operation)?;
    let agent = match asked.owner {
        UpstreamKeyOwner::Agent(id) => {
            let agent = ledger.load::<Agent>(id).await?;
            agent.ok_or(Rejection::AgentNotFound)?
        }
        UpstreamKeyOwner::User(id) => Arc::new(Agent {
            id: AgentId::from(StreamId::from(id)),
            name: AgentName::unchecked(format!("user:{id}")),
            grants: Vec::new(),
            permission_revision: 0,
            described: AgentDescribed::default(),
            created_at: Timestamp::default(),
        }),
    };
    let scope = Scope {
        scope_type: entry.scope_type,
        id: ScopeId::parse("anthropic").ok_or(Rejection::AgentNotFound)?,
    };
    if let Some(task) = asked.task {
        allows(app, task, asked.operation, Ok(&scope)).await?;
    }
    let model = asked
        .params
        .and_then(|params| params.get("model")?.as_str());
    let called = Called {
        operation: asked.operation,
        scope: &scope,
        level: entry.level,
        risk: entry.risk,
        // The stored key is the grant.
        granted: true,
        params: asked.params,
    };
    let caller = (&*agent, asked.owner, asked.task);
    hold(app, caller, model, seen, |calling, policy, clock| {
        may_call(calling, called, policy, clock)
    })
}

/// Holds a caller to what is judged of the ledger's state and the policy of this moment.
pub(crate) fn hold(
    app: &App,
    (agent, owner, task): (&Agent, UpstreamKeyOwner, Option<TaskId>),
    model: Option<&str>,
    seen: &SeenFrom,
    judged: impl FnOnce(
        &Calling<'_>,
        Option<&PolicyInForce>,
        (&WindowClock, Timestamp),
    ) -> Result<(), Rejection>,
) -> Result<(), Error> {
    let ledger = &app.ledger;
    let policy = ledger.policy();
    let policy = policy.in_force.as_deref();
    let edge = edge(app, seen);
    let calling = Calling {
        agent,
        edge: &edge,
        locks: &ledger.locks(),
        admissions: &ledger.admissions(),
        lately: ledger.lately(&agent.name),
        used: used_lately(app, (owner, task), model, policy),
    };
    judged(&calling, policy, (&ledger.rules().windows, ledger.now()))?;
    Ok(())
}

/// Holds a call with a task's token to what the task may use: the object, or all of a type.
///
/// # Errors
/// [`Rejection::CallNotAllowed`].
pub(crate) async fn allows(
    app: &App,
    task: TaskId,
    operation: OperationId,
    scope: Result<&Scope, ScopeType>,
) -> Result<(), Error> {
    let task = app.ledger.load::<Task>(task).await?;
    let task = task.ok_or(Rejection::TokenUnknown)?;
    let is_allowed = match scope {
        Ok(scope) => task.allows(operation, scope).is_some(),
        Err(scope_type) => task.allowed.iter().any(|allowed| {
            allowed.operation == operation
                && allowed.scope_type == scope_type
                && allowed.scope_id == ScopePattern::every()
        }),
    };
    match is_allowed {
        true => Ok(()),
        false => Err(Rejection::CallNotAllowed { operation }.into()),
    }
}

/// The recent usage of an owner, where the policy reads that.
fn used_lately(
    app: &App,
    (owner, task): (UpstreamKeyOwner, Option<TaskId>),
    model: Option<&str>,
    policy: Option<&PolicyInForce>,
) -> UsedLately {
    let prepared = policy.and_then(|policy| policy.prepared.as_deref());
    match prepared.is_some_and(|prepared| prepared.facts().any(is_of_usage)) {
        true => app.used.lately(owner, task, model, app.ledger.now()),
        false => UsedLately::default(),
    }
}

/// Whether a rule in force reads of the body of such a call.
#[must_use]
pub fn reads_body(app: &App, operation: OperationId) -> bool {
    let policy = app.ledger.policy();
    let policy = policy.in_force.as_deref();
    let prepared = policy.and_then(|policy| policy.prepared.as_deref());
    prepared.is_some_and(|prepared| {
        prepared.reads_params(operation) || prepared.reads_about(operation, is_of_model)
    })
}

fn entry(app: &App, operation: OperationId) -> Result<CatalogEntry, Error> {
    let entry = app.ledger.rules().providers.entry(operation.as_str());
    entry.map_err(|unknown| {
        let detail = unknown.to_string();
        let code = "unknown_operation";
        Rejection::Invalid { code, detail }.into()
    })
}
