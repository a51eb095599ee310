//! Groups of users.

use crate::extract::json::StrictJson;
use crate::extract::params::{PathParams, QueryParams};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::users::{ChangeGroupRequest, CreateGroupRequest, GroupList, GroupView, Listed};
use crate::state::AppState;
use app::{action, groups};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::{GroupId, Rejection};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_groups, create_group))
        .routes(routes!(get_group, change_group, delete_group))
}

fn group_id(text: &str) -> Result<GroupId, ApiError> {
    Ok(text.parse().map_err(|_| Rejection::GroupNotFound)?)
}

/// All groups
#[utoipa::path(
    get, path = "/v1/groups", tag = "users", params(Listed),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = GroupList),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_groups(
    State(state): State<AppState>,
    By(who): By<action::ReadUsers>,
    QueryParams(page): QueryParams<Listed>,
) -> Result<Json<GroupList>, ApiError> {
    let (limit, before) = (page.limit()?, page.after()?);
    let ledger = &state.app.ledger;
    let as_of = *ledger.size().borrow();
    let rows = groups::list(ledger, &who, before, limit + 1).await?;
    Ok(Json(GroupList::page(&rows, limit, as_of)))
}

/// Make a group
#[utoipa::path(
    post, path = "/v1/groups", tag = "users", request_body = CreateGroupRequest,
    security(("session" = []), ("service" = [])),
    responses(
        (status = 201, body = GroupView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn create_group(
    State(state): State<AppState>,
    By(who): By<action::ManageGroups>,
    StrictJson(request): StrictJson<CreateGroupRequest>,
) -> Result<(StatusCode, Json<GroupView>), ApiError> {
    let (name, members, reason) = request.read()?;
    let made = groups::create(&state.app.ledger, who, name, members, reason).await?;
    Ok((StatusCode::CREATED, Json(GroupView::from(&*made))))
}

/// A group
#[utoipa::path(
    get, path = "/v1/groups/{group_id}", tag = "users",
    params(("group_id" = String, Path, description = "The group")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = GroupView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_group(
    State(state): State<AppState>,
    By(who): By<action::ReadUsers>,
    PathParams(id): PathParams<String>,
) -> Result<Json<GroupView>, ApiError> {
    let group = groups::read(&state.app.ledger, &who, group_id(&id)?).await?;
    Ok(Json(GroupView::from(&*group)))
}

/// Change a group
#[utoipa::path(
    patch, path = "/v1/groups/{group_id}", tag = "users", request_body = ChangeGroupRequest,
    params(("group_id" = String, Path, description = "The group")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = GroupView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn change_group(
    State(state): State<AppState>,
    By(who): By<action::ManageGroups>,
    PathParams(id): PathParams<String>,
    StrictJson(request): StrictJson<ChangeGroupRequest>,
) -> Result<Json<GroupView>, ApiError> {
    let id = group_id(&id)?;
    let (name, members, reason) = request.read()?;
    let changed = groups::change(&state.app.ledger, who, id, name, members, reason).await?;
    Ok(Json(GroupView::from(&*changed)))
}

/// Delete a group
#[utoipa::path(
    delete, path = "/v1/groups/{group_id}", tag = "users",
    params(("group_id" = String, Path, description = "The group")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "The group is deleted"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn delete_group(
    State(state): State<AppState>,
    By(who): By<action::ManageGroups>,
    PathParams(id): PathParams<String>,
) -> Result<StatusCode, ApiError> {
    groups::delete(&state.app.ledger, who, group_id(&id)?, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
