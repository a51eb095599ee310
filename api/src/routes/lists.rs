//! Lists of what the service holds.

use crate::extract::params::QueryParams;
use crate::problem::ApiError;
use crate::schemes::By;
use crate::shapes::lists::{
    ApprovalList, ApprovalRow, ApprovalsQuery, ApproverList, ApproverRow, PageQuery, TaskList,
    TaskRow, TasksQuery, TimelineList, TimelineQuery, TimelineRow, next,
};
use crate::state::AppState;
use app::{action, decisions};
use axum::Json;
use axum::extract::State;
use ledger::TaskId;
use projections::Projection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_tasks))
        .routes(routes!(list_approvals))
        .routes(routes!(list_approvers))
        .routes(routes!(read_timeline))
}

/// Tasks, the newest first
#[utoipa::path(
    get, path = "/v1/tasks", tag = "tasks",
    params(TasksQuery),
    security(("session" = []), ("service" = [])),
    responses((status = 200, body = TaskList)),
)]
async fn list_tasks(
    State(state): State<AppState>,
    _: By<action::ListTasks>,
    QueryParams(query): QueryParams<TasksQuery>,
) -> Result<Json<TaskList>, ApiError> {
    let (filter, paging) = query.read()?;
    let views = state.app.current_views(&[Projection::Tasks]).await?;
    let page = views.tasks(filter, paging).await?;
    let ids: Vec<TaskId> = page.rows.iter().map(|task| task.id).collect();
    let unknown = views.unknown_applies(&ids).await?;
    let mut tasks = Vec::with_capacity(page.rows.len());
    for task in page.rows {
        let newest = match task.newest_apply_id {
            Some(apply) => views.apply(apply).await?,
            None => None,
        };
        let acts = match &newest {
            Some(apply) => state.glances.acts_of_apply(&state, apply).await?,
            None => None,
        };
        tasks.push(TaskRow::of(task, &unknown, acts.as_deref()));
    }
    Ok(Json(TaskList {
        as_of: page.as_of,
        next: next(page.next),
        tasks,
    }))
}

/// Approvals, the newest first
///
/// A pending one has the link for humans.
#[utoipa::path(
    get, path = "/v1/approvals", tag = "approvals",
    params(ApprovalsQuery),
    security(("session" = []), ("service" = [])),
    responses((status = 200, body = ApprovalList)),
)]
async fn list_approvals(
    State(state): State<AppState>,
    _: By<action::ListApprovals>,
    QueryParams(query): QueryParams<ApprovalsQuery>,
) -> Result<Json<ApprovalList>, ApiError> {
    let credential = query.credential()?;
    let (filter, paging) = query.read()?;
    let now = state.app.ledger.now();
    let views = state.app.current_views(&[Projection::Tasks]).await?;
    let page = views.approvals(filter, now, paging).await?;
    let mut approvals = Vec::with_capacity(page.rows.len());
    for view in page.rows {
        let is_asked = match &credential {
            Some(credential) => decisions::may_answer(&state.app, view.id, credential).await?,
            None => true,
        };
        if is_asked {
            let acts = state.glances.acts_of(&state, &view).await?;
            approvals.push(ApprovalRow::of(&state, view, acts.as_deref(), now));
        }
    }
    Ok(Json(ApprovalList {
        as_of: page.as_of,
        next: next(page.next),
        approvals,
    }))
}

/// Approvers with their passkeys, the newest first
#[utoipa::path(
    get, path = "/v1/approvers", tag = "approvers",
    params(PageQuery),
    security(("session" = []), ("service" = [])),
    responses((status = 200, body = ApproverList)),
)]
async fn list_approvers(
    State(state): State<AppState>,
    _: By<action::ListApprovers>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Result<Json<ApproverList>, ApiError> {
    let paging = query.read()?;
    let views = state.app.current_views(&[Projection::Approvers]).await?;
    let page = views.approvers(paging).await?;
    let mut approvers = Vec::with_capacity(page.rows.len());
    for approver in page.rows {
        let credentials = views.credentials(&approver.principal).await?;
        approvers.push(ApproverRow::of(approver, &credentials));
    }
    Ok(Json(ApproverList {
        approvers,
        as_of: page.as_of,
        next: next(page.next),
    }))
}

/// What happened, the newest first
#[utoipa::path(
    get, path = "/v1/timeline", tag = "audit",
    params(TimelineQuery),
    security(("session" = []), ("service" = []), ("viewer" = [])),
    responses((status = 200, body = TimelineList)),
)]
async fn read_timeline(
    State(state): State<AppState>,
    By(who): By<action::ReadTimeline>,
    QueryParams(query): QueryParams<TimelineQuery>,
) -> Result<Json<TimelineList>, ApiError> {
    let (topic, paging) = query.read()?;
    let topic = who.topic(topic)?;
    let views = state.app.current_views(&[Projection::Timeline]).await?;
    let page = views.timeline(topic, paging).await?;
    Ok(Json(TimelineList {
        as_of: page.as_of,
        next: next(page.next),
        timeline: page.rows.into_iter().map(TimelineRow::from).collect(),
    }))
}
