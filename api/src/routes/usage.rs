//! What calls through the proxies used.

use crate::extract::params::QueryParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::usage::{UsageList, UsageQuery};
use crate::state::AppState;
use app::{action, usage};
use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_usage))
}

/// What calls through the proxies used
///
/// Added up for each agent or user, task and model. It is recorded every ten seconds at the latest, and counts for
/// the hour of UTC in which it was. A call whose answer did not come to its end counts as far as it was seen.
#[utoipa::path(
    get, path = "/v1/usage", tag = "agents", params(UsageQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = UsageList),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_usage(
    State(state): State<AppState>,
    By(who): By<action::ReadUsage>,
    QueryParams(query): QueryParams<UsageQuery>,
) -> Result<Json<UsageList>, ApiError> {
    let (sought, paging) = query.read()?;
    let page = usage::list(&state.app, &who, sought, paging).await?;
    Ok(Json(page.into()))
}
