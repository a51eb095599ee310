//! The start page, and answers for unknown paths.

use crate::pages::{self, AccountPage, NoticePage, WantsPage, WatchPage};
use crate::problem::ApiError;
use axum::Json;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use serde_json::json;

/// The start: the page of a person's account for browsers, links for programs. The links are relative, so
/// that they hold behind whatever path a proxy in front puts before ours.
pub(crate) async fn landing(wants: WantsPage) -> Response {
    if wants.page {
        let mut page = pages::respond(StatusCode::OK, &AccountPage);
        pages::allow_worker(page.headers_mut());
        return page;
    }
    let links = json!({
        "service": "llm-permission-proxy",
        "documentation": "docs/",
        "description": "v1/openapi.json",
        "health": "v1/healthz",
    });
    Json(links).into_response()
}

/// The page that watches a task. It is the same for everybody.
pub(crate) async fn watch() -> Response {
    pages::respond(StatusCode::OK, &WatchPage)
}

/// A link to which some program has added a slash: its page names its files relative to where it is.
pub(crate) async fn without_slash(uri: Uri) -> Response {
    let path = uri.path().trim_end_matches('/');
    let link = path.rsplit('/').next().unwrap_or_default();
    Redirect::permanent(&format!("../{link}")).into_response()
}

/// No route at this path.
pub(crate) async fn unknown_path(method: Method, uri: Uri, wants: WantsPage) -> Response {
    // The whole server is asked about (RFC 9110, section 9.3.7).
    if method == Method::OPTIONS && uri.path() == "*" {
        let all = HeaderValue::from_static("GET,HEAD,POST,PATCH,OPTIONS");
        return (StatusCode::NO_CONTENT, [(header::ALLOW, all)]).into_response();
    }
    if wants.page {
        let page = NoticePage::not_found().at(&wants.path);
        return pages::respond(StatusCode::NOT_FOUND, &page);
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

#[cfg(test)]
mod tests {
    use crate::testing::Stage;
    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt as _;
    use url::Url;

    async fn got(stage: &Stage, path: &str, accept: &str) -> (u16, String) {
        let request = Request::builder().uri(path).header("accept", accept);
        let request = request.body(Body::empty()).unwrap();
        let answer = stage.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX)
            .await
            .unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn pages_at_any_path_find_their_style_behind_a_path_of_a_proxy() {
        let stage = Stage::new().await;
        for path in [
            "/",
            "/nothing",
            "/v1/",
            "/v1/approve/a/b/c",
            "/v1/approve/none",
            "/a/none",
        ] {
            let (status, html) = got(&stage, path, "text/html").await;
            assert!([200, 401, 404].contains(&status), "{path}: {status}");
            let (_, link) = html.split_once("<link rel=\"stylesheet\" href=\"").unwrap();
            let (link, _) = link.split_once('"').unwrap();
            let page = Url::parse(&format!("https://proxy.example.com/gate{path}")).unwrap();
            let found = page.join(link).unwrap();
            let style = found.path().strip_prefix("/gate").unwrap_or_default();
            assert_eq!(got(&stage, style, "*/*").await.0, 200, "{path}: {found}");
        }
    }
}
