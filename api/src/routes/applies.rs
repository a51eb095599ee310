//! Applies: planning, asking, continuing, reading, settling.

use super::attempts::{self, ApplyContent};
use crate::extract::idempotency::Idempotency;
use crate::extract::json::{BODY_LIMIT, LargeJson, StrictJson};
use crate::extract::params::{PathParams, QueryParams};
use crate::extract::prefer::PreferWait;
use crate::limits::counted_for::CountedFor;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::schemes::seen_from::Seen;
use crate::shapes::answers::{ApplyDetail, ApplyEnded, ApplyRunning, ApplyWaiting};
use crate::shapes::applies::{Applies, ApplyRequest, ContinueRequest, PlanRequest, ResolveRequest};
use crate::shapes::mistakes::both;
use crate::shapes::plan::{Granted, Plan};
use crate::state::AppState;
use app::action;
use app::applies::{self, Attempt, Detail};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use ledger::ApplyId;
use projections::Projection;
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(plan))
        .routes(routes!(apply))
        .routes(routes!(continue_apply))
        .routes(routes!(list_applies))
        .routes(routes!(get_apply))
        .routes(routes!(resolve_apply))
}

/// What an apply would do
///
/// Nothing is recorded, and upstream is asked for the names of zones only, within two seconds.
#[utoipa::path(
    post, path = "/v1/tasks/{task_id}/plan", tag = "applies",
    params(("task_id" = String, Path, description = "The task")),
    request_body = PlanRequest,
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 200, body = Plan),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn plan(
    State(state): State<AppState>,
    By(who): By<action::PlanApply>,
    Seen(seen): Seen,
    LargeJson(request, size, _room): LargeJson<PlanRequest>,
) -> Result<Json<Plan>, ApiError> {
    let providers = &state.app.ledger.rules().providers;
    within_limit(size, request.uploads(providers))?;
    let operations = request.operations(providers)?;
    let planned = applies::plan(&state.app, &who, &operations, &seen).await?;
    Ok(Json(Plan::of(who.task().id, &planned, &operations)))
}

/// Ask for operations to be carried out
///
/// Pre-approved ones are carried out at once; the others wait for a human. The same key with the
/// same operations always gets the answer for the one apply that it names, and upstream is called
/// once. `Prefer: wait=N` holds the answer back until there is news, 50 seconds at most.
#[utoipa::path(
    post, path = "/v1/tasks/{task_id}/apply", tag = "applies",
    params(
        ("task_id" = String, Path, description = "The task"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 visible characters"),
        ("Prefer" = Option<String>, Header, description = "wait=N, in seconds"),
    ),
    request_body = ApplyRequest,
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 200, description = "Carried out", body = ApplyEnded),
        (status = 202, description = "Waits for a human (ApplyWaiting), or runs (ApplyRunning)",
            body = ApplyWaitingOrRunning),
        (status = 409, description = "Ended otherwise (application/json), or refused", content(
            (ApplyConflict = "application/json"), (Problem = "application/problem+json"),
        )),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn apply(
    State(state): State<AppState>,
    By(who): By<action::SubmitApply>,
    PreferWait(wait): PreferWait,
    Seen(seen): Seen,
    key: Result<Idempotency, ApiError>,
    request: Result<LargeJson<ApplyRequest>, ApiError>,
) -> Result<Response, ApiError> {
    let asked = request.and_then(|LargeJson(request, size, permit)| {
        let providers = &state.app.ledger.rules().providers;
        within_limit(size, request.uploads(providers))?;
        let (operations, purpose) = both(request.operations(providers), request.purpose())?;
        let policy = &state.config.callback_policy;
        let callback = request
            .callback
            .map(|callback| callback.read(policy))
            .transpose()?;
        Ok(ApplyContent {
            operations,
            purpose,
            on_approval: request.on_approval,
            callback,
            permit: Some(permit),
        })
    });
    let attempt = Attempt::new(&state.app, &who, wait).asked_from(seen);
    let key = key.map(|Idempotency(key)| key);
    attempts::submit(&state, &attempt, key, asked).await
}

/// Carry out what was approved
///
/// `Prefer: wait=N` waits for the decision, and then carries out what was approved.
#[utoipa::path(
    post, path = "/v1/tasks/{task_id}/apply/continue", tag = "applies",
    params(
        ("task_id" = String, Path, description = "The task"),
        ("Idempotency-Key" = String, Header, description = "The key of the apply"),
        ("Prefer" = Option<String>, Header, description = "wait=N, in seconds"),
    ),
    request_body = ContinueRequest,
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 200, description = "Carried out", body = ApplyEnded),
        (status = 202, description = "Waits for a human (ApplyWaiting), or runs (ApplyRunning)",
            body = ApplyWaitingOrRunning),
        (status = 409, description = "Ended otherwise (application/json), or refused", content(
            (ApplyConflict = "application/json"), (Problem = "application/problem+json"),
        )),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn continue_apply(
    State(state): State<AppState>,
    By(who): By<action::ContinueApply>,
    PreferWait(wait): PreferWait,
    Seen(seen): Seen,
    key: Result<Idempotency, ApiError>,
    request: Result<StrictJson<ContinueRequest>, ApiError>,
) -> Result<Response, ApiError> {
    let attempt = Attempt::new(&state.app, &who, wait).asked_from(seen);
    let key = match key {
        Ok(Idempotency(key)) => key,
        Err(why) => return Err(attempts::refused(&attempt, None, why).await),
    };
    let opened = request.and_then(|StrictJson(request)| {
        Ok(state
            .app
            .keys
            .resume
            .open(request.resume_token.expose_secret())?)
    });
    let resume = match opened.and_then(|said| Ok(said.read()?)) {
        Ok(resume) => resume,
        Err(why) => return Err(attempts::refused(&attempt, Some(key), why).await),
    };
    let concluded = attempt.resume(key, resume).await?;
    Ok(attempts::respond(&state, &concluded))
}

/// Which page of a task's applies.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// How many at most: 1 to 100, 20 when left out.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// The `next_before` of the page before this one.
    #[param(value_type = Option<String>)]
    before: Option<ApplyId>,
    /// `true`: each comes with its request in words and its risk (`act`, `acts`, `risk`). Left out, it does not.
    acts: Option<bool>,
}

/// A task's applies, newest first
#[utoipa::path(
    get, path = "/v1/tasks/{task_id}/applies", tag = "applies",
    params(("task_id" = String, Path, description = "The task"), Page),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 200, body = Applies),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_applies(
    State(state): State<AppState>,
    By(who): By<action::ReadApplies>,
    QueryParams(page): QueryParams<Page>,
) -> Result<Json<Applies>, ApiError> {
    let limit = page.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(ApiError::bad_request("limit: 1 to 100"));
    }
    let views = state.app.current_views(&[Projection::Tasks]).await?;
    let applies = views.applies(who.task().id, limit, page.before).await?;
    let mut rows = Vec::with_capacity(applies.len());
    for apply in applies {
        let acts = match page.acts {
            Some(true) => state.glances.acts_of_apply(&state, &apply).await?,
            _ => None,
        };
        rows.push((apply, acts));
    }
    Ok(Json(Applies::page(&rows, limit)))
}

/// The two path parameters of an apply.
#[derive(Debug, Deserialize)]
struct ApplyPath {
    apply_id: ApplyId,
}

/// One apply in full
#[utoipa::path(
    get, path = "/v1/tasks/{task_id}/applies/{apply_id}", tag = "applies",
    params(
        ("task_id" = String, Path, description = "The task"),
        ("apply_id" = String, Path, description = "The apply"),
    ),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 200, body = ApplyDetail),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_apply(
    State(state): State<AppState>,
    By(who): By<action::ReadApplies>,
    PathParams(path): PathParams<ApplyPath>,
) -> Result<Json<ApplyDetail>, ApiError> {
    let _turn = state
        .turns
        .take(CountedFor::client(&who.task().subject))
        .await?;
    let detail = applies::read(&state.app.ledger, &who, path.apply_id).await?;
    Ok(Json(shown(&detail)))
}

/// Settle an outcome that nobody knows
///
/// For a person who has looked upstream. 409 when the apply has no unknown outcome.
#[utoipa::path(
    post, path = "/v1/applies/{apply_id}/resolve", tag = "applies",
    params(("apply_id" = String, Path, description = "The apply")),
    request_body = ResolveRequest,
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 200, body = ApplyDetail),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn resolve_apply(
    State(state): State<AppState>,
    By(who): By<action::ResolveApply>,
    PathParams(path): PathParams<ApplyPath>,
    StrictJson(request): StrictJson<ResolveRequest>,
) -> Result<Json<ApplyDetail>, ApiError> {
    let (executed, reason) = request.read()?;
    let ledger = &state.app.ledger;
    let settled = applies::resolve(ledger, &who, path.apply_id, executed, reason).await?;
    Ok(Json(shown(&settled)))
}

fn shown(detail: &Detail) -> ApplyDetail {
    let granted = Granted {
        agent: detail.agent.as_deref(),
        now: detail.now,
    };
    let traced = detail.traced.as_ref();
    ApplyDetail::of(&detail.apply, &detail.standing, granted, traced)
}

/// Only uploads may be larger than other bodies.
fn within_limit(size: usize, uploads: bool) -> Result<(), ApiError> {
    if size <= BODY_LIMIT || uploads {
        Ok(())
    } else {
        Err(ApiError::PayloadTooLarge { limit: BODY_LIMIT })
    }
}

/// The two shapes of a 202.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes the answer, which is written from either"
)]
#[derive(serde::Serialize)]
#[serde(untagged)]
pub(super) enum ApplyWaitingOrRunning {
    Waiting(ApplyWaiting),
    Running(ApplyRunning),
}

/// The two shapes of a 409: an apply that ended otherwise than carried out, or a refusal. The first comes
/// as application/json, the second as application/problem+json; generated clients know one schema for a
/// status, whatever the media type.
#[derive(utoipa::ToSchema)]
#[expect(
    dead_code,
    reason = "describes the answer, which is written from either"
)]
#[derive(serde::Serialize)]
#[serde(untagged)]
pub(super) enum ApplyConflict {
    Ended(ApplyEnded),
    Refused(Problem),
}
