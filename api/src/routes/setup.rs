//! Behind the link of a start: the page on which the first admin is made, and the ceremony that registers their passkey.

use crate::extract::json::StrictJson;
use crate::limits::request_id::ThisRequest;
use crate::pages::{self, SetupPage, WantsPage};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::approvers::Eligibility;
use crate::shapes::passkeys::{Registered, RegistrationRequest, SetupRequest, bytes};
use crate::state::AppState;
use app::passkey::Attestation;
use app::{action, setup};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use ledger::event::CredentialStatus;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(options))
        .routes(routes!(register))
}

/// The page on which the first admin is made
///
/// Once an admin can log in the link opens nothing any more: 409 `admin_exists`.
#[utoipa::path(get, path = "/v1/setup/{link}", operation_id = "setup_page", tag = "users",
    params(("link" = String, Path, description = "from the terminal of the start, or the file beside the ledger")),
    responses(
        (status = 200, content_type = "text/html", body = String),
        (status = "4XX", content(
            (Problem = "application/problem+json"), (String = "text/html"),
        )),
    ))]
async fn show(
    State(state): State<AppState>,
    ThisRequest(request_id): ThisRequest,
    link: Result<By<action::SetUp>, ApiError>,
    wants: WantsPage,
) -> Response {
    let page = match link {
        Ok(By(who)) => setup::check(&state.app, &who).await.map_err(ApiError::from),
        Err(refused) => Err(refused),
    };
    let page = page.map(|()| pages::respond(StatusCode::OK, &SetupPage));
    wants.respond(page, request_id)
}

/// Options for the first admin's passkey
///
/// `PublicKeyCredentialCreationOptionsJSON` of Web Authentication Level 3, section 5.1.8. Nothing is recorded yet.
#[utoipa::path(post, path = "/v1/setup/{link}/options", operation_id = "setup_options", tag = "users",
    params(("link" = String, Path, description = "from the terminal of the start, or the file beside the ledger")),
    request_body = SetupRequest,
    responses(
        (status = 200, body = Value),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
async fn options(
    State(state): State<AppState>,
    By(who): By<action::SetUp>,
    StrictJson(request): StrictJson<SetupRequest>,
) -> Result<Json<Value>, ApiError> {
    let options = setup::options(&state.app, &who, &request.username).await?;
    serde_json::to_value(options)
        .map(Json)
        .map_err(ApiError::internal)
}

/// Make the first admin
///
/// With the passkey, in one step. Of two who hold the link one succeeds, the other is answered 409 `admin_exists`.
#[utoipa::path(post, path = "/v1/setup/{link}/verify", operation_id = "set_up", tag = "users",
    params(("link" = String, Path, description = "from the terminal of the start, or the file beside the ledger")),
    request_body = RegistrationRequest,
    responses(
        (status = 201, body = Registered),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
async fn register(
    State(state): State<AppState>,
    By(who): By<action::SetUp>,
    StrictJson(request): StrictJson<RegistrationRequest>,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    let attestation = Attestation {
        credential_id: bytes("credential_id", &request.credential_id)?,
        client_data_json: bytes("client_data_json", &request.client_data_json)?,
        attestation_object: bytes("attestation_object", &request.attestation_object)?,
    };
    let made = setup::register(&state.app, who, &attestation).await?;
    let answer = Registered {
        approver_principal: made.approver.principal.clone().into(),
        credential_id: made.credential_id.to_base64url(),
        status: CredentialStatus::Active.as_str(),
        public_key_thumbprint: made.public_key_thumbprint.to_base64url(),
        may_decide: Eligibility::of(&state, &made.approver.principal).may_decide,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}
