//! JSON bodies, read strictly: what a person approves must be what every reader of the same bytes
//! would understand.

use crate::problem::ApiError;
use axum::body::Bytes;
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

/// A JSON body of at most `LIMIT` bytes. Duplicate keys, unknown fields, and integers that not every
/// reader can hold are refused, naming the place.
#[derive(Debug, Clone)]
pub struct StrictJson<T, const LIMIT: usize = BODY_LIMIT>(pub T);

impl<S, T, const LIMIT: usize> FromRequest<S> for StrictJson<T, LIMIT>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        json_or_unsaid(request.headers())?;
        let body = read(request, state, LIMIT).await?;
        parse(&body).map(Self)
    }
}

/// As [`StrictJson`], with the number of bytes that it was, for routes whose limit depends on what is
/// in the body.
#[derive(Debug, Clone)]
pub struct SizedJson<T, const LIMIT: usize = BODY_LIMIT>(pub T, pub usize);

impl<S, T, const LIMIT: usize> FromRequest<S> for SizedJson<T, LIMIT>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        json_or_unsaid(request.headers())?;
        let body = read(request, state, LIMIT).await?;
        parse(&body).map(|value| Self(value, body.len()))
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
