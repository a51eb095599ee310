//! Routes of approvers' passkeys.

use crate::extract::json::StrictJson;
use crate::extract::params::PathParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::approvers::{
    CredentialRequest, Credentials, Eligibility, EnrolmentOpened, credential_id,
};
use crate::state::AppState;
use app::{action, approvers, enrolments};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::Rejection;
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
    let principal = approvers::known_principal(&state.app.ledger, principal).await?;
    let approver = state.app.ledger.approver(&principal).await?;
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
    PathParams(principal): PathParams<String>,
    StrictJson(request): StrictJson<CredentialRequest>,
) -> Result<Json<Credentials>, ApiError> {
    let (credential, reason) = request.read()?;
    let ledger = &state.app.ledger;
    let approver = approvers::put_credential(ledger, who, principal, credential, reason).await?;
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
    PathParams(path): PathParams<CredentialPath>,
) -> Result<Json<Credentials>, ApiError> {
    let id = credential_id(&path.credential_id).map_err(|_| Rejection::CredentialNotFound)?;
    let ledger = &state.app.ledger;
    let approver = approvers::revoke_credential(ledger, who, path.principal, id, None).await?;
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
    PathParams(principal): PathParams<String>,
) -> Result<(StatusCode, Json<EnrolmentOpened>), ApiError> {
    let invited = enrolments::invite(&state.app, who, principal).await?;
    let view = EnrolmentOpened {
        enrolment_url: state.enrolment_url(&invited.link),
        expires_at: invited.expires_at.to_string(),
        eligibility: Eligibility::of(&state, &invited.principal),
    };
    Ok((StatusCode::CREATED, Json(view)))
}
