//! Making and closing tasks, and issuing their tokens.

use super::acting::still_acts;
use super::agents::{find, register_agent};
use super::authority::{admit, admit_subject};
use super::callbacks::{NewCallback, Subject, with_deliveries};
use super::locked::admit_agent;
use super::{Command, Presented};
use crate::aggregate::{Agent, Apply, Approval, ApprovalState, OperationState, Task, Token};
use crate::callback_report;
use crate::catalog::{CatalogEntry, Level, Risk};
use crate::claims::CapabilityClaims;
use crate::error::Error;
use crate::event::{
    AllowedOperation, ApplyEnd, ApplyEnded, ApprovalCancelled, CallbackOwner, CallbackSet,
    ProxiesOpened, Role, TaskClosed, TaskCreated, TokenIssued, TokenRevoked,
};
use crate::id::{TaskId, TokenId};
use crate::name::{AgentName, ClaimsHash, ClientSubject, ScopePattern};
use crate::purpose::Purpose;
use crate::question_time::QuestionTime;
use crate::rejection::Rejection;
use crate::storage::NewEvent;
use crate::writer::{Context, Transaction};
use std::sync::Arc;
use std::time::Duration;

/// One (operation, scope) pair as a request asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedEntry {
    /// The operation, as the catalog has it.
    pub operation: CatalogEntry,
    /// The objects of the operation's scope type.
    pub scope_id: ScopePattern,
    /// Raises the catalog's level.
    pub required_level: Option<Level>,
    /// Raises the catalog's risk.
    pub risk_tier: Option<Risk>,
}

impl AllowedEntry {
    fn resolve(&self) -> Result<AllowedOperation, Rejection> {
        let entry = &self.operation;
        let lowered = |what: &str, least: &str| Rejection::Invalid {
            code: "catalog_lowered",
            detail: format!(
                "{what} of {} cannot be lower than the catalog's {least}",
                entry.id
            ),
        };
        let required_level = self.required_level.unwrap_or(entry.level);
        if required_level < entry.level {
            return Err(lowered("required_level", entry.level.as_str()));
        }
        let risk_tier = self.risk_tier.unwrap_or(entry.risk);
        if risk_tier < entry.risk {
            return Err(lowered("risk_tier", entry.risk.as_str()));
        }
        Ok(AllowedOperation {
            operation: entry.id,
            scope_type: entry.scope_type,
            scope_id: self.scope_id.clone(),
            required_level,
            risk_tier,
        })
    }
}

/// Makes a task for an agent and issues its first token.
#[derive(Debug, Clone)]
pub struct CreateTask {
    /// The agent's name.
    pub agent: AgentName,
    /// The subject that the token is bound to.
    pub subject: ClientSubject,
    /// 1..=200 characters.
    pub name: String,
    /// At least one.
    pub operations: Vec<AllowedEntry>,
    /// The receiver of its events.
    pub callback: Option<NewCallback>,
    /// True when applies of the agent may register a callback of its own.
    pub agent_callbacks: bool,
    /// True when its tokens are callers of the proxies too.
    pub proxy: bool,
    /// The life of each of its tokens, 60..=3600 s. Without it they live as long as a question of the task, and
    /// [`SHORTEST_DEFAULT`] at least.
    pub token_ttl: Option<Duration>,
    /// How long each of its questions waits. Without it the rules say.
    pub question: Option<QuestionTime>,
    /// The reason and the link that it is opened with.
    pub purpose: Purpose,
}

/// The life of a token of a task that does not say it, where its questions wait no longer.
const SHORTEST_DEFAULT: Duration = Duration::from_secs(300);

/// A token that was issued: sign these claims.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The task.
    pub task: Arc<Task>,
    /// The claims of the token.
    pub claims: CapabilityClaims,
}

impl Command for CreateTask {
    type Answer = IssuedToken;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<IssuedToken, Error> {
        still_acts(tx, Role::Operator).await?;
        tx.needs_room()?;
        let agent = find(tx, &self.agent).await?;
        admit_agent(tx, agent.as_deref(), &[])?;
        let task_id: TaskId = tx.context().id();
        let context = tx.context();
        let (events, claims) = decide_create(&self, agent.as_deref(), task_id, &context)?;
        tx.append(events).await?;
        let task = tx.existing::<Task>(task_id).await?;
        Ok(IssuedToken { task, claims })
    }
}

/// The newest token of a task.
pub(super) async fn issued(
    tx: &mut Transaction<'_>,
    task_id: TaskId,
) -> Result<IssuedToken, Error> {
    let task = tx.existing::<Task>(task_id).await?;
    let newest = task.tokens.last();
    let token = newest.ok_or_else(|| Error::defect(format!("task {task_id} has no token")))?;
    let claims = CapabilityClaims::of(&task, token, tx.context().rules);
    Ok(IssuedToken { claims, task })
}

fn decide_create(
    command: &CreateTask,
    agent: Option<&Agent>,
    task_id: TaskId,
    context: &Context<'_>,
) -> Result<(Vec<NewEvent>, CapabilityClaims), Rejection> {
    check_name(&command.name)?;
    admit_subject(&command.subject)?;
    command.purpose.check()?;
    let allowed = allowlist(&command.operations)?;
    let mut events = Vec::with_capacity(4);
    let agent_id = match agent {
        Some(agent) => agent.id,
        None => {
            let (agent_id, event) = register_agent(context, &command.agent);
            events.push(event);
            agent_id
        }
    };
    let question = question_time(command.question.map(QuestionTime::get), context);
    let default_ttl = || question.max(SHORTEST_DEFAULT);
    let token_ttl = command.token_ttl.unwrap_or_else(default_ttl);
    let created = TaskCreated {
        task_id,
        agent_id,
        agent: command.agent.clone(),
        name: command.name.clone(),
        subject: command.subject.clone(),
        allowed,
        token_ttl_seconds: seconds(token_ttl),
        agent_callbacks: command.agent_callbacks,
        template: None,
        question_seconds: Some(seconds(question)),
        purpose: command.purpose.clone(),
        write: None,
    };
    let draft = Task::begin(&created, context.now);
    events.push(context.event(task_id, created));
    if let Some(callback) = &command.callback {
        let callback = callback.register(context, task_id)?;
        let owner = CallbackOwner::Orchestrator;
        events.push(context.event(task_id, CallbackSet { callback, owner }));
    }
    if command.proxy {
        let upstreams = Vec::new();
        events.push(context.event(task_id, ProxiesOpened { upstreams }));
    }
    let revision = agent.map_or(0, |agent| agent.permission_revision);
    let until = context.now.plus(token_ttl);
    let (issued, claims) = issue(context, &draft, revision, until, None);
    events.push(issued);
    Ok((events, claims))
}

/// The time that questions of a task wait: its own, or that of the rules.
pub(super) fn question_time(own: Option<Duration>, context: &Context<'_>) -> Duration {
    own.unwrap_or(context.rules.approval_ttl)
}

/// A time as events hold it.
pub(crate) fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// Checks the name of a task.
pub(super) fn check_name(name: &str) -> Result<(), Rejection> {
    if (1..=200).contains(&name.chars().count()) {
        return Ok(());
    }
    Err(Rejection::InvalidName {
        what: "task_name",
        limit: 200,
    })
}

/// An allowlist, with the catalog's level and risk where an entry does not raise them.
pub(super) fn allowlist(entries: &[AllowedEntry]) -> Result<Vec<AllowedOperation>, Rejection> {
    if entries.is_empty() {
        return Err(Rejection::Invalid {
            code: "no_operations",
            detail: "operations must name at least one operation".to_owned(),
        });
    }
    entries.iter().map(AllowedEntry::resolve).collect()
}

/// Issues a token that lasts until the given moment, cut to whole seconds as in its claims, which come
/// with it.
pub(super) fn issue(
    context: &Context<'_>,
    task: &Task,
    permission_revision: u64,
    until: crate::clock::Timestamp,
    replaces: Option<TokenId>,
) -> (NewEvent, CapabilityClaims) {
    let whole = crate::clock::Timestamp::from_seconds;
    let mut token = Token {
        id: TokenId::from_bytes(context.random.uuid_v7(context.now)),
        claims_hash: ClaimsHash::unchecked(Vec::new()),
        subject: task.subject.clone(),
        made_at: context.now,
        issued_at: whole(context.now.as_seconds()),
        expires_at: whole(until.as_seconds()),
        permission_revision,
        revoked_at: None,
        replaced_by: None,
    };
    let claims = CapabilityClaims::of(task, &token, context.rules);
    token.claims_hash = claims.hash();
    let issued = context.event(
        task.id,
        TokenIssued {
            token_id: token.id,
            claims_hash: token.claims_hash,
            subject: token.subject,
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            permission_revision,
            replaces,
        },
    );
    (issued, claims)
}

/// Closes a task for good: its tokens are revoked, what waits is cancelled, what has not begun to
/// run does not run.
#[derive(Debug, Clone)]
pub struct CloseTask {
    /// The task.
    pub task_id: TaskId,
    /// The token or key of the agent that asks; `None` when somebody else does.
    pub token: Option<Presented>,
    /// The reason, when somebody gave one.
    pub reason: Option<String>,
}

impl Command for CloseTask {
    type Answer = Arc<Task>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Task>, Error> {
        still_acts(tx, Role::Operator).await?;
        let task = match &self.token {
            Some(token) => admit(tx, self.task_id, token).await?.0,
            None => tx.named::<Task>(self.task_id).await?,
        };
        if task.closed_at.is_some() {
            return Ok(task);
        }
        close(tx, &task, self.reason.as_deref()).await?;
        tx.existing::<Task>(self.task_id).await
    }
}

/// Closes an open task.
pub(super) async fn close(
    tx: &mut Transaction<'_>,
    task: &Task,
    reason: Option<&str>,
) -> Result<(), Error> {
    let mut approvals = Vec::new();
    let mut applies = Vec::new();
    for stream in tx.open_streams(task.id).await? {
        if let Some(approval) = tx.load_if::<Approval>(stream).await? {
            approvals.push(approval);
        } else if let Some(apply) = tx.load_if::<Apply>(stream).await? {
            applies.push(apply);
        }
    }
    let events = decide_close(task, &approvals, &applies, reason, &tx.context());
    tx.append(events).await
}

fn decide_close(
    task: &Task,
    approvals: &[Arc<Approval>],
    applies: &[Arc<Apply>],
    reason: Option<&str>,
    context: &Context<'_>,
) -> Vec<NewEvent> {
    let mut events = Vec::new();
    for approval in approvals {
        match approval.state_at(context.now) {
            ApprovalState::Pending | ApprovalState::Approved => {
                let cancelled = ApprovalCancelled::because("task_closed");
                let cancelled = context.event(approval.id, cancelled);
                events.extend(with_deliveries(
                    context,
                    task,
                    cancelled,
                    &Subject::approval(approval),
                    callback_report::cancelled("task_closed"),
                ));
            }
            ApprovalState::Expired => {
                events.extend(super::approvals::expire(context, Some(task), approval));
            }
            ApprovalState::Denied | ApprovalState::Cancelled | ApprovalState::Consumed => {}
        }
    }
    for apply in applies.iter().filter(|apply| apply.is_running()) {
        // One that is under way ends by itself: its next operation is refused.
        if apply
            .operations
            .iter()
            .all(|state| *state == OperationState::Waiting)
        {
            events.extend(stop(context, task, apply, "task_closed"));
        }
    }
    for token in &task.tokens {
        if token.revoked_at.is_none() {
            events.push(context.event(
                task.id,
                TokenRevoked {
                    token_id: token.id,
                    reason: "task_closed".to_owned(),
                },
            ));
        }
    }
    events.push(context.event(
        task.id,
        TaskClosed {
            reason: reason.map(str::to_owned),
        },
    ));
    events
}

/// Ends an apply whose task was closed, or that a lock stops, before its next operation.
pub(super) fn stop(
    context: &Context<'_>,
    task: &Task,
    apply: &Apply,
    reason: &str,
) -> Vec<NewEvent> {
    let ended = context.event(
        apply.id,
        ApplyEnded {
            end: ApplyEnd::Failed,
            stopped: Some(reason.to_owned()),
        },
    );
    with_deliveries(
        context,
        task,
        ended,
        &Subject::apply(apply),
        callback_report::stopped(apply.id, reason),
    )
}
