//! Tasks: making, reading, closing, and renewing their tokens.

use crate::extract::json::{OptionalJson, StrictJson};
use crate::extract::params::PathParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::tasks::{
    CloseTaskRequest, CreateTaskRequest, TaskClosed, TaskCreated, TaskCreatedOrOpened, TaskOpened,
    TaskView, TokenRenewed, ViewerTokenMade,
};
use crate::state::AppState;
use app::{Opening, action, tasks};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::TaskId;
use ledger::aggregate::Task;
use projections::Projection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create_task))
        .routes(routes!(get_task))
        .routes(routes!(close_task))
        .routes(routes!(mint_viewer_token))
        .routes(routes!(renew_token))
}

/// Make a task
///
/// With a bootstrap token it belongs to the agent that the token's `sub` names, and the capability token,
/// which is shown once, is bound to the subject that asked. Users and the service token name both in the
/// body. An agent with a key of its own makes one from a task template: it gets no token, since its keys
/// open the task until the template's time is over.
#[utoipa::path(
    post, path = "/v1/tasks", tag = "tasks", request_body = CreateTaskRequest,
    security(
        ("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = []),
        ("agent_key" = []),
        ("session" = []), ("service" = []),
    ),
    responses(
        (status = 201, description = "Made by an orchestrator (TaskCreated), or by an agent (TaskOpened)",
            body = TaskCreatedOrOpened),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn create_task(
    State(state): State<AppState>,
    By(who): By<action::OpenTask>,
    StrictJson(request): StrictJson<CreateTaskRequest>,
) -> Result<(StatusCode, Json<TaskCreatedOrOpened>), ApiError> {
    let who = match who {
        Opening::Orchestrator(who) => who,
        Opening::AgentKey(who) => {
            let (name, template) = request.into_opening()?;
            let ledger = &state.app.ledger;
            let task = tasks::open_from_template(ledger, who, name, template).await?;
            let opened = TaskOpened::of(&task).ok_or_else(|| {
                ApiError::internal("a task that a key opened has no end for keys")
            })?;
            let opened = TaskCreatedOrOpened::Opened(opened);
            return Ok((StatusCode::CREATED, Json(opened)));
        }
    };
    let own = who.own_agent()?;
    let providers = &state.app.ledger.rules().providers;
    let task = request.read(own, &state.config.callback_policy, providers)?;
    let issued = tasks::open(&state.app, who, task).await?;
    let created = TaskCreated {
        task_id: issued.task.id.to_string(),
        status: "open",
        capability_ttl_seconds: issued.time_left,
        capability_token: issued.token.into_revealed(),
        callback_id: issued.task.callback_id().map(|id| id.to_string()),
    };
    let created = TaskCreatedOrOpened::Created(created);
    Ok((StatusCode::CREATED, Json(created)))
}

/// A task as it stands
#[utoipa::path(
    get, path = "/v1/tasks/{task_id}", tag = "tasks",
    params(("task_id" = String, Path, description = "The task")),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 200, body = TaskView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_task(
    State(state): State<AppState>,
    By(who): By<action::ReadTask>,
) -> Result<Json<TaskView>, ApiError> {
    let views = state.app.current_views(&[Projection::Tasks]).await?;
    let found = views.task(who.task().id).await?;
    if found.is_none() {
        // Erased since the token was checked.
        state.app.ledger.load::<Task>(who.task().id).await?;
    }
    // The token was just checked against this task, so only a lost read table can lack it.
    let view = found.ok_or_else(|| ApiError::internal("the read tables lack a known task"))?;
    Ok(Json(TaskView::from(view)))
}

/// A token with which somebody else reads this task for five minutes
///
/// It reads the task, its applies, approval status, timeline and stream, and never a link.
#[utoipa::path(
    post, path = "/v1/tasks/{task_id}/viewer-token", tag = "tasks",
    params(("task_id" = String, Path, description = "The task")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 201, body = ViewerTokenMade),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn mint_viewer_token(
    State(state): State<AppState>,
    By(who): By<action::MintViewerToken>,
    PathParams(task_id): PathParams<TaskId>,
) -> Result<(StatusCode, Json<ViewerTokenMade>), ApiError> {
    let (token, expires_at) = tasks::mint_viewer_token(&state.app, who, task_id).await?;
    let made = ViewerTokenMade {
        watch_url: state.watch_url(&token),
        token: token.into_revealed(),
        expires_at: expires_at.to_string(),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Close a task for good
///
/// Its tokens are revoked, what waits for a human is cancelled, what has not begun does not run.
#[utoipa::path(
    post, path = "/v1/tasks/{task_id}/close", tag = "tasks",
    params(("task_id" = String, Path, description = "The task")),
    request_body(content = Option<CloseTaskRequest>),
    security(
        ("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = []),
        ("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = []),
    ),
    responses(
        (status = 200, body = TaskClosed),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn close_task(
    State(state): State<AppState>,
    By(who): By<action::CloseTask>,
    PathParams(task_id): PathParams<TaskId>,
    OptionalJson(request): OptionalJson<CloseTaskRequest>,
) -> Result<Json<TaskClosed>, ApiError> {
    let reason = request.unwrap_or_default().read()?;
    let task = tasks::close(&state.app.ledger, who, task_id, reason).await?;
    Ok(Json(TaskClosed {
        task_id: task.id.to_string(),
        status: "closed",
    }))
}

/// Renew a token that went stale or expired while an approval was open
///
/// The old token is revoked in the same commit; asked again within a minute, the same new one is
/// given.
#[utoipa::path(
    post, path = "/v1/tasks/{task_id}/token", tag = "tasks",
    params(("task_id" = String, Path, description = "The task")),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 200, body = TokenRenewed),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn renew_token(
    State(state): State<AppState>,
    By(who): By<action::RenewToken>,
) -> Result<Json<TokenRenewed>, ApiError> {
    let issued = tasks::renew(&state.app, &who).await?;
    Ok(Json(TokenRenewed {
        task_id: issued.task.id.to_string(),
        capability_ttl_seconds: issued.time_left,
        capability_token: issued.token.into_revealed(),
    }))
}
