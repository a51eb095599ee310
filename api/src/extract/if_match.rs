//! The `If-Match` header of routes whose resource has versions.

use crate::problem::ApiError;
use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;

/// The version that the caller has seen (RFC 9110, section 13.1.1): one strong entity tag with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IfMatch(pub(crate) u64);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut given = parts.headers.get_all(header::IF_MATCH).iter();
        let Some(first) = given.next() else {
            return Err(ApiError::PreconditionRequired);
        };
        let text = first.to_str().ok().filter(|_| given.next().is_none());
        let number = text.and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
        let number = number.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        number
            .and_then(|number| number.parse().ok())
            .map(Self)
            .ok_or_else(|| {
                ApiError::bad_request("if-match: one version in quotes, as the etag has it: \"3\"")
            })
    }
}
