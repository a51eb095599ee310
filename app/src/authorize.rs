//! Authorization: a principal, an action, and the task that is named.

use crate::action::Action;
use crate::action::{Act, Admitted, Who};
use crate::identity::session::UserSession;
use crate::key_holder::{KeyHolder, load_key};
use crate::principal::{Principal, TokenHolder};
use crate::refusal::{Error, Forbidden};
use ledger::aggregate::{Agent, Task};
use ledger::command::{
    Presented, PresentedToken, check_key, check_locks, check_opened_by_key, check_token,
};
use ledger::event::LockTarget;
use ledger::{CLOCK_TOLERANCE, Ledger, Rejection, RequestId, Role, TaskId, Timestamp};
use std::sync::Arc;

/// What a request says besides who it is from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request {
    /// Its id, for events that it causes.
    pub id: Option<RequestId>,
    pub task: NamedTask,
    /// Whether it may change something.
    pub is_unsafe: bool,
    /// Whether a browser adds what authenticates it, and a page of another site may have made it.
    pub is_cross_site: bool,
}

/// The task that a request names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NamedTask {
    /// It names none.
    #[default]
    None,
    /// It names one by a text that is no id, so that there is no such task.
    Malformed,
    /// This one.
    Id(TaskId),
}

impl NamedTask {
    /// The task that a text names.
    #[must_use]
    pub fn of(text: &str) -> Self {
        text.parse().map_or(Self::Malformed, Self::Id)
    }

    /// Its id, where it is one.
    const fn id(self) -> Option<TaskId> {
        match self {
            Self::Id(id) => Some(id),
            Self::None | Self::Malformed => None,
        }
    }
}

/// The access of a principal that may do the action in that request.
///
/// A capability token is checked in a fixed order, so that an answer tells a stranger as little as
/// possible: its time, its standing in the ledger, the client that it is bound to, the task.
///
/// # Errors
/// [`Error::Unauthorized`] and refusals of the ledger for a token that does not count,
/// [`Error::Forbidden`] for a caller that may not.
pub async fn authorize<A: Act>(
    ledger: &Ledger,
    principal: Principal,
    request: Request,
) -> Result<A::Access, Error> {
    let who = A::ACTION.who().iter();
    let who = who.copied().find(|who| who.is_kind_of(&principal));
    let who = who.ok_or(match principal {
        Principal::User(_)
        | Principal::Service(_)
        | Principal::AgentKey(_)
        | Principal::Viewer(_)
        | Principal::AuthDisabled => Forbidden::WrongIdentity(A::ACTION.who()),
        _ => Forbidden::OtherKind,
    })?;
    if request.is_cross_site {
        return Err(Forbidden::CrossSite.into());
    }
    // It may have been proven a while ago.
    let principal = match principal {
        Principal::User(session) => Principal::User(session.again(ledger).await?),
        other => other,
    };
    let task = match (&principal, who) {
        (Principal::User(session), who) => {
            user_may(session, A::ACTION, who, request.is_unsafe, ledger.now())?;
            named(ledger, who, request.task).await?
        }
        (Principal::Service(_) | Principal::AuthDisabled, who) => {
            named(ledger, who, request.task).await?
        }
        (Principal::Viewer(token), _) => Some(token.opens(ledger, request.task).await?),
        (Principal::Administrator(administrator), Who::Administrator(right)) => {
            if !administrator.rights.include(right) {
                return Err(Forbidden::MissingRight(right.claim()).into());
            }
            None
        }
        (Principal::Agent(holder), who) => {
            let is_in_force = who != Who::AgentWithOldToken;
            // Who one is does not depend on a task in the path.
            let own = (who == Who::Identity).then(|| holder.token.task_id());
            let named = request.task.id().or(own);
            let task = task_of(ledger, holder, named, is_in_force).await?;
            if is_in_force && !records_locks(A::ACTION) {
                token_unlocked(ledger, holder, &task).await?;
            }
            Some(task)
        }
        (Principal::AgentKey(holder), who) => {
            key_in_force(ledger, holder).await?;
            let task = match who {
                Who::Agent => Some(opened_by_key(ledger, holder, request.task.id()).await?),
                _ => None,
            };
            if !records_locks(A::ACTION) {
                key_unlocked(ledger, holder, task.as_deref()).await?;
            }
            task
        }
        // The link or the socket is all that they need.
        (
            Principal::Administrator(_)
            | Principal::ApprovalLink(_)
            | Principal::EnrolmentLink(_)
            | Principal::SetupLink
            | Principal::Operator(_),
            _,
        ) => None,
    };
    A::access(Admitted {
        principal,
        request_id: request.id,
        task,
    })
}

/// Whether the command of an action refuses a locked agent itself, so that the log says so.
const fn records_locks(action: Action) -> bool {
    matches!(action, Action::SubmitApply | Action::ContinueApply)
}

/// Checks that no lock stops the agent of a token, its owner or its task, and that the token is not from before
/// one.
pub(crate) async fn token_unlocked(
    ledger: &Ledger,
    holder: &TokenHolder,
    task: &Task,
) -> Result<(), Error> {
    let locks = ledger.locks();
    if locks.is_empty() {
        return Ok(());
    }
    let agent = ledger.load::<Agent>(task.agent_id).await?;
    let presented = Presented::Token(holder.presented().clone());
    Ok(check_locks(
        &locks,
        task,
        agent.as_deref(),
        &presented,
        ledger.now(),
    )?)
}

/// Checks that no lock stops a key, its agent, the agent's owner or the task.
pub(crate) async fn key_unlocked(
    ledger: &Ledger,
    holder: &KeyHolder,
    task: Option<&Task>,
) -> Result<(), Error> {
    let mut targets = vec![LockTarget::Key(holder.key_id())];
    targets.extend(task.map(|task| LockTarget::Task(task.id)));
    Ok(ledger.admit_agent(holder.agent_id(), &targets).await?)
}

/// Checks that a key was not revoked since it was found.
async fn key_in_force(ledger: &Ledger, holder: &KeyHolder) -> Result<(), Error> {
    let known = load_key(ledger, holder.key_id()).await?;
    Ok(check_key(
        holder.key_id(),
        holder.agent_id(),
        known.as_deref(),
    )?)
}

/// The task named, when a key of the agent opened it and its time lasts.
async fn opened_by_key(
    ledger: &Ledger,
    holder: &KeyHolder,
    named: Option<TaskId>,
) -> Result<Arc<Task>, Error> {
    let named = named.ok_or(Rejection::NotOpenedByKey)?;
    // Whose an erased one was nobody knows any more.
    let task = ledger::Error::none_if_erased(ledger.load::<Task>(named).await)?;
    check_opened_by_key(holder.agent_id(), task.as_deref(), ledger.now())?;
    Ok(task.ok_or(Rejection::NotOpenedByKey)?)
}

/// Whether a user may, in the order in which refusals are told.
fn user_may(
    session: &UserSession,
    action: Action,
    who: Who,
    is_unsafe: bool,
    now: Timestamp,
) -> Result<(), Error> {
    if session.must_change_password() && !action.is_before_password_change() {
        return Err(Forbidden::PasswordChangeRequired.into());
    }
    match who {
        Who::User(required) if session.role() < required => {
            let role = session.role();
            Err(Rejection::RoleRequired { required, role }.into())
        }
        Who::User(Role::Admin) if is_unsafe && session.step_up_until(now).is_none() => {
            Err(Rejection::StepUpRequired.into())
        }
        Who::Auditor if !session.user.can_audit => Err(Forbidden::NotAuditor.into()),
        _ => Ok(()),
    }
}

/// The task that a request names, for who may read all of them.
async fn named(ledger: &Ledger, who: Who, task: NamedTask) -> Result<Option<Arc<Task>>, Error> {
    match task {
        NamedTask::Malformed => Err(Rejection::TaskNotFound.into()),
        NamedTask::Id(task) if who == Who::User(Role::Viewer) => {
            let task = ledger.load::<Task>(task).await?;
            Ok(Some(task.ok_or(Rejection::TaskNotFound)?))
        }
        _ => Ok(None),
    }
}

/// The task of a token that the ledger stands by, when its holder may present it for the task named.
async fn task_of(
    ledger: &Ledger,
    holder: &TokenHolder,
    named: Option<TaskId>,
    is_in_force: bool,
) -> Result<Arc<Task>, Error> {
    let presented = holder.presented();
    let task = match is_in_force {
        true => token_in_force(ledger, holder).await?,
        false => issued_for(ledger, presented).await?,
    };
    if *holder.token.bound_to() != presented.subject {
        return Err(Forbidden::OtherSubject.into());
    }
    if named != Some(holder.token.task_id()) {
        return Err(Forbidden::OtherTask.into());
    }
    Ok(task)
}

/// The task of a token that counts at this moment.
pub(crate) async fn token_in_force(
    ledger: &Ledger,
    holder: &TokenHolder,
) -> Result<Arc<Task>, Error> {
    holder.token.counts_at(ledger_time(ledger))?;
    let presented = holder.presented();
    let task = issued_for(ledger, presented).await?;
    let agent = ledger.load::<Agent>(task.agent_id).await?;
    check_token(presented, Some(&task), agent.as_deref(), ledger.now())?;
    Ok(task)
}

/// The task that a token was issued for, when it was issued with these claims.
async fn issued_for(ledger: &Ledger, presented: &PresentedToken) -> Result<Arc<Task>, Error> {
    let task = ledger.load::<Task>(presented.task_id).await?;
    let task = task.ok_or(Rejection::TokenUnknown)?;
    let token = task
        .token(presented.token_id)
        .ok_or(Rejection::TokenUnknown)?;
    if token.claims_hash != presented.claims_hash {
        return Err(Rejection::TokenAltered.into());
    }
    Ok(task)
}

/// The time by which the ledger issues tokens, which a clock that was set back a little does not
/// follow. Behind a clock that is plainly wrong no token counts that was issued by that time.
fn ledger_time(ledger: &Ledger) -> Timestamp {
    if ledger.clock_behind() <= CLOCK_TOLERANCE {
        ledger.now()
    } else {
        ledger.clock().now()
    }
}
