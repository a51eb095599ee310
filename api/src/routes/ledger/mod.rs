//! The ledger as a transparency log (C2SP tlog-checkpoint and tlog-tiles, RFC 6962). What a checkpoint
//! commits to is public; what the events say is for auditors.

mod events;
mod proofs;
mod public;

use crate::problem::ApiError;
use crate::state::AppState;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use ledger::{Checkpoints, SignedCheckpoint};
use std::sync::Arc;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;

#[cfg(test)]
mod tests;

/// The routes of this folder.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(public::router())
        .merge(proofs::router())
        .merge(events::router())
}

/// What is at an address is there for good (RFC 8246).
const FOR_GOOD: &str = "max-age=31536000, immutable";

fn checkpoints(state: &AppState) -> Result<&Checkpoints, ApiError> {
    let checkpoints = state.app.ledger.checkpoints();
    checkpoints.ok_or_else(|| ApiError::Unavailable {
        detail: "this service signs no checkpoints: it was started without a key".to_owned(),
        retry_after: Duration::from_secs(60),
    })
}

/// The newest checkpoint. There is none for a moment after a ledger was made, and for longer while
/// the tree of one from an earlier version is being filled.
fn newest(state: &AppState) -> Result<Arc<SignedCheckpoint>, ApiError> {
    let checkpoints = checkpoints(state)?;
    checkpoints.newest().ok_or_else(|| {
        let why = match checkpoints.failing() {
            Some(why) => format!("no checkpoint could be signed so far: {why}"),
            None => {
                "no checkpoint is signed yet: the ledger's tree is still being filled".to_owned()
            }
        };
        ApiError::Unavailable {
            detail: why,
            retry_after: Duration::from_secs(2),
        }
    })
}

/// Bytes that never change.
fn immutable(bytes: Vec<u8>, audience: &str) -> Response {
    let kind = HeaderValue::from_static("application/octet-stream");
    let mut response = ([(header::CONTENT_TYPE, kind)], bytes).into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("{audience}, {FOR_GOOD}")) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}
