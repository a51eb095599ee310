//! Heads that are too large, malformed, or mean two things.

use super::bodies::Sender;
use super::{Raw, ask, sandbox};
use fixtures::service::Service;

const LARGEST: usize = 32 * 1024;

/// A request whose head has exactly so many bytes.
fn of_size(bytes: usize) -> String {
    let begin = "GET /v1/healthz HTTP/1.1\r\nhost: x\r\nx-filler: ";
    let end = "\r\n\r\n";
    let filler = "a".repeat(bytes - begin.len() - end.len());
    format!("{begin}{filler}{end}")
}

/// A request with so many fields.
fn with_fields(count: usize) -> String {
    let fields: String = (1..count).map(|n| format!("x-{n}: 1\r\n")).collect();
    format!("GET /v1/healthz HTTP/1.1\r\nhost: x\r\n{fields}\r\n")
}

async fn status(service: &Service, request: &str) -> u16 {
    ask(service.address, request).await.unwrap().status
}

async fn refused(service: &Service, request: &str) -> u16 {
    let mut raw = Raw::connect(service.address).await;
    raw.send(request).await;
    let answer = raw.answer().await.unwrap();
    assert!(raw.ends().await, "{request:?}");
    answer.problem()
}

#[tokio::test]
async fn a_head_at_the_limit_is_read_and_one_over_it_is_a_431() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    assert_eq!(status(&service, &of_size(LARGEST)).await, 200);
    assert_eq!(refused(&service, &of_size(LARGEST + 1)).await, 431);
    assert_eq!(refused(&service, &of_size(20 * LARGEST)).await, 431);
    assert_eq!(status(&service, &with_fields(100)).await, 200);
    assert_eq!(refused(&service, &with_fields(101)).await, 431);
    assert_eq!(refused(&service, &with_fields(2000)).await, 431);
    let target = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(LARGEST));
    assert_eq!(refused(&service, &target).await, 431);
}

#[tokio::test]
async fn what_is_no_request_or_more_than_one_is_a_400() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let post = |fields: &str| format!("POST /v1/tasks HTTP/1.1\r\nhost: x\r\n{fields}\r\n\r\n{{}}");
    for request in [
        "nonsense\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /v1/healthz HTTP/3.0\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\nhost : x\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\nx: a\r\n folded\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\nx\0y: a\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\nx: a\0b\r\n\r\n",
        &post("content-length: 2\r\ncontent-length: 3"),
        &post("content-length: 2, 3"),
        &post("content-length: +2"),
        &post("content-length: -1"),
        &post("content-length: 99999999999999999999999"),
        &post("transfer-encoding: gzip"),
        &post("transfer-encoding: chunked, gzip"),
        "POST /v1/tasks HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        &post("content-length: 2\r\ncontent-length: 2"),
        &post("transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        "GET /v1/healthz HTTP/1.1\nhost: x\n\n",
        "GET /v1/healthz HTTP/1.1\r\nhost: x\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\nhost: x\r\n\n",
        "\nGET /v1/healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\nhost: x\rx: y\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\nhost:\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\nhost: x\r\nHost: y\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\nhost: u@x\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\nhost: x, y\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\nhost: x/y\r\n\r\n",
        "GET http://y/v1/healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/health\x01z HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/health\tz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/health\x7fz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET  /v1/healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/healthz  HTTP/1.1\r\nhost: x\r\n\r\n",
        " GET /v1/healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/healthz http/1.1\r\nhost: x\r\n\r\n",
        "GET /v1/healthz\r\nhost: x\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\n host: x\r\n\r\n",
        "GET /v1/healthz HTTP/1.1\r\n: x\r\nhost: x\r\n\r\n",
    ] {
        assert_eq!(refused(&service, request).await, 400, "{request:?}");
    }
}

/// RFC 9112, section 6.1: which of the two is right cannot be known, and nothing is read after them.
#[tokio::test]
async fn a_body_with_two_lengths_is_refused_and_smuggles_no_second_request() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    for lengths in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "transfer-encoding: gzip, chunked",
    ] {
        let mut raw = Raw::connect(service.address).await;
        raw.send(format!(
            "POST /v1/tasks HTTP/1.1\r\nhost: x\r\n{lengths}\r\n\r\n0\r\n\r\n\
             GET /v1/healthz HTTP/1.1\r\nhost: x\r\n\r\n"
        ))
        .await;
        assert_eq!(raw.answer().await.unwrap().problem(), 400);
        assert!(raw.ends().await, "{lengths}");
    }
}

/// A body's bytes are none of a head, and the head behind them is held to the same rules.
#[tokio::test]
async fn a_head_behind_a_body_is_read_as_strictly() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let sender = Sender::new(&sandbox, &service, "ci").await;
    let health = "GET /v1/healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let body = "\n\nGET / HTTP/1.1\n\n";
    let head = sender.head("/v1/tasks", "k", &format!("content-length: {}", body.len()));
    let both = format!("{head}{body}\r\n{health}");
    for piece in [1, 3, both.len()] {
        let mut raw = Raw::connect(service.address).await;
        for bytes in both.as_bytes().chunks(piece) {
            raw.send(bytes).await;
        }
        assert_eq!(raw.answer().await.unwrap().problem(), 400);
        assert_eq!(raw.answer().await.unwrap().status, 200);
        raw.send(health.replace("\r\n", "\n")).await;
        assert_eq!(raw.answer().await.unwrap().problem(), 400);
        assert!(raw.ends().await);
    }
}

/// Where its end is not counted here, the connection ends with it.
#[tokio::test]
async fn a_body_of_chunks_and_a_large_head_are_the_last_of_their_connection() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let chunks = "POST /v1/healthz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
                  1\r\nx\r\n0\r\n\r\n";
    for (request, status) in [(chunks, 405), (&of_size(9000), 200)] {
        let mut raw = Raw::connect(service.address).await;
        raw.send(request).await;
        let answer = raw.answer().await.unwrap();
        assert_eq!(answer.status, status);
        assert!(answer.has("connection: close\r\n"), "{answer:?}");
        assert!(raw.ends().await);
    }
}

#[tokio::test]
async fn requests_one_behind_the_other_are_answered_in_their_order() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let mut raw = Raw::connect(service.address).await;
    let mut all = String::new();
    for number in 0..200 {
        let path = ["/v1/healthz", "/v1/nothing"][number % 2];
        all += &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    }
    raw.send(all + "nonsense\r\n\r\n").await;
    for number in 0..200 {
        let answer = raw.answer().await.unwrap();
        assert_eq!(answer.status, [200, 404][number % 2], "{number}");
    }
    let last = raw.answer().await.unwrap();
    assert_eq!(last.problem(), 400, "what comes behind them is refused");
    assert!(raw.ends().await);
}

#[tokio::test]
async fn http_1_0_is_answered_and_ends() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let mut raw = Raw::connect(service.address).await;
    raw.send("GET /v1/healthz HTTP/1.0\r\n\r\n").await;
    let answer = raw.answer().await.unwrap();
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "{\"ok\":true}")
    );
    assert!(raw.ends().await);
}
