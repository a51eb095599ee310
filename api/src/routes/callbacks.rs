//! Deliveries of callbacks, as far as operators act on them.

use crate::extract::json::OptionalJson;
use crate::extract::params::PathParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::callbacks::{
    Deliveries, RetryAllRequest, RetryAllStarted, RetryRequest, RetryStarted,
};
use crate::state::AppState;
use app::{App, action, deliveries};
use axum::Json;
use axum::extract::State;
use ledger::{DeliveryId, TaskId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_deliveries))
        .routes(routes!(retry_delivery))
        .routes(routes!(retry_given_up))
}

/// What a task's callbacks are owed and have got
///
/// The newest hundred, newest first.
#[utoipa::path(
    get, path = "/v1/tasks/{task_id}/deliveries", tag = "callbacks",
    params(("task_id" = String, Path, description = "The task")),
    security(
        ("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = []),
        ("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = []),
    ),
    responses(
        (status = 200, body = Deliveries),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_deliveries(
    State(state): State<AppState>,
    By(who): By<action::ReadDeliveries>,
    PathParams(task_id): PathParams<TaskId>,
) -> Result<Json<Deliveries>, ApiError> {
    let owed = deliveries::list(&state.app, &who, task_id).await?;
    Ok(Json(Deliveries::from(owed)))
}

/// Try every delivery again that was given up
///
/// Those given up longest come first, at most a thousand; `left` says whether to ask again.
#[utoipa::path(
    post, path = "/v1/callbacks/retry", tag = "callbacks",
    request_body(content = Option<RetryAllRequest>),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 200, body = RetryAllStarted),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn retry_given_up(
    State(state): State<AppState>,
    By(who): By<action::RetryDeliveries>,
    OptionalJson(request): OptionalJson<RetryAllRequest>,
) -> Result<Json<RetryAllStarted>, ApiError> {
    let (task, reason) = request.unwrap_or_default().read()?;
    let App {
        ledger,
        projections,
        ..
    } = &state.app;
    let tried =
        deliveries::retry_given_up(ledger, projections, &who, task, reason.as_deref()).await?;
    let deliveries::Retried { retried, left } = tried;
    Ok(Json(RetryAllStarted { retried, left }))
}

/// Try a delivery again that was given up
#[utoipa::path(
    post, path = "/v1/callbacks/{delivery_id}/retry", tag = "callbacks",
    params(("delivery_id" = String, Path, description = "The delivery")),
    request_body(content = Option<RetryRequest>),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 200, body = RetryStarted),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn retry_delivery(
    State(state): State<AppState>,
    By(who): By<action::RetryDeliveries>,
    PathParams(delivery_id): PathParams<DeliveryId>,
    OptionalJson(request): OptionalJson<RetryRequest>,
) -> Result<Json<RetryStarted>, ApiError> {
    let reason = request.unwrap_or_default().read()?;
    let delivery = deliveries::retry(&state.app.ledger, who, delivery_id, reason).await?;
    Ok(Json(RetryStarted {
        delivery_id: delivery.owed.delivery_id.to_string(),
        event_id: delivery.owed.event_id.to_string(),
        status: "pending",
    }))
}
