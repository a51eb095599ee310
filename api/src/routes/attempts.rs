//! What every way of asking for an apply has in common: recording refused attempts, and answering with
//! where the apply stands.

use crate::limits::body_memory::BodyPermit;
use crate::problem::ApiError;
use crate::shapes::answers::{ApplyEnded, ApplyRunning, ApplyWaiting, AuthorisedBy};
use crate::shapes::plan::{Granted, PermissionCheckView};
use crate::state::AppState;
use app::applies::{ApplyProgress, Attempt, Concluded, Waiting};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use ledger::aggregate::{Apply, Approval};
use ledger::command::NewCallback;
use ledger::event::{ApplyEnd, OnApproval};
use ledger::operation::Operation;
use ledger::{IdempotencyKey, Purpose, Rejection};

/// When to ask again for something that waits for a human.
const HUMAN_PACE: u64 = 5;

/// When to ask again for something that runs.
const MACHINE_PACE: u64 = 1;

/// The content of an apply request, checked.
pub(crate) struct ApplyContent {
    pub(crate) operations: Vec<Operation>,
    pub(crate) purpose: Purpose,
    pub(crate) on_approval: OnApproval,
    pub(crate) callback: Option<NewCallback>,
    /// The memory of a large body, held while its operations live.
    pub(crate) permit: Option<BodyPermit>,
}

/// Submits what could be read, and records what could not.
pub(crate) async fn submit(
    state: &AppState,
    attempt: &Attempt<'_>,
    key: Result<IdempotencyKey, ApiError>,
    asked: Result<ApplyContent, ApiError>,
) -> Result<Response, ApiError> {
    let key = match key {
        Ok(key) => key,
        Err(why) => return Err(refused(attempt, None, why).await),
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(why) => return Err(refused(attempt, Some(key), why).await),
    };
    let submitted = attempt
        .submit(
            key,
            asked.operations,
            asked.purpose,
            asked.on_approval,
            asked.callback,
        )
        .await?;
    // Not held while a human thinks.
    drop(asked.permit);
    Ok(respond(state, &attempt.conclude(submitted).await?))
}

/// Records a refused attempt and gives the refusal back; or what kept it from being recorded,
/// because no answer leaves before its record.
pub(crate) async fn refused(
    attempt: &Attempt<'_>,
    key: Option<IdempotencyKey>,
    why: ApiError,
) -> ApiError {
    let (status, _, code) = why.status_and_code();
    if status.is_server_error() {
        return why;
    }
    let refusal = Rejection::Invalid {
        code,
        detail: why.to_string(),
    };
    match attempt.refuse(key, refusal).await {
        Ok(()) => why,
        Err(error) => error.into(),
    }
}

/// The answer to a request for an apply.
pub(crate) fn respond(state: &AppState, concluded: &Concluded) -> Response {
    let Concluded {
        apply,
        approval,
        outcome,
    } = concluded;
    match outcome {
        ApplyProgress::Ended(end) => ended(apply, *end, approval.as_deref()),
        ApplyProgress::Running => running(apply),
        ApplyProgress::Waiting(on) => waiting(state, apply, on),
    }
}

fn waiting(state: &AppState, apply: &Apply, on: &Waiting) -> Response {
    let (status, apply_state) = if on.is_approved {
        ("approved", "ready")
    } else {
        ("requires_approval", "waiting_approval")
    };
    let granted = Granted {
        agent: on.agent.as_deref(),
        now: on.now,
    };
    let body = ApplyWaiting {
        status,
        task_id: apply.task_id.to_string(),
        apply_id: apply.id.to_string(),
        apply_state,
        approval_id: on.approval.id.to_string(),
        replaces: apply.replaces.map(|id| id.to_string()),
        approval_status_url: state.approval_status_url(apply.task_id),
        approval_url: state.approval_url(on.approval.id),
        resume_token: on.resume.reveal().to_owned(),
        idempotency_key: apply.idempotency_key.clone().into(),
        retry_after_seconds: HUMAN_PACE,
        callback_id: apply.callback_id.map(|id| id.to_string()),
        permission_check: PermissionCheckView::of(&apply.check, granted),
    };
    later(HUMAN_PACE, Json(body))
}

/// 200 when everything was carried out; 409, with the same shape, when not.
fn ended(apply: &Apply, end: ApplyEnd, approval: Option<&Approval>) -> Response {
    let status = match end {
        ApplyEnd::Completed => StatusCode::OK,
        ApplyEnd::Failed | ApplyEnd::Unknown => StatusCode::CONFLICT,
    };
    (status, Json(ApplyEnded::of(apply, end, approval))).into_response()
}

fn running(apply: &Apply) -> Response {
    let body = ApplyRunning {
        status: "in_progress",
        task_id: apply.task_id.to_string(),
        apply_id: apply.id.to_string(),
        apply_state: "applying",
        idempotency_key: apply.idempotency_key.clone().into(),
        execution_id: apply.execution_id.map(|id| id.to_string()),
        retry_after_seconds: MACHINE_PACE,
        authorised_by: AuthorisedBy::of(apply),
    };
    later(MACHINE_PACE, Json(body))
}

fn later(seconds: u64, body: impl IntoResponse) -> Response {
    let retry_after = [(header::RETRY_AFTER, HeaderValue::from(seconds))];
    (StatusCode::ACCEPTED, retry_after, body).into_response()
}
