//! Tasks, and one of them.

use super::{Asked, events, older, on_scope};
use crate::extract::params::{PathParams, QueryParams};
use crate::pages::views::{
    ApplyRow, Frame, OperationRow, Standing, TaskPage, TaskRow, TasksPage, View,
};
use crate::pages::{Acts, Beside, Says, Short};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::shapes::lists::{PageQuery, TasksQuery};
use crate::state::AppState;
use app::{Acting, action};
use axum::extract::State;
use axum::response::Response;
use ledger::aggregate::{Apply, OperationState, Task};
use ledger::event::OperationOutcome;
use ledger::{Rejection, TaskId, Timestamp};
use projections::{ApplyView, OperationProgress, Projection, Projections, TaskView, TimelineTopic};

/// Applies of a task, operations of each, and entries of what it may do, at most.
const APPLIES: u32 = 20;
const OPERATIONS: usize = Acts::NAMED;

const TEXT: usize = 300;

pub(super) async fn list(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ListTasks>, ApiError>,
    query: Result<QueryParams<TasksQuery>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let QueryParams(query) = query?;
        let (filter, paging) = query.read()?;
        let views = state.app.current_views(&[Projection::Tasks]).await?;
        let now = state.app.ledger.now();
        let page = views.tasks(filter.clone(), paging).await?;
        let mut rows = Vec::with_capacity(page.rows.len());
        for task in page.rows {
            rows.push(row(&state, views, task, now).await?);
        }
        let state = filter.status.map(|status| ("state", status.as_str()));
        let agent = filter.agent.as_ref().map(|agent| ("agent", agent.as_str()));
        let kept: Vec<_> = state.into_iter().chain(agent).collect();
        Ok(TasksPage {
            frame: Frame::of(&who, asked.path(), View::Tasks, page.as_of),
            older: older(&asked, &kept, page.next),
            state: filter.status.map(Standing),
            agent: filter.agent.map(|agent| Short::line(agent.as_str(), TEXT)),
            rows,
        })
    };
    asked.page(made.await)
}

async fn row(
    state: &AppState,
    views: &Projections,
    task: TaskView,
    now: Timestamp,
) -> Result<TaskRow, ApiError> {
    let apply = match task.newest_apply_id {
        Some(apply) => views.apply(apply).await?,
        None => None,
    };
    let acts = match &apply {
        Some(apply) => state.glances.acts_of_apply(state, apply).await?,
        None => None,
    };
    let done = |apply: &ApplyView| {
        let done = apply.operations.iter();
        let done = done.filter(|it| it.progress == OperationProgress::Succeeded);
        (done.count(), apply.operations.len())
    };
    Ok(TaskRow {
        id: task.id.to_string(),
        name: Short::line(task.name, TEXT),
        agent: Short::line(task.agent.as_str(), TEXT),
        status: Standing(task.status),
        progress: apply.as_ref().map(done),
        acts,
        opened: Beside::past(task.created_at, now),
        changed: Beside::past(task.updated_at, now),
    })
}

pub(super) async fn show(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ListTasks>, ApiError>,
    id: Result<PathParams<String>, ApiError>,
    query: Result<QueryParams<PageQuery>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let PathParams(id) = id?;
        let QueryParams(query) = query?;
        let id: TaskId = id.parse().map_err(|_| Rejection::TaskNotFound)?;
        task(&state, &who, &asked, id, &query).await
    };
    asked.page(made.await)
}

async fn task(
    state: &AppState,
    who: &Acting,
    asked: &Asked,
    id: TaskId,
    query: &PageQuery,
) -> Result<TaskPage, ApiError> {
    let read = [Projection::Tasks, Projection::Timeline];
    let views = state.app.current_views(&read).await?;
    let task = views.task(id).await?.ok_or(Rejection::TaskNotFound)?;
    let opened = state.app.ledger.load::<Task>(id).await;
    let opened = ledger::Error::none_if_erased(opened)?;
    let topic = Some(TimelineTopic::Task(id));
    let timeline = views.timeline(topic, query.read()?).await?;
    let applies = views.applies(id, APPLIES, None).await?;
    let now = state.app.ledger.now();
    let mut rows = Vec::with_capacity(applies.len());
    for apply in applies {
        rows.push(apply_row(state, apply, now).await?);
    }
    let allowed = task.allowed.iter().take(OPERATIONS).map(|it| {
        let what = on_scope(it.operation, it.scope_type, &it.scope_id);
        Short::line(what, TEXT)
    });
    Ok(TaskPage {
        frame: Frame::of(who, asked.path(), View::Tasks, timeline.as_of),
        allowed: allowed.collect(),
        allowed_more: task.allowed.len().saturating_sub(OPERATIONS),
        says: opened.map_or_else(Says::default, |task| Says::of(&task.purpose)),
        close_reason: task.close_reason.as_ref().map(|why| Short::line(why, TEXT)),
        applies: rows,
        task: row(state, views, task, now).await?,
        older: older(asked, &[], timeline.next),
        events: events::rows(state, timeline).await?,
    })
}

async fn apply_row(
    state: &AppState,
    apply: ApplyView,
    now: Timestamp,
) -> Result<ApplyRow, ApiError> {
    let acts = state.glances.acts_of_apply(state, &apply).await?;
    let recorded = match apply.operations.iter().any(|it| it.error.is_some()) {
        true => ledger::Error::none_if_erased(state.app.ledger.load::<Apply>(apply.id).await)?,
        false => None,
    };
    let shown = apply.operations.iter().take(OPERATIONS).enumerate();
    let operations = shown.map(|(index, it)| {
        let what = on_scope(it.operation_id, it.scope_type, &it.scope_id);
        let acts = acts.as_ref().filter(|_| apply.operations.len() > 1);
        let said = recorded.as_ref().and_then(|apply| failure_of(apply, index));
        OperationRow {
            act: acts.and_then(|acts| acts.of_operation(index)).cloned(),
            what: Short::line(what, TEXT),
            progress: it.progress,
            why: it
                .error
                .as_ref()
                .map(|code| Short::line(said.unwrap_or(code), TEXT)),
        }
    });
    Ok(ApplyRow {
        operations: operations.collect(),
        acts,
        key: Short::line(apply.idempotency_key.as_str(), TEXT),
        status: Standing(apply.status),
        accepted: Beside::past(apply.accepted_at, now),
        simulated: apply.simulated == Some(true),
        question: apply.approval_id.map(|id| id.to_string()),
        more: apply.operations.len().saturating_sub(OPERATIONS),
    })
}

/// The reason in words for which the operation of that index failed.
fn failure_of(apply: &Apply, index: usize) -> Option<&str> {
    match apply.operations.get(index)? {
        OperationState::Ended {
            outcome: OperationOutcome::Failed { message, .. },
            ..
        } => Some(message),
        _ => None,
    }
}
