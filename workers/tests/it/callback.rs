//! Attempts against a real https receiver on this machine.

use bytes::Bytes;
use fixtures::receiver::{Answer, ReceivedRequest, Receiver, SignatureProblem};
use futures_util::future::BoxFuture;
use ledger::{CallbackPolicy, CallbackSecret, EventId, Timestamp};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use workers::callback::{
    Attempt, AttemptFailure, AttemptOutcome, CallbackSender, CallbackSenderConfig,
    CallbackSetupError, FailureCode, Lookup,
};

const SECRET: &str = "whsec_c2VjcmV0IG9mIHRoZSBvcmNoZXN0cmF0b3I=";
const BODY: &str = r#"{"event":{"event_id":"x","payload":{"name":"é"}}}"#;
/// 2026-11-22T14:00:00Z.
const NOW: Timestamp = Timestamp::from_micros(1_795_356_000_000_000);
const EVENT: EventId = EventId::from_bytes([7; 16]);

fn config(receiver: &Receiver) -> CallbackSenderConfig {
    let policy = CallbackPolicy::new(["localhost", "hooks.example.com"]).unwrap();
    CallbackSenderConfig {
        extra_roots_pem: Some(receiver.ca_pem().into()),
        ..CallbackSenderConfig::new(policy)
    }
}

async fn send(sender: &CallbackSender, url: &str) -> AttemptOutcome {
    let secret = CallbackSecret::new(SECRET).unwrap();
    let body = Bytes::from_static(BODY.as_bytes());
    sender
        .attempt(Attempt {
            url,
            secret: &secret,
            event_id: EVENT,
            body,
            now: NOW,
        })
        .await
}

async fn send_to(receiver: &Receiver) -> AttemptOutcome {
    let sender = CallbackSender::new(config(receiver)).unwrap();
    send(&sender, &receiver.url("/hook")).await
}

fn status_of(outcome: &AttemptOutcome) -> u16 {
    match outcome {
        AttemptOutcome::Delivered { status, .. } => *status,
        AttemptOutcome::Failed(failure) => panic!("not delivered: {failure:?}"),
    }
}

fn failure_of(outcome: AttemptOutcome) -> AttemptFailure {
    match outcome {
        AttemptOutcome::Failed(failure) => failure,
        AttemptOutcome::Delivered { status, .. } => panic!("delivered with {status}"),
    }
}

fn only(received: Vec<ReceivedRequest>) -> ReceivedRequest {
    let [request] = <[_; 1]>::try_from(received).unwrap();
    request
}

/// Gives the scripted answers in turn, the last one for good, and counts the questions.
#[derive(Clone)]
struct ScriptedLookup {
    answers: Arc<Mutex<Vec<Vec<IpAddr>>>>,
    asked: Arc<AtomicUsize>,
}

impl ScriptedLookup {
    fn new(answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = answers.iter().rev().map(parse).collect();
        Self {
            answers: Arc::new(Mutex::new(answers)),
            asked: Arc::default(),
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Lookup for ScriptedLookup {
    fn lookup(&self, _host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.pop()
        } else {
            answers.last().cloned()
        };
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("no such host")) })
    }
}

#[tokio::test]
async fn a_delivery_arrives_whole_and_signed_both_ways() {
    let receiver = Receiver::start().await.unwrap();
    let sender = CallbackSender::new(config(&receiver)).unwrap();

    let outcome = send(&sender, &receiver.url("/hook?tenant=a%20b")).await;

    assert_eq!(status_of(&outcome), 200);
    let request = only(receiver.received());
    assert_eq!(request.method(), "POST");
    assert_eq!(request.path_and_query(), "/hook?tenant=a%20b");
    assert_eq!(request.body(), BODY.as_bytes());
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(
        request.header("x-llm-proxy-event-id"),
        Some(&*EVENT.to_string())
    );
    assert_eq!(request.header("webhook-timestamp"), Some("1795356000"));
    assert_eq!(request.verify(SECRET.as_bytes()), Ok(()));
    let mismatch = SignatureProblem::Mismatch("x-llm-proxy-signature");
    assert_eq!(request.verify(b"another secret"), Err(mismatch));
}

#[tokio::test]
async fn every_2xx_is_delivered_and_nothing_else_is() {
    let receiver = Receiver::start().await.unwrap();
    for status in [200, 201, 202, 204, 299] {
        receiver.script([Answer::status(status)]);
        assert_eq!(status_of(&send_to(&receiver).await), status);
    }
    for status in [300, 304, 400, 401, 404, 410, 429, 500, 503, 599] {
        receiver.script([Answer::status(status)]);
        let failure = failure_of(send_to(&receiver).await);
        let redirects = (300..400).contains(&status);
        let code = if redirects {
            FailureCode::RedirectRefused
        } else {
            FailureCode::HttpStatus
        };
        assert_eq!((failure.code, failure.http_status), (code, Some(status)));
        assert!(
            failure.detail.contains(&status.to_string()),
            "{}",
            failure.detail
        );
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Receiver::start().await.unwrap();
    let receiver = Receiver::start().await.unwrap();
    receiver.script([Answer::redirect(&target.url("/elsewhere"))]);

    let failure = failure_of(send_to(&receiver).await);

    assert_eq!(
        (failure.code, failure.http_status),
        (FailureCode::RedirectRefused, Some(302))
    );
    assert_eq!(receiver.received().len(), 1);
    assert!(target.received().is_empty());
}

#[tokio::test]
async fn retry_after_is_handed_on_in_seconds_and_as_a_date() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([
        Answer::status(429).retry_after("17"),
        Answer::status(503).retry_after("Sun, 22 Nov 2026 14:02:00 GMT"),
        Answer::status(503),
    ]);
    for expected in [Some(17), Some(120), None] {
        let failure = failure_of(send_to(&receiver).await);
        assert_eq!(failure.retry_after, expected.map(Duration::from_secs));
    }
}

#[tokio::test]
async fn the_body_of_the_answer_is_not_waited_for() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([Answer::status(200).with_endless_body()]);
    assert_eq!(status_of(&send_to(&receiver).await), 200);
}

#[tokio::test]
async fn each_attempt_connects_and_asks_for_the_address_anew() {
    let receiver = Receiver::start().await.unwrap();
    let lookup = ScriptedLookup::new(&[&["127.0.0.1"]]);
    let sender = CallbackSender::with_lookup(config(&receiver), Arc::new(lookup.clone())).unwrap();
    for attempts in 1..=3 {
        assert_eq!(status_of(&send(&sender, &receiver.url("/")).await), 200);
        assert_eq!(lookup.asked(), attempts);
    }
}

#[tokio::test]
async fn a_name_that_turns_to_a_private_address_is_refused_from_then_on() {
    let receiver = Receiver::start().await.unwrap();
    let lookup = ScriptedLookup::new(&[&["127.0.0.1"], &["169.254.169.254", "10.0.0.1"]]);
    let sender = CallbackSender::with_lookup(config(&receiver), Arc::new(lookup)).unwrap();

    assert_eq!(status_of(&send(&sender, &receiver.url("/")).await), 200);
    let failure = failure_of(send(&sender, &receiver.url("/")).await);

    assert_eq!(failure.code, FailureCode::AddressRefused);
    assert!(
        failure.detail.contains("169.254.169.254"),
        "{}",
        failure.detail
    );
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn another_name_never_reaches_this_machine() {
    let receiver = Receiver::start().await.unwrap();
    let url = format!("https://hooks.example.com:{}/", receiver.address().port());
    let nets = vec!["127.0.0.0/8".parse().unwrap(), "0.0.0.0/0".parse().unwrap()];
    for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"] {
        let config = CallbackSenderConfig {
            allowed_nets: nets.clone(),
            ..config(&receiver)
        };
        let lookup = ScriptedLookup::new(&[&[address]]);
        let sender = CallbackSender::with_lookup(config, Arc::new(lookup)).unwrap();
        let failure = failure_of(send(&sender, &url).await);
        assert_eq!(
            failure.code,
            FailureCode::AddressRefused,
            "{address}: {failure:?}"
        );
    }
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_ones_are_tried() {
    let receiver = Receiver::start().await.unwrap();
    let lookup = ScriptedLookup::new(&[&["10.0.0.1", "127.0.0.1", "192.168.0.1"]]);
    let sender = CallbackSender::with_lookup(config(&receiver), Arc::new(lookup)).unwrap();
    assert_eq!(status_of(&send(&sender, &receiver.url("/")).await), 200);
}

#[tokio::test]
async fn a_url_that_is_no_longer_allowed_is_not_resolved() {
    let receiver = Receiver::start().await.unwrap();
    let lookup = ScriptedLookup::new(&[&["127.0.0.1"]]);
    let sender = CallbackSender::with_lookup(config(&receiver), Arc::new(lookup.clone())).unwrap();
    let port = receiver.address().port();
    for url in [
        "https://taken-off-the-list.example/".to_owned(),
        format!("https://127.0.0.1:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://[::ffff:7f00:1]:{port}/"),
        format!("http://localhost:{port}/"),
    ] {
        let failure = failure_of(send(&sender, &url).await);
        assert_eq!(failure.code, FailureCode::UrlNotAllowed, "{url}");
    }
    assert_eq!(lookup.asked(), 0);
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn a_name_without_an_answer_or_an_address_fails_in_the_dns() {
    let receiver = Receiver::start().await.unwrap();
    for (lookup, detail) in [
        (
            ScriptedLookup::new(&[]),
            "the host could not be resolved: no such host",
        ),
        (ScriptedLookup::new(&[&[]]), "the host has no address"),
    ] {
        let sender = CallbackSender::with_lookup(config(&receiver), Arc::new(lookup)).unwrap();
        let failure = failure_of(send(&sender, "https://hooks.example.com/").await);
        assert_eq!(
            (failure.code, failure.detail.as_str()),
            (FailureCode::DnsFailed, detail)
        );
    }
}

#[tokio::test]
async fn a_receiver_under_an_unknown_authority_is_not_talked_to() {
    let receiver = Receiver::start().await.unwrap();
    let other = Receiver::start().await.unwrap();
    let sender = CallbackSender::new(config(&other)).unwrap();

    let failure = failure_of(send(&sender, &receiver.url("/")).await);

    assert_eq!(failure.code, FailureCode::TlsFailed);
    assert!(
        failure.detail.contains("UnknownIssuer"),
        "{}",
        failure.detail
    );
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn several_roots_in_one_file_are_all_trusted() {
    let one = Receiver::start().await.unwrap();
    let other = Receiver::start().await.unwrap();
    let both = format!("{}\n{}", one.ca_pem(), other.ca_pem());
    let config = CallbackSenderConfig {
        extra_roots_pem: Some(both.into()),
        ..config(&one)
    };
    let sender = CallbackSender::new(config).unwrap();
    for receiver in [&one, &other] {
        assert_eq!(status_of(&send(&sender, &receiver.url("/")).await), 200);
    }
}

#[tokio::test]
async fn a_file_without_certificates_stops_the_start() {
    let receiver = Receiver::start().await.unwrap();
    let setup = |pem: &str| {
        let config = CallbackSenderConfig {
            extra_roots_pem: Some(pem.into()),
            ..config(&receiver)
        };
        CallbackSender::new(config).unwrap_err()
    };
    assert!(matches!(setup(""), CallbackSetupError::NoRootsInFile));
    assert!(matches!(
        setup("not PEM"),
        CallbackSetupError::NoRootsInFile
    ));
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(setup(empty), CallbackSetupError::Tls(_)));
}

#[tokio::test]
async fn a_receiver_that_hangs_up_gave_no_answer() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([Answer::closed()]);
    let failure = failure_of(send_to(&receiver).await);
    assert_eq!(
        (failure.code, failure.http_status),
        (FailureCode::NoAnswer, None)
    );
    assert_eq!(
        receiver.received().len(),
        1,
        "it is not sent again by itself"
    );
}

#[tokio::test]
async fn nobody_listening_is_a_failed_connection() {
    let receiver = Receiver::start().await.unwrap();
    let url = {
        let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("https://localhost:{}/", unused.local_addr().unwrap().port())
    };
    let sender = CallbackSender::new(config(&receiver)).unwrap();
    let failure = failure_of(send(&sender, &url).await);
    assert_eq!(failure.code, FailureCode::ConnectFailed, "{failure:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([Answer::hanging()]);
    let total_timeout = Duration::from_millis(500);
    let sender = CallbackSender::new(CallbackSenderConfig {
        total_timeout,
        ..config(&receiver)
    })
    .unwrap();

    let failure = failure_of(send(&sender, &receiver.url("/")).await);

    assert_eq!(failure.code, FailureCode::Timeout);
    assert_eq!(failure.detail, "no answer from the receiver in time");
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_a_timeout() {
    let receiver = Receiver::start().await.unwrap();
    // The kernel completes the TCP handshake; nobody ever answers the TLS one.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", silent.local_addr().unwrap().port());
    let connect_timeout = Duration::from_millis(300);
    let sender = CallbackSender::new(CallbackSenderConfig {
        connect_timeout,
        ..config(&receiver)
    })
    .unwrap();

    let failure = failure_of(send(&sender, &url).await);

    assert_eq!(failure.code, FailureCode::Timeout);
    assert_eq!(failure.detail, "no connection to the receiver in time");
}

#[tokio::test]
async fn a_hanging_receiver_delays_nobody_else() {
    let hanging = Receiver::start().await.unwrap();
    let quick = Receiver::start().await.unwrap();
    hanging.script([Answer::hanging()]);
    let roots = format!("{}\n{}", hanging.ca_pem(), quick.ca_pem());
    let config = CallbackSenderConfig {
        extra_roots_pem: Some(roots.into()),
        ..config(&quick)
    };
    let sender = CallbackSender::new(config).unwrap();

    let slow = tokio::spawn({
        let (sender, url) = (sender.clone(), hanging.url("/"));
        async move { send(&sender, &url).await }
    });
    hanging.wait_for(1).await.unwrap();
    assert_eq!(status_of(&send(&sender, &quick.url("/")).await), 200);
    assert!(!slow.is_finished());

    hanging.release();
    assert_eq!(status_of(&slow.await.unwrap()), 200);
}
