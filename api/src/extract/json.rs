//! JSON bodies, read strictly: what a person approves must be what every reader of the same bytes
//! would understand.

use super::large_bodies::Room;
use crate::auth::subject::Subject;
use crate::problem::ApiError;
use crate::state::AppState;
use axum::body::{Bytes, HttpBody as _};
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The largest body that most routes take.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// The largest body of a Worker upload.
pub const DEPLOY_BODY_LIMIT: usize = 10 * 1024 * 1024;

/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);

/// A JSON body of at most [`BODY_LIMIT`] bytes. Duplicate keys, unknown fields, and integers that not
/// every reader can hold are refused, naming the place.
#[derive(Debug, Clone)]
pub struct StrictJson<T>(pub T);

impl<S, T> FromRequest<S> for StrictJson<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        json_or_unsaid(request.headers())?;
        let body = read(request, state, BODY_LIMIT).await?;
        parse(&body).map(Self)
    }
}

/// As [`StrictJson`], of at most [`DEPLOY_BODY_LIMIT`] bytes, behind a guard. With it come the number
/// of bytes that it was, for routes whose limit depends on what is in the body, and the room that it
/// takes, which is to be held for as long as its content is.
#[derive(Debug)]
pub(crate) struct LargeJson<T>(pub(crate) T, pub(crate) usize, pub(crate) Room);

impl<T: DeserializeOwned> FromRequest<AppState> for LargeJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        json_or_unsaid(request.headers())?;
        // A body that does not say how long it is can be as long as any.
        let most = u64::try_from(DEPLOY_BODY_LIMIT).unwrap_or(u64::MAX);
        let length = request.body().size_hint().exact().unwrap_or(most);
        if length > most {
            return Err(ApiError::PayloadTooLarge {
                limit: DEPLOY_BODY_LIMIT,
            });
        }
        let subject = request.extensions().get::<Subject>().ok_or_else(|| {
            ApiError::internal("a route takes large bodies from whoever sends them")
        })?;
        let room = state.large_bodies.admit(subject.as_str(), length)?;
        let body = read(request, state, DEPLOY_BODY_LIMIT).await?;
        parse(&body).map(|value| Self(value, body.len(), room))
    }
}

/// As [`StrictJson`], for routes where the body may be left out.
#[derive(Debug, Clone)]
pub struct OptionalJson<T>(pub Option<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let said = json_or_unsaid(request.headers());
        let body = read(request, state, BODY_LIMIT).await?;
        if body.is_empty() {
            return Ok(Self(None));
        }
        said?;
        parse(&body).map(|value| Self(Some(value)))
    }
}

/// Lenient: clients that say nothing, plain text, or (curl, unless told) form data, and send JSON are
/// common, and the JSON itself is read strictly. What says that it is something else is not JSON.
fn json_or_unsaid(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let essence = value
        .to_str()
        .unwrap_or("")
        .split(';')
        .next()
        .unwrap_or("")
        .trim();
    let essence = essence.to_ascii_lowercase();
    let fine = essence.is_empty()
        || essence == "text/plain"
        || essence == "application/x-www-form-urlencoded"
        || essence.ends_with("/json")
        || essence.ends_with("+json");
    if fine {
        Ok(())
    } else {
        Err(ApiError::bad_request(
            "the body must be JSON: send content-type: application/json",
        ))
    }
}

async fn read<S>(mut request: Request, state: &S, limit: usize) -> Result<Bytes, ApiError>
where
    S: Send + Sync,
{
    DefaultBodyLimit::max(limit).apply(&mut request);
    match tokio::time::timeout(ARRIVAL, Bytes::from_request(request, state)).await {
        Err(_) => Err(ApiError::RequestTimeout),
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(ApiError::PayloadTooLarge { limit })
        }
        Ok(Err(_)) => Err(ApiError::bad_request("the body broke off")),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    ledger::deserialize_strict(body).map_err(|why| ApiError::bad_request(format!("body: {why}")))
}
