//! Routes of schedules.

use crate::extract::json::StrictJson;
use crate::extract::params::PathParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::schedules::{
    Schedule, ScheduleList, SchedulePreview, SchedulePreviewRequest, ScheduleRequest,
};
use crate::state::AppState;
use app::{action, schedules};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::ScheduleName;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The instants of a preview that asks for no number.
const USUAL: usize = 10;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_schedules))
        .routes(routes!(read_schedule, put_schedule, delete_schedule))
        .routes(routes!(preview_schedule))
}

/// All schedules, by name
#[utoipa::path(
    get, path = "/v1/schedules", tag = "schedules",
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = ScheduleList),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_schedules(
    State(state): State<AppState>,
    By(who): By<action::ReadSchedules>,
) -> Result<Json<ScheduleList>, ApiError> {
    let listed = schedules::list(&state.app, &who).await?;
    Ok(Json(ScheduleList::of(&state, listed)))
}

/// A schedule, with its next instant and what became of the newest ones
#[utoipa::path(
    get, path = "/v1/schedules/{name}", tag = "schedules",
    params(("name" = String, Path, description = "The schedule's name")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = Schedule),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn read_schedule(
    State(state): State<AppState>,
    By(who): By<action::ReadSchedules>,
    PathParams(name): PathParams<String>,
) -> Result<Json<Schedule>, ApiError> {
    let name = ScheduleName::unchecked(name);
    let listed = schedules::read(&state.app, &who, &name).await?;
    Ok(Json(Schedule::of(&state, listed)))
}

/// Make a schedule, or put another one in its place
///
/// At each of its instants a task of the agent is opened, and its operations are asked for in it. The same request
/// again changes nothing. Where its operations need people, they are asked once about the schedule as a whole
/// (`waiting_approval`), and it does not run before they approve it. Each firing is decided anew; where the policy wants
/// more people by then, they are asked again. Another request voids what people said, and withdraws what waits.
#[utoipa::path(
    put, path = "/v1/schedules/{name}", tag = "schedules", request_body = ScheduleRequest,
    params(("name" = String, Path, description = "1 to 64 of A-Z a-z 0-9 . _ -")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = Schedule),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn put_schedule(
    State(state): State<AppState>,
    By(who): By<action::ManageSchedules>,
    PathParams(name): PathParams<String>,
    StrictJson(request): StrictJson<ScheduleRequest>,
) -> Result<Json<Schedule>, ApiError> {
    let name = ScheduleName::parse(&name)?;
    let wanted = request.read(&state.app.ledger.rules().providers)?;
    let listed = schedules::put(&state.app, who, name, wanted).await?;
    Ok(Json(Schedule::of(&state, listed)))
}

/// Delete a schedule
///
/// It never fires again. What waits for people is withdrawn; what is being carried out goes on.
#[utoipa::path(
    delete, path = "/v1/schedules/{name}", tag = "schedules",
    params(("name" = String, Path, description = "The schedule's name")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "Deleted"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn delete_schedule(
    State(state): State<AppState>,
    By(who): By<action::ManageSchedules>,
    PathParams(name): PathParams<String>,
) -> Result<StatusCode, ApiError> {
    schedules::delete(&state.app, who, ScheduleName::unchecked(name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The instants that an expression names
///
/// Nothing is recorded.
#[utoipa::path(
    post, path = "/v1/schedules/preview", tag = "schedules", request_body = SchedulePreviewRequest,
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = SchedulePreview),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn preview_schedule(
    State(state): State<AppState>,
    By(who): By<action::ReadSchedules>,
    StrictJson(request): StrictJson<SchedulePreviewRequest>,
) -> Result<Json<SchedulePreview>, ApiError> {
    let from = request.from.unwrap_or_else(|| state.app.ledger.now());
    let count = request.count.unwrap_or(USUAL);
    let of = (request.cron, request.zone);
    let instants = schedules::preview(&who, of, from, count).await?;
    Ok(Json(instants.into()))
}
