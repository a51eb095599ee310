//! No request stays for ever.

use crate::problem::ApiError;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// Above the longest wait that a caller can ask for (60 s), so that it only meets what is stuck.
/// What a command has committed stays committed: the caller learns it by asking again.
pub(crate) const LONGEST_REQUEST: Duration = Duration::from_secs(90);

/// Answers 503 when the route has not answered in time.
pub(crate) async fn enforce(request: Request, next: Next) -> Response {
    match tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::Unavailable {
            detail:
                "no answer in time: ask again, with the same idempotency key where there is one"
                    .to_owned(),
            retry_after: Duration::from_secs(1),
        }
        .into_response(),
    }
}
