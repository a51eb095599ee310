//! Routes of agents and their permissions.

use crate::extract::json::StrictJson;
use crate::extract::params::{PathParams, QueryParams};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::agent_descriptions::{
    AgentPatch, AgentRequest, AgentsQuery, DescribedAgent, DescribedAgents,
};
use crate::shapes::agents::{Permission, Permissions, PermissionsRequest};
use crate::state::AppState;
use app::{action, agents};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::AgentName;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_agents, create_agent))
        .routes(routes!(get_agent, describe_agent))
        .routes(routes!(get_permissions, replace_permissions))
}

/// Agents, newest first
#[utoipa::path(
    get, path = "/v1/agents", tag = "agents", params(AgentsQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = DescribedAgents),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_agents(
    State(state): State<AppState>,
    By(who): By<action::ReadAgents>,
    QueryParams(query): QueryParams<AgentsQuery>,
) -> Result<Json<DescribedAgents>, ApiError> {
    let (filter, paging) = query.read()?;
    let page = agents::list(&state.app, &who, filter, paging).await?;
    Ok(Json(DescribedAgents::from(page)))
}

/// Make an agent
///
/// An agent that a task or a permission named is one already.
#[utoipa::path(
    post, path = "/v1/agents", tag = "agents", request_body = AgentRequest,
    security(("session" = []), ("service" = [])),
    responses(
        (status = 201, body = DescribedAgent),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn create_agent(
    State(state): State<AppState>,
    By(who): By<action::ManageAgents>,
    StrictJson(request): StrictJson<AgentRequest>,
) -> Result<(StatusCode, Json<DescribedAgent>), ApiError> {
    let (agent, described) = request.read()?;
    let agent = AgentName::parse(&agent)?;
    let agent = agents::create(&state.app.ledger, who, agent, described).await?;
    Ok((StatusCode::CREATED, Json(DescribedAgent::from(&*agent))))
}

/// An agent as it is described
#[utoipa::path(
    get, path = "/v1/agents/{agent}", tag = "agents",
    params(("agent" = String, Path, description = "The agent's name")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = DescribedAgent),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_agent(
    State(state): State<AppState>,
    By(who): By<action::ReadAgents>,
    PathParams(agent): PathParams<String>,
) -> Result<Json<DescribedAgent>, ApiError> {
    let agent = AgentName::unchecked(agent);
    let agent = agents::read(&state.app.ledger, &who, &agent).await?;
    Ok(Json(DescribedAgent::from(&*agent)))
}

/// Describe an agent
///
/// What is left out stays as it is. A description says who to ask, and nothing about what the agent may.
#[utoipa::path(
    patch, path = "/v1/agents/{agent}", tag = "agents",
    params(("agent" = String, Path, description = "The agent's name")),
    request_body = AgentPatch,
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = DescribedAgent),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn describe_agent(
    State(state): State<AppState>,
    By(who): By<action::ManageAgents>,
    PathParams(agent): PathParams<String>,
    StrictJson(request): StrictJson<AgentPatch>,
) -> Result<Json<DescribedAgent>, ApiError> {
    let changes = request.read()?;
    let agent = AgentName::unchecked(agent);
    let agent = agents::describe(&state.app.ledger, who, agent, changes).await?;
    Ok(Json(DescribedAgent::from(&*agent)))
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
/// Raises the agent's permission revision: its tokens go stale with the very next request. With `instead_of` nothing
/// changes where the present set is another one: 409 `permissions_changed`.
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
    let command = request.read(&agent, ledger.now(), &ledger.rules().providers)?;
    let agent = agents::replace_permissions(ledger, who, command).await?;
    let permissions = agent.grants.iter().map(Permission::from).collect();
    Ok(Json(Permissions {
        agent_id: agent.name.clone().into(),
        permissions,
    }))
}
