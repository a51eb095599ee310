//! The `Idempotency-Key` header.

use crate::problem::ApiError;
use crate::schemes::subject::only;
use axum::extract::FromRequestParts;
use http::request::Parts;
use ledger::IdempotencyKey;

/// The key of one apply within its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency(pub IdempotencyKey);

impl<S: Send + Sync> FromRequestParts<S> for Idempotency {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        only(&parts.headers, "idempotency-key")
            .and_then(|text| IdempotencyKey::parse(text).ok())
            .map(Self)
            .ok_or_else(|| {
                ApiError::bad_request(
                    "send one idempotency-key header of 1 to 255 visible ASCII characters",
                )
            })
    }
}
