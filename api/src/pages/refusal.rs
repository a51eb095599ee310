//! Refusals where a person may be looking: a page for browsers, problem details for programs.

use super::notice::NoticePage;
use super::respond;
use crate::problem::ApiError;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, header};
use ledger::RequestId;
use std::convert::Infallible;

/// The form in which an answer is to be shown.
#[derive(Debug, Clone)]
pub(crate) struct WantsPage {
    /// True when whoever asks reads pages: `Accept` names `text/html`.
    pub(crate) page: bool,
    /// Where the page is, which is what its files are relative to.
    pub(crate) path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for WantsPage {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let accepts = parts.headers.get_all(header::ACCEPT).iter();
        let html = accepts
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.to_ascii_lowercase().contains("text/html"));
        Ok(Self {
            page: html,
            path: parts.uri.path().to_owned(),
        })
    }
}

impl WantsPage {
    /// A page, or its refusal in the form that the caller reads.
    pub(crate) fn respond(self, page: Result<Response, ApiError>, request: RequestId) -> Response {
        match page {
            Ok(response) => response,
            Err(error) if self.page => respond_notice(error, request, &self.path),
            Err(error) => error.into_response(),
        }
    }
}

/// The refusal as a page, with the refusal's status. A fault's cause rides along to be logged.
fn respond_notice(error: ApiError, request: RequestId, path: &str) -> Response {
    let code = error.status_and_code().2;
    refused(error, |status| {
        let page = match code {
            "admin_exists" => NoticePage::admin_exists(),
            "locked" | "approval_cancelled" => NoticePage::locked(),
            _ => notice(status, NoticePage::link_not_valid, request),
        };
        page.at(path)
    })
}

/// The page for a refusal of that status; `denied` where the caller may not.
pub(crate) fn notice(
    status: StatusCode,
    denied: impl FnOnce() -> NoticePage,
    request: RequestId,
) -> NoticePage {
    match status.as_u16() {
        401 | 403 => denied(),
        404 | 409 | 410 => NoticePage::not_found(),
        429 => NoticePage::too_often(),
        503 => NoticePage::unavailable(Some(request.to_string())),
        _ => NoticePage::internal(Some(request.to_string())),
    }
}

/// A page in place of a refusal, with what its headers say.
pub(crate) fn refused(error: ApiError, page: impl FnOnce(StatusCode) -> NoticePage) -> Response {
    let refusal = error.into_response();
    let status = refusal.status();
    let mut response = respond(status, &page(status));
    for name in [header::RETRY_AFTER, header::SET_COOKIE] {
        if let Some(value) = refusal.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    *response.extensions_mut() = refusal.extensions().clone();
    response
}
