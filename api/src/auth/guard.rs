//! Guards: extractors that let nobody past who may not call the route.
//!
//! All of them check in the same order, so that an answer tells a stranger as little as possible:
//! signed subject (401), rate (429), token and its standing in the ledger (401), the client that the
//! token is bound to (403), rights (403), the path's task (403).

use super::bootstrap::{Administrator, Right};
use super::capability::{self, CapabilityClaims};
use super::subject::{Subject, only};
use crate::problem::{ApiError, Forbidden, Unauthorized};
use crate::state::AppState;
use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use ledger::{TaskId, Timestamp, TokenId};
use std::marker::PhantomData;

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

impl Demand for IssueTasks {
    const RIGHT: Right = Right::IssueTasks;
}
impl Demand for ManagePermissions {
    const RIGHT: Right = Right::ManagePermissions;
}
impl Demand for ManageApprovers {
    const RIGHT: Right = Right::ManageApprovers;
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
    claims: CapabilityClaims,
    subject: Subject,
}

impl Capability {
    /// The task.
    #[must_use]
    pub const fn task_id(&self) -> TaskId {
        self.claims.task_id
    }

    /// The token.
    #[must_use]
    pub const fn token_id(&self) -> TokenId {
        self.claims.jti
    }

    /// The agent's name.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.claims.agent_id
    }

    /// The client that asked.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What the token says.
    #[must_use]
    pub const fn claims(&self) -> &CapabilityClaims {
        &self.claims
    }
}

impl FromRequestParts<AppState> for Capability {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let (subject, now) = subject(parts, state)?;
        let claims = capability::open(&state.keys.capability, bearer(parts)?, now)?;
        admit(parts, state, claims, subject).await
    }
}

/// The caller holds the task's capability token, or a bootstrap token with `can_issue_tasks`.
#[derive(Debug, Clone)]
pub enum TaskCloser {
    /// The agent itself.
    Agent(Box<Capability>),
    /// Whoever opened the task, or a colleague.
    Administrator(Administrator),
}

impl FromRequestParts<AppState> for TaskCloser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let (subject, now) = subject(parts, state)?;
        let token = bearer(parts)?;
        // Secrets and audiences differ, so a token opens with one key at most.
        match capability::open_at_any_time(&state.keys.capability, token) {
            Ok(claims) => {
                claims.validity().check(now, std::time::Duration::ZERO)?;
                admit(parts, state, claims, subject)
                    .await
                    .map(|agent| Self::Agent(Box::new(agent)))
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

/// The caller holds a capability token that was issued for the path's task to this client, but that
/// may have expired or gone stale: whether it can be renewed is for the ledger to decide.
#[derive(Debug, Clone)]
pub struct Renewal {
    claims: CapabilityClaims,
    subject: Subject,
}

impl Renewal {
    /// The task.
    #[must_use]
    pub const fn task_id(&self) -> TaskId {
        self.claims.task_id
    }

    /// The token to be replaced.
    #[must_use]
    pub const fn token_id(&self) -> TokenId {
        self.claims.jti
    }

    /// The agent's name.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.claims.agent_id
    }

    /// The client that asked.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }
}

impl FromRequestParts<AppState> for Renewal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let (subject, _) = subject(parts, state)?;
        let claims = capability::open_at_any_time(&state.keys.capability, bearer(parts)?)?;
        let standing = state.services.tokens.standing(claims.jti).await?;
        standing
            .ok_or(Unauthorized::TokenInvalid)?
            .vouch_for_issue(&claims)?;
        bound_to(&claims, &subject)?;
        for_this_task(parts, &claims).await?;
        Ok(Self { claims, subject })
    }
}

async fn admit(
    parts: &mut Parts,
    state: &AppState,
    claims: CapabilityClaims,
    subject: Subject,
) -> Result<Capability, ApiError> {
    let standing = state.services.tokens.standing(claims.jti).await?;
    standing
        .ok_or(Unauthorized::TokenInvalid)?
        .vouch_for(&claims)?;
    bound_to(&claims, &subject)?;
    for_this_task(parts, &claims).await?;
    Ok(Capability { claims, subject })
}

/// The signed subject, within its rate. An unsigned one has no rate of its own to use up.
fn subject(parts: &Parts, state: &AppState) -> Result<(Subject, Timestamp), ApiError> {
    let now = state.services.clock.now();
    let subject = state.keys.subject.verify(&parts.headers, now)?;
    state
        .limiter
        .admit(subject.as_str())
        .map_err(|retry_after| ApiError::RateLimited { retry_after })?;
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

fn bound_to(claims: &CapabilityClaims, subject: &Subject) -> Result<(), Forbidden> {
    if claims.bindings.mtls_subject == subject.as_str() {
        Ok(())
    } else {
        Err(Forbidden::OtherSubject)
    }
}

/// A path that names no task at all is not this token's task either.
async fn for_this_task(parts: &mut Parts, claims: &CapabilityClaims) -> Result<(), ApiError> {
    let params: RawPathParams = parts.extract().await.map_err(ApiError::internal)?;
    let named = params
        .iter()
        .find(|(name, _)| *name == TASK)
        .and_then(|(_, id)| id.parse().ok());
    if named == Some(claims.task_id) {
        Ok(())
    } else {
        Err(Forbidden::OtherTask.into())
    }
}
