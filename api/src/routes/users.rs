//! Users, as administrators see and change them.

use crate::extract::json::StrictJson;
use crate::extract::params::{PathParams, QueryParams};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::approvers::UserEnrolmentOpened;
use crate::shapes::users::{
    ChangeUserRequest, ChangedUser, CreateUserRequest, LeftBehind, Listed, RevokeQuery,
    SetPasswordRequest, User, UserList,
};
use crate::state::AppState;
use app::identity::password::Password;
use app::{action, enrolments, users};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::{Rejection, UserId};
use secrecy::ExposeSecret as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_users, create_user))
        .routes(routes!(get_user, change_user, delete_user))
        .routes(routes!(set_password))
        .routes(routes!(invite_user))
}

fn user_id(text: &str) -> Result<UserId, ApiError> {
    Ok(text.parse().map_err(|_| Rejection::UserNotFound)?)
}

/// All users
#[utoipa::path(
    get, path = "/v1/users", tag = "users", params(Listed),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = UserList),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_users(
    State(state): State<AppState>,
    By(who): By<action::ReadUsers>,
    QueryParams(page): QueryParams<Listed>,
) -> Result<Json<UserList>, ApiError> {
    let (limit, before) = (page.limit()?, page.after()?);
    let ledger = &state.app.ledger;
    let as_of = *ledger.size().borrow();
    let rows = users::list(ledger, &who, before, limit + 1).await?;
    Ok(Json(UserList::page(rows, limit, as_of)))
}

/// Make a user
///
/// The user logs in once there is a password or a passkey.
#[utoipa::path(
    post, path = "/v1/users", tag = "users", request_body = CreateUserRequest,
    security(("session" = []), ("service" = [])),
    responses(
        (status = 201, body = User),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn create_user(
    State(state): State<AppState>,
    By(who): By<action::ManageUsers>,
    StrictJson(request): StrictJson<CreateUserRequest>,
) -> Result<(StatusCode, Json<User>), ApiError> {
    let (name, role, settings) = request.read()?;
    let made = users::create(&state.app.ledger, who, name, role, settings).await?;
    Ok((StatusCode::CREATED, Json(User::from(&made))))
}

/// A user
#[utoipa::path(
    get, path = "/v1/users/{user_id}", tag = "users",
    params(("user_id" = String, Path, description = "The user")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = User),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn get_user(
    State(state): State<AppState>,
    By(who): By<action::ReadUsers>,
    PathParams(id): PathParams<String>,
) -> Result<Json<User>, ApiError> {
    let found = users::read(&state.app.ledger, &who, user_id(&id)?).await?;
    Ok(Json(User::from(&found)))
}

/// Change a user
///
/// Another role, or being disabled, ends the user's sessions. The last administrator who can log in stays
/// one. With `"disabled": true` the answer tells the agent keys that the user made or confirmed, which go on
/// working unless `revoke=keys` is sent.
#[utoipa::path(
    patch, path = "/v1/users/{user_id}", tag = "users", request_body = ChangeUserRequest,
    params(("user_id" = String, Path, description = "The user"), RevokeQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = ChangedUser),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn change_user(
    State(state): State<AppState>,
    By(who): By<action::ManageUsers>,
    PathParams(id): PathParams<String>,
    QueryParams(revoke): QueryParams<RevokeQuery>,
    StrictJson(request): StrictJson<ChangeUserRequest>,
) -> Result<Json<ChangedUser>, ApiError> {
    let id = user_id(&id)?;
    let (name, role, settings) = request.read()?;
    let ledger = &state.app.ledger;
    let keys = revoke.takes_keys();
    let (user, left) = users::change(ledger, who, id, name, role, settings, keys).await?;
    Ok(Json(ChangedUser::of(&user, left)))
}

/// Delete a user
///
/// For good: another user of the same name is another user. The answer tells what the user leaves: the agent
/// keys that they made or confirmed, which go on working unless `revoke=keys` is sent, and their agents.
#[utoipa::path(
    delete, path = "/v1/users/{user_id}", tag = "users",
    params(("user_id" = String, Path, description = "The user"), RevokeQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = LeftBehind),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn delete_user(
    State(state): State<AppState>,
    By(who): By<action::ManageUsers>,
    PathParams(id): PathParams<String>,
    QueryParams(revoke): QueryParams<RevokeQuery>,
) -> Result<Json<LeftBehind>, ApiError> {
    let (ledger, keys) = (&state.app.ledger, revoke.takes_keys());
    let deleted = users::delete(ledger, who, user_id(&id)?, keys, None).await?;
    let left = deleted.left_behind.map(LeftBehind::from);
    Ok(Json(left.unwrap_or_default()))
}

/// Set a user's password
///
/// It has to be changed at its first use, and ends the user's sessions.
#[utoipa::path(
    post, path = "/v1/users/{user_id}/password", tag = "users", request_body = SetPasswordRequest,
    params(("user_id" = String, Path, description = "The user")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 204, description = "The password is set"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn set_password(
    State(state): State<AppState>,
    By(who): By<action::ManageUsers>,
    PathParams(id): PathParams<String>,
    StrictJson(request): StrictJson<SetPasswordRequest>,
) -> Result<StatusCode, ApiError> {
    let id = user_id(&id)?;
    let password = Password::parse(request.password.expose_secret());
    let password = password.map_err(|unfit| ApiError::bad_request(format!("password: {unfit}")))?;
    users::set_password(
        &state.app.ledger,
        &state.app.passwords,
        who,
        id,
        password,
        None,
    )
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Invite a user to register a passkey
///
/// The link is good for one registration, for fifteen minutes. The user logs in by the passkey.
#[utoipa::path(
    post, path = "/v1/users/{user_id}/enrolment", tag = "users",
    params(("user_id" = String, Path, description = "The user")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 201, body = UserEnrolmentOpened),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn invite_user(
    State(state): State<AppState>,
    By(who): By<action::ManageUsers>,
    PathParams(id): PathParams<String>,
) -> Result<(StatusCode, Json<UserEnrolmentOpened>), ApiError> {
    let invited = enrolments::invite_user(&state.app, who, user_id(&id)?).await?;
    let opened = UserEnrolmentOpened::of(&state, &invited);
    Ok((StatusCode::CREATED, Json(opened)))
}
