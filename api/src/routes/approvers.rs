//! Who may decide, and with which passkeys.

use crate::extract::json::StrictJson;
use crate::extract::params::PathParams;
use crate::limits::request_id::ThisRequest;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::approvers::{
    CredentialRequest, Credentials, Eligibility, EnrolmentOpened, credential_id, known_principal,
};
use crate::state::AppState;
use app::action;
use app::token::link::EnrolmentLink;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::command::{OpenEnrolment, PutCredential, RevokeCredential};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_credentials, put_credential))
        .routes(routes!(revoke_credential))
        .routes(routes!(open_enrolment))
}

/// An approver's credentials
///
/// A principal that nobody has registered anything for has none.
#[utoipa::path(
    get, path = "/v1/approvers/{principal}/credentials", tag = "approvers",
    params(("principal" = String, Path, description = "The approver")),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 200, body = Credentials),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_credentials(
    State(state): State<AppState>,
    _: By<action::ReadCredentials>,
    PathParams(principal): PathParams<String>,
) -> Result<Json<Credentials>, ApiError> {
    let principal = known_principal(&state, principal).await?;
    let approver = state.services.ledger.approver(&principal).await?;
    Ok(Json(match approver {
        Some(approver) => Credentials::of(&state, &approver),
        None => Credentials {
            eligibility: Eligibility::of(&state, &principal),
            approver_principal: principal.into(),
            credentials: Vec::new(),
        },
    }))
}

/// Add a credential, or change one
///
/// The key must be a valid point on its curve. A credential that is revoked decides nothing from
/// the very next request on.
#[utoipa::path(
    post, path = "/v1/approvers/{principal}/credentials", tag = "approvers",
    params(("principal" = String, Path, description = "The approver")),
    request_body = CredentialRequest,
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 200, body = Credentials),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn put_credential(
    State(state): State<AppState>,
    By(who): By<action::PutCredential>,
    ThisRequest(request_id): ThisRequest,
    PathParams(principal): PathParams<String>,
    StrictJson(request): StrictJson<CredentialRequest>,
) -> Result<Json<Credentials>, ApiError> {
    let (credential, reason) = request.read()?;
    let principal = known_principal(&state, principal).await?.checked()?;
    let origin = who.origin(request_id);
    let command = PutCredential {
        principal,
        credential,
        reason,
    };
    let approver = state.services.ledger.execute(origin, command).await?;
    Ok(Json(Credentials::of(&state, &approver)))
}

/// The two path parameters of a credential.
#[derive(Debug, Deserialize)]
struct CredentialPath {
    principal: String,
    credential_id: String,
}

/// Take a credential away
#[utoipa::path(
    delete, path = "/v1/approvers/{principal}/credentials/{credential_id}", tag = "approvers",
    params(
        ("principal" = String, Path, description = "The approver"),
        ("credential_id" = String, Path, description = "base64url"),
    ),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 200, body = Credentials),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn revoke_credential(
    State(state): State<AppState>,
    By(who): By<action::RevokeCredential>,
    ThisRequest(request_id): ThisRequest,
    PathParams(path): PathParams<CredentialPath>,
) -> Result<Json<Credentials>, ApiError> {
    let credential_id = credential_id(&path.credential_id)?;
    let origin = who.origin(request_id);
    let command = RevokeCredential {
        principal: known_principal(&state, path.principal).await?,
        credential_id,
        reason: None,
    };
    let approver = state.services.ledger.execute(origin, command).await?;
    Ok(Json(Credentials::of(&state, &approver)))
}

/// Invite an approver to register a passkey
///
/// The link is good for one registration, for fifteen minutes.
#[utoipa::path(
    post, path = "/v1/approvers/{principal}/enrolment", tag = "approvers",
    params(("principal" = String, Path, description = "The approver")),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 201, body = EnrolmentOpened),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn open_enrolment(
    State(state): State<AppState>,
    By(who): By<action::PutCredential>,
    ThisRequest(request_id): ThisRequest,
    PathParams(principal): PathParams<String>,
) -> Result<(StatusCode, Json<EnrolmentOpened>), ApiError> {
    let principal = known_principal(&state, principal).await?.checked()?;
    let origin = who.origin(request_id);
    let command = OpenEnrolment {
        principal: principal.clone(),
    };
    let opened = state.services.ledger.execute(origin, command).await?;
    let eligibility = Eligibility::of(&state, &principal);
    let link = EnrolmentLink {
        enrolment_id: opened.enrolment_id,
        principal,
        exp: opened.expires_at.as_seconds(),
    };
    let view = EnrolmentOpened {
        enrolment_url: state.enrolment_url(link)?,
        expires_at: opened.expires_at.to_string(),
        eligibility,
    };
    Ok((StatusCode::CREATED, Json(view)))
}
