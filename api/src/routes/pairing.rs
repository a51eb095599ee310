//! Pairing: a machine asks for a key of an agent and shows a code, an operator confirms the code, and the machine
//! fetches the key.

use crate::extract::json::{OptionalJson, StrangersJson};
use crate::extract::params::PathParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::schemes::client_address::ClientAddress;
use crate::shapes::pairing::{
    Asking, PairedKey, PairingBegun, PairingConfirmed, PairingPending, PairingRequest, PollRequest,
};
use crate::state::AppState;
use app::{action, pairing};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(begin))
        .routes(routes!(poll))
        .routes(routes!(look, deny))
        .routes(routes!(confirm))
}

/// Ask for a key of an agent
///
/// The machine shows the code to a person who may confirm it, keeps the device secret to itself, and polls. Nothing
/// is recorded until somebody confirms. 5 pairings of a network (an IPv4 address, an IPv6 /64) are open at a time,
/// 100 in all.
#[utoipa::path(
    post, path = "/v1/pairing", tag = "pairing", request_body = PairingRequest, security(()),
    responses(
        (status = 201, body = PairingBegun),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn begin(
    State(state): State<AppState>,
    ClientAddress(address): ClientAddress,
    StrangersJson(request): StrangersJson<PairingRequest>,
) -> Result<(StatusCode, Json<PairingBegun>), ApiError> {
    let begun = pairing::begin(
        &state.app.pairings,
        &state.app.ledger,
        &request.agent,
        address,
    )?;
    let url = state.confirm_url(&begun.code);
    Ok((StatusCode::CREATED, Json(PairingBegun::of(begun, url))))
}

/// Wait for the key
///
/// At most once in `interval_seconds`, else 429. The key is in one answer alone. After that, and where the pairing
/// was denied or has expired, 410 `pairing_ended`.
#[utoipa::path(
    post, path = "/v1/pairing/poll", tag = "pairing", request_body = PollRequest, security(()),
    responses(
        (status = 200, body = PairedKey, description = "Confirmed: the key, this once"),
        (status = 202, body = PairingPending, description = "Nobody has answered yet"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn poll(
    State(state): State<AppState>,
    StrangersJson(request): StrangersJson<PollRequest>,
) -> Result<Response, ApiError> {
    let polled = pairing::poll(
        &state.app.pairings,
        &state.app.ledger,
        request.device_secret.expose_secret(),
    )?;
    Ok(match polled {
        Some(key) => Json(PairedKey::from(key)).into_response(),
        None => (StatusCode::ACCEPTED, Json(PairingPending::default())).into_response(),
    })
}

/// Read a pairing
///
/// The name is what the machine says of itself, the address is where it asked from. 5 wrong codes in a minute by a
/// session, or 30 by all, are answered 429, and so is the right one then.
#[utoipa::path(
    get, path = "/v1/pairing/{code}", tag = "pairing",
    params(("code" = String, Path, description = "The code that the machine shows")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = Asking),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn look(
    State(state): State<AppState>,
    By(who): By<action::AnswerPairing>,
    PathParams(code): PathParams<String>,
) -> Result<Json<Asking>, ApiError> {
    let asking = pairing::look(&state.app.pairings, &state.app.ledger, &who, &code).await?;
    Ok(Json(Asking::of(&code, &asking)))
}

/// Refuse the key
#[utoipa::path(
    delete, path = "/v1/pairing/{code}", tag = "pairing",
    params(("code" = String, Path, description = "The code that the machine shows")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "The machine gets no key"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn deny(
    State(state): State<AppState>,
    By(who): By<action::AnswerPairing>,
    PathParams(code): PathParams<String>,
) -> Result<StatusCode, ApiError> {
    pairing::deny(&state.app.pairings, &state.app.ledger, &who, &code)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give the machine a key
///
/// An operator confirms agents that nobody has heard of, which are then theirs, and agents of their own; an admin
/// with a passkey of the last five minutes confirms the rest. A second time is 409 `pairing_confirmed`.
#[utoipa::path(
    post, path = "/v1/pairing/{code}/confirm", tag = "pairing",
    params(("code" = String, Path, description = "The code that the machine shows")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = PairingConfirmed),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn confirm(
    State(state): State<AppState>,
    By(who): By<action::AnswerPairing>,
    PathParams(code): PathParams<String>,
    _: OptionalJson<NoFields>,
) -> Result<Json<PairingConfirmed>, ApiError> {
    let confirmed = pairing::confirm(&state.app.pairings, &state.app.ledger, who, &code).await?;
    Ok(Json(PairingConfirmed::from(confirmed)))
}

/// A body that says nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoFields {}
