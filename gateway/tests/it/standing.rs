//! A credential that is taken away, while a call is open and after.

use crate::stage::{AGENT, Answer, OTHER, Stage, head_and_body, is_gone, messages};
use gateway::Word;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const BEGUN: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n3\r\n:\n\n\r\n";

#[tokio::test]
async fn the_next_request_meets_a_refusal() {
    let mut stage = Stage::new().await;
    stage.revoke(AGENT);
    assert!(stage.ask(messages()).await.refuses(Word::Unauthorized));
    assert!(stage.is_quiet());
}

#[tokio::test]
async fn a_call_that_waits_is_refused_and_let_go_upstream() {
    let mut stage = Stage::new().await;
    let mut client = stage.sent(messages()).await;
    let mut upstream = stage.connection().await;
    head_and_body(&mut upstream).await;
    stage.revoke(AGENT);
    assert!(Answer::read(&mut client).await.refuses(Word::Unauthorized));
    assert!(is_gone(&mut upstream).await);
}

#[tokio::test]
async fn a_stream_is_broken_off_in_both_directions_and_those_of_others_go_on() {
    let mut stage = Stage::new().await;
    let mut open = Vec::new();
    for credential in [AGENT, OTHER] {
        let mut client = stage.sent(messages().replace(AGENT, credential)).await;
        let mut upstream = stage.connection().await;
        head_and_body(&mut upstream).await;
        upstream.write_all(BEGUN.as_bytes()).await.unwrap();
        client.read_exact(&mut [0; 1]).await.unwrap();
        open.push((client, upstream));
    }
    stage.revoke(AGENT);
    let (mut other, mut theirs) = open.pop().unwrap();
    let (mut client, mut upstream) = open.pop().unwrap();
    assert!(is_gone(&mut upstream).await);
    let mut rest = Vec::new();
    drop(client.read_to_end(&mut rest).await);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it ends as if it were whole");
    theirs.write_all(b"0\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    other.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_keep_upstream_open() {
    let mut stage = Stage::new().await;
    let client = stage.sent(messages()).await;
    let mut upstream = stage.connection().await;
    head_and_body(&mut upstream).await;
    upstream.write_all(BEGUN.as_bytes()).await.unwrap();
    let piece = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
    // Until nothing more is taken on the way.
    let full = std::time::Duration::from_millis(500);
    while let Ok(written) = tokio::time::timeout(full, upstream.write_all(&piece)).await {
        written.unwrap();
    }
    stage.revoke(AGENT);
    let ended = async { while upstream.write_all(&piece).await.is_ok() {} };
    tokio::time::timeout(crate::stage::SOON, ended)
        .await
        .expect("upstream is still open");
    drop(client);
}
