//! Ends that are none: what upstream does not finish is never handed on as if it were whole.

use crate::stage::{Answer, Stage, head_and_body, is_gone, messages, request};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A stream as Anthropic sends it, each event a chunk.
fn events() -> Vec<String> {
    let usage = "\"usage\":{\"input_tokens\":25,\"output_tokens\":1}";
    [
        (
            "message_start",
            format!("\"message\":{{\"id\":\"msg_1\",\"model\":\"claude-x\",{usage}}}"),
        ),
        ("ping", "\"x\":0".to_owned()),
        (
            "content_block_delta",
            "\"delta\":{\"text\":\"Hello\"}".to_owned(),
        ),
        (
            "message_delta",
            "\"usage\":{\"output_tokens\":15}".to_owned(),
        ),
        ("message_stop", "\"x\":1".to_owned()),
    ]
    .into_iter()
    .map(|(name, more)| format!("event: {name}\ndata: {{\"type\":\"{name}\",{more}}}\n\n"))
    .collect()
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";

fn chunked() -> String {
    let chunks = events()
        .into_iter()
        .map(|event| format!("{:x}\r\n{event}\r\n", event.len()));
    format!(
        "{STREAM}transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunks.collect::<String>()
    )
}

#[tokio::test]
async fn a_stream_that_is_cut_after_any_byte_is_never_whole() {
    let mut stage = Stage::new().await;
    let whole = chunked();
    let head = whole.find("\r\n\r\n").unwrap() + 4;
    for cut in head..whole.len() {
        let mut client = stage.sent(messages()).await;
        stage.answer_one(&whole[..cut]).await;
        let answer = Answer::read(&mut client).await;
        assert_eq!(
            (answer.status, answer.is_whole),
            (200, false),
            "after {cut}"
        );
    }
    let mut client = stage.sent(messages()).await;
    stage.answer_one(&whole).await;
    let answer = Answer::read(&mut client).await;
    assert!(answer.is_whole);
    assert_eq!(answer.body, events().concat());
}

#[tokio::test]
async fn what_came_before_the_cut_reaches_the_client() {
    let mut stage = Stage::new().await;
    let whole = chunked();
    let mut client = stage.sent(messages()).await;
    stage.answer_one(&whole[..whole.len() - 5]).await;
    let answer = Answer::read(&mut client).await;
    assert!(!answer.is_whole);
    assert_eq!(answer.body, events().concat());
}

#[tokio::test]
async fn a_stream_without_a_framing_is_whole_only_with_its_last_event() {
    let mut stage = Stage::new().await;
    let whole = events();
    for count in 0..=whole.len() {
        let mut client = stage.sent(messages()).await;
        stage
            .answer_one(format!("{STREAM}\r\n{}", whole[..count].concat()))
            .await;
        let answer = Answer::read(&mut client).await;
        assert_eq!(answer.is_whole, count == whole.len(), "{count} events");
    }
}

#[tokio::test]
async fn an_answer_that_is_shorter_than_it_says_is_not_whole() {
    let mut stage = Stage::new().await;
    let mut client = stage.sent(messages()).await;
    stage
        .answer_one("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}")
        .await;
    assert!(!Answer::read(&mut client).await.is_whole);
}

#[tokio::test]
async fn an_upstream_that_goes_silent_is_broken_off() {
    let mut stage = Stage::with(|settings| settings.idle = Duration::from_millis(300)).await;
    let mut client = stage.sent(messages()).await;
    let mut upstream = stage.connection().await;
    head_and_body(&mut upstream).await;
    let whole = chunked();
    upstream
        .write_all(&whole.as_bytes()[..whole.len() - 60])
        .await
        .unwrap();
    assert!(!Answer::read(&mut client).await.is_whole);
    assert!(is_gone(&mut upstream).await);
}

#[tokio::test]
async fn a_client_that_hangs_up_before_the_first_byte_takes_the_request_back() {
    let mut stage = Stage::new().await;
    // Dropped, and its own side ended alone.
    for is_half in [false, true] {
        let mut client = stage.sent(messages()).await;
        let mut upstream = stage.connection().await;
        head_and_body(&mut upstream).await;
        client.shutdown().await.unwrap();
        let client = is_half.then_some(client);
        assert!(is_gone(&mut upstream).await, "half: {is_half}");
        drop(client);
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_in_a_stream_ends_it_upstream() {
    let mut stage = Stage::new().await;
    for is_half in [false, true] {
        let mut client = stage.sent(messages()).await;
        let mut upstream = stage.connection().await;
        head_and_body(&mut upstream).await;
        let head = format!("{STREAM}transfer-encoding: chunked\r\n\r\n3\r\n:\n\n\r\n");
        upstream.write_all(head.as_bytes()).await.unwrap();
        let mut seen = [0; 1];
        client.read_exact(&mut seen).await.unwrap();
        client.shutdown().await.unwrap();
        let client = is_half.then_some(client);
        assert!(is_gone(&mut upstream).await, "half: {is_half}");
        drop(client);
    }
}

#[tokio::test]
async fn a_client_that_does_not_send_its_body_to_the_end_leaves_no_whole_request() {
    let mut stage = Stage::new().await;
    let client = stage
        .sent(messages().replace("content-length: 2", "content-length: 20"))
        .await;
    let mut upstream = stage.connection().await;
    drop(client);
    let mut bytes = Vec::new();
    drop(upstream.read_to_end(&mut bytes).await);
    assert!(
        bytes.ends_with(b"\r\n\r\n{}"),
        "{}",
        String::from_utf8_lossy(&bytes)
    );
}

#[tokio::test]
async fn what_a_stream_used_is_told_once_whatever_its_end_and_nothing_of_errors() {
    let mut stage = Stage::new().await;
    let whole = chunked();
    let mut client = stage.sent(messages()).await;
    stage.answer_one(&whole).await;
    Answer::read(&mut client).await;
    let used = stage.used().await;
    let counts = (used.input_tokens, used.output_tokens, used.is_interrupted);
    assert_eq!(counts, (25, 15, false));
    assert_eq!(used.model, "claude-x");

    // Upstream breaks off behind the first event.
    let first = whole.find("event: ping").unwrap();
    let mut client = stage.sent(messages()).await;
    stage.answer_one(&whole[..first]).await;
    Answer::read(&mut client).await;
    let used = stage.used().await;
    let counts = (used.input_tokens, used.output_tokens, used.is_interrupted);
    assert_eq!(counts, (25, 1, true));

    let mut client = stage.sent(messages()).await;
    stage
        .answer_one("HTTP/1.1 529 X\r\ncontent-length: 2\r\n\r\n{}")
        .await;
    Answer::read(&mut client).await;
    // An answer in one piece, whose client goes with its last byte.
    let body = "{\"model\":\"claude-x\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}";
    let length = body.len();
    let mut client = stage.sent(messages()).await;
    stage
        .answer_one(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
    Answer::read(&mut client).await;
    let used = stage.used().await;
    let counts = (used.input_tokens, used.output_tokens, used.is_interrupted);
    assert_eq!(counts, (3, 4, false), "the error before it used nothing");
}

#[tokio::test]
async fn a_client_that_hangs_up_at_any_event_is_gone_upstream_and_has_used_what_came() {
    let mut stage = Stage::new().await;
    let events = events();
    // The piece of text has no count of upstream's, and is estimated.
    for (count, output) in [(1, 1), (2, 1), (3, 2), (4, 15)] {
        let mut client = stage.sent(messages()).await;
        let mut upstream = stage.connection().await;
        head_and_body(&mut upstream).await;
        let chunks = events.iter().take(count);
        let chunks = chunks.map(|event| format!("{:x}\r\n{event}\r\n", event.len()));
        let begins = format!(
            "{STREAM}transfer-encoding: chunked\r\n\r\n{}",
            chunks.collect::<String>()
        );
        upstream.write_all(begins.as_bytes()).await.unwrap();
        let mut seen = String::new();
        while !seen.contains(events[count - 1].as_str()) {
            let mut piece = [0; 1024];
            let read = client.read(&mut piece).await.unwrap();
            assert_ne!(read, 0, "{seen}");
            seen.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
        drop(client);
        assert!(is_gone(&mut upstream).await, "after {count} events");
        let used = stage.used().await;
        let counts = (used.input_tokens, used.output_tokens, used.is_interrupted);
        assert_eq!(counts, (25, output, true), "after {count} events");
    }
}

#[tokio::test]
async fn a_call_that_its_client_left_before_the_answer_began_counts_as_a_request() {
    let mut stage = Stage::new().await;
    let client = stage.sent(messages()).await;
    let mut upstream = stage.connection().await;
    head_and_body(&mut upstream).await;
    drop(client);
    assert!(is_gone(&mut upstream).await);
    let used = stage.used().await;
    assert!(used.is_interrupted && used.output_tokens == 0, "{used:?}");
}

#[tokio::test]
async fn a_compressed_stream_comes_down_byte_for_byte_and_is_counted() {
    let mut stage = Stage::new().await;
    let mut coder = GzEncoder::new(Vec::new(), Compression::default());
    let mut chunks = Vec::new();
    for event in events() {
        coder.write_all(event.as_bytes()).unwrap();
        coder.flush().unwrap();
        chunks.push(std::mem::take(coder.get_mut()));
    }
    chunks.push(coder.finish().unwrap());
    let mut whole = format!("{STREAM}content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n")
        .into_bytes();
    for chunk in &chunks {
        whole.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        whole.extend_from_slice(chunk);
        whole.extend_from_slice(b"\r\n");
    }
    whole.extend_from_slice(b"0\r\n\r\n");
    let line = "POST /proxy/anthropic/v1/messages";
    let asks = request(line, "accept-encoding: br, gzip\r\n", "{}");
    let mut client = stage.sent(asks).await;
    let asked = stage.answer_one(&whole).await;
    assert!(asked.contains("accept-encoding: gzip\r\n"), "{asked}");
    let answer = Answer::read(&mut client).await;
    assert!(answer.is_whole);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.body, chunks.concat());
    let used = stage.used().await;
    let counts = (used.input_tokens, used.output_tokens, used.is_interrupted);
    assert_eq!(counts, (25, 15, false));
}

#[tokio::test]
async fn a_client_that_hangs_up_has_used_what_was_seen() {
    let mut stage = Stage::new().await;
    let whole = chunked();
    let last = whole.find("event: message_stop").unwrap();
    let mut client = stage.sent(messages()).await;
    let mut upstream = stage.connection().await;
    head_and_body(&mut upstream).await;
    upstream.write_all(&whole.as_bytes()[..last]).await.unwrap();
    let mut seen = String::new();
    while !seen.contains("message_delta") {
        let mut piece = [0; 1024];
        let read = client.read(&mut piece).await.unwrap();
        assert_ne!(read, 0);
        seen.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    drop(client);
    let used = stage.used().await;
    let counts = (used.input_tokens, used.output_tokens, used.is_interrupted);
    assert_eq!(counts, (25, 15, true));
}
