//! What is refused before, or while, something goes up.

use crate::stage::{
    AGENT, Answer, KEYLESS, OTHER, STORED, Stage, head_and_body, is_gone, messages, request,
};
use gateway::Word;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn every_route_but_the_open_ones_asks_for_a_credential_first() {
    let mut stage = Stage::new().await;
    for line in [
        "POST /proxy/anthropic/v1/messages",
        "POST /proxy/anthropic/v1/messages/count_tokens",
        "GET /proxy/anthropic/v1/messages/batches",
        "GET /proxy/anthropic/v1/models",
        "GET /proxy/anthropic/v1/files",
        "GET /proxy/anthropic/v1/organizations/me",
        "GET /proxy/anthropic/v1/nothing",
        "GET /proxy/anthropic/",
    ] {
        for credential in [
            "",
            "x-api-key: cak_nobody\r\n",
            "cookie: __Host-lpp=session\r\n",
        ] {
            let sent =
                format!("{line} HTTP/1.1\r\nhost: ours\r\nconnection: close\r\n{credential}\r\n");
            assert!(stage.ask(sent).await.refuses(Word::Unauthorized), "{line}");
        }
    }
    assert!(stage.is_quiet());
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused_before_anything_else() {
    let mut stage = Stage::new().await;
    for path in [
        "/v1/./messages",
        "/v1/%2e%2e/x",
        "/v1//messages",
        "/v1/%252e",
        "/v1/%6dessages",
    ] {
        let sent = request(&format!("POST /proxy/anthropic{path}"), "", "{}");
        assert!(stage.ask(sent).await.refuses(Word::Malformed), "{path}");
    }
    let coded = request(
        "POST /proxy/anthropic/v1/messages",
        "content-encoding: gzip\r\n",
        "{}",
    );
    assert!(stage.ask(coded).await.refuses(Word::Malformed));
    assert!(stage.is_quiet());
}

#[tokio::test]
async fn a_real_key_is_refused_and_told_which_variable_is_meant() {
    let mut stage = Stage::new().await;
    let sent = messages().replace(AGENT, STORED);
    let answer = stage.ask(sent).await;
    assert!(answer.refuses(Word::Unauthorized));
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(
        text.contains("ANTHROPIC_AUTH_TOKEN") && !text.contains(STORED),
        "{text}"
    );
    assert!(stage.is_quiet());
}

#[tokio::test]
async fn without_a_stored_key_the_refusal_says_where_one_is_stored() {
    let mut stage = Stage::new().await;
    let answer = stage.ask(messages().replace(AGENT, KEYLESS)).await;
    assert!(answer.refuses(Word::Unauthorized));
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(
        text.contains("/v1/agents/keyless/upstream-keys/anthropic"),
        "{text}"
    );
    assert!(stage.is_quiet());
}

#[tokio::test]
async fn closed_and_unknown_routes_and_other_methods_are_told_apart() {
    let mut stage = Stage::new().await;
    for (line, word) in [
        ("GET /proxy/anthropic/v1/organizations/me", Word::Forbidden),
        ("POST /proxy/anthropic/v1/complete", Word::NotFound),
        ("GET /proxy/anthropic/v1/files", Word::NotFound),
        ("GET /proxy/anthropic/v1/messages", Word::MethodNotAllowed),
    ] {
        assert!(
            stage.ask(request(line, "", "")).await.refuses(word),
            "{line}"
        );
    }
    let answer = stage.ask(request("GET /proxy/other/v1", "", "")).await;
    assert_eq!((answer.status, answer.code()), (404, Some("not_found")));
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert!(stage.is_quiet());
}

#[tokio::test]
async fn a_body_that_says_that_it_is_too_long_goes_nowhere() {
    let mut stage = Stage::new().await;
    let head = format!(
        "POST /proxy/anthropic/v1/messages HTTP/1.1\r\nhost: ours\r\nx-api-key: {AGENT}\r\n\
         connection: close\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        32 * MIB + 1
    );
    let answer = stage.ask(head).await;
    assert!(answer.refuses(Word::TooLarge));
    assert!(stage.is_quiet());
}

/// A body in chunks of 64 KiB each, until the other side does not take more.
async fn pour(client: &mut TcpStream, chunks: usize) {
    let mut chunk = b"10000\r\n".to_vec();
    chunk.resize(chunk.len() + 0x10000, b'x');
    chunk.extend_from_slice(b"\r\n");
    for _ in 0..chunks {
        if client.write_all(&chunk).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_body_in_chunks_is_cut_where_it_grows_too_long_and_never_whole_upstream() {
    let mut stage = Stage::new().await;
    let head = format!(
        "POST /proxy/anthropic/v1/messages HTTP/1.1\r\nhost: ours\r\nx-api-key: {AGENT}\r\n\
         connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let mut client = stage.sent(head).await;
    let mut upstream = stage.connection().await;
    let taken = tokio::spawn(async move {
        let mut bytes = Vec::new();
        drop(upstream.read_to_end(&mut bytes).await);
        bytes
    });
    pour(&mut client, 513).await;
    let answer = Answer::read(&mut client).await;
    assert!(answer.refuses(Word::TooLarge));
    let taken = taken.await.unwrap();
    assert!(taken.len() < 33 * MIB, "{}", taken.len());
    assert!(
        !taken.ends_with(b"0\r\n\r\n"),
        "upstream has a whole request"
    );
}

#[tokio::test]
async fn thirty_one_mebibytes_pass() {
    let mut stage = Stage::new().await;
    let head = format!(
        "POST /proxy/anthropic/v1/messages HTTP/1.1\r\nhost: ours\r\nx-api-key: {AGENT}\r\n\
         connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let mut client = stage.sent(head).await;
    let mut upstream = stage.connection().await;
    let taken = tokio::spawn(async move {
        let (mut bytes, mut piece) = (Vec::new(), vec![0; 65536]);
        while !bytes.ends_with(b"0\r\n\r\n") {
            let read = upstream.read(&mut piece).await.unwrap();
            assert_ne!(read, 0);
            bytes.extend_from_slice(&piece[..read]);
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        upstream.write_all(answer).await.unwrap();
        bytes.len()
    });
    pour(&mut client, 31 * 16).await;
    client.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(Answer::read(&mut client).await.status, 200);
    assert!(taken.await.unwrap() >= 31 * MIB);
}

#[tokio::test]
async fn a_credential_with_as_many_calls_open_as_it_may_is_told_to_come_back() {
    let mut stage = Stage::with(|settings| settings.calls_per_key = 2).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let client = stage.sent(messages()).await;
        let mut upstream = stage.connection().await;
        head_and_body(&mut upstream).await;
        open.push((client, upstream));
    }
    let refused = stage.ask(messages()).await;
    assert!(refused.refuses(Word::Busy));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("x-should-retry"), Some("true"));
    let client = stage.sent(messages().replace(AGENT, OTHER)).await;
    stage.connection().await;
    assert_eq!(stage.gateway.open_calls(), 3);
    drop((open, client));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while stage.gateway.open_calls() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "a place is kept");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_resets_or_speaks_something_else_is_a_502() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let stage = Stage::with(|settings| settings.anthropic_base = base.parse().unwrap()).await;
    assert!(stage.ask(messages()).await.refuses(Word::Unreachable));

    let mut stage = Stage::new().await;
    for answer in ["", "220 mail.example ESMTP\r\n", "HTTP/1.1 200"] {
        let mut client = stage.sent(messages()).await;
        stage.answer_one(answer).await;
        assert!(
            Answer::read(&mut client).await.refuses(Word::Unreachable),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_batch_is_held_to_the_rules_of_each_message_in_it() {
    let mut stage = Stage::ruled().await;
    let batch = |model: &str| {
        let body = format!(
            "{{\"requests\":[{{\"custom_id\":\"a\",\"params\":{{\"model\":\"allowed\"}}}},\
             {{\"custom_id\":\"b\",\"params\":{{\"model\":\"{model}\"}}}}]}}"
        );
        request(
            "POST /proxy/anthropic/v1/messages/batches",
            "content-type: application/json\r\n",
            &body,
        )
    };
    assert!(stage.ask(batch("denied")).await.refuses(Word::Quota));
    let twice = batch("allowed").replace("custom_id\":\"b", "params\":{},\"x\":\"b");
    let refused = stage.ask(twice).await;
    assert!(refused.refuses(Word::Malformed));
    assert!(stage.is_quiet());
    let mut client = stage.sent(batch("allowed")).await;
    stage
        .answer_one("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        .await;
    assert_eq!(Answer::read(&mut client).await.status, 200);
}

#[tokio::test]
async fn an_upstream_that_switches_protocols_is_a_502() {
    let mut stage = Stage::new().await;
    let mut client = stage.sent(messages()).await;
    stage
        .answer_one(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        )
        .await;
    assert!(Answer::read(&mut client).await.refuses(Word::Unreachable));
}

#[tokio::test]
async fn a_silent_upstream_is_a_504_and_let_go() {
    let mut stage = Stage::with(|settings| settings.idle = Duration::from_millis(300)).await;
    let mut client = stage.sent(messages()).await;
    let mut upstream = stage.connection().await;
    head_and_body(&mut upstream).await;
    assert!(Answer::read(&mut client).await.refuses(Word::Timeout));
    assert!(is_gone(&mut upstream).await);
}

#[tokio::test]
async fn a_rule_that_reads_the_model_is_held_to_what_goes_up_and_to_lists_of_models() {
    let mut stage = Stage::ruled().await;
    let line = "POST /proxy/anthropic/v1/messages";
    let denied = stage.ask(request(line, "", "{\"model\":\"denied\"}")).await;
    assert!(denied.refuses(Word::Quota));
    let twice = "{\"model\":\"fine\",\"model\":\"denied\"}";
    let twice = stage.ask(request(line, "", twice)).await;
    assert!(twice.refuses(Word::Malformed));
    assert!(stage.is_quiet());
    let fine = "{ \"model\" : \"fine\" }";
    let mut client = stage.sent(request(line, "", fine)).await;
    let asked = stage
        .answer_one("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        .await;
    assert!(asked.ends_with(fine), "{asked}");
    assert_eq!(Answer::read(&mut client).await.status, 200);

    let models = "{\"data\":[{\"id\":\"fine\"},{\"id\":\"denied\"}]}";
    let length = models.len();
    let line = "GET /proxy/anthropic/v1/models?limit=1000";
    let mut client = stage
        .sent(request(line, "accept-encoding: gzip\r\n", ""))
        .await;
    let asked = stage
        .answer_one(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{models}"
        ))
        .await;
    assert!(asked.contains("accept-encoding: identity\r\n"), "{asked}");
    let answer = Answer::read(&mut client).await;
    assert_eq!(&answer.body[..], b"{\"data\":[{\"id\":\"fine\"}]}");
}
