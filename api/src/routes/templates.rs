//! Routes of task templates.

use crate::extract::json::StrictJson;
use crate::extract::params::{PathParams, QueryParams};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::lists::PageQuery;
use crate::shapes::templates::{TaskTemplate, TaskTemplates, TemplateRequest};
use crate::state::AppState;
use app::{action, templates};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::{AgentName, TemplateName};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_templates, create_template))
        .routes(routes!(delete_template))
}

/// Task templates, newest first
#[utoipa::path(
    get, path = "/v1/task-templates", tag = "tasks", params(PageQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = TaskTemplates),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_templates(
    State(state): State<AppState>,
    By(who): By<action::ReadTemplates>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Result<Json<TaskTemplates>, ApiError> {
    let listed = templates::list(&state.app, &who, query.read()?).await?;
    Ok(Json(TaskTemplates::of(&listed)))
}

/// Let agents open tasks of a kind with their keys
#[utoipa::path(
    post, path = "/v1/task-templates", tag = "tasks", request_body = TemplateRequest,
    security(("session" = []), ("service" = [])),
    responses(
        (status = 201, body = TaskTemplate),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn create_template(
    State(state): State<AppState>,
    By(who): By<action::ManageTemplates>,
    StrictJson(request): StrictJson<TemplateRequest>,
) -> Result<(StatusCode, Json<TaskTemplate>), ApiError> {
    let ledger = &state.app.ledger;
    let new = request.read(&ledger.rules().providers)?;
    let agents = new.agents.iter().map(AgentName::to_string).collect();
    let template = templates::create(ledger, who, new).await?;
    Ok((
        StatusCode::CREATED,
        Json(TaskTemplate::of(&template, agents)),
    ))
}

/// Take a template away
///
/// No task is opened from it any more; those that were opened go on.
#[utoipa::path(
    delete, path = "/v1/task-templates/{name}", tag = "tasks",
    params(("name" = String, Path, description = "The template's name")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "Taken away"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn delete_template(
    State(state): State<AppState>,
    By(who): By<action::ManageTemplates>,
    PathParams(name): PathParams<String>,
) -> Result<StatusCode, ApiError> {
    templates::delete(&state.app.ledger, who, TemplateName::unchecked(name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
