//! The whole surface: every route, what surrounds them, and their description.

use crate::limits::{access, bounds, panics};
use crate::openapi;
use crate::pages::assets;
use crate::problem::ApiError;
use crate::routes::docs::Description;
use crate::routes::{
    admissions, agents, applies, approvals, approvers, auth, callbacks, catalog, clearances,
    decisions, docs, enrolments, groups, health, history, keys, landing, ledger, lists, locks, me,
    pairing, policy, projections, schedules, setup, shortcuts, stream, tasks, templates,
    upstream_keys, upstreams, usage, users, views,
};
use crate::state::AppState;
use axum::routing::get;
use axum::{Extension, Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

/// Every described route. What is registered here is in the description, and only that.
pub(crate) fn described() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::head())
        .merge(health::router())
        .merge(decisions::router())
        .merge(catalog::router())
        .merge(docs::router())
        .merge(enrolments::router())
        .merge(auth::router())
        .merge(me::router())
        .merge(users::router())
        .merge(groups::router())
        .merge(tasks::router())
        .merge(applies::router())
        .merge(shortcuts::router())
        .merge(approvals::router())
        .merge(agents::router())
        .merge(keys::router())
        .merge(upstream_keys::router())
        .merge(upstreams::router())
        .merge(usage::router())
        .merge(pairing::router())
        .merge(setup::router())
        .merge(templates::router())
        .merge(clearances::router())
        .merge(locks::router())
        .merge(policy::router())
        .merge(admissions::router())
        .merge(schedules::router())
        .merge(approvers::router())
        .merge(callbacks::router())
        .merge(projections::router())
        .merge(lists::router())
        .merge(history::router())
        .merge(stream::router())
        .merge(ledger::router())
}

/// The service, ready to be served.
///
/// # Errors
/// [`ApiError::Internal`] when the description does not serialise, which no request can cause.
pub fn build_router(state: AppState) -> Result<Router, ApiError> {
    let (routes, description) = described().split_for_parts();
    let description = openapi::complete(description, &state.config.base_url);
    let description = serde_json::to_vec(&description).map_err(ApiError::internal)?;
    let mut routes = routes
        .merge(assets::router())
        .merge(views::router())
        .merge(decisions::short())
        .route("/v1/approve/{link}/", get(landing::without_slash))
        .route("/v1/enrol/{link}/", get(landing::without_slash))
        .route("/", get(landing::landing))
        .route("/watch", get(landing::watch))
        .route("/docs", get(docs::docs))
        .route("/docs/", get(docs::docs_index))
        .route("/docs/{*file}", get(docs::docs_file));
    if state.metrics.is_some() {
        routes = routes.route("/metrics", get(health::metrics));
    }
    Ok(surrounded(routes, state).layer(Extension(Description(description.into()))))
}

/// Puts the limits around routes; from the inside out: bounds, panics, access log.
fn surrounded(routes: Router<AppState>, state: AppState) -> Router {
    routes
        .fallback(landing::unknown_path)
        .method_not_allowed_fallback(landing::other_method)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            bounds::enforce,
        ))
        .layer(CatchPanicLayer::custom(panics::answer))
        .layer(middleware::from_fn_with_state(state.clone(), access::log))
        .with_state(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::json::StrictJson;
    use crate::testing::{Answer, Stage};
    use axum::body::Body;
    use axum::response::Response;
    use axum::routing::post;
    use http::Request;
    use serde_json::Value;
    use tower::ServiceExt;

    async fn probe(StrictJson(_): StrictJson<Value>) {}

    async fn broken() {
        panic!("the flux capacitor");
    }

    async fn ask(request: Request<Body>) -> Answer {
        let stage = Stage::new().await;
        let (routes, _) = described().split_for_parts();
        let routes = routes
            .route("/probe", post(probe))
            .route("/broken", get(broken));
        let response = surrounded(routes, stage.state.clone())
            .oneshot(request)
            .await
            .unwrap();
        Answer::of(response).await
    }

    async fn text(request: Request<Body>) -> (Response<()>, String) {
        let stage = Stage::new().await;
        let (parts, body) = stage
            .router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (
            Response::from_parts(parts, ()),
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
        Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(body.into())
            .unwrap()
    }

    fn refusal(answer: &Answer) -> (u16, &str) {
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.body["status"], answer.status);
        (answer.status, answer.code())
    }

    #[tokio::test]
    async fn an_unknown_path_is_a_404_without_authentication() {
        for path in ["/v1", "/v1/nothing", "/v1/tasks/", "/v2/healthz"] {
            let answer = ask(request("GET", path, "")).await;
            assert_eq!(refusal(&answer), (404, "not_found"), "{path}");
        }
    }

    #[tokio::test]
    async fn the_root_and_unknown_paths_are_pages_for_browsers() {
        let browser = |path: &str| {
            let mut asked = request("GET", path, "");
            let accept = "text/html,application/xhtml+xml".parse().unwrap();
            asked.headers_mut().insert("accept", accept);
            asked
        };
        let (root, html) = text(browser("/")).await;
        assert_eq!(root.status(), 200);
        assert!(html.contains("\"docs/\""), "{html}");
        let (unknown, html) = text(browser("/nothing")).await;
        assert_eq!(unknown.status(), 404);
        assert!(html.contains("There is nothing here"), "{html}");
        let (root, json) = text(request("GET", "/", "")).await;
        assert_eq!(root.headers()["content-type"], "application/json");
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["service"], "llm-permission-proxy");
        for name in ["documentation", "description", "health"] {
            let path = format!("/{}", json[name].as_str().unwrap());
            let (found, _) = text(request("GET", &path, "")).await;
            assert_eq!(found.status(), 200, "{path}");
        }
    }

    #[tokio::test]
    async fn a_slash_behind_a_link_leads_to_the_link() {
        for kind in ["v1/approve", "v1/enrol", "a"] {
            let slashed = format!("/{kind}/some.link/");
            let (moved, _) = text(request("GET", &slashed, "")).await;
            assert_eq!(moved.status(), 308);
            assert_eq!(moved.headers()["location"], "../some.link");
        }
    }

    #[tokio::test]
    async fn options_say_which_methods_there_are() {
        for (path, methods) in [
            ("/", "GET,HEAD"),
            ("/v1/healthz", "GET,HEAD"),
            ("/v1/tasks", "POST,GET,HEAD"),
        ] {
            let (answer, body) = text(request("OPTIONS", path, "")).await;
            assert_eq!(
                (answer.status().as_u16(), body.as_str()),
                (204, ""),
                "{path}"
            );
            assert_eq!(answer.headers()["allow"], methods, "{path}");
        }
        let (all, _) = text(request("OPTIONS", "*", "")).await;
        assert_eq!(all.status(), 204);
        let nothing = ask(request("OPTIONS", "/nothing", "")).await;
        assert_eq!(refusal(&nothing), (404, "not_found"));
    }

    #[tokio::test]
    async fn another_method_is_a_405_that_names_the_right_ones() {
        let answer = ask(request("DELETE", "/v1/healthz", "")).await;
        assert_eq!(answer.headers["allow"], "GET,HEAD");
        assert_eq!(refusal(&answer), (405, "method_not_allowed"));
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_says_nothing_but_the_request() {
        let mut broken = request("GET", "/broken", "");
        let id = "0193f5a0-0000-7000-8000-000000000001";
        broken
            .headers_mut()
            .insert("x-request-id", id.parse().unwrap());
        let answer = ask(broken).await;
        assert_eq!(answer.headers["x-client-request-id"], id);
        assert_eq!(refusal(&answer), (500, "internal"));
        let own = answer.headers["x-request-id"].to_str().unwrap();
        assert_eq!(answer.body["request_id"], own);
        assert_ne!(own, id);
        assert!(!answer.body.to_string().contains("capacitor"));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_a_413() {
        let fits = format!("\"{}\"", "x".repeat(1024 * 1024 - 2));
        assert_eq!(ask(request("POST", "/probe", fits)).await.status, 200);
        let larger = format!("\"{}\"", "x".repeat(1024 * 1024 - 1));
        let answer = ask(request("POST", "/probe", larger)).await;
        assert_eq!(refusal(&answer), (413, "payload_too_large"));
    }

    #[tokio::test]
    async fn bad_json_is_a_400_and_another_content_type_a_415() {
        for body in [
            "",
            "{",
            "{\"a\":1,}",
            "nonsense",
            "{\"a\":1,\"a\":2}",
            "9007199254740993",
        ] {
            let answer = ask(request("POST", "/probe", body)).await;
            assert_eq!(refusal(&answer), (400, "bad_request"), "{body}");
        }
        for kind in ["application/x-www-form-urlencoded", "text/plain"] {
            let mut form = request("POST", "/probe", "{}");
            let kind = kind.parse().unwrap();
            form.headers_mut().insert("content-type", kind);
            let refused = ask(form).await;
            assert_eq!(refusal(&refused), (415, "unsupported_media_type"));
        }
    }

    #[tokio::test]
    async fn a_request_has_an_id_of_its_own_and_what_is_no_id_is_not_repeated() {
        let mut odd = request("GET", "/v1/healthz", "");
        odd.headers_mut()
            .insert("x-request-id", "x\"} injected".parse().unwrap());
        let answer = ask(odd).await;
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
        assert!(!answer.headers.contains_key("x-client-request-id"));
    }

    #[tokio::test]
    async fn the_description_lists_what_is_registered() {
        let stage = Stage::new().await;
        let asked = request("GET", "/v1/openapi.json", "");
        let answer = Answer::of(stage.router.clone().oneshot(asked).await.unwrap()).await;
        assert_eq!(answer.body["info"]["title"], "llm-permission-proxy");
        assert!(answer.body["paths"]["/v1/healthz"]["get"].is_object());
    }

    #[tokio::test]
    async fn the_page_needs_nothing_from_elsewhere() {
        let (page, html) = text(request("GET", "/docs/", "")).await;
        assert_eq!(page.status(), 200);
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self';"), "{policy}");
        for tag in html.split("<script").skip(1) {
            assert!(
                tag.trim_start().starts_with("src=\"./"),
                "an inline script: {tag}"
            );
        }
        for file in ["swagger-ui.css", "swagger-ui-bundle.js", "index.css"] {
            let (found, _) = text(request("GET", &format!("/docs/{file}"), "")).await;
            assert_eq!(found.status(), 200, "{file}");
        }
        let (_, script) = text(request("GET", "/docs/swagger-initializer.js", "")).await;
        assert!(script.contains("/v1/openapi.json"), "{script}");
        assert!(!script.contains("https://"), "{script}");
    }
}
