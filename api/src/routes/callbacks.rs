//! Deliveries of callbacks, as far as operators act on them.

use crate::extract::json::OptionalJson;
use crate::extract::params::PathParams;
use crate::limits::request_id::ThisRequest;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::callbacks::{
    Deliveries, RetryAllRequest, RetryAllStarted, RetryRequest, RetryStarted,
};
use crate::state::AppState;
use app::action;
use axum::Json;
use axum::extract::State;
use futures_util::future::join_all;
use ledger::aggregate::Task;
use ledger::command::RetryDelivery;
use ledger::{DeliveryId, Rejection, TaskId};
use projections::Projection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_deliveries))
        .routes(routes!(retry_delivery))
        .routes(routes!(retry_given_up))
}

/// The most deliveries in one answer.
const MOST: u32 = 100;

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
    _: By<action::ReadDeliveries>,
    PathParams(task_id): PathParams<TaskId>,
) -> Result<Json<Deliveries>, ApiError> {
    let views = state
        .current_views(&[Projection::Tasks, Projection::Callbacks])
        .await?;
    let known = views.task(task_id).await?;
    if known.is_none() {
        // Says so when it was erased.
        state.services.ledger.load::<Task>(task_id).await?;
        return Err(ledger::Rejection::TaskNotFound.into());
    }
    let deliveries = views.deliveries(task_id, MOST).await?;
    Ok(Json(Deliveries::from(deliveries)))
}

/// The most deliveries that one request has tried again: each is an event in the ledger.
const MOST_RETRIED: u32 = 1_000;

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
    ThisRequest(request_id): ThisRequest,
    OptionalJson(request): OptionalJson<RetryAllRequest>,
) -> Result<Json<RetryAllStarted>, ApiError> {
    let (task, reason) = request.unwrap_or_default().read()?;
    let views = state.current_views(&[Projection::Callbacks]).await?;
    let mut found = views.given_up_deliveries(task, MOST_RETRIED + 1).await?;
    let most = usize::try_from(MOST_RETRIED).unwrap_or(usize::MAX);
    let left = found.len() > most;
    found.truncate(most);
    let origin = who.origin(request_id);
    let retries = found.into_iter().map(|delivery_id| {
        let command = RetryDelivery {
            delivery_id,
            reason: reason.clone(),
        };
        state.services.ledger.execute(origin.clone(), command)
    });
    let mut retried = 0;
    for outcome in join_all(retries).await {
        match outcome {
            Ok(_) => retried += 1,
            // Somebody else was quicker, or it was erased.
            Err(ledger::Error::Rejected(
                Rejection::DeliveryNotGivenUp | Rejection::DeliveryNotFound | Rejection::Erased,
            )) => {}
            Err(error) => return Err(error.into()),
        }
    }
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
    ThisRequest(request_id): ThisRequest,
    PathParams(delivery_id): PathParams<DeliveryId>,
    OptionalJson(request): OptionalJson<RetryRequest>,
) -> Result<Json<RetryStarted>, ApiError> {
    let reason = request.unwrap_or_default().read()?;
    let origin = who.origin(request_id);
    let command = RetryDelivery {
        delivery_id,
        reason,
    };
    let delivery = state.services.ledger.execute(origin, command).await?;
    Ok(Json(RetryStarted {
        delivery_id: delivery.owed.delivery_id.to_string(),
        event_id: delivery.owed.event_id.to_string(),
        status: "pending",
    }))
}
