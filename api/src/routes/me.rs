//! Who one is, and one's own sessions.

use crate::extract::params::PathParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::sessions::{Me, OwnSessions};
use crate::state::AppState;
use app::{Principal, action, sessions, users};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::{Rejection, SessionId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(me))
        .routes(routes!(own_sessions))
        .routes(routes!(end_session))
}

/// Who asks
#[utoipa::path(
    get, path = "/v1/me", tag = "auth",
    security(
        ("session" = []), ("service" = []),
        ("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = []),
        ("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = []),
    ),
    responses(
        (status = 200, body = Me),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn me(
    State(state): State<AppState>,
    By(who): By<action::ReadMe>,
) -> Result<Json<Me>, ApiError> {
    let ledger = &state.app.ledger;
    let groups = match &who.principal {
        Principal::User(session) => users::own_groups(ledger, session.user.id).await?,
        _ => Vec::new(),
    };
    Ok(Json(Me::of(&who, &groups, ledger.now())))
}

/// One's own sessions
#[utoipa::path(
    get, path = "/v1/me/sessions", tag = "auth", security(("session" = [])),
    responses(
        (status = 200, body = OwnSessions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn own_sessions(
    State(state): State<AppState>,
    By(who): By<action::ReadOwnSessions>,
) -> Result<Json<OwnSessions>, ApiError> {
    let own = sessions::own(&state.app, &who).await?;
    let current = who.session.session.id;
    Ok(Json(OwnSessions::of(own.iter().map(|it| &**it), current)))
}

/// End one of one's own sessions
#[utoipa::path(
    delete, path = "/v1/me/sessions/{session_id}", tag = "auth", security(("session" = [])),
    params(("session_id" = String, Path, description = "The session")),
    responses(
        (status = 204, description = "It has ended"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn end_session(
    State(state): State<AppState>,
    By(who): By<action::EndOwnSession>,
    PathParams(id): PathParams<String>,
) -> Result<StatusCode, ApiError> {
    let id: SessionId = id.parse().map_err(|_| Rejection::SessionNotFound)?;
    sessions::end_own(&state.app, who, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
