//! Routes of blocks and allows.

use crate::extract::json::StrictJson;
use crate::extract::params::{PathParams, QueryParams};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::admissions::{Admission, AdmissionRequest, AllowList, BlockList};
use crate::shapes::lists::PageQuery;
use crate::state::AppState;
use app::{action, admissions};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::AdmissionId;
use ledger::aggregate::AdmissionKind;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_blocks, set_block))
        .routes(routes!(lift_block))
        .routes(routes!(list_allows, set_allow))
        .routes(routes!(lift_allow))
}

/// Blocks, those that have ended too, newest first
#[utoipa::path(
    get, path = "/v1/blocks", tag = "blocks", params(PageQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = BlockList),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_blocks(
    State(state): State<AppState>,
    By(who): By<action::ReadAdmissions>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Result<Json<BlockList>, ApiError> {
    let page = admissions::list(&state.app, &who, AdmissionKind::Block, query.read()?).await?;
    Ok(Json(page.into()))
}

/// Refuse what a client asks
///
/// From the answer on each new apply of it is refused (403 `blocked`), and its key stays free. It wins over every
/// allow that is more exact. What an allow covers whole cannot be blocked (409 `allowed`).
#[utoipa::path(
    post, path = "/v1/blocks", tag = "blocks", request_body = AdmissionRequest,
    security(("session" = []), ("service" = [])),
    responses(
        (status = 201, body = Admission),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn set_block(
    State(state): State<AppState>,
    By(who): By<action::ManageAdmissions>,
    StrictJson(request): StrictJson<AdmissionRequest>,
) -> Result<(StatusCode, Json<Admission>), ApiError> {
    let wanted = request.read()?;
    let set = admissions::set(&state.app.ledger, who, AdmissionKind::Block, wanted).await?;
    Ok((StatusCode::CREATED, Json(set.into())))
}

/// Lift one block
///
/// One that has ended stays as it is, and no other one is touched.
#[utoipa::path(
    delete, path = "/v1/blocks/{id}", tag = "blocks",
    params(("id" = String, Path, description = "The block's id")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "Lifted"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn lift_block(
    State(state): State<AppState>,
    By(who): By<action::ManageAdmissions>,
    PathParams(id): PathParams<AdmissionId>,
) -> Result<StatusCode, ApiError> {
    admissions::lift(&state.app.ledger, who, AdmissionKind::Block, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Allows, those that have ended too, newest first
#[utoipa::path(
    get, path = "/v1/allows", tag = "blocks", params(PageQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = AllowList),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_allows(
    State(state): State<AppState>,
    By(who): By<action::ReadAdmissions>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Result<Json<AllowList>, ApiError> {
    let page = admissions::list(&state.app, &who, AdmissionKind::Allow, query.read()?).await?;
    Ok(Json(page.into()))
}

/// Keep a client from being blocked
///
/// What it covers cannot be blocked as long as it stands. It lifts no block, and permits no operation.
#[utoipa::path(
    post, path = "/v1/allows", tag = "blocks", request_body = AdmissionRequest,
    security(("session" = []), ("service" = [])),
    responses(
        (status = 201, body = Admission),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn set_allow(
    State(state): State<AppState>,
    By(who): By<action::ManageAdmissions>,
    StrictJson(request): StrictJson<AdmissionRequest>,
) -> Result<(StatusCode, Json<Admission>), ApiError> {
    let wanted = request.read()?;
    let set = admissions::set(&state.app.ledger, who, AdmissionKind::Allow, wanted).await?;
    Ok((StatusCode::CREATED, Json(set.into())))
}

/// Lift one allow
///
/// One that has ended stays as it is, and no other one is touched.
#[utoipa::path(
    delete, path = "/v1/allows/{id}", tag = "blocks",
    params(("id" = String, Path, description = "The allow's id")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "Lifted"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn lift_allow(
    State(state): State<AppState>,
    By(who): By<action::ManageAdmissions>,
    PathParams(id): PathParams<AdmissionId>,
) -> Result<StatusCode, ApiError> {
    admissions::lift(&state.app.ledger, who, AdmissionKind::Allow, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
