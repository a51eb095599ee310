//! The outermost layer: gives each request its id, writes one log line and two metrics for it, puts
//! the headers on that every answer carries, and logs the cause of a 500, once.

use super::request_id::{X_CLIENT_REQUEST_ID, X_REQUEST_ID, draw, of_client};
use crate::problem::{Fault, Problem};
use crate::state::AppState;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use ledger::RequestId;
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
    let ledger = &state.app.ledger;
    let id = draw(&**ledger.random(), ledger.clock().now());
    let of_client = of_client(request.headers());
    request.extensions_mut().insert(id);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| UNMATCHED.to_owned(), |path| path.as_str().to_owned());
    let method = known(request.method());

    let span = tracing::info_span!(
        "request",
        request.id = %id,
        request.client_id = of_client.as_deref(),
        http.method = method,
        http.route = route
    );
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
    if let Some(value) = of_client.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(X_CLIENT_REQUEST_ID, value);
    }
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
    tracing::error!(error = %ledger::with_sources(&*cause), "internal error");
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

#[cfg(test)]
mod tests {
    use crate::testing::{AGENT, Stage};
    use axum::body::Body;
    use http::Request;
    use serde_json::{Value, json};
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tower::ServiceExt;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Everything that was logged on this thread while `work` ran, down to the finest level.
    async fn logged(work: impl Future<Output = ()>) -> String {
        // While one subscriber is all there is, a place that logs for the first time is asked about by its own
        // thread, for the whole process. The threads of other tests would turn it off here.
        static EVERYWHERE: std::sync::Once = std::sync::Once::new();
        EVERYWHERE.call_once(|| {
            let all = tracing::subscriber::set_global_default(tracing_subscriber::registry());
            all.unwrap();
        });
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        work.await;
        drop(guard);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_log_names_routes_and_never_a_link_or_token() {
        let stage = Stage::new().await;
        let (task, token) = stage.task(AGENT).await;
        let path = |rest: &str| format!("/v1/tasks/{}{rest}", task.task.id);
        let body = json!({
            "operations": [{
                "operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": "z1",
                "params": {"value": "off"},
            }],
            "callback": {"url": "https://localhost:9/hook", "secret": "callback-secret"},
        });
        let key = [("idempotency-key", "k1")];
        let mut secrets = vec![token.clone(), "callback-secret".to_owned()];
        let log = logged(async {
            let waiting = stage
                .send_with("POST", &path("/apply"), &token, &key, &body)
                .await;
            assert_eq!(waiting.status, 202, "{waiting:?}");
            let url = waiting.body["approval_url"].as_str().unwrap().to_owned();
            let link = url.rsplit('/').next().unwrap().to_owned();
            let resume = waiting.body["resume_token"].clone();
            for rest in ["", "/options", "/nowhere"] {
                let page = format!("/a/{link}{rest}");
                stage
                    .send("GET", &page, "bearer-of-nothing", &Value::Null)
                    .await;
            }
            let resumed = json!({"resume_token": resume});
            stage
                .send_with("POST", &path("/apply/continue"), &token, &key, &resumed)
                .await;
            secrets.extend([
                link,
                resume.as_str().unwrap().to_owned(),
                "bearer-of-nothing".into(),
            ]);
        })
        .await;
        for secret in secrets {
            let parts = secret.split('.').filter(|part| part.len() > 12);
            for part in parts.chain([secret.as_str()]) {
                // Every token of ours begins with the same header.
                let common = part.starts_with("eyJ0eXAiOiJKV1Qi") && !part.contains('.');
                assert!(common || !log.contains(part), "{part} is in the log");
            }
        }
        assert!(log.contains("/a/{link}/options"), "{log}");
        assert!(log.contains("(unmatched)"));
    }

    #[tokio::test]
    async fn a_fault_is_logged_once_with_its_request() {
        use crate::problem::ApiError;
        let stage = Stage::new().await;
        let broken = async || ApiError::internal("the disk is full");
        let routes = axum::Router::new().route("/broken", axum::routing::get(broken));
        let state = stage.state.clone();
        let layer = axum::middleware::from_fn_with_state(state.clone(), super::log);
        let routes = routes.layer(layer).with_state(state);
        let id = "0193f5a0-0000-7000-8000-000000000001";
        let log = logged(async {
            let request = Request::builder().uri("/broken").header("x-request-id", id);
            let request = request.body(Body::empty()).unwrap();
            let answer = routes.oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 500);
            assert_ne!(answer.headers()["x-request-id"], id);
        })
        .await;
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("the disk is full"))
            .collect();
        assert_eq!(lines.len(), 1, "{log}");
        assert!(lines[0].contains(id));
    }
}
