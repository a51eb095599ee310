//! Routes of clearances.

use crate::extract::params::{PathParams, QueryParams};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::clearances::{Clearance, ClearanceList};
use crate::shapes::lists::PageQuery;
use crate::state::AppState;
use app::{action, clearances};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::ClearanceId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_clearances))
        .routes(routes!(clearance, end_clearance))
}

/// Decisions that are kept, those that have ended too, newest first
#[utoipa::path(
    get, path = "/v1/clearances", tag = "clearances", params(PageQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = ClearanceList),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_clearances(
    State(state): State<AppState>,
    By(who): By<action::ReadClearances>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Result<Json<ClearanceList>, ApiError> {
    let page = clearances::list(&state.app, &who, query.read()?).await?;
    Ok(Json(ClearanceList::of(page, state.app.ledger.now())))
}

/// A decision that is kept
#[utoipa::path(
    get, path = "/v1/clearances/{clearance_id}", tag = "clearances",
    params(("clearance_id" = String, Path, description = "The clearance's id")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = Clearance),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn clearance(
    State(state): State<AppState>,
    By(who): By<action::ReadClearances>,
    PathParams(id): PathParams<ClearanceId>,
) -> Result<Json<Clearance>, ApiError> {
    let kept = clearances::read(&state.app, &who, id).await?;
    Ok(Json(Clearance::of(kept, state.app.ledger.now())))
}

/// End a decision that is kept
///
/// From the answer on it answers nothing, and what it authorised ends before its next operation. One that has
/// ended stays as it is.
#[utoipa::path(
    delete, path = "/v1/clearances/{clearance_id}", tag = "clearances",
    params(("clearance_id" = String, Path, description = "The clearance's id")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "Ended"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn end_clearance(
    State(state): State<AppState>,
    By(who): By<action::EndClearance>,
    PathParams(id): PathParams<ClearanceId>,
) -> Result<StatusCode, ApiError> {
    clearances::end(&state.app, who, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
