//! The id that a request has in answers, logs and events.

use crate::problem::ApiError;
use crate::state::AppState;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use ledger::{Random, RequestId, Timestamp};

/// The service's own name for a request, in every answer. What a caller sends under it is the caller's name
/// for the same request, which may be somebody else's as well: it comes back as [`X_CLIENT_REQUEST_ID`].
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's name for the request, where it sent one.
pub const X_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");

/// The longest name of a caller's that is repeated, in characters: shorter than any secret. A UUID is
/// longer, and is repeated too.
const LONGEST_CLIENT_ID: usize = 31;

/// A fresh id (UUIDv7). No two requests have the same, whatever callers send.
pub(crate) fn draw(random: &dyn Random, now: Timestamp) -> RequestId {
    RequestId::from_bytes(random.uuid_v7(now))
}

/// The caller's name for the request. What is no id is not worth a refusal, and must not reach the log: a
/// secret that stands in the wrong header least of all.
pub(crate) fn of_client(headers: &HeaderMap) -> Option<String> {
    let text = crate::schemes::subject::only(headers, X_REQUEST_ID.as_str())?;
    let is_short = (1..=LONGEST_CLIENT_ID).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte));
    let is_uuid = text.len() == 36 && uuid::Uuid::try_parse(text).is_ok();
    (is_short || is_uuid).then(|| text.to_owned())
}

/// The current request's id, for handlers.
#[derive(Debug, Clone, Copy)]
pub struct ThisRequest(pub RequestId);

impl FromRequestParts<AppState> for ThisRequest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        let id = parts.extensions.get::<RequestId>().copied();
        id.map(Self)
            .ok_or_else(|| ApiError::internal("this request was given no id"))
    }
}
