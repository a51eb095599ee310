//! Logging in and out, one's own password, and showing a passkey once more.

use crate::extract::json::{StrangersJson, StrictJson};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::schemes::client_address::ClientAddress;
use crate::schemes::cookie;
use crate::schemes::cross_site::OwnSite;
use crate::shapes::passkeys::{AssertionOptions, PasskeyAnswer, PasskeyLoginRequest, SteppedUp};
use crate::shapes::sessions::{ChangePasswordRequest, LoginAnswer, LoginRequest};
use crate::shapes::software_keys::{KeyLoginAnswer, KeyLoginOptions, KeyLoginRequest, KeySession};
use crate::state::AppState;
use app::identity::password::Password;
use app::sessions::LoggedIn;
use app::{action, own_passkeys, sessions, software_keys};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{StatusCode, header};
use ledger::RequestId;
use secrecy::ExposeSecret as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(log_in))
        .routes(routes!(log_out))
        .routes(routes!(log_out_everywhere))
        .routes(routes!(change_password))
        .routes(routes!(passkey_options))
        .routes(routes!(log_in_by_passkey))
        .routes(routes!(key_options))
        .routes(routes!(log_in_by_key))
        .routes(routes!(step_up_options))
        .routes(routes!(step_up))
}

/// Log in by password
///
/// A browser gets a cookie, a program a bearer token. Whatever is wrong, the refusal is the same.
#[utoipa::path(
    post, path = "/v1/auth/login", tag = "auth", request_body = LoginRequest, security(()),
    responses(
        (status = 200, body = LoginAnswer),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn log_in(
    State(state): State<AppState>,
    site: OwnSite,
    ClientAddress(address): ClientAddress,
    Extension(id): Extension<RequestId>,
    StrangersJson(request): StrangersJson<LoginRequest>,
) -> Result<Response, ApiError> {
    let password = request.password.expose_secret();
    let name = &request.username;
    let begun = sessions::log_in(&state.app, name, password, address, Some(id)).await?;
    begin(&state, begun, &site)
}

/// The answer that begins a session: a new cookie for a browser, a token for a program.
fn begin(state: &AppState, begun: LoggedIn, site: &OwnSite) -> Result<Response, ApiError> {
    let life = begun.session.expires_at.since(state.app.ledger.now());
    let kept = cookie::keep(begun.cookie.reveal(), life)
        .ok_or_else(|| ApiError::internal("a session's token cannot stand in a cookie"))?;
    let answer = Json(LoginAnswer::of(begun, site.is_browser));
    Ok(match site.is_browser {
        true => ([(header::SET_COOKIE, kept)], answer).into_response(),
        false => answer.into_response(),
    })
}

/// Log out
#[utoipa::path(
    post, path = "/v1/auth/logout", tag = "auth", security(("session" = [])),
    responses(
        (status = 204, description = "The session has ended"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn log_out(
    State(state): State<AppState>,
    By(who): By<action::LogOut>,
) -> Result<Response, ApiError> {
    sessions::log_out(&state.app, who).await?;
    let forgotten = [(header::SET_COOKIE, cookie::forget())];
    Ok((StatusCode::NO_CONTENT, forgotten).into_response())
}

/// End all of one's sessions
///
/// The one that asks goes on as another one.
#[utoipa::path(
    post, path = "/v1/auth/logout-everywhere", tag = "auth", security(("session" = [])),
    responses(
        (status = 200, body = LoginAnswer),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn log_out_everywhere(
    State(state): State<AppState>,
    By(who): By<action::LogOutEverywhere>,
    site: OwnSite,
    ClientAddress(address): ClientAddress,
) -> Result<Response, ApiError> {
    let begun = sessions::log_out_everywhere(&state.app, who, address).await?;
    begin(&state, begun, &site)
}

/// Change one's own password
///
/// It ends all of one's sessions; the one that asks goes on as another one.
#[utoipa::path(
    post, path = "/v1/auth/password", tag = "auth", request_body = ChangePasswordRequest,
    security(("session" = [])),
    responses(
        (status = 200, body = LoginAnswer),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn change_password(
    State(state): State<AppState>,
    By(who): By<action::ChangePassword>,
    site: OwnSite,
    ClientAddress(address): ClientAddress,
    StrictJson(request): StrictJson<ChangePasswordRequest>,
) -> Result<Response, ApiError> {
    let new = Password::parse(request.new.expose_secret());
    let new = new.map_err(|unfit| ApiError::bad_request(format!("new: {unfit}")))?;
    let current = request
        .current
        .as_ref()
        .map(|current| current.expose_secret());
    let begun = sessions::change_password(&state.app, who, current, new, address).await?;
    begin(&state, begun, &site)
}

/// Options for a login by passkey
///
/// Without a name any passkey answers that the authenticator finds by itself. With one its passkeys are named,
/// for older ones; a name that has none is answered with ids of the same kind, always the same ones. 30 logins a
/// minute that were begun and have not succeeded, from one network, are 429 `rate_limited`.
#[utoipa::path(
    post, path = "/v1/auth/passkey/options", tag = "auth", request_body = PasskeyLoginRequest, security(()),
    responses(
        (status = 200, body = AssertionOptions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn passkey_options(
    State(state): State<AppState>,
    _: OwnSite,
    ClientAddress(address): ClientAddress,
    StrangersJson(request): StrangersJson<PasskeyLoginRequest>,
) -> Result<Json<AssertionOptions>, ApiError> {
    let name = request.username.as_deref();
    let options = own_passkeys::login_options(&state.app, name, address).await?;
    Ok(Json(AssertionOptions::of(
        &state.app.relying_party,
        &options,
    )))
}

/// Log in by passkey
///
/// As by password. It counts as a passkey that was shown now. Each challenge begins one session.
#[utoipa::path(
    post, path = "/v1/auth/passkey/verify", tag = "auth", request_body = PasskeyAnswer, security(()),
    responses(
        (status = 200, body = LoginAnswer),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn log_in_by_passkey(
    State(state): State<AppState>,
    site: OwnSite,
    ClientAddress(address): ClientAddress,
    Extension(id): Extension<RequestId>,
    StrangersJson(request): StrangersJson<PasskeyAnswer>,
) -> Result<Response, ApiError> {
    let assertion = request.assertion()?;
    let begun = sessions::log_in_by_passkey(&state.app, assertion, address, Some(id)).await?;
    begin(&state, begun, &site)
}

/// A challenge for a login by a command-line key
///
/// It is good once, for the life of a passkey's challenge, whether or not there is such a key.
#[utoipa::path(
    post, path = "/v1/auth/key/options", tag = "auth", request_body = KeyLoginRequest, security(()),
    responses(
        (status = 200, body = KeyLoginOptions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn key_options(
    State(state): State<AppState>,
    _: OwnSite,
    ClientAddress(address): ClientAddress,
    StrangersJson(request): StrangersJson<KeyLoginRequest>,
) -> Result<Json<KeyLoginOptions>, ApiError> {
    let key = request.credential_id()?;
    let challenge = software_keys::login_options(&state.app, key, address)?;
    Ok(Json(challenge.into()))
}

/// Log in by a command-line key
///
/// By a key of a user's own. The session is good for at most 15 minutes and ends with the key. It has the user's role,
/// never counts as one by a passkey, and cannot be stepped up.
#[utoipa::path(
    post, path = "/v1/auth/key/verify", tag = "auth", request_body = KeyLoginAnswer, security(()),
    responses(
        (status = 200, body = KeySession),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn log_in_by_key(
    State(state): State<AppState>,
    _: OwnSite,
    ClientAddress(address): ClientAddress,
    Extension(id): Extension<RequestId>,
    StrangersJson(request): StrangersJson<KeyLoginAnswer>,
) -> Result<Json<KeySession>, ApiError> {
    let signature = request.signature()?;
    let begun = sessions::log_in_by_key(&state.app, signature, address, Some(id)).await?;
    Ok(Json(begun.into()))
}

/// Options to show a passkey once more
#[utoipa::path(
    post, path = "/v1/auth/step-up/options", tag = "auth", security(("session" = [])),
    responses(
        (status = 200, body = AssertionOptions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn step_up_options(
    State(state): State<AppState>,
    By(who): By<action::StepUp>,
) -> Result<Json<AssertionOptions>, ApiError> {
    let options = own_passkeys::step_up_options(&state.app, &who).await?;
    Ok(Json(AssertionOptions::of(
        &state.app.relying_party,
        &options,
    )))
}

/// Show a passkey once more
///
/// For five minutes the session may do what asks for a passkey. Each challenge counts once.
#[utoipa::path(
    post, path = "/v1/auth/step-up/verify", tag = "auth", request_body = PasskeyAnswer,
    security(("session" = [])),
    responses(
        (status = 200, body = SteppedUp),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn step_up(
    State(state): State<AppState>,
    By(who): By<action::StepUp>,
    StrictJson(request): StrictJson<PasskeyAnswer>,
) -> Result<Json<SteppedUp>, ApiError> {
    let session = own_passkeys::step_up(&state.app, who, request.assertion()?).await?;
    Ok(Json(SteppedUp::of(&session)))
}
