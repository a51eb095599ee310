//! The caller's own identity, sessions, passkeys and devices.

use crate::extract::json::StrictJson;
use crate::extract::params::PathParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::approvers::{CredentialView, UserEnrolmentOpened, credential_id};
use crate::shapes::devices::{DeviceRequest, OwnDevice, OwnDevices};
use crate::shapes::passkeys::{AssertionOptions, LinkRequest, Linked, OwnPasskeys, PasskeyAnswer};
use crate::shapes::sessions::{Me, OwnSessions};
use crate::shapes::software_keys::{OwnSoftwareKeys, SoftwareKeyRequest};
use crate::state::AppState;
use app::{Principal, action, devices, enrolments, sessions, software_keys, users};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::{DeviceId, Rejection, SessionId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(me))
        .routes(routes!(own_sessions))
        .routes(routes!(end_session))
        .routes(routes!(invite_oneself))
        .routes(routes!(own_passkeys))
        .routes(routes!(remove_passkey))
        .routes(routes!(own_software_keys))
        .routes(routes!(add_software_key))
        .routes(routes!(remove_software_key))
        .routes(routes!(link_principal_options))
        .routes(routes!(link_principal))
        .routes(routes!(own_devices))
        .routes(routes!(add_device))
        .routes(routes!(remove_device))
}

/// Read one's own identity
#[utoipa::path(
    get, path = "/v1/me", tag = "auth",
    security(
        ("session" = []), ("service" = []), ("agent_key" = []), ("viewer" = []),
        ("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = []),
        ("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = []),
    ),
    responses(
        (status = 200, body = Me),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn me(
    State(state): State<AppState>,
    By(who): By<action::ReadMe>,
) -> Result<Json<Me>, ApiError> {
    let ledger = &state.app.ledger;
    let groups = match &who.principal {
        Principal::User(session) => users::own_groups(ledger, session.user.id).await?,
        _ => Vec::new(),
    };
    Ok(Json(Me::of(&who, &groups, ledger.now())))
}

/// One's own sessions
#[utoipa::path(
    get, path = "/v1/me/sessions", tag = "auth", security(("session" = [])),
    responses(
        (status = 200, body = OwnSessions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn own_sessions(
    State(state): State<AppState>,
    By(who): By<action::ReadOwnSessions>,
) -> Result<Json<OwnSessions>, ApiError> {
    let own = sessions::own(&state.app, &who).await?;
    let current = who.session.session.id;
    Ok(Json(OwnSessions::of(own.iter().map(|it| &**it), current)))
}

/// End one of one's own sessions
#[utoipa::path(
    delete, path = "/v1/me/sessions/{session_id}", tag = "auth", security(("session" = [])),
    params(("session_id" = String, Path, description = "The session")),
    responses(
        (status = 204, description = "It has ended"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn end_session(
    State(state): State<AppState>,
    By(who): By<action::EndOwnSession>,
    PathParams(id): PathParams<String>,
) -> Result<StatusCode, ApiError> {
    let id: SessionId = id.parse().map_err(|_| Rejection::SessionNotFound)?;
    sessions::end_own(&state.app, who, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get a link for one more passkey of one's own
///
/// It is good for one registration, for fifteen minutes. Who has a passkey has to have shown it in the last five
/// minutes.
#[utoipa::path(
    post, path = "/v1/me/enrolment", tag = "auth", security(("session" = [])),
    responses(
        (status = 201, body = UserEnrolmentOpened),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn invite_oneself(
    State(state): State<AppState>,
    By(who): By<action::ManageOwnPasskeys>,
) -> Result<(StatusCode, Json<UserEnrolmentOpened>), ApiError> {
    let invited = enrolments::invite_oneself(&state.app, who).await?;
    let opened = UserEnrolmentOpened::of(&state, &invited);
    Ok((StatusCode::CREATED, Json(opened)))
}

/// The passkeys by which one logs in
#[utoipa::path(
    get, path = "/v1/me/passkeys", tag = "auth", security(("session" = [])),
    responses(
        (status = 200, body = OwnPasskeys),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn own_passkeys(
    State(state): State<AppState>,
    By(who): By<action::ReadOwnPasskeys>,
) -> Result<Json<OwnPasskeys>, ApiError> {
    let own = app::own_passkeys::own(&state.app, &who).await?;
    Ok(Json(OwnPasskeys::of(&own)))
}

/// Take a passkey of one's own away
///
/// It opens and decides nothing from the next request on. It needs a passkey of the last five minutes.
#[utoipa::path(
    delete, path = "/v1/me/passkeys/{credential_id}", tag = "auth", security(("session" = [])),
    params(("credential_id" = String, Path, description = "base64url")),
    responses(
        (status = 204, description = "It is taken away"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_passkey(
    State(state): State<AppState>,
    By(who): By<action::ManageOwnPasskeys>,
    PathParams(id): PathParams<String>,
) -> Result<StatusCode, ApiError> {
    let id = credential_id(&id).map_err(|_| Rejection::CredentialNotFound)?;
    app::own_passkeys::remove(&state.app, who, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The command-line keys of one's own
///
/// Those that are in force.
#[utoipa::path(
    get, path = "/v1/me/software-keys", tag = "auth", security(("session" = [])),
    responses(
        (status = 200, body = OwnSoftwareKeys),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn own_software_keys(
    State(state): State<AppState>,
    By(who): By<action::ReadOwnKeys>,
) -> Result<Json<OwnSoftwareKeys>, ApiError> {
    let own = software_keys::own(&state.app, &who).await?;
    Ok(Json(OwnSoftwareKeys::of(&own)))
}

/// Add a command-line key of one's own
///
/// It decides what one may decide, as `software_key` and never as a passkey, and opens short sessions that have one's
/// role. It needs a passkey of the last five minutes.
#[utoipa::path(
    post, path = "/v1/me/software-keys", tag = "auth", request_body = SoftwareKeyRequest,
    security(("session" = [])),
    responses(
        (status = 201, body = CredentialView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn add_software_key(
    State(state): State<AppState>,
    By(who): By<action::ManageOwnKeys>,
    StrictJson(request): StrictJson<SoftwareKeyRequest>,
) -> Result<(StatusCode, Json<CredentialView>), ApiError> {
    let (id, key) = request.read()?;
    let added = software_keys::add(&state.app, who, id, key).await?;
    Ok((StatusCode::CREATED, Json(CredentialView::from(&added))))
}

/// Take a command-line key of one's own away
///
/// It decides nothing from the next request on, and its sessions end. It needs a passkey of the last five minutes.
#[utoipa::path(
    delete, path = "/v1/me/software-keys/{credential_id}", tag = "auth", security(("session" = [])),
    params(("credential_id" = String, Path, description = "base64url")),
    responses(
        (status = 204, description = "It is taken away"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_software_key(
    State(state): State<AppState>,
    By(who): By<action::ManageOwnKeys>,
    PathParams(id): PathParams<String>,
) -> Result<StatusCode, ApiError> {
    let id = credential_id(&id).map_err(|_| Rejection::CredentialNotFound)?;
    software_keys::remove(&state.app, who, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Options to make an approver's principal one's own
#[utoipa::path(
    post, path = "/v1/me/approvers/options", tag = "auth", request_body = LinkRequest,
    security(("session" = [])),
    responses(
        (status = 200, body = AssertionOptions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn link_principal_options(
    State(state): State<AppState>,
    By(who): By<action::ManageOwnPasskeys>,
    StrictJson(request): StrictJson<LinkRequest>,
) -> Result<Json<AssertionOptions>, ApiError> {
    let options = app::own_passkeys::link_options(&state.app, &who, request.principal).await?;
    Ok(Json(AssertionOptions::of(
        &state.app.relying_party,
        &options,
    )))
}

/// Make an approver's principal one's own
///
/// By an answer of one of its passkeys, by which one logs in from here on. Others of that principal decide,
/// and do not log in. Who has a passkey already has to have shown it in the last five minutes.
#[utoipa::path(
    post, path = "/v1/me/approvers/verify", tag = "auth", request_body = PasskeyAnswer,
    security(("session" = [])),
    responses(
        (status = 200, body = Linked),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn link_principal(
    State(state): State<AppState>,
    By(who): By<action::ManageOwnPasskeys>,
    StrictJson(request): StrictJson<PasskeyAnswer>,
) -> Result<Json<Linked>, ApiError> {
    let principal = app::own_passkeys::link(&state.app, who, request.assertion()?).await?;
    Ok(Json(Linked {
        principal: principal.into(),
    }))
}

/// The devices of one's own that are told of questions
#[utoipa::path(
    get, path = "/v1/me/devices", tag = "auth", security(("session" = [])),
    responses(
        (status = 200, body = OwnDevices),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn own_devices(
    State(state): State<AppState>,
    By(who): By<action::ReadOwnDevices>,
) -> Json<OwnDevices> {
    let key = devices::application_server_key(&state.app);
    Json(OwnDevices::of(key.as_ref(), devices::own(&who)))
}

/// Have a device of one's own told of questions
///
/// By a subscription that its browser has made with the key of `GET /v1/me/devices`. Each question that one may decide
/// is told from here on, sealed to the browser, until the device is removed, its push service says that it is gone, or
/// all sessions of the user end. A device that is there already is answered as it is.
#[utoipa::path(
    post, path = "/v1/me/devices", tag = "auth", request_body = DeviceRequest,
    security(("session" = [])),
    responses(
        (status = 201, body = OwnDevice),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn add_device(
    State(state): State<AppState>,
    By(who): By<action::ManageOwnDevices>,
    StrictJson(request): StrictJson<DeviceRequest>,
) -> Result<(StatusCode, Json<OwnDevice>), ApiError> {
    let device = devices::add(&state.app, who, request.subscription()).await?;
    Ok((StatusCode::CREATED, Json(OwnDevice::of(&device))))
}

/// Tell a device of one's own of nothing any more
#[utoipa::path(
    delete, path = "/v1/me/devices/{device_id}", tag = "auth", security(("session" = [])),
    params(("device_id" = String, Path, description = "The device")),
    responses(
        (status = 204, description = "It is told of nothing any more"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn remove_device(
    State(state): State<AppState>,
    By(who): By<action::ManageOwnDevices>,
    PathParams(id): PathParams<String>,
) -> Result<StatusCode, ApiError> {
    let id: DeviceId = id.parse().map_err(|_| Rejection::DeviceNotFound)?;
    devices::remove(&state.app, who, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
