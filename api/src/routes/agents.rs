//! Routes of agents' permissions.

use crate::extract::json::StrictJson;
use crate::extract::params::PathParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::agents::{Permission, Permissions, PermissionsRequest};
use crate::state::AppState;
use app::{action, agents};
use axum::Json;
use axum::extract::State;
use ledger::AgentName;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_permissions, replace_permissions))
}

/// An agent's permissions
///
/// An agent that nobody has heard of has none.
#[utoipa::path(
    get, path = "/v1/agents/{agent}/permissions", tag = "agents",
    params(("agent" = String, Path, description = "The agent's name")),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 200, body = Permissions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_permissions(
    State(state): State<AppState>,
    By(who): By<action::ReadPermissions>,
    PathParams(agent): PathParams<String>,
) -> Result<Json<Permissions>, ApiError> {
    let grants = agents::permissions(
        &state.app.ledger,
        &who,
        &AgentName::unchecked(agent.as_str()),
    )
    .await?;
    let permissions = grants.iter().map(Permission::from);
    Ok(Json(Permissions {
        agent_id: agent,
        permissions: permissions.collect(),
    }))
}

/// Replace an agent's permissions
///
/// Raises the agent's permission revision: its tokens go stale with the very next request.
#[utoipa::path(
    patch, path = "/v1/agents/{agent}/permissions", tag = "agents",
    params(("agent" = String, Path, description = "The agent's name")),
    request_body = PermissionsRequest,
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 200, body = Permissions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn replace_permissions(
    State(state): State<AppState>,
    By(who): By<action::ReplacePermissions>,
    PathParams(agent): PathParams<String>,
    StrictJson(request): StrictJson<PermissionsRequest>,
) -> Result<Json<Permissions>, ApiError> {
    let ledger = &state.app.ledger;
    let (grants, reason) = request.read(&agent, ledger.now(), &ledger.rules().providers)?;
    let agent = AgentName::parse(&agent)?;
    let agent = agents::replace_permissions(ledger, who, agent, grants, reason).await?;
    let permissions = agent.grants.iter().map(Permission::from).collect();
    Ok(Json(Permissions {
        agent_id: agent.name.clone().into(),
        permissions,
    }))
}
