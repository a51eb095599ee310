//! Shortcuts: applies of one operation, with its fields in the body.

use super::applies::{ApplyConflict, ApplyWaitingOrRunning};
use super::attempts::{self, ApplyContent};
use crate::extract::idempotency::Idempotency;
use crate::extract::json::{LargeJson, StrictJson};
use crate::extract::prefer::PreferWait;
use crate::limits::body_memory::BodyPermit;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::schemes::seen_from::Seen;
use crate::shapes::answers::ApplyEnded;
use crate::shapes::shortcuts::{
    CachePurgeRequest, DnsCreateRequest, Shortcut, WorkersDeployRequest,
};
use crate::state::AppState;
use app::action;
use app::applies::Attempt;
use axum::extract::State;
use axum::response::Response;
use ledger::Purpose;
use ledger::event::OnApproval;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create_dns_record))
        .routes(routes!(purge_cache))
        .routes(routes!(deploy_worker))
}

/// Create a DNS record: an apply of dns.record.write
#[utoipa::path(
    post, path = "/v1/tasks/{task_id}/dns/create", tag = "shortcuts",
    params(
        ("task_id" = String, Path, description = "The task"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 visible characters"),
    ),
    request_body = DnsCreateRequest,
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 200, description = "Carried out; everything as for apply", body = ApplyEnded),
        (status = 202, description = "Waits for a human (ApplyWaiting), or runs (ApplyRunning)",
            body = ApplyWaitingOrRunning),
        (status = 409, description = "Ended otherwise (application/json), or refused", content(
            (ApplyConflict = "application/json"), (Problem = "application/problem+json"),
        )),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn create_dns_record(
    State(state): State<AppState>,
    By(who): By<action::SubmitApply>,
    PreferWait(wait): PreferWait,
    Seen(seen): Seen,
    key: Result<Idempotency, ApiError>,
    request: Result<StrictJson<DnsCreateRequest>, ApiError>,
) -> Result<Response, ApiError> {
    let attempt = Attempt::new(&state.app, &who, wait).asked_from(seen);
    let request = request.map(|StrictJson(request)| (request, None));
    submit(&state, &attempt, key, request).await
}

/// Purge a zone's cache: an apply of cache.purge.execute
#[utoipa::path(
    post, path = "/v1/tasks/{task_id}/cache/purge", tag = "shortcuts",
    params(
        ("task_id" = String, Path, description = "The task"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 visible characters"),
    ),
    request_body = CachePurgeRequest,
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 200, description = "Carried out; everything as for apply", body = ApplyEnded),
        (status = 202, description = "Waits for a human (ApplyWaiting), or runs (ApplyRunning)",
            body = ApplyWaitingOrRunning),
        (status = 409, description = "Ended otherwise (application/json), or refused", content(
            (ApplyConflict = "application/json"), (Problem = "application/problem+json"),
        )),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn purge_cache(
    State(state): State<AppState>,
    By(who): By<action::SubmitApply>,
    PreferWait(wait): PreferWait,
    Seen(seen): Seen,
    key: Result<Idempotency, ApiError>,
    request: Result<StrictJson<CachePurgeRequest>, ApiError>,
) -> Result<Response, ApiError> {
    let attempt = Attempt::new(&state.app, &who, wait).asked_from(seen);
    let request = request.map(|StrictJson(request)| (request, None));
    submit(&state, &attempt, key, request).await
}

/// Upload a Worker script: an apply of workers.deploy.write
#[utoipa::path(
    post, path = "/v1/tasks/{task_id}/workers/deploy", tag = "shortcuts",
    params(
        ("task_id" = String, Path, description = "The task"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 visible characters"),
    ),
    request_body = WorkersDeployRequest,
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 200, description = "Carried out; everything as for apply", body = ApplyEnded),
        (status = 202, description = "Waits for a human (ApplyWaiting), or runs (ApplyRunning)",
            body = ApplyWaitingOrRunning),
        (status = 409, description = "Ended otherwise (application/json), or refused", content(
            (ApplyConflict = "application/json"), (Problem = "application/problem+json"),
        )),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn deploy_worker(
    State(state): State<AppState>,
    By(who): By<action::SubmitApply>,
    PreferWait(wait): PreferWait,
    Seen(seen): Seen,
    key: Result<Idempotency, ApiError>,
    request: Result<LargeJson<WorkersDeployRequest>, ApiError>,
) -> Result<Response, ApiError> {
    let attempt = Attempt::new(&state.app, &who, wait).asked_from(seen);
    let request = request.map(|LargeJson(request, _, permit)| (request, Some(permit)));
    submit(&state, &attempt, key, request).await
}

async fn submit<T: Shortcut>(
    state: &AppState,
    attempt: &Attempt<'_>,
    key: Result<Idempotency, ApiError>,
    request: Result<(T, Option<BodyPermit>), ApiError>,
) -> Result<Response, ApiError> {
    let providers = &state.app.ledger.rules().providers;
    let asked = request.and_then(|(request, permit)| {
        Ok(ApplyContent {
            operations: vec![request.operation(providers)?],
            purpose: Purpose::default(),
            on_approval: OnApproval::Wait,
            callback: None,
            permit,
        })
    });
    attempts::submit(state, attempt, key.map(|Idempotency(key)| key), asked).await
}
