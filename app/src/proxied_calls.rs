//! Calls through the proxies for which a stored key is enough: what locks, blocks and the policy say of them.

use crate::app::App;
use crate::edge::{SeenFrom, edge};
use crate::refusal::Error;
use ledger::aggregate::{Agent, Task};
use ledger::command::{Called, Calling, HoldToDenials, may_call};
use ledger::event::{AgentDescribed, CallRuling, RulingBasis, UpstreamKeyOwner, UsageCounts};
use ledger::operation::{Scope, ScopeId};
use ledger::policy::{Edge, PolicyInForce, Requirement, WindowClock, is_of_model, is_of_usage};
use ledger::{
    AgentId, AgentName, CatalogEntry, OperationId, Origin, Rejection, RelayedCall, ScopePattern,
    ScopeType, StreamId, TaskId, Timestamp, UpstreamName, Used, UsedLately,
};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// The part of the service that has calls judged, as origins name it.
pub const COMPONENT: &str = "gateway";
/// How far back the log is read for what owners used.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The same for what tasks used: none lives longer.
const LIFE_OF_TASKS: Duration = Duration::from_secs(14 * 24 * 3600);

/// Sums of what calls used lately: seen by this process, and read from the log once a rule reads them.
#[derive(Debug, Default)]
pub struct UsedHere {
    here: Arc<Mutex<Used>>,
    /// What the log had when this process began, as far back as it was read.
    before: Mutex<Arc<Used>>,
    /// Its size then, and the time.
    begun: OnceLock<(u64, Timestamp)>,
    /// How far back it was read.
    back: tokio::sync::Mutex<Duration>,
}

/// A call that counts as open until this goes.
#[derive(Debug)]
pub struct OpenCall {
    used: Arc<Mutex<Used>>,
    owner: UpstreamKeyOwner,
    number: u64,
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        locked(&self.used).close(self.owner, self.number);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl UsedHere {
    /// Begins with what the log has now, and reads of it what the policy in force reads. Nothing is called before.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn begin(&self, app: &App) -> Result<(), ledger::Error> {
        let size = *app.ledger.size().borrow();
        self.begun.get_or_init(|| (size, app.ledger.now()));
        let policy = app.ledger.policy();
        self.read_for(app, policy.in_force.as_deref()).await
    }

    /// Has read of the log what a policy reads. The first call that meets such a rule waits for it.
    async fn read_for(
        &self,
        app: &App,
        policy: Option<&PolicyInForce>,
    ) -> Result<(), ledger::Error> {
        let prepared = policy.and_then(|policy| policy.prepared.as_deref());
        let facts = prepared.into_iter().flat_map(|prepared| prepared.facts());
        let wanted =
            facts
                .filter(|fact| is_of_usage(fact))
                .map(|fact| match fact.ends_with("_task") {
                    true => LIFE_OF_TASKS,
                    false => DAY,
                });
        let Some(wanted) = wanted.max() else {
            return Ok(());
        };
        let mut back = self.back.lock().await;
        if *back >= wanted {
            return Ok(());
        }
        let now = (*app.ledger.size().borrow(), app.ledger.now());
        let begun = *self.begun.get_or_init(|| now);
        let read = Used::read(&**app.ledger.log(), begun, wanted).await?;
        *locked(&self.before) = Arc::new(read);
        *back = wanted;
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
        locked(&self.here).take(owner, task, model, counts, at);
    }

    /// Forgets what was used in a task that has ended.
    pub fn forget(&self, task: TaskId) {
        locked(&self.here).forget(task);
    }
}

/// An operation and its object; `Err` has the type of all of them, for a list.
pub(crate) type OnScope<'a> = (OperationId, Result<&'a Scope, ScopeType>);
/// The agent that calls, whose key it uses, and the task with whose token it calls.
type JudgedCaller<'a> = (&'a Agent, UpstreamKeyOwner, Option<&'a Task>);

/// A call that was judged and may be sent.
#[derive(Debug)]
pub struct JudgedCall {
    /// Counts it as open, where it counts.
    pub open: Option<OpenCall>,
    /// How the policy let it through, for its record.
    pub ruling: CallRuling,
    /// It may be sent once people have approved it.
    pub asks: Option<AsksAbout>,
}

/// A caller that may go on.
pub(crate) struct Held {
    pub(crate) open: Option<OpenCall>,
    pub(crate) ruling: CallRuling,
}

/// The question that people have to answer before a call is sent.
#[derive(Debug)]
pub struct AsksAbout {
    pub entry: CatalogEntry,
    pub scope: Scope,
    /// The people whose answer it needs.
    pub requirement: Requirement,
    /// The use by its caller when it was judged.
    pub used: UsedLately,
}

/// A call that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct AskedCall<'a> {
    pub owner: UpstreamKeyOwner,
    pub task: Option<TaskId>,
    /// The upstream, which is the object of its operations.
    pub upstream: &'a UpstreamName,
    pub operation: OperationId,
    /// The fields of its body that rules can read; `None`: it was not read.
    pub params: Option<&'a Value>,
    /// It is sent, and what it uses counts: it is open from here on.
    pub counts: bool,
}

/// Holds a call to the locks, blocks, kept denials and policy of this moment, and says how they let it through. To rules a user is an
/// agent with the name `user:ID`.
///
/// # Errors
/// The refusal: [`Rejection::Locked`], [`Rejection::Blocked`], [`Rejection::DeniedBefore`],
/// [`Rejection::DeniedByPolicy`], [`Rejection::UsageUsedUp`].
pub async fn judge(app: &App, asked: AskedCall<'_>, seen: &SeenFrom) -> Result<JudgedCall, Error> {
    let ledger = &app.ledger;
    // Looked up before everything that it is judged by, so that this is held to what the log had then, or since.
    let size = *ledger.size().borrow();
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
    let (entry, scope) = of_key(app, asked.upstream, asked.operation)?;
    let task = match asked.task {
        Some(task) => Some(allows(app, task, asked.operation, Ok(&scope)).await?),
        None => None,
    };
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
    let caller = (&*agent, asked.owner, task.as_deref());
    let call = (model, asked.counts);
    let on = (asked.operation, Ok(&scope));
    let judged = hold(
        (app, size),
        (caller, on),
        call,
        seen,
        |calling, policy, clock| may_call(calling, called, policy, clock),
    );
    let (requirement, Held { open, ruling }, used) = judged.await?;
    let asks = requirement.map(|requirement| AsksAbout {
        entry,
        scope,
        requirement,
        used,
    });
    Ok(JudgedCall { open, ruling, asks })
}

/// Says what was used before a call, as far as the policy in force reads it.
pub(crate) fn say_used(app: &App, edge: &mut Edge, used: &UsedLately) {
    let policy = app.ledger.policy();
    let policy = policy.in_force.as_deref();
    let prepared = policy.and_then(|policy| policy.prepared.as_deref());
    let facts = prepared.into_iter().flat_map(|prepared| prepared.facts());
    for name in facts.filter(|name| is_of_usage(name)) {
        if let Some(fact) = used.fact(name) {
            edge.say(name, fact);
        }
    }
}

/// Holds a caller to what is judged of the ledger's state and the policy of this moment. The size of the log was looked up
/// before the caller, and is before the policy, which is published before the size that has it. A call that counts is open
/// when the next one is judged, so that calls that come together do not pass a limit together.
pub(crate) async fn hold<T>(
    (app, size): (&App, u64),
    ((agent, owner, in_task), on): (JudgedCaller<'_>, OnScope<'_>),
    (model, counts): (Option<&str>, bool),
    seen: &SeenFrom,
    judged: impl FnOnce(
        &Calling<'_>,
        Option<&PolicyInForce>,
        (&WindowClock, Timestamp),
    ) -> Result<(RulingBasis, T), Rejection>,
) -> Result<(T, Held, UsedLately), Error> {
    let ledger = &app.ledger;
    let task = in_task.map(|task| task.id);
    let policy = ledger.policy();
    let policy = policy.in_force.as_deref();
    let reads_used = reads_used(policy);
    let now = ledger.now();
    let before = match reads_used {
        true => {
            app.used.read_for(app, policy).await?;
            let before = Arc::clone(&locked(&app.used.before));
            before.lately(owner, task, model, now)
        }
        false => UsedLately::default(),
    };
    let denied = match owner {
        UpstreamKeyOwner::Agent(agent_id) => denied(app, (agent_id, task), on).await?,
        UpstreamKeyOwner::User(_) => None,
    };
    let edge = edge(app, seen);
    let mut here = (reads_used || counts).then(|| locked(&app.used.here));
    let used = match &here {
        Some(here) if reads_used => here.lately(owner, task, model, now).plus(&before),
        _ => UsedLately::default(),
    };
    let calling = Calling {
        agent,
        task: in_task,
        edge: &edge,
        locks: &ledger.locks(),
        admissions: &ledger.admissions(),
        denied,
        lately: ledger.lately(&agent.name),
        used,
    };
    let (basis, said) = judged(&calling, policy, (&ledger.rules().windows, now))?;
    let open = here.as_mut().filter(|_| counts).map(|here| OpenCall {
        used: Arc::clone(&app.used.here),
        owner,
        number: here.open(owner, task, model),
    });
    let ruling = CallRuling { size, basis };
    Ok((said, Held { open, ruling }, used))
}

/// The refusal of a call by a kept denial that stands, whatever its params are. The ledger is asked only where one is about
/// the operation.
pub(crate) async fn denied(
    app: &App,
    (agent_id, task_id): (AgentId, Option<TaskId>),
    (operation, scope): OnScope<'_>,
) -> Result<Option<Rejection>, Error> {
    let ledger = &app.ledger;
    let denials = ledger.denials();
    if denials.has_none(agent_id) {
        return Ok(None);
    }
    let call = RelayedCall {
        operations: vec![operation.to_string()],
        scope: scope.cloned(),
    };
    if !denials.may_refuse(agent_id, &call) {
        return Ok(None);
    }
    let held = HoldToDenials {
        agent_id,
        task_id,
        call,
    };
    match ledger.execute(Origin::system(COMPONENT), held).await {
        Ok(()) => Ok(None),
        Err(ledger::Error::Rejected(refused @ Rejection::DeniedBefore { .. })) => Ok(Some(refused)),
        Err(error) => Err(error.into()),
    }
}

/// Holds a call with a task's token to what the task may use: the object, or all of a type. Gives the task.
///
/// # Errors
/// [`Rejection::CallNotAllowed`].
pub(crate) async fn allows(
    app: &App,
    task: TaskId,
    operation: OperationId,
    scope: Result<&Scope, ScopeType>,
) -> Result<Arc<Task>, Error> {
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
        true => Ok(task),
        false => Err(Rejection::CallNotAllowed { operation }.into()),
    }
}

/// The operation of a call for which the stored key of an upstream is enough, and its object: that upstream.
///
/// # Errors
/// An operation that is in no catalog.
pub fn of_key(
    app: &App,
    upstream: &UpstreamName,
    operation: OperationId,
) -> Result<(CatalogEntry, Scope), Error> {
    let entry = app.ledger.rules().providers.entry(operation.as_str());
    let entry = entry.map_err(|unknown| Rejection::Invalid {
        code: "unknown_operation",
        detail: unknown.to_string(),
    })?;
    let scope = Scope {
        scope_type: entry.scope_type,
        id: ScopeId::parse(upstream.as_str())
            .ok_or_else(|| Error::defect("the name of an upstream is no object"))?,
    };
    Ok((entry, scope))
}

/// Whether the policy reads what calls used.
fn reads_used(policy: Option<&PolicyInForce>) -> bool {
    let prepared = policy.and_then(|policy| policy.prepared.as_deref());
    prepared.is_some_and(|prepared| prepared.facts().any(is_of_usage))
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
