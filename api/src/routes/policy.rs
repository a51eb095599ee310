//! Routes of the policy.

use crate::extract::if_match::IfMatch;
use crate::extract::json::StrictJson;
use crate::extract::params::{PathParams, QueryParams};
use crate::extract::policy_text::PolicyText;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::policy::{
    AskedForPolicy, CheckedPolicy, Policy, PolicyVersions, RollbackRequest, TestRequest,
    VersionsQuery,
};
use crate::state::AppState;
use app::policies::Saved;
use app::policy::Report;
use app::{action, policies};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(read_policy, put_policy))
        .routes(routes!(list_policy_versions))
        .routes(routes!(read_policy_version))
        .routes(routes!(rollback_policy))
        .routes(routes!(check_policy))
        .routes(routes!(test_policy))
}

/// A version with its number as the entity tag (RFC 9110, section 8.8.3).
fn tagged(policy: Policy) -> Response {
    let tag = format!("\"{}\"", policy.version());
    let mut response = Json(policy).into_response();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The outcome of a change: the version that is in force by it, or the question that people are asked.
fn answered(state: &AppState, saved: Saved) -> Response {
    match saved {
        Saved::InForce(version) => tagged((*version).into()),
        Saved::Asked(approval) => {
            let url = state.approval_url(approval.id);
            let asked = AskedForPolicy::of(&approval, url);
            (StatusCode::ACCEPTED, Json(asked)).into_response()
        }
    }
}

/// The policy that is in force
///
/// Version 0 is no document: grants and risk alone decide. The `ETag` is the version in quotes.
#[utoipa::path(
    get, path = "/v1/policy", tag = "policy",
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = Policy, headers(("etag" = String, description = "The version in quotes"))),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn read_policy(
    State(state): State<AppState>,
    By(who): By<action::ReadPolicy>,
) -> Result<Response, ApiError> {
    Ok(tagged(policies::read(&state.app, &who).await?.into()))
}

/// Save a policy
///
/// It is in force when the answer is given. `If-Match` names the version that it follows, as the `ETag` of
/// `GET /v1/policy` does; where another was saved meanwhile, that is 412 `version_mismatch`. A document with
/// something wrong in it is 400 `policy_invalid` with all `errors`.
///
/// Where the policy in force has `policy_change`, nothing is changed yet: 202 with the approval that people are asked
/// for. Its author cannot give it. The change that is approved first withdraws all others.
#[utoipa::path(
    put, path = "/v1/policy", tag = "policy",
    params(("if-match" = String, Header, description = "The version that it follows, in quotes: `\"3\"`")),
    request_body(content = serde_json::Value, content_type = "application/json", description = "The document, as JSON; `application/toml` and `text/x-toml` are taken too"),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = Policy, headers(("etag" = String, description = "The version in quotes"))),
        (status = 202, body = AskedForPolicy),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn put_policy(
    State(state): State<AppState>,
    By(who): By<action::ChangePolicy>,
    IfMatch(follows): IfMatch,
    PolicyText(document): PolicyText,
) -> Result<Response, ApiError> {
    let saved = policies::put(&state.app, who, document, follows).await?;
    Ok(answered(&state, saved))
}

/// Versions of the policy, newest first
#[utoipa::path(
    get, path = "/v1/policy/versions", tag = "policy", params(VersionsQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = PolicyVersions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_policy_versions(
    State(state): State<AppState>,
    By(who): By<action::ReadPolicy>,
    QueryParams(query): QueryParams<VersionsQuery>,
) -> Result<Json<PolicyVersions>, ApiError> {
    let (before, limit) = query.read()?;
    let (as_of, listed) = policies::versions(&state.app.ledger, &who, before, limit).await?;
    Ok(Json(PolicyVersions::of(&listed, as_of)))
}

/// One version of the policy
#[utoipa::path(
    get, path = "/v1/policy/versions/{version}", tag = "policy",
    params(("version" = u64, Path, description = "Its number")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = Policy, headers(("etag" = String, description = "The version in quotes"))),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn read_policy_version(
    State(state): State<AppState>,
    By(who): By<action::ReadPolicy>,
    PathParams(version): PathParams<u64>,
) -> Result<Response, ApiError> {
    let read = policies::version(&state.app, &who, version).await?;
    Ok(tagged(read.into()))
}

/// Bring back an earlier version
///
/// The document of that version becomes a new version; 0 is no document. `If-Match` as in `PUT /v1/policy`. A
/// document that could not be saved now, for its group is gone, is not brought back. Where the policy in force has
/// people approve a change, 202 as there.
#[utoipa::path(
    post, path = "/v1/policy/rollback", tag = "policy", request_body = RollbackRequest,
    params(("if-match" = String, Header, description = "The version that it follows, in quotes: `\"3\"`")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = Policy, headers(("etag" = String, description = "The version in quotes"))),
        (status = 202, body = AskedForPolicy),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn rollback_policy(
    State(state): State<AppState>,
    By(who): By<action::ChangePolicy>,
    IfMatch(follows): IfMatch,
    StrictJson(request): StrictJson<RollbackRequest>,
) -> Result<Response, ApiError> {
    let saved = policies::rollback(&state.app, who, request.version, follows).await?;
    Ok(answered(&state, saved))
}

/// Look whether a document could be saved
///
/// Nothing is recorded. All errors are told at once, with their lines in TOML.
#[utoipa::path(
    post, path = "/v1/policy/check", tag = "policy",
    request_body(content = serde_json::Value, content_type = "application/json", description = "The document, as JSON; `application/toml` and `text/x-toml` are taken too"),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = CheckedPolicy),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn check_policy(
    State(state): State<AppState>,
    By(who): By<action::TryPolicy>,
    PolicyText(document): PolicyText,
) -> Result<Json<CheckedPolicy>, ApiError> {
    let checked = policies::check(&state.app, &who, document).await?;
    Ok(Json(checked.into()))
}

/// Try cases on a policy
///
/// Each case says what is asked for, when, and what should become of it; the answer says what becomes of it, rule
/// by rule. Without `policy` they are tried on the one in force. Nothing is recorded.
#[utoipa::path(
    post, path = "/v1/policy/test", tag = "policy", request_body = TestRequest,
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = HashMap<String, serde_json::Value>, content_type = "application/json",
            description = "`passed`, `failed`, and `results` with each case's `name`, `passed`, `outcome`, `rules`, \
                `operations`, `requirement` and `error`"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn test_policy(
    State(state): State<AppState>,
    By(who): By<action::TryPolicy>,
    StrictJson(request): StrictJson<TestRequest>,
) -> Result<Json<Report>, ApiError> {
    let (document, cases) = request.read()?;
    let report = policies::test(&state.app, &who, document, cases).await?;
    Ok(Json(report))
}
