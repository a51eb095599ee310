//! The outermost layer: gives each request its id, writes one log line and two metrics for it, puts
//! the headers on that every answer carries, and logs the cause of a 500, once.

use super::request_id::{X_REQUEST_ID, accept_or_draw};
use crate::problem::{Fault, Problem};
use crate::state::AppState;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use ledger::RequestId;
use std::error::Error as StdError;
use std::time::Instant;
use tracing::Instrument;

/// Where a request went that matched no route. The path itself may hold a link or a token.
const UNMATCHED: &str = "(unmatched)";

/// The layer.
pub(crate) async fn log(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let ledger = &state.services.ledger;
    let id = accept_or_draw(request.headers(), &**ledger.random(), ledger.clock().now());
    request.extensions_mut().insert(id);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| UNMATCHED.to_owned(), |path| path.as_str().to_owned());
    let method = known(request.method());

    let span =
        tracing::info_span!("request", request.id = %id, http.method = method, http.route = route);
    let begun = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let elapsed = begun.elapsed();

    let _entered = span.enter();
    let mut response = report_fault(response, id);
    let status = response.status();
    tracing::info!(
        target: "access",
        { http.status = status.as_u16(), duration_ms = elapsed.as_secs_f64() * 1000.0 },
        "answered"
    );
    let labels = [
        ("method", method.to_owned()),
        ("route", route),
        ("status", status.as_u16().to_string()),
    ];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels).record(elapsed);
    put_headers(response.headers_mut(), id);
    response
}

/// A method's name as a label: callers can make up methods, and each would be a series of its own.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Logs the cause of a 500 and names the request in the answer, so that the two can be matched.
fn report_fault(mut response: Response, id: RequestId) -> Response {
    let Some(Fault(cause)) = response.extensions_mut().remove::<Fault>() else {
        return response;
    };
    tracing::error!(error = %chain(&*cause), "internal error");
    if is_page(&response) {
        return response;
    }
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let detail = format!("internal error; quote request id {id}");
    let mut problem = Problem::new(status, "Internal server error", "internal", detail);
    problem.request_id = Some(id.to_string());
    problem.into_response()
}

/// Pages name the request themselves.
fn is_page(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// An error with its sources, `outer: inner: innermost`.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// Pages set stricter ones of their own, which stay.
fn put_headers(headers: &mut HeaderMap, id: RequestId) {
    let defaults: [(HeaderName, &'static str); 5] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in defaults {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(X_REQUEST_ID, value);
    }
}
