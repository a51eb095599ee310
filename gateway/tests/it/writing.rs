//! Writes of Cloudflare's API: read whole, judged, written anew where they are forms, and carried out by the port.

use crate::stage::{AGENT, Answer, Stage};
use gateway::Word;
use tokio::io::AsyncWriteExt as _;

fn write(line: &str, content_type: &str, body: &str) -> String {
    let (method, path) = line.split_once(' ').unwrap();
    let length = body.len();
    format!(
        "{method} /proxy/cloudflare/client/v4{path} HTTP/1.1\r\nhost: ours\r\nauthorization: Bearer {AGENT}\r\n\
         user-agent: wrangler/4.164.0\r\ncookie: a=b\r\nif-match: \"a\"\r\nconnection: close\r\n\
         content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_write_is_handed_over_as_it_was_sent_and_answered_as_it_was_carried_out() {
    let mut stage = Stage::new().await;
    let body = "{\"type\":\"A\", \"name\":\"a\"}";
    let line = "POST /zones/z1/dns_records?x=%2Fy";
    let answer = stage.ask(write(line, "application/json", body)).await;
    assert_eq!((answer.status, answer.code()), (201, None));
    assert_eq!(answer.header("cf-ray"), Some("r1"));
    assert_eq!(answer.body, "{\"result\": {}}");
    let carried = stage.carried();
    let [write] = carried.as_slice() else {
        panic!("{carried:?}");
    };
    assert_eq!(write.operation.as_str(), "dns.record.write");
    assert_eq!(write.scope.to_string(), "zone z1");
    assert_eq!(write.target, "/zones/z1/dns_records?x=%2Fy");
    assert_eq!(write.body, body);
    assert_eq!(write.upstream.as_str(), "cloudflare");
    assert_eq!(write.patience.as_secs(), 285);
    let mut names: Vec<&str> = write.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-type", "if-match", "user-agent"]);
    assert!(stage.is_quiet(), "the port carries it out");
}

#[tokio::test]
async fn a_form_is_handed_over_newly_encoded_with_its_secrets_named() {
    let stage = Stage::new().await;
    let metadata = "{\"main_module\":\"a.js\",\"bindings\":[{\"type\":\"secret_text\",\"name\":\"S\",\"text\":\"t\"}]}";
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{metadata}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"a.js\"; filename=\"a.js\"\r\n\
         Content-Type: application/javascript+module\r\n\r\nexport default {{}}\r\n--b--\r\n"
    );
    let line = "PUT /accounts/a1/workers/scripts/s?bindings_inherit=strict";
    let sent = write(line, "multipart/form-data; boundary=b", &form);
    assert_eq!(stage.ask(sent.clone()).await.status, 201);
    assert_eq!(stage.ask(sent).await.status, 201);
    let carried = stage.carried();
    assert_eq!(carried[0].secrets, ["/metadata/bindings/0/text"]);
    assert_eq!(carried[0].body, carried[1].body);
    let content_type = carried[0].headers["content-type"].to_str().unwrap();
    let boundary = content_type.split_once("boundary=").unwrap().1;
    assert_ne!(boundary, "b");
    let text = String::from_utf8(carried[0].body.to_vec()).unwrap();
    assert_eq!(text, form.replace("--b", &format!("--{boundary}")));
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_too_long_or_of_another_type_is_not_handed_over() {
    let stage = Stage::new().await;
    let line = "POST /zones/z1/dns_records";
    let long = " ".repeat(10 * 1024 * 1024);
    for (content_type, body, word) in [
        ("application/json", "{\"a\":1,\"a\":2}", Word::Malformed),
        (
            "application/json",
            "{\"a\":9007199254740993}",
            Word::Malformed,
        ),
        ("text/plain", "{}", Word::Malformed),
        (
            "multipart/form-data; boundary=b",
            "--b--\r\n",
            Word::Malformed,
        ),
    ] {
        let answer = stage.ask(write(line, content_type, body)).await;
        assert!(answer.refuses_cloudflare(word), "{content_type}");
    }
    let said = write(line, "application/json", &format!("{long}{{}}"));
    let head = said.split_inclusive("\r\n\r\n").next().unwrap();
    let answer = stage.ask(head).await;
    assert!(answer.refuses_cloudflare(Word::TooLarge));
    // Without a length it is counted as it comes.
    let head = write(line, "application/json", "")
        .replace("content-length: 0\r\n", "transfer-encoding: chunked\r\n");
    let mut client = stage.sent(head).await;
    let piece = format!("{:x}\r\n{long}\r\n", long.len());
    drop(client.write_all(piece.as_bytes()).await);
    drop(client.write_all(b"2\r\n{}\r\n0\r\n\r\n").await);
    let answer = Answer::read(&mut client).await;
    assert!(answer.refuses_cloudflare(Word::TooLarge));
    assert!(stage.carried().is_empty());
}

#[tokio::test]
async fn a_client_that_goes_or_a_key_that_ends_takes_the_write_back() {
    let stage = Stage::new().await;
    let hold = "PUT /zones/z1/rulesets/phases/hold/entrypoint";
    let client = stage.sent(write(hold, "application/json", "{}")).await;
    stage.until_held(1).await;
    drop(client);
    stage.until_held(0).await;
    let mut client = stage.sent(write(hold, "application/json", "{}")).await;
    stage.until_held(1).await;
    stage.revoke(AGENT);
    let answer = Answer::read(&mut client).await;
    assert!(answer.refuses_cloudflare(Word::Unauthorized));
    stage.until_held(0).await;
}
