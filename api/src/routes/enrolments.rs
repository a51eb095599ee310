//! Behind an enrolment link: the page, and the ceremony that registers one passkey of the approver or user
//! who was invited.

use crate::extract::json::StrictJson;
use crate::limits::request_id::ThisRequest;
use crate::pages::{self, EnrolmentPage, EnrolmentUsedPage, Moment, ShownText, WantsPage};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::approvers::Eligibility;
use crate::shapes::passkeys::{Registered, RegistrationRequest, bytes};
use crate::state::AppState;
use app::enrolments::{Invitation, Usable};
use app::passkey::Attestation;
use app::{InvitationAccess, action};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use ledger::Rejection;
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

/// The enrolment page
///
/// Where an invited approver or user makes a passkey. A link that was used or has expired answers 410.
#[utoipa::path(get, path = "/v1/enrol/{link}", operation_id = "enrolment_page", tag = "approvers",
    params(("link" = String, Path, description = "from enrolment_url")),
    responses(
        (status = 200, content_type = "text/html", body = String),
        (status = "4XX", content(
            (Problem = "application/problem+json"), (String = "text/html"),
        )),
    ))]
async fn show(
    State(state): State<AppState>,
    ThisRequest(request_id): ThisRequest,
    link: Result<By<action::Enrol>, ApiError>,
    wants: WantsPage,
) -> Response {
    let page = match link {
        Ok(By(who)) => page(&state, &who, wants.page).await,
        Err(refused) => Err(refused),
    };
    wants.respond(page, request_id)
}

async fn page(
    state: &AppState,
    who: &InvitationAccess,
    wants_page: bool,
) -> Result<Response, ApiError> {
    let invitation = Invitation::of(&state.app.ledger, who).await?;
    let name = ShownText::line(invitation.name());
    let expires_at = Moment::new(invitation.enrolment.expires_at);
    let now = state.app.ledger.now();
    if !invitation.is_usable(now) {
        let page = EnrolmentUsedPage {
            name,
            used: invitation.enrolment.used,
            expires_at: (now >= invitation.enrolment.expires_at).then_some(expires_at),
        };
        return if wants_page {
            Ok(pages::respond(StatusCode::GONE, &page))
        } else {
            Err(Rejection::EnrolmentEnded.into())
        };
    }
    let approver = &invitation.approver;
    let page = EnrolmentPage {
        name,
        is_user: invitation.user.is_some(),
        label: None,
        may_decide: Eligibility::of(state, &approver.principal).may_decide,
        registered: approver.active_passkeys().count(),
        expires_at,
        now: Moment::new(now),
    };
    Ok(pages::respond(StatusCode::OK, &page))
}

/// Options for a registration
///
/// `PublicKeyCredentialCreationOptionsJSON` of Web Authentication Level 3, section 5.1.8.
#[utoipa::path(post, path = "/v1/enrol/{link}/options", operation_id = "enrolment_options", tag = "approvers",
    params(("link" = String, Path, description = "from enrolment_url")),
    responses(
        (status = 200, body = Value),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
async fn options(
    State(state): State<AppState>,
    By(who): By<action::Enrol>,
) -> Result<Json<Value>, ApiError> {
    let options = Usable::of(&state.app, &who).await?.options()?;
    serde_json::to_value(options)
        .map(Json)
        .map_err(ApiError::internal)
}

/// Registers the passkey
#[utoipa::path(post, path = "/v1/enrol/{link}/verify", operation_id = "enrol", tag = "approvers",
    params(("link" = String, Path, description = "from enrolment_url")),
    request_body = RegistrationRequest,
    responses(
        (status = 201, body = Registered),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
async fn register(
    State(state): State<AppState>,
    By(who): By<action::Enrol>,
    StrictJson(request): StrictJson<RegistrationRequest>,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    let invitation = Usable::of(&state.app, &who).await?;
    let attestation = Attestation {
        credential_id: bytes("credential_id", &request.credential_id)?,
        client_data_json: bytes("client_data_json", &request.client_data_json)?,
        attestation_object: bytes("attestation_object", &request.attestation_object)?,
    };
    let made = invitation.register(&attestation).await?;
    let answer = Registered {
        approver_principal: made.approver.principal.clone().into(),
        credential_id: made.credential_id.to_base64url(),
        status: CredentialStatus::Active.as_str(),
        public_key_thumbprint: made.public_key_thumbprint.to_base64url(),
        may_decide: Eligibility::of(&state, &made.approver.principal).may_decide,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}
