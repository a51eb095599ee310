//! Liveness and readiness.

use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
}

/// The process answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always true.
    pub ok: bool,
}

/// Whether to send traffic.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Readiness)]
pub(crate) struct Ready {
    /// Send it or do not.
    pub ready: bool,
    /// Why not; absent when ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// The process lives
#[utoipa::path(get, path = "/v1/healthz", tag = "service", responses((status = 200, body = Health)))]
async fn healthz() -> Json<Health> {
    Json(Health { ok: true })
}

/// The service takes traffic
///
/// 503 with reasons while a projection lags, a worker has died or the ledger cannot be written.
#[utoipa::path(get, path = "/v1/readyz", tag = "service", responses(
    (status = 200, body = Ready),
    (status = 503, description = "Not ready, with the reasons", body = Ready),
))]
async fn readyz(State(state): State<AppState>) -> (StatusCode, Json<Ready>) {
    let reasons = state.readiness.reasons_against();
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Ready { ready, reasons }))
}

/// Metrics in the Prometheus text format. Not part of /v1, so not in its description.
pub(crate) async fn metrics(State(state): State<AppState>) -> Response {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        state.metrics_text(),
    )
        .into_response()
}
