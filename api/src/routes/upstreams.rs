//! Other APIs that are open to their own clients.

use crate::extract::json::StrictJson;
use crate::extract::params::PathParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::upstream_keys::{UpstreamKeyRequest, UpstreamKeyStatus};
use crate::shapes::upstreams::{UpstreamList, UpstreamRequest, UpstreamShape};
use crate::state::AppState;
use app::{action, upstreams};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::aggregate::Upstream;
use ledger::{InvalidUpstreamKey, Rejection};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_upstreams))
        .routes(routes!(read_upstream, put_upstream, remove_upstream))
        .routes(routes!(
            read_upstream_key,
            put_upstream_key,
            remove_upstream_key
        ))
}

fn shown(upstream: &Upstream) -> Result<Json<UpstreamShape>, ApiError> {
    let shape = UpstreamShape::of(upstream).ok_or(Rejection::NoSuchUpstream)?;
    Ok(Json(shape))
}

/// List the APIs that are open to their own clients
#[utoipa::path(
    get, path = "/v1/upstreams", tag = "upstreams", security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = UpstreamList),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_upstreams(
    State(state): State<AppState>,
    By(who): By<action::ReadUpstreams>,
) -> Result<Json<UpstreamList>, ApiError> {
    let all = upstreams::all(&state.app.ledger, &who).await?;
    Ok(Json(UpstreamList::of(&all)))
}

/// Read how an API is open
#[utoipa::path(
    get, path = "/v1/upstreams/{name}", tag = "upstreams", params(("name" = String, Path, description = "Its name")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = UpstreamShape),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn read_upstream(
    State(state): State<AppState>,
    By(who): By<action::ReadUpstreams>,
    PathParams(name): PathParams<String>,
) -> Result<Json<UpstreamShape>, ApiError> {
    shown(&*upstreams::one(&state.app.ledger, &who, &name).await?)
}

/// Open an API to its own clients
///
/// They reach it below `/proxy/{name}`, with an agent key in place of its own; the key that is stored for the agent goes up. What
/// no route names is refused. It takes the place of the one that has the name.
#[utoipa::path(
    put, path = "/v1/upstreams/{name}", tag = "upstreams", request_body = UpstreamRequest,
    params(("name" = String, Path, description = "2 to 32 characters of a-z 0-9 -, a letter first")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = UpstreamShape),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn put_upstream(
    State(state): State<AppState>,
    By(who): By<action::ManageUpstreams>,
    PathParams(name): PathParams<String>,
    StrictJson(request): StrictJson<UpstreamRequest>,
) -> Result<Json<UpstreamShape>, ApiError> {
    let name = upstreams::name(&name)?;
    let described = request.read().map_err(|detail| Rejection::Invalid {
        code: "invalid_upstream",
        detail,
    })?;
    shown(&*upstreams::put(&state.app.ledger, who, name, described).await?)
}

/// Close an API to its clients
#[utoipa::path(
    delete, path = "/v1/upstreams/{name}", tag = "upstreams", params(("name" = String, Path, description = "Its name")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "It is closed"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_upstream(
    State(state): State<AppState>,
    By(who): By<action::ManageUpstreams>,
    PathParams(name): PathParams<String>,
) -> Result<StatusCode, ApiError> {
    let name = upstreams::name(&name)?;
    upstreams::remove(&state.app.ledger, who, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether a key is stored that agents share
///
/// Calls of agents for which no key of their own is stored go to the API with it. It is never given out.
#[utoipa::path(
    get, path = "/v1/upstreams/{name}/key", tag = "upstreams", params(("name" = String, Path, description = "Its name")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = UpstreamKeyStatus),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn read_upstream_key(
    State(state): State<AppState>,
    By(who): By<action::ReadUpstreams>,
    PathParams(name): PathParams<String>,
) -> Result<Json<UpstreamKeyStatus>, ApiError> {
    let upstream = upstreams::one(&state.app.ledger, &who, &name).await?;
    Ok(Json(UpstreamKeyStatus::of_shared(upstream.key.as_ref())))
}

/// Store the key that agents share
///
/// It takes the place of the one that is there: the next call uses it, and the other is erased. It is good for the address
/// that the API has now: a description with another `base_url` erases it, as the removal of the API does.
#[utoipa::path(
    put, path = "/v1/upstreams/{name}/key", tag = "upstreams", request_body = UpstreamKeyRequest,
    params(("name" = String, Path, description = "Its name")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "It is stored"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn put_upstream_key(
    State(state): State<AppState>,
    By(who): By<action::ManageUpstreams>,
    PathParams(name): PathParams<String>,
    StrictJson(request): StrictJson<UpstreamKeyRequest>,
) -> Result<StatusCode, ApiError> {
    if state.is_own_credential(&request.api_key) {
        return Err(Rejection::from(InvalidUpstreamKey::OfThisService).into());
    }
    upstreams::put_key(&state.app.ledger, who, &name, request.api_key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove the key that agents share
///
/// It is erased. Where none is stored nothing happens.
#[utoipa::path(
    delete, path = "/v1/upstreams/{name}/key", tag = "upstreams",
    params(("name" = String, Path, description = "Its name")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "None is stored"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_upstream_key(
    State(state): State<AppState>,
    By(who): By<action::ManageUpstreams>,
    PathParams(name): PathParams<String>,
) -> Result<StatusCode, ApiError> {
    upstreams::remove_key(&state.app.ledger, who, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
