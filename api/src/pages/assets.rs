//! Style sheet, scripts, icons and the manifest of the installed app, embedded in the binary and served under one path for each build.
//!
//! A page names its assets below the bundle's digest, so a browser may keep them for good; the
//! modules import each other relatively and so stay within one bundle. A page that was loaded before
//! an upgrade still gets its (newer) assets under the old digest, but not to keep.

use super::headers::set_common_headers;
use crate::problem::ApiError;
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{self, HeaderValue};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

/// The route's template; the address of an asset is [`base`] and its name.
pub const ASSETS_ROUTE: &str = "/assets/{bundle}/{file}";

/// The assets as seen from a page, which is two levels deep: `/v1/enrol/{link}`, `/v1/setup/{link}`.
const FROM_A_PAGE: &str = "../../assets";

/// Sixteen hex digits over every asset's name and content.
static BUNDLE: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Assets::iter().collect();
    names.sort();
    let mut digest = Sha256::new();
    for name in names {
        if let Some(file) = Assets::get(&name) {
            digest.update(name.as_bytes());
            digest.update([0]);
            digest.update(file.metadata.sha256_hash());
        }
    }
    hex::encode(digest.finalize()).chars().take(16).collect()
});

/// The path under which the pages behind links name their assets, without a slash at its end. It is
/// relative, so that it holds whatever path a proxy in front puts before ours.
#[must_use]
pub fn base() -> String {
    format!("{FROM_A_PAGE}/{}", *BUNDLE)
}

/// The same for a page at any path of this service.
pub(super) fn base_from(path: &str) -> String {
    format!("{}assets/{}", up(path), *BUNDLE)
}

/// The way from a path of this service to its root, with a slash at its end.
pub(crate) fn root_from(path: &str) -> String {
    let up = up(path);
    match up.is_empty() {
        true => "./".to_owned(),
        false => up,
    }
}

fn up(path: &str) -> String {
    let levels = path.matches('/').count().saturating_sub(1);
    "../".repeat(levels)
}

/// The public route that serves the assets.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(ASSETS_ROUTE, get(serve))
}

async fn serve(Path((bundle, file)): Path<(String, String)>) -> Response {
    let (Some(content), Some(media_type)) = (Assets::get(&file), media_type(&file)) else {
        return ApiError::UnknownPath.into_response();
    };
    let keep = if bundle == *BUNDLE {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    };
    let mut response = content.data.into_response();
    let headers = response.headers_mut();
    set_common_headers(headers);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    response
}

fn media_type(file: &str) -> Option<&'static str> {
    match file.rsplit_once('.')?.1 {
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "png" => Some("image/png"),
        "webmanifest" => Some("application/manifest+json"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http::{Request, StatusCode};
    use serde_json::Value;
    use tower::ServiceExt;

    async fn get(path: &str) -> Response {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router::<()>().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn every_asset_is_served_typed_and_kept_under_its_digest_only() {
        let mut served = 0;
        for name in Assets::iter() {
            let current = get(&format!("/assets/{}/{name}", *BUNDLE)).await;
            assert_eq!(current.status(), StatusCode::OK, "{name}");
            let cache = current.headers()[header::CACHE_CONTROL].to_str().unwrap();
            assert!(cache.contains("immutable"));
            let old = get(&format!("/assets/0123456789abcdef/{name}")).await;
            assert_eq!(old.headers()[header::CACHE_CONTROL], "no-store");
            served += 1;
        }
        assert!(served >= 4);
    }

    #[tokio::test]
    async fn what_is_not_an_asset_is_not_found() {
        for path in [
            "/assets/x/nothing.js",
            "/assets/x/..%2F..%2FCargo.toml",
            "/assets/x/",
        ] {
            assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    /// An installed app begins at the inbox and stays at this service, whatever path a proxy puts before ours.
    #[test]
    fn the_manifest_leads_to_the_inbox_and_to_icons_that_there_are() {
        let file = Assets::get("app.webmanifest").unwrap();
        let manifest: Value = serde_json::from_slice(&file.data).unwrap();
        let at = format!("https://proxy.example/gate/{}/app.webmanifest", "assets/0");
        let at = url::Url::parse(&at).unwrap();
        let leads = |to: &Value| String::from(at.join(to.as_str().unwrap()).unwrap());
        assert_eq!(
            leads(&manifest["start_url"]),
            "https://proxy.example/gate/inbox"
        );
        assert_eq!(leads(&manifest["scope"]), "https://proxy.example/gate/");
        assert_eq!(manifest["display"], "standalone");
        for icon in manifest["icons"].as_array().unwrap() {
            let file = Assets::get(icon["src"].as_str().unwrap()).unwrap();
            // Width and height of a PNG follow its signature and the head of its first chunk.
            let side =
                |from: usize| u32::from_be_bytes(file.data[from..from + 4].try_into().unwrap());
            let sizes = format!("{}x{}", side(16), side(20));
            assert_eq!(icon["sizes"], sizes.as_str());
        }
    }

    #[test]
    fn no_asset_reaches_outside() {
        for name in Assets::iter() {
            let file = Assets::get(&name).unwrap();
            if name.ends_with(".png") {
                continue;
            }
            let text = std::str::from_utf8(&file.data).unwrap();
            for foreign in ["http://", "https://", "@import", "eval(", "innerHTML"] {
                let allowed = name.ends_with(".svg") && foreign == "http://";
                assert!(allowed || !text.contains(foreign), "{name} has {foreign}");
            }
        }
    }
}
