//! The start page, and answers for unknown paths.

use crate::limits::request_id::ThisRequest;
use crate::pages::{self, NoticePage, WantsPage};
use crate::problem::ApiError;
use axum::Json;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde_json::json;

/// What this is, and where to go on: a page for browsers, links for programs. The links are relative, so
/// that they hold behind whatever path a proxy in front puts before ours.
pub(crate) async fn landing(WantsPage(page): WantsPage) -> Response {
    if page {
        return pages::respond(StatusCode::OK, &NoticePage::landing());
    }
    let links = json!({
        "service": "llm-permission-proxy",
        "documentation": "docs/",
        "description": "v1/openapi.json",
        "health": "v1/healthz",
    });
    Json(links).into_response()
}

/// A link to which some program has added a slash: its page names its files relative to where it is.
pub(crate) async fn without_slash(uri: Uri) -> Response {
    let path = uri.path().trim_end_matches('/');
    let link = path.rsplit('/').next().unwrap_or_default();
    Redirect::permanent(&format!("../{link}")).into_response()
}

/// No route at this path.
pub(crate) async fn unknown_path(
    method: Method,
    uri: Uri,
    WantsPage(page): WantsPage,
    ThisRequest(request): ThisRequest,
) -> Response {
    // The whole server is asked about (RFC 9110, section 9.3.7).
    if method == Method::OPTIONS && uri.path() == "*" {
        let all = HeaderValue::from_static("GET,HEAD,POST,PATCH,OPTIONS");
        return (StatusCode::NO_CONTENT, [(header::ALLOW, all)]).into_response();
    }
    if page {
        return pages::respond_notice(ApiError::UnknownPath, request);
    }
    ApiError::UnknownPath.into_response()
}

/// A route that takes other methods; the router adds which.
pub(crate) async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    ApiError::MethodNotAllowed.into_response()
}
