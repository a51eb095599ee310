//! What is recorded of calls: intents before anything is sent, and every end.

use crate::stage::{Answer, Stage, head_and_body, request};
use gateway::Word;
use ledger::event::{BodyDigest, CallOutcome, CallRuling, RulingBasis};
use std::sync::atomic::Ordering;
use tokio::io::AsyncWriteExt as _;

const WRITES: [(&str, &str, &str); 5] = [
    (
        "POST /proxy/anthropic/v1/messages/batches",
        "anthropic.batches.write",
        "/v1/messages/batches",
    ),
    (
        "POST /proxy/anthropic/v1/messages/batches/b1/cancel",
        "anthropic.batches.write",
        "/v1/messages/batches/{id}/cancel",
    ),
    (
        "DELETE /proxy/anthropic/v1/messages/batches/b1",
        "anthropic.batches.write",
        "/v1/messages/batches/{id}",
    ),
    (
        "POST /proxy/anthropic/v1/files",
        "anthropic.files.write",
        "/v1/files",
    ),
    (
        "DELETE /proxy/anthropic/v1/files/f1",
        "anthropic.files.write",
        "/v1/files/{id}",
    ),
];

const OK: &str = "HTTP/1.1 200 OK\r\nrequest-id: req_7\r\ncontent-length: 2\r\n\r\n{}";

fn digest(body: &str) -> BodyDigest {
    let mut hasher = blake3::Hasher::new_derive_key(BodyDigest::CONTEXT);
    hasher.update(body.as_bytes());
    BodyDigest::from_bytes(*hasher.finalize().as_bytes())
}

#[tokio::test]
async fn nothing_is_changed_upstream_before_its_intent_is_on_record() {
    let mut stage = Stage::with(|settings| settings.files = true).await;
    stage.told.fails.store(true, Ordering::Relaxed);
    for (line, ..) in WRITES {
        let answer = stage.ask(request(line, "", "{}")).await;
        assert!(answer.refuses(Word::Internal), "{line}");
    }
    assert!(stage.is_quiet());
    stage.told.fails.store(false, Ordering::Relaxed);
    for (line, operation, route) in WRITES {
        let mut client = stage.sent(request(line, "", "{}")).await;
        let mut upstream = stage.connection().await;
        head_and_body(&mut upstream).await;
        let begun = stage.begun();
        let (id, subject, path) = begun.last().unwrap();
        assert_eq!((&*subject.operation, &*subject.route), (operation, route));
        assert!(line.ends_with(&format!("/proxy/anthropic{path}")), "{path}");
        upstream.write_all(OK.as_bytes()).await.unwrap();
        Answer::read(&mut client).await;
        let (ended, _) = stage.ended().await;
        assert!(ended.is_begun, "{line}");
        assert_eq!((ended.call_id, &ended.subject), (*id, subject));
        assert_eq!(ended.outcome, CallOutcome::Answered { status: 200 });
    }
}

#[tokio::test]
async fn the_end_of_every_call_that_was_sent_says_what_passed() {
    let mut stage = Stage::new().await;
    let line = "POST /proxy/anthropic/v1/messages";
    let mut client = stage.sent(request(line, "", "{\"a\":1}")).await;
    stage.answer_one(OK).await;
    Answer::read(&mut client).await;
    let (ended, usage) = stage.ended().await;
    assert_eq!(ended.subject.operation, "anthropic.messages.create");
    assert_eq!(ended.outcome, CallOutcome::Answered { status: 200 });
    assert_eq!((ended.request_bytes, ended.response_bytes), (7, 2));
    assert_eq!(ended.request_digest, digest("{\"a\":1}"));
    assert_eq!(ended.response_digest, digest("{}"));
    assert_eq!(ended.upstream_request_id.as_deref(), Some("req_7"));
    assert!(!ended.is_begun && usage.is_some());

    // Upstream breaks off.
    let mut client = stage.sent(request(line, "", "{}")).await;
    stage
        .answer_one("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")
        .await;
    Answer::read(&mut client).await;
    let (ended, _) = stage.ended().await;
    assert_eq!(ended.outcome, CallOutcome::BrokenOff { status: 200 });
    assert_eq!(
        (ended.response_bytes, ended.response_digest),
        (1, digest("{"))
    );

    // Upstream redirects, which is not handed on.
    let mut client = stage.sent(request(line, "", "{}")).await;
    stage
        .answer_one("HTTP/1.1 302 X\r\nlocation: /\r\ncontent-length: 0\r\n\r\n")
        .await;
    Answer::read(&mut client).await;
    let (ended, _) = stage.ended().await;
    let why = "unreachable".to_owned();
    assert_eq!(ended.outcome, CallOutcome::Unanswered { why });

    // The client goes before the answer begins.
    let client = stage.sent(request(line, "", "{}")).await;
    let mut upstream = stage.connection().await;
    head_and_body(&mut upstream).await;
    drop(client);
    let (ended, usage) = stage.ended().await;
    let why = "client_gone".to_owned();
    assert_eq!(ended.outcome, CallOutcome::Unanswered { why });
    assert!(usage.unwrap().is_interrupted, "it was a request");
}

#[tokio::test]
async fn what_is_refused_before_it_is_sent_is_no_call() {
    let mut stage = Stage::new().await;
    for line in [
        "GET /proxy/anthropic/v1/organizations/me",
        "PATCH /proxy/anthropic/v1/messages",
        "GET /proxy/anthropic/v1/nothing",
    ] {
        stage.ask(request(line, "", "")).await;
    }
    assert!(stage.is_quiet() && stage.told.is_silent());
}

/// The operations that a policy was asked about, with what it read of the request.
fn asked(ruling: Option<&CallRuling>) -> Vec<(String, Option<String>)> {
    let Some(RulingBasis::Evaluated {
        operations,
        more: 0,
    }) = ruling.map(|ruling| &ruling.basis)
    else {
        panic!("{ruling:?}")
    };
    let operations = operations.iter();
    operations
        .map(|one| (one.checked.operation.to_string(), one.params.clone()))
        .collect()
}

#[tokio::test]
async fn how_the_policy_let_a_call_through_is_recorded_with_it_once() {
    let mut stage = Stage::ruled().await;
    let own = |operation: &str| (operation.to_owned(), None);
    let message = |params: &str| {
        let operation = "anthropic.messages.create";
        (operation.to_owned(), Some(params.to_owned()))
    };
    // Of a message its end says it, of a batch its beginning, with each of its messages.
    let line = "POST /proxy/anthropic/v1/messages";
    let mut client = stage.sent(request(line, "", "{\"model\":\"fine\"}")).await;
    stage.answer_one(OK).await;
    assert_eq!(Answer::read(&mut client).await.status, 200);
    let (ended, _) = stage.ended().await;
    assert_eq!(
        asked(ended.ruling.as_ref()),
        [message("{\"model\":\"fine\"}")]
    );

    let line = "POST /proxy/anthropic/v1/messages/batches";
    let body =
        "{\"requests\":[{\"params\":{\"model\":\"fine\"}},{\"params\":{\"model\":\"good\"}}]}";
    let mut client = stage.sent(request(line, "", body)).await;
    stage.answer_one(OK).await;
    assert_eq!(Answer::read(&mut client).await.status, 200);
    let (ended, _) = stage.ended().await;
    assert!(ended.is_begun && ended.ruling.is_none());
    let [ruling] = stage.rulings().try_into().unwrap();
    let expected = [
        own("anthropic.batches.write"),
        message("{\"model\":\"fine\"}"),
        message("{\"model\":\"good\"}"),
    ];
    assert_eq!(asked(ruling.as_ref()), expected);
}
