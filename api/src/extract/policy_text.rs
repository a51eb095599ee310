//! A policy document as the body of a request: TOML, or JSON with the same keys.

use super::json::read_and_hold_most;
use crate::problem::ApiError;
use crate::state::AppState;
use app::policies::Document;
use app::policy::Format;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use ledger::policy::MAX_SOURCE_BYTES;

/// The document, of at most 64 KiB.
#[derive(Debug)]
pub(crate) struct PolicyText(pub(crate) Document);

impl FromRequest<AppState> for PolicyText {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let format = format_of(request.headers()).ok_or(ApiError::UnsupportedPolicyType)?;
        let body = read_and_hold_most(request, state, MAX_SOURCE_BYTES).await?;
        Ok(Self(Document {
            source: body.to_vec(),
            format,
        }))
    }
}

/// The format that the body is said to be in, once and without a coding.
fn format_of(headers: &HeaderMap) -> Option<Format> {
    let mut said = headers.get_all(header::CONTENT_TYPE).iter();
    let (first, None) = (said.next()?, said.next()) else {
        return None;
    };
    if headers.contains_key(header::CONTENT_ENCODING) {
        return None;
    }
    let essence = first.to_str().ok()?.split(';').next()?.trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/toml" | "text/x-toml" => Some(Format::Toml),
        "application/json" => Some(Format::Json),
        _ => None,
    }
}
