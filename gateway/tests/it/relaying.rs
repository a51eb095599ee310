//! What goes on, as it is, in both directions.

use crate::stage::{AGENT, STORED, Stage, USER, head_and_body, messages, request};
use gateway::Word;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn a_request_goes_up_with_the_stored_key_and_nothing_that_was_not_meant_for_upstream() {
    let mut stage = Stage::new().await;
    let sent = request(
        "POST /proxy/anthropic/v1/messages?beta=true&q='{%22x%22}",
        "content-type: application/json\r\nanthropic-beta: a,b\r\nauthorization: Bearer cak_agent\r\n\
         x-stainless-os: Linux\r\ncookie: a=b\r\naccept-encoding: gzip, br\r\n\
         x-forwarded-for: 192.0.2.1\r\nuser-agent: x\r\n",
        "{\"a\": 1}",
    );
    let client = stage.sent(sent).await;
    let asked = stage
        .answer_one("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        .await;
    drop(client);
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(
        lines.next(),
        Some("POST /v1/messages?beta=true&q='{%22x%22} HTTP/1.1")
    );
    let mut names: Vec<&str> = lines.map(|line| line.split_once(": ").unwrap().0).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept-encoding",
            "anthropic-beta",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "x-api-key",
        ]
    );
    assert_eq!(body, "{\"a\": 1}");
    assert!(head.contains(&format!("x-api-key: {STORED}")), "{head}");
    assert!(head.contains("accept-encoding: gzip\r\n"), "{head}");
    assert!(!asked.contains(AGENT), "{asked}");
}

#[tokio::test]
async fn an_answer_comes_down_as_it_is_and_errors_too() {
    let mut stage = Stage::new().await;
    for (status, body) in [
        ("200 OK", "{\"id\":  1}"),
        ("400 Bad Request", "{\"type\":\"error\"}"),
        ("429 Too Many Requests", "slow down"),
        ("529 Overloaded", "{}"),
    ] {
        let mut client = stage.sent(messages()).await;
        let length = body.len();
        stage
            .answer_one(format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nrequest-id: req_1\r\nretry-after: 7\r\n\
                 anthropic-ratelimit-x: 1\r\nset-cookie: a=b\r\nx-llm-proxy-code: forbidden\r\n\r\n{body}"
            ))
            .await;
        let answer = crate::stage::Answer::read(&mut client).await;
        assert!(status.starts_with(&answer.status.to_string()));
        assert_eq!(answer.body, body);
        assert_eq!(answer.header("request-id"), Some("req_1"));
        assert_eq!(answer.header("retry-after"), Some("7"));
        assert_eq!(answer.header("anthropic-ratelimit-x"), Some("1"));
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.code(), None, "nothing relayed says that it is ours");
    }
}

#[tokio::test]
async fn each_piece_of_a_stream_arrives_before_the_next_one_is_sent() {
    let mut stage = Stage::new().await;
    let mut client = stage.sent(messages()).await;
    let mut upstream = stage.connection().await;
    head_and_body(&mut upstream).await;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    upstream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = String::new();
    for number in 0..20 {
        let event = format!("data: {number:02}\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        upstream.write_all(chunk.as_bytes()).await.unwrap();
        while !seen.contains(&event) {
            let mut piece = [0; 1024];
            let read = client.read(&mut piece).await.unwrap();
            assert_ne!(read, 0, "{seen}");
            seen.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
    }
    assert!(seen.contains("x-accel-buffering: no"), "{seen}");
}

#[tokio::test]
async fn a_body_in_chunks_goes_up_in_chunks() {
    let mut stage = Stage::new().await;
    let sent = format!(
        "POST /proxy/anthropic/v1/messages HTTP/1.1\r\nhost: ours\r\nx-api-key: {AGENT}\r\n\
         transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    );
    let client = stage.sent(sent).await;
    let mut upstream = stage.connection().await;
    let mut text = String::new();
    while !text.ends_with("0\r\n\r\n") {
        let mut piece = [0; 1024];
        let read = upstream.read(&mut piece).await.unwrap();
        text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    assert!(text.contains("transfer-encoding: chunked"), "{text}");
    drop(client);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_place_not_handed_on() {
    let mut stage = Stage::new().await;
    for status in [300, 301, 302, 303, 305, 307, 308] {
        let mut client = stage.sent(messages()).await;
        stage
            .answer_one(format!(
                "HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
            ))
            .await;
        let answer = crate::stage::Answer::read(&mut client).await;
        assert!(answer.refuses(Word::Unreachable));
        assert_eq!(answer.header("location"), None);
        assert!(stage.is_quiet());
    }
    let mut client = stage.sent(messages()).await;
    stage.answer_one("HTTP/1.1 304 Not Modified\r\n\r\n").await;
    assert_eq!(crate::stage::Answer::read(&mut client).await.status, 304);
}

#[tokio::test]
async fn what_clients_ask_before_they_have_a_credential_is_answered_here() {
    let mut stage = Stage::new().await;
    for (line, status) in [
        ("HEAD /proxy/anthropic", 200),
        ("HEAD /proxy/anthropic/", 200),
        ("HEAD /proxy/anthropic/api/hello", 200),
        ("POST /proxy/anthropic/api/event_logging/batch", 204),
    ] {
        let sent = format!("{line} HTTP/1.1\r\nhost: ours\r\nconnection: close\r\n\r\n");
        assert_eq!(stage.ask(sent).await.status, status, "{line}");
    }
    assert!(stage.is_quiet());
}

#[tokio::test]
async fn a_user_with_a_session_uses_a_key_of_their_own() {
    let mut stage = Stage::new().await;
    let client = stage.sent(messages().replace(AGENT, USER)).await;
    let asked = stage
        .answer_one("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        .await;
    assert!(asked.contains(STORED));
    drop(client);
}

#[tokio::test]
async fn links_about_batches_lead_here_and_results_come_as_they_are() {
    let mut stage = Stage::new().await;
    let link = "{\"results_url\": \"https://api.anthropic.com/v1/messages/batches/b1/results\"}";
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
         {:x}\r\n{link}\r\n0\r\n\r\n",
        link.len()
    );
    for (line, body, is_led) in [
        ("GET /proxy/anthropic/v1/messages/batches/b1", "", true),
        (
            "GET /proxy/anthropic/v1/messages/batches/b1/results",
            "",
            false,
        ),
    ] {
        let sent = request(line, "accept-encoding: gzip\r\n", body);
        let mut client = stage.sent(sent).await;
        let asked = stage.answer_one(&chunked).await;
        let answer = crate::stage::Answer::read(&mut client).await;
        assert!(answer.is_whole);
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let here = "https://proxy.example/gate/proxy/anthropic/v1/messages/batches/b1/results";
        assert_eq!(text.contains(here), is_led, "{line}: {text}");
        let coding = if is_led { "identity" } else { "gzip" };
        assert!(
            asked.contains(&format!("accept-encoding: {coding}\r\n")),
            "{asked}"
        );
    }
    // What upstream breaks off, or codes all the same, is not handed on in part.
    for answer in [
        chunked.trim_end_matches("0\r\n\r\n").to_owned(),
        chunked.replacen("content-type", "content-encoding: gzip\r\ncontent-type", 1),
    ] {
        let sent = request("GET /proxy/anthropic/v1/messages/batches/b1", "", "");
        let mut client = stage.sent(sent).await;
        stage.answer_one(answer).await;
        let answer = crate::stage::Answer::read(&mut client).await;
        assert!(answer.refuses(Word::Unreachable));
    }
}
