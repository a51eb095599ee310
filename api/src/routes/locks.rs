//! Routes of locks.

use crate::extract::json::StrictJson;
use crate::extract::params::{PathParams, QueryParams};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::lists::PageQuery;
use crate::shapes::locks::{LiftQuery, Lock, LockList, LockRequest};
use crate::state::AppState;
use app::{action, locks};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::LockId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_locks, set_lock))
        .routes(routes!(lift_lock))
}

/// Locks, those that have ended too, newest first
#[utoipa::path(
    get, path = "/v1/locks", tag = "locks", params(PageQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = LockList),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_locks(
    State(state): State<AppState>,
    By(who): By<action::ReadLocks>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Result<Json<LockList>, ApiError> {
    let page = locks::list(&state.app, &who, query.read()?).await?;
    Ok(Json(page.into()))
}

/// Stop everything, an agent, an owner's agents, a task, an operation, a key, a user or a passkey
///
/// From the answer on nothing of the target begins, is decided or goes on (403 `locked`). Tokens, questions,
/// approvals, applies and sessions from before it stay dead when it is lifted; agent keys and passkeys count
/// again. Operations that were sent already are told in `in_flight` and end by themselves. `all`, `user` and
/// `credential` take an admin.
#[utoipa::path(
    post, path = "/v1/locks", tag = "locks", request_body = LockRequest,
    security(("session" = []), ("service" = [])),
    responses(
        (status = 201, body = Lock),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn set_lock(
    State(state): State<AppState>,
    By(who): By<action::SetLock>,
    StrictJson(request): StrictJson<LockRequest>,
) -> Result<(StatusCode, Json<Lock>), ApiError> {
    let lock = request.read(&state.app.ledger.rules().providers)?;
    let lock = locks::set(&state.app, who, lock).await?;
    Ok((StatusCode::CREATED, Json(lock.into())))
}

/// Lift a lock
///
/// One that has ended stays as it is. With `revoke=keys` the agent keys of its target are revoked in the same
/// commit: those of the agent or of the owner's agents, the key itself, or those that the user made. The service token lifts no lock on `all`, a user or a credential (403
/// `person_required`).
#[utoipa::path(
    delete, path = "/v1/locks/{lock_id}", tag = "locks",
    params(("lock_id" = String, Path, description = "The lock's id"), LiftQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "Lifted"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn lift_lock(
    State(state): State<AppState>,
    By(who): By<action::LiftLock>,
    PathParams(lock_id): PathParams<LockId>,
    QueryParams(query): QueryParams<LiftQuery>,
) -> Result<StatusCode, ApiError> {
    locks::lift(&state.app.ledger, who, lock_id, query.takes_keys()).await?;
    Ok(StatusCode::NO_CONTENT)
}
