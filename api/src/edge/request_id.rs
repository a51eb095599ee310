//! The id that a request has in answers, logs and events.

use crate::problem::ApiError;
use crate::state::AppState;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use ledger::{Random, RequestId, Timestamp};

/// Taken over from the caller when it is a UUID, and always sent back.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's id when it sent one valid one, otherwise a fresh one (UUIDv7). Anything else is not
/// worth a refusal, and must not reach the log as it is.
pub(crate) fn accept_or_draw(
    headers: &HeaderMap,
    random: &dyn Random,
    now: Timestamp,
) -> RequestId {
    crate::auth::subject::only(headers, X_REQUEST_ID.as_str())
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| RequestId::from_bytes(random.uuid_v7(now)))
}

/// The current request's id, for handlers.
#[derive(Debug, Clone, Copy)]
pub struct ThisRequest(pub RequestId);

impl FromRequestParts<AppState> for ThisRequest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        let id = parts.extensions.get::<RequestId>().copied();
        id.map(Self)
            .ok_or_else(|| ApiError::internal("the edge gave this request no id"))
    }
}
