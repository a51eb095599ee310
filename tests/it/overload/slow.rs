//! Clients that take their time: to say what they want, to send it, and to read the answer.

use super::{
    Answer, Bystander, Raw, metric, peak_kib, sandbox, signed, sockets, sockets_are_back_at,
};
use fixtures::sandbox::{Sandbox, until};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

/// Between two bytes of somebody who does not want to come to an end.
const DRIP: Duration = Duration::from_millis(50);

async fn impatient() -> Sandbox {
    sandbox(&[("CLIENT_TIMEOUT_SECS", "1"), ("KEEP_ALIVE_SECS", "1")]).await
}

/// Sends byte by byte until an answer comes.
async fn drip(address: SocketAddr, begin: String) -> Option<Answer> {
    let mut raw = Raw::connect(address).await;
    raw.send(begin).await;
    let mut drops = tokio::time::interval(DRIP);
    loop {
        tokio::select! {
            _ = drops.tick() => drop(raw.send("x").await),
            more = raw.read_some() => if !more {
                return raw.parsed();
            }
        }
        if let Some(answer) = raw.parsed() {
            assert!(raw.ends().await);
            return Some(answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_or_a_body_that_comes_byte_by_byte_is_a_408() {
    let sandbox = impatient().await;
    let service = sandbox.start().await;
    let bystander = Bystander::new(&sandbox, &service).await;
    let token = service.caller.bootstrap_token().unwrap();
    let body = format!(
        "POST /v1/tasks HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         {}authorization: Bearer {token}\r\n",
        signed(&sandbox, "ci")
    );
    let before = peak_kib(&service);
    let mut drips = JoinSet::new();
    for number in 0..90 {
        let begin = match number % 3 {
            0 => "GET /v1/healthz HTTP/1.1\r\nhost: ".to_owned(),
            1 => format!("{body}content-length: 100000\r\n\r\n{{"),
            _ => format!("{body}transfer-encoding: chunked\r\n\r\nfffff\r\n{{"),
        };
        drips.spawn(drip(service.address, begin));
    }
    bystander.is_served("meanwhile").await;
    for answer in drips.join_all().await {
        assert_eq!(answer.unwrap().problem(), 408);
    }
    let cost = peak_kib(&service).saturating_sub(before);
    assert!(cost < 32 * 1024, "{cost} KiB");
    let slow = metric(&service, "http_connections_ended_total{why=\"slow_head\"}").await;
    assert_eq!(slow, 30.0);
}

#[tokio::test]
async fn a_connection_that_rests_too_long_ends_without_a_word() {
    let sandbox = impatient().await;
    let service = sandbox.start().await;
    let mut never = Raw::connect(service.address).await;
    let mut once = Raw::connect(service.address).await;
    once.send("GET /v1/healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert_eq!(once.answer().await.unwrap().status, 200);
    assert!(never.ends().await && once.ends().await);
    let idle = metric(&service, "http_connections_ended_total{why=\"idle\"}").await;
    assert!(idle >= 2.0, "{idle}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_take_no_memory_and_end() {
    let sandbox = impatient().await;
    let service = sandbox.start().await;
    let bystander = Bystander::new(&sandbox, &service).await;
    bystander.is_served("before").await;
    let (before, base) = (sockets(&service), peak_kib(&service));
    // The largest that a stranger can ask for, a hundred times on each connection.
    let asked = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let mut readers = JoinSet::new();
    for _ in 0..100 {
        let (address, asked) = (service.address, asked.clone());
        readers.spawn(async move {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            let stream = socket.connect(address).await.unwrap();
            let mut raw = Raw {
                stream,
                read: Vec::new(),
            };
            raw.send(asked).await;
            raw
        });
    }
    let readers = readers.join_all().await;
    bystander.is_served("meanwhile").await;
    until("the end of those who do not read", async || {
        let ended = "http_connections_ended_total{why=\"answer_not_taken\"}";
        (metric(&service, ended).await >= 100.0).then_some(())
    })
    .await;
    // The kernel counts roughly: a peak may be told lower than before.
    let cost = peak_kib(&service).saturating_sub(base);
    println!("100 connections that do not read: {cost} KiB");
    assert!(cost < 32 * 1024, "{cost} KiB");
    drop(readers);
    sockets_are_back_at(&service, before).await;
}
