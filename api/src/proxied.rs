//! What is below `/proxy/`: answered by somebody else, outside of the limits and headers of this surface. It has
//! limits of its own, and its answers are those of another API.

use crate::limits::bounds::LongAnswer;
use crate::limits::request_id::draw;
use crate::schemes::seen_from::seen_from;
use crate::state::AppState;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument as _;

/// Answers the requests below `/proxy/`. Each has its [`ledger::RequestId`] and its [`app::edge::SeenFrom`] among its
/// extensions.
pub type Proxies = Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

/// Where such a request went: its path belongs to another API.
const ROUTE: &str = "/proxy/{*path}";

/// The service with proxies.
pub fn with_proxies(router: Router, state: AppState, proxies: Proxies) -> Router {
    let answer = move |request| answer(state.clone(), Arc::clone(&proxies), request);
    router.route(ROUTE, any(answer))
}

async fn answer(state: AppState, proxies: Proxies, request: Request) -> Response {
    let ledger = &state.app.ledger;
    let id = draw(&**ledger.random(), ledger.clock().now());
    let (mut parts, body) = request.into_parts();
    let seen = seen_from(&parts, &state.config.trusted_proxies);
    parts.extensions.insert(id);
    parts.extensions.insert(seen);
    let request = Request::from_parts(parts, body);
    let span = tracing::info_span!("request", request.id = %id, http.route = ROUTE);
    let begun = Instant::now();
    let mut response = proxies(request).instrument(span.clone()).await;
    // Until its head; the rest takes as long as upstream wants.
    let elapsed = begun.elapsed();
    let _entered = span.enter();
    let status = response.status();
    tracing::info!(
        target: "access",
        { http.status = status.as_u16(), duration_ms = elapsed.as_secs_f64() * 1000.0 },
        "answered"
    );
    let labels = [
        ("route", ROUTE.to_owned()),
        ("status", status.as_u16().to_string()),
    ];
    metrics::counter!("proxy_requests_total", &labels).increment(1);
    metrics::histogram!("proxy_head_duration_seconds", &labels).record(elapsed);
    response.extensions_mut().insert(LongAnswer);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Server, Timeouts, listen};
    use crate::testing::{PATIENCE, Stage};
    use axum::body::{Body, Bytes};
    use axum::response::IntoResponse as _;
    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use http::StatusCode;
    use std::io;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio_util::sync::CancellationToken;

    /// Reads the whole body, and answers with a piece of one that breaks off.
    fn broken_off(request: Request) -> BoxFuture<'static, Response> {
        async {
            assert!(request.extensions().get::<ledger::RequestId>().is_some());
            let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
            if body.is_err() {
                return StatusCode::BAD_REQUEST.into_response();
            }
            let pieces = [Ok("a piece"), Err(io::Error::other("no more"))];
            // The piece goes out before the end comes.
            let pieces = stream::iter(pieces).then(|piece| async {
                tokio::task::yield_now().await;
                piece
            });
            Body::from_stream(pieces).into_response()
        }
        .boxed()
    }

    /// The bytes that a client reads, and the end of its connection.
    async fn asked(version: &str, length: usize) -> (String, io::Result<()>) {
        let stage = Stage::new().await;
        let proxies: Proxies = Arc::new(broken_off);
        let router = with_proxies(stage.router.clone(), stage.state.clone(), proxies);
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = Server::new(16, Timeouts::default());
        let (router, stopping) = (router.clone(), stop.clone());
        let serving = tokio::spawn(async move { server.serve(listener, router, stopping).await });
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /proxy/a/b HTTP/{version}\r\nhost: x\r\ncontent-length: {length}\r\n\r\n"
        );
        client.write_all(head.as_bytes()).await.unwrap();
        client
            .write_all(&Bytes::from(vec![b'x'; length]))
            .await
            .unwrap();
        let mut read = Vec::new();
        let reading = client.read_to_end(&mut read);
        let ended = tokio::time::timeout(PATIENCE, reading).await.unwrap();
        stop.cancel();
        serving.await.unwrap().unwrap();
        (String::from_utf8(read).unwrap(), ended.map(drop))
    }

    #[tokio::test]
    async fn what_is_proxied_has_no_limit_and_no_header_of_this_surface() {
        let (answer, _) = asked("1.1", 3 * 1024 * 1024).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        for name in ["content-security-policy", "x-request-id", "x-frame-options"] {
            assert!(!answer.contains(name), "{answer}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_does_not_end_as_if_it_were_whole() {
        let (answer, _) = asked("1.1", 0).await;
        assert!(answer.ends_with("a piece\r\n"), "{answer}");
        let (answer, ended) = asked("1.0", 0).await;
        assert!(!answer.contains("chunked"), "{answer}");
        assert!(ended.is_err(), "only a reset says so: {answer}");
    }
}
