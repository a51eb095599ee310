//! Routes of agent keys.

use crate::extract::json::OptionalJson;
use crate::extract::params::{PathParams, QueryParams};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::keys::{AgentKeys, KeyCreated};
use crate::shapes::lists::PageQuery;
use crate::state::AppState;
use app::{action, keys};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::{AgentName, KeyId};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_keys, create_key))
        .routes(routes!(revoke_key))
}

/// An agent's keys, newest first
///
/// Revoked ones too. No list shows a key.
#[utoipa::path(
    get, path = "/v1/agents/{agent}/keys", tag = "agents",
    params(("agent" = String, Path, description = "The agent's name"), PageQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = AgentKeys),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_keys(
    State(state): State<AppState>,
    By(who): By<action::ReadAgentKeys>,
    PathParams(agent): PathParams<String>,
    QueryParams(query): QueryParams<PageQuery>,
) -> Result<Json<AgentKeys>, ApiError> {
    let name = AgentName::unchecked(agent.as_str());
    let page = keys::list(&state.app, &who, &name, query.read()?).await?;
    Ok(Json(AgentKeys::of(&agent, page)))
}

/// Make a key of an agent
///
/// The key is shown in this answer and never again.
#[utoipa::path(
    post, path = "/v1/agents/{agent}/keys", tag = "agents",
    params(("agent" = String, Path, description = "The agent's name")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 201, body = KeyCreated),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn create_key(
    State(state): State<AppState>,
    By(who): By<action::CreateAgentKey>,
    PathParams(agent): PathParams<String>,
    _: OptionalJson<NoFields>,
) -> Result<(StatusCode, Json<KeyCreated>), ApiError> {
    let name = AgentName::unchecked(agent.as_str());
    let new = keys::create(&state.app.ledger, who, name).await?;
    Ok((StatusCode::CREATED, Json(KeyCreated::of(agent, new))))
}

/// A body that says nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoFields {}

/// The two path parameters of a key.
#[derive(Debug, Deserialize)]
struct KeyPath {
    agent: String,
    key_id: KeyId,
}

/// Take a key away
///
/// No request with it is answered after this. A key that was taken away before stays as it was.
#[utoipa::path(
    delete, path = "/v1/agents/{agent}/keys/{key_id}", tag = "agents",
    params(
        ("agent" = String, Path, description = "The agent's name"),
        ("key_id" = String, Path, description = "The key's id"),
    ),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "Taken away"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn revoke_key(
    State(state): State<AppState>,
    By(who): By<action::RevokeAgentKey>,
    PathParams(path): PathParams<KeyPath>,
) -> Result<StatusCode, ApiError> {
    let agent = AgentName::unchecked(path.agent);
    keys::revoke(&state.app.ledger, who, agent, path.key_id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
