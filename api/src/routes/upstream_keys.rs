//! Keys of upstreams: a user's own, and those of agents.

use crate::extract::json::StrictJson;
use crate::extract::params::PathParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::upstream_keys::{UpstreamKeyRequest, UpstreamKeyStatus};
use crate::state::AppState;
use app::{action, upstream_keys};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::command::UpstreamKeyHolder;
use ledger::{AgentName, InvalidUpstreamKey, Rejection, UpstreamName};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(own_key, put_own_key, remove_own_key))
        .routes(routes!(agent_key, put_agent_key, remove_agent_key))
}

/// Whether one has stored an Anthropic API key
///
/// A user's calls through this service go to Anthropic with it. It is never given out.
#[utoipa::path(
    get, path = "/v1/me/anthropic-key", tag = "auth", security(("session" = [])),
    responses(
        (status = 200, body = UpstreamKeyStatus),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn own_key(
    State(state): State<AppState>,
    By(who): By<action::ReadOwnUpstreamKey>,
) -> Result<Json<UpstreamKeyStatus>, ApiError> {
    let key = upstream_keys::own(&state.app, &who).await?;
    Ok(Json(UpstreamKeyStatus::of(key.as_deref())))
}

/// Store one's own Anthropic API key
///
/// It takes the place of the one that is there: the next call uses it, and the other is erased. Keys of
/// Anthropic's Admin API (`sk-ant-admin…`) and tokens of a subscription's login (`sk-ant-oat…`) are refused.
#[utoipa::path(
    put, path = "/v1/me/anthropic-key", tag = "auth", request_body = UpstreamKeyRequest,
    security(("session" = [])),
    responses(
        (status = 204, description = "It is stored"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn put_own_key(
    State(state): State<AppState>,
    By(who): By<action::ManageOwnUpstreamKey>,
    StrictJson(request): StrictJson<UpstreamKeyRequest>,
) -> Result<StatusCode, ApiError> {
    let upstream = UpstreamName::anthropic();
    let (ledger, own) = (&state.app.ledger, UpstreamKeyHolder::Own);
    upstream_keys::put(ledger, who.into(), own, upstream, request.api_key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove one's own Anthropic API key
///
/// It is erased. Where none is stored nothing happens.
#[utoipa::path(
    delete, path = "/v1/me/anthropic-key", tag = "auth", security(("session" = [])),
    responses(
        (status = 204, description = "None is stored"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_own_key(
    State(state): State<AppState>,
    By(who): By<action::ManageOwnUpstreamKey>,
) -> Result<StatusCode, ApiError> {
    let (ledger, own) = (&state.app.ledger, UpstreamKeyHolder::Own);
    upstream_keys::remove(ledger, who.into(), own, UpstreamName::anthropic()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The two path parameters of an agent's key.
#[derive(Debug, Deserialize)]
struct OfAgent {
    agent: String,
    upstream: String,
}

impl OfAgent {
    async fn read(self, state: &AppState) -> Result<(AgentName, UpstreamName), ApiError> {
        let upstream = upstream_keys::known(&state.app.ledger, &self.upstream).await?;
        Ok((AgentName::unchecked(self.agent), upstream))
    }
}

/// Whether an upstream's key is stored for an agent
///
/// The agent's calls through this service go to the upstream with it. It is never given out.
#[utoipa::path(
    get, path = "/v1/agents/{agent}/upstream-keys/{upstream}", tag = "agents",
    params(
        ("agent" = String, Path, description = "The agent's name"),
        ("upstream" = String, Path, description = "`anthropic`, `cloudflare` or one of /v1/upstreams"),
    ),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = UpstreamKeyStatus),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn agent_key(
    State(state): State<AppState>,
    By(who): By<action::ReadAgentUpstreamKeys>,
    PathParams(path): PathParams<OfAgent>,
) -> Result<Json<UpstreamKeyStatus>, ApiError> {
    let (agent, upstream) = path.read(&state).await?;
    let key = upstream_keys::of_agent(&state.app.ledger, &who, &agent, &upstream).await?;
    Ok(Json(UpstreamKeyStatus::of(key.as_deref())))
}

/// Store an upstream's key for an agent
///
/// It takes the place of the one that is there: the next call uses it, and the other is erased. What is not a
/// key of that upstream, or is a credential of this service, is refused.
#[utoipa::path(
    put, path = "/v1/agents/{agent}/upstream-keys/{upstream}", tag = "agents",
    request_body = UpstreamKeyRequest,
    params(
        ("agent" = String, Path, description = "The agent's name"),
        ("upstream" = String, Path, description = "`anthropic`, `cloudflare` or one of /v1/upstreams"),
    ),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "It is stored"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn put_agent_key(
    State(state): State<AppState>,
    By(who): By<action::ManageAgentUpstreamKeys>,
    PathParams(path): PathParams<OfAgent>,
    StrictJson(request): StrictJson<UpstreamKeyRequest>,
) -> Result<StatusCode, ApiError> {
    let (agent, upstream) = path.read(&state).await?;
    if state.is_own_credential(&request.api_key) {
        return Err(Rejection::from(InvalidUpstreamKey::OfThisService).into());
    }
    let (ledger, holder) = (&state.app.ledger, UpstreamKeyHolder::Agent(agent));
    upstream_keys::put(ledger, who, holder, upstream, request.api_key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove an upstream's key of an agent
///
/// It is erased. Where none is stored nothing happens.
#[utoipa::path(
    delete, path = "/v1/agents/{agent}/upstream-keys/{upstream}", tag = "agents",
    params(
        ("agent" = String, Path, description = "The agent's name"),
        ("upstream" = String, Path, description = "`anthropic`, `cloudflare` or one of /v1/upstreams"),
    ),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "None is stored"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_agent_key(
    State(state): State<AppState>,
    By(who): By<action::ManageAgentUpstreamKeys>,
    PathParams(path): PathParams<OfAgent>,
) -> Result<StatusCode, ApiError> {
    let (agent, upstream) = path.read(&state).await?;
    let holder = UpstreamKeyHolder::Agent(agent);
    upstream_keys::remove(&state.app.ledger, who, holder, upstream).await?;
    Ok(StatusCode::NO_CONTENT)
}
