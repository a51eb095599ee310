//! A panic in a handler is a 500 like any other, and ends nothing else.

use crate::problem::ApiError;
use axum::response::{IntoResponse, Response};
use std::any::Any;

/// The answer for a panic; the access log has its message with the request's id.
pub(crate) fn answer(payload: Box<dyn Any + Send>) -> Response {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    ApiError::internal(format!("panic: {message}")).into_response()
}
