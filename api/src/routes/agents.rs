//! What agents are granted beforehand.

use crate::extract::json::StrictJson;
use crate::extract::params::PathParams;
use crate::limits::request_id::ThisRequest;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::agents::{Permission, Permissions, PermissionsRequest};
use crate::state::AppState;
use app::action;
use axum::Json;
use axum::extract::State;
use ledger::AgentName;
use ledger::command::ReplacePermissions;
use ledger::event::Grant;
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
    _: By<action::ReadPermissions>,
    PathParams(agent): PathParams<String>,
) -> Result<Json<Permissions>, ApiError> {
    let known = state
        .services
        .ledger
        .agent(&AgentName::unchecked(agent.as_str()))
        .await?;
    let grants = known.as_ref().map_or(&[][..], |known| &known.grants);
    // What has run out grants nothing, and could not be sent back.
    let now = state.services.ledger.now();
    let standing = |grant: &&Grant| grant.expires_at.is_none_or(|until| now < until);
    let permissions = grants.iter().filter(standing).map(Permission::from);
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
    ThisRequest(request_id): ThisRequest,
    PathParams(agent): PathParams<String>,
    StrictJson(request): StrictJson<PermissionsRequest>,
) -> Result<Json<Permissions>, ApiError> {
    let ledger = &state.services.ledger;
    let (grants, reason) = request.read(&agent, ledger.now(), &ledger.rules().providers)?;
    let origin = who.origin(request_id);
    let command = ReplacePermissions {
        agent: AgentName::parse(&agent)?,
        grants,
        reason,
    };
    let agent = state.services.ledger.execute(origin, command).await?;
    let permissions = agent.grants.iter().map(Permission::from).collect();
    Ok(Json(Permissions {
        agent_id: agent.name.clone().into(),
        permissions,
    }))
}
