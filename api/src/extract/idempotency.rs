//! The `Idempotency-Key` header.

use crate::auth::subject::only;
use crate::problem::ApiError;
use axum::extract::FromRequestParts;
use http::request::Parts;

/// The key of one apply within its task: 1..=255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Checks the form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fine = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fine.then(|| Self(text.to_owned()))
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        only(&parts.headers, "idempotency-key")
            .and_then(Self::parse)
            .ok_or_else(|| {
                ApiError::bad_request(
                    "send one idempotency-key header of 1 to 255 visible ASCII characters",
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_and_visible() {
        assert!(IdempotencyKey::parse(&"k".repeat(255)).is_some());
        for bad in ["", "a b", "ä", &"k".repeat(256)] {
            assert!(IdempotencyKey::parse(bad).is_none(), "{bad:?}");
        }
    }
}
