//! Behind an enrolment link: the page, and the ceremony that registers one passkey of the approver who
//! was invited.

use crate::extract::json::StrictJson;
use crate::limits::request_id::ThisRequest;
use crate::pages::{self, EnrolmentPage, EnrolmentUsedPage, Moment, ShownText, WantsPage};
use crate::passkey::{
    Attestation, PasskeyRefused, RegisteredCredential, Registrant, RegistrationChallenge,
};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::approvers::Eligibility;
use crate::shapes::passkeys::{Registered, RegistrationRequest, bytes};
use crate::state::AppState;
use app::action;
use app::token::link::EnrolmentLink;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use ledger::aggregate::{Approver, Enrolment};
use ledger::command::{Enrol, NewCredential};
use ledger::event::CredentialStatus;
use ledger::{Actor, Blob, CredentialId, Origin, Rejection};
use serde_json::Value;
use std::sync::Arc;
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
/// Where an invited approver makes a passkey. A link that was used or has expired answers 410.
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
        Ok(By(link)) => page(&state, &link, wants).await,
        Err(refused) => Err(refused),
    };
    match page {
        Ok(response) => response,
        Err(error) if wants.0 => pages::respond_notice(error, request_id),
        Err(error) => error.into_response(),
    }
}

async fn page(
    state: &AppState,
    link: &EnrolmentLink,
    wants: WantsPage,
) -> Result<Response, ApiError> {
    let (approver, enrolment) = opened(state, link).await?;
    let principal = ShownText::line(approver.principal.as_str());
    let expires_at = Moment::new(enrolment.expires_at);
    let now = state.services.ledger.now();
    if enrolment.used || now >= enrolment.expires_at {
        let page = EnrolmentUsedPage {
            principal,
            used: enrolment.used,
            expires_at,
        };
        return if wants.0 {
            Ok(pages::respond(StatusCode::GONE, &page))
        } else {
            Err(Rejection::EnrolmentEnded.into())
        };
    }
    let page = EnrolmentPage {
        principal,
        label: None,
        may_decide: Eligibility::of(state, &approver.principal).may_decide,
        registered: approver.active_credentials().count(),
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
    By(link): By<action::Enrol>,
) -> Result<Json<Value>, ApiError> {
    let (approver, enrolment) = usable(&state, &link).await?;
    let ledger = &state.services.ledger;
    let valid_until = ledger.now().plus(state.config.challenge_ttl);
    let challenge = RegistrationChallenge::issue(
        &state.keys.registration,
        &**ledger.random(),
        valid_until.min(enrolment.expires_at),
        enrolment.id,
    );
    let registered = ids(&approver);
    let party = &state.config.relying_party;
    let options = party
        .registration_options(&challenge, &registrant(&state, &approver, &registered))
        .map_err(refused)?;
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
    ThisRequest(request_id): ThisRequest,
    By(link): By<action::Enrol>,
    StrictJson(request): StrictJson<RegistrationRequest>,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    let (approver, enrolment) = usable(&state, &link).await?;
    let attestation = Attestation {
        credential_id: bytes("credential_id", &request.credential_id)?,
        client_data_json: bytes("client_data_json", &request.client_data_json)?,
        attestation_object: bytes("attestation_object", &request.attestation_object)?,
    };
    let ledger = &state.services.ledger;
    let registered = ids(&approver);
    let made = state
        .config
        .relying_party
        .register(
            &state.keys.registration,
            enrolment.id,
            &registrant(&state, &approver, &registered),
            &attestation,
            ledger.now(),
        )
        .map_err(refused)?;
    let credential = new_credential(made)?;
    let credential_id = credential.credential_id.clone();
    let public_key_thumbprint = credential.public_key_thumbprint.to_base64url();
    let origin = Origin {
        actor: Actor::Approver {
            principal: approver.principal.clone(),
            credential_id: credential_id.clone(),
        },
        request_id: Some(request_id),
    };
    let command = Enrol {
        enrolment_id: enrolment.id,
        credential,
    };
    let approver = ledger.execute(origin, command).await?;
    let answer = Registered {
        approver_principal: approver.principal.clone().into(),
        credential_id: credential_id.to_base64url(),
        status: CredentialStatus::Active.as_str(),
        public_key_thumbprint,
        may_decide: Eligibility::of(&state, &approver.principal).may_decide,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// The approver and the invitation that a link is for.
async fn opened(
    state: &AppState,
    link: &EnrolmentLink,
) -> Result<(Arc<Approver>, Enrolment), ApiError> {
    let approver = state.services.ledger.approver(&link.principal).await?;
    let approver = approver.ok_or(Rejection::EnrolmentNotFound)?;
    let enrolment = approver
        .enrolment(link.enrolment_id)
        .cloned()
        .ok_or(Rejection::EnrolmentNotFound)?;
    Ok((approver, enrolment))
}

/// As [`opened`], refusing an invitation that was used or has expired. The ledger asks again when the
/// passkey is registered.
async fn usable(
    state: &AppState,
    link: &EnrolmentLink,
) -> Result<(Arc<Approver>, Enrolment), ApiError> {
    let (approver, enrolment) = opened(state, link).await?;
    if enrolment.used || state.services.ledger.now() >= enrolment.expires_at {
        return Err(Rejection::EnrolmentEnded.into());
    }
    Ok((approver, enrolment))
}

fn ids(approver: &Approver) -> Vec<Vec<u8>> {
    let known = approver.credentials.iter();
    known
        .map(|credential| credential.credential_id.as_slice().to_vec())
        .collect()
}

fn registrant<'a>(
    state: &AppState,
    approver: &'a Approver,
    registered: &'a [Vec<u8>],
) -> Registrant<'a> {
    Registrant {
        ledger_id: state.services.ledger.id(),
        principal: &approver.principal,
        registered,
    }
}

fn new_credential(made: RegisteredCredential) -> Result<NewCredential, Rejection> {
    let thumbprint = made.public_key.thumbprint();
    Ok(NewCredential {
        credential_id: CredentialId::parse(made.credential_id)?,
        status: CredentialStatus::Active,
        algorithm: made.public_key.algorithm().as_str().to_owned(),
        public_key: Blob::from(made.public_key.to_cose()),
        public_key_thumbprint: thumbprint.into(),
        backup_eligible: Some(made.backup_eligible),
        sign_count: made.sign_count,
    })
}

fn refused(why: PasskeyRefused) -> ApiError {
    match why {
        PasskeyRefused::AlreadyRegistered => ApiError::Conflict {
            detail: why.to_string(),
        },
        PasskeyRefused::ChallengeExpired => Rejection::ChallengeExpired.into(),
        PasskeyRefused::Setup(cause) => ApiError::internal(cause),
        why => ApiError::BadRequest {
            detail: why.to_string(),
        },
    }
}
