//! The description of the surface, and a page that shows it without reaching for the network.

use crate::problem::ApiError;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, header};
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::Config;

/// Where the description is, as seen from the page at `/docs/`, under whatever path a proxy in front has put both.
const FROM_THE_PAGE: &str = "../v1/openapi.json";

/// The page's own scripts only; it styles elements inline and draws its icons from data URLs.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

static PAGE: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from(FROM_THE_PAGE).validator_url("none")));

/// The description, rendered once.
#[derive(Debug, Clone)]
pub(crate) struct Description(pub(crate) Bytes);

/// The routes of this file that are described.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S> {
    OpenApiRouter::new().routes(routes!(openapi))
}

/// This description (OpenAPI 3.1)
#[utoipa::path(get, path = "/v1/openapi.json", tag = "service", responses(
    (status = 200, description = "OpenAPI 3.1", body = HashMap<String, Value>,
        content_type = "application/json"),
))]
async fn openapi(Extension(Description(json)): Extension<Description>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// The page's address has to end in a slash, because its files are named relative to it.
pub(crate) async fn docs() -> Redirect {
    Redirect::permanent("docs/")
}

/// The page.
pub(crate) async fn docs_index() -> Result<Response, ApiError> {
    file("index.html")
}

/// One of the page's files.
pub(crate) async fn docs_file(Path(name): Path<String>) -> Result<Response, ApiError> {
    file(&name)
}

fn file(name: &str) -> Result<Response, ApiError> {
    let found = utoipa_swagger_ui::serve(name, Arc::clone(&PAGE))
        .map_err(|error| ApiError::internal(error.to_string()))?
        .ok_or(ApiError::UnknownPath)?;
    let kind = HeaderValue::from_str(&found.content_type).map_err(ApiError::internal)?;
    // What is in the binary is sent from there: readers who take their time cost no memory.
    let bytes = match found.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(PAGE_POLICY),
    );
    Ok(response)
}
