//! The read tables, as far as operators act on them.

use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::projections::RebuildUnderWay;
use crate::state::AppState;
use app::{action, read_tables};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(rebuild))
}

/// Make the read tables anew
///
/// From the ledger, beside those in use, which the new ones replace at once when they are whole. Nothing waits for
/// it, and nothing is lost when it fails. While one is under way no other is begun; asked again it says how far
/// that one is.
#[utoipa::path(
    post, path = "/v1/projections/rebuild", tag = "projections",
    security(("session" = []), ("service" = [])),
    responses(
        (status = 202, body = RebuildUnderWay),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn rebuild(
    State(state): State<AppState>,
    By(who): By<action::RebuildTables>,
) -> Result<(StatusCode, Json<RebuildUnderWay>), ApiError> {
    let rebuild = read_tables::rebuild(&state.app.projections, &who)?;
    Ok((StatusCode::ACCEPTED, Json(rebuild.into())))
}
