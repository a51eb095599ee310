//! Guards: extractors that let nobody past who may not call the route.
//!
//! All of them check in the same order, so that an answer tells a stranger as little as possible:
//! signed subject (401), rate (429), token and its standing in the ledger (401), the client that the
//! token is bound to (403), rights (403), the path's task (403).

use super::bootstrap::{Administrator, Right};
use super::capability::OpenedToken;
use super::subject::{Subject, only};
use crate::problem::{ApiError, Forbidden, Unauthorized};
use crate::state::AppState;
use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use ledger::aggregate::{Agent, Task};
use ledger::command::{PresentedToken, check_token};
use ledger::{Actor, CLOCK_TOLERANCE, Rejection, Timestamp};
use std::marker::PhantomData;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The path parameter that names a task.
const TASK: &str = "task_id";

/// A right that a route demands, as a type.
pub trait Demand: Send + Sync + 'static {
    /// The right.
    const RIGHT: Right;
}

/// Demands `can_issue_tasks`.
#[derive(Debug, Clone, Copy)]
pub struct IssueTasks;
/// Demands `can_manage_permissions`.
#[derive(Debug, Clone, Copy)]
pub struct ManagePermissions;
/// Demands `can_manage_approvers`.
#[derive(Debug, Clone, Copy)]
pub struct ManageApprovers;
/// Demands `can_audit`.
#[derive(Debug, Clone, Copy)]
pub struct Audit;

impl Demand for IssueTasks {
    const RIGHT: Right = Right::IssueTasks;
}
impl Demand for ManagePermissions {
    const RIGHT: Right = Right::ManagePermissions;
}
impl Demand for ManageApprovers {
    const RIGHT: Right = Right::ManageApprovers;
}
impl Demand for Audit {
    const RIGHT: Right = Right::Audit;
}

/// The caller holds a bootstrap token with the right.
#[derive(Debug, Clone)]
pub struct Bootstrap<R> {
    administrator: Administrator,
    right: PhantomData<R>,
}

impl<R> Bootstrap<R> {
    /// Who it is.
    #[must_use]
    pub const fn administrator(&self) -> &Administrator {
        &self.administrator
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.administrator.actor()
    }
}

impl<R: Demand> FromRequestParts<AppState> for Bootstrap<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let (subject, now) = subject(parts, state)?;
        let token = bearer(parts)?;
        let key = &state.keys.bootstrap;
        let administrator = Administrator::authenticate(key, token, subject, R::RIGHT, now)?;
        Ok(Self {
            administrator,
            right: PhantomData,
        })
    }
}

/// The caller holds a capability token for the task that the path names.
#[derive(Debug, Clone)]
pub struct Capability {
    token: OpenedToken,
    presented: PresentedToken,
    task: Arc<Task>,
}

impl Capability {
    /// The task, as of the moment when the token was checked.
    #[must_use]
    pub const fn task(&self) -> &Arc<Task> {
        &self.task
    }

    /// The token, for commands: they check it again, on the writer.
    #[must_use]
    pub fn presented(&self) -> PresentedToken {
        self.presented.clone()
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> Actor {
        agent(&self.token, &self.presented)
    }
}

impl FromRequestParts<AppState> for Capability {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let (subject, _) = subject(parts, state)?;
        let token = OpenedToken::open(&state.keys.capability, bearer(parts)?)?;
        admit(parts, state, token.at(ledger_time(state))?, &subject).await
    }
}

/// The caller holds the task's capability token, or a bootstrap token with `can_issue_tasks`.
#[derive(Debug, Clone)]
pub enum TaskParty {
    /// The agent itself.
    Agent(Box<Capability>),
    /// Whoever opened the task, or a colleague who may open tasks.
    Administrator(Administrator),
}

impl FromRequestParts<AppState> for TaskParty {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let (subject, now) = subject(parts, state)?;
        let token = bearer(parts)?;
        // Secrets and audiences differ, so a token opens with one key at most.
        match OpenedToken::open(&state.keys.capability, token) {
            Ok(token) => {
                let token = token.at(ledger_time(state))?;
                let admitted = admit(parts, state, token, &subject).await?;
                Ok(Self::Agent(Box::new(admitted)))
            }
            Err(_) => {
                let key = &state.keys.bootstrap;
                let right = Right::IssueTasks;
                Administrator::authenticate(key, token, subject, right, now)
                    .map(Self::Administrator)
            }
        }
    }
}

/// The caller holds a capability token that was signed for the path's task and this client, but
/// that may have expired or gone stale: whether it can be renewed is for the ledger to decide.
#[derive(Debug, Clone)]
pub struct Renewal {
    token: OpenedToken,
    presented: PresentedToken,
}

impl Renewal {
    /// The token to be replaced.
    #[must_use]
    pub fn presented(&self) -> PresentedToken {
        self.presented.clone()
    }

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> Actor {
        agent(&self.token, &self.presented)
    }
}

impl FromRequestParts<AppState> for Renewal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let (subject, _) = subject(parts, state)?;
        let token = OpenedToken::open(&state.keys.capability, bearer(parts)?)?;
        let presented = token.presented_by(subject.as_str());
        known(state, &presented).await?;
        bound_to(&token, &subject)?;
        for_this_task(parts, &token).await?;
        Ok(Self { token, presented })
    }
}

fn agent(token: &OpenedToken, presented: &PresentedToken) -> Actor {
    Actor::Agent {
        agent: token.agent().to_owned(),
        subject: presented.subject.clone(),
        token: presented.token_id,
    }
}

async fn admit(
    parts: &mut Parts,
    state: &AppState,
    token: OpenedToken,
    subject: &Subject,
) -> Result<Capability, ApiError> {
    let ledger = &state.services.ledger;
    let presented = token.presented_by(subject.as_str());
    let task = known(state, &presented).await?;
    let agent = ledger.load::<Agent>(task.agent_id).await?;
    check_token(&presented, Some(&task), agent.as_deref(), ledger.now())?;
    bound_to(&token, subject)?;
    for_this_task(parts, &token).await?;
    Ok(Capability {
        token,
        presented,
        task,
    })
}

/// The task that a token was issued for, when it was issued with these claims.
async fn known(state: &AppState, presented: &PresentedToken) -> Result<Arc<Task>, ApiError> {
    let task = state
        .services
        .ledger
        .load::<Task>(presented.task_id)
        .await?;
    let task = task.ok_or(Rejection::TokenUnknown)?;
    let token = task
        .token(presented.token_id)
        .ok_or(Rejection::TokenUnknown)?;
    let same = token
        .claims_hash
        .as_slice()
        .ct_eq(presented.claims_hash.as_slice());
    if !bool::from(same) {
        return Err(Rejection::TokenAltered.into());
    }
    Ok(task)
}

/// The time by which the ledger issues tokens, which a clock that was set back a little does not
/// follow. Behind a clock that is plainly wrong no token counts that was issued by that time.
fn ledger_time(state: &AppState) -> Timestamp {
    let ledger = &state.services.ledger;
    if ledger.clock_behind() <= CLOCK_TOLERANCE {
        ledger.now()
    } else {
        ledger.clock().now()
    }
}

/// The signed subject, within its rate. An unsigned one has no rate of its own to use up. It stays with
/// the request, for what else is counted for each subject.
fn subject(parts: &mut Parts, state: &AppState) -> Result<(Subject, Timestamp), ApiError> {
    let now = state.services.ledger.clock().now();
    let subject = state.keys.subject.verify(&parts.headers, now)?;
    state
        .limiter
        .admit(subject.as_str())
        .map_err(|retry_after| ApiError::RateLimited { retry_after })?;
    state.under_way.count_for(&subject, &parts.extensions)?;
    parts.extensions.insert(subject.clone());
    Ok((subject, now))
}

/// The bearer token (RFC 6750, section 2.1); the scheme's name in any case (RFC 9110, section 11.1).
fn bearer(parts: &Parts) -> Result<&str, Unauthorized> {
    let value = only(&parts.headers, "authorization").ok_or(Unauthorized::TokenMissing)?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        Some(_) | None => Err(Unauthorized::TokenMissing),
    }
}

fn bound_to(token: &OpenedToken, subject: &Subject) -> Result<(), Forbidden> {
    if token.bound_to() == subject.as_str() {
        Ok(())
    } else {
        Err(Forbidden::OtherSubject)
    }
}

/// A path that names no task at all is not this token's task either.
async fn for_this_task(parts: &mut Parts, token: &OpenedToken) -> Result<(), ApiError> {
    let params: RawPathParams = parts.extract().await.map_err(ApiError::internal)?;
    let named = params
        .iter()
        .find(|(name, _)| *name == TASK)
        .and_then(|(_, id)| id.parse().ok());
    if named == Some(token.task_id()) {
        Ok(())
    } else {
        Err(Forbidden::OtherTask.into())
    }
}
