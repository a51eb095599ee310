//! Headers of requests, and names that stand in paths, headers and fields.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use api::extract::idempotency::Idempotency;
use api::extract::prefer::{LONGEST_WAIT, PreferWait};
use api::schemes::subject::{SUBJECT_WINDOW, SubjectVerifier};
use app::Subject;
use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use ledger::command::IdempotencyKey;
use ledger::tlog::TreeHash;
use ledger::{
    Algorithm, ApplyId, Blob, CallbackEvent, CallbackSecret, Fingerprint, Level, OperationId, Risk,
    ScopeType, TaskId, Timestamp,
};
use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::str::FromStr;
use std::task::{Context, Poll, Waker};

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// Lines of `name: value`, as far as they can be headers at all.
pub(crate) fn parsed(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').take(64) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts
            .next()
            .and_then(|name| HeaderName::from_bytes(name).ok());
        let value = parts.next().unwrap_or_default().trim_ascii();
        if let (Some(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    headers
}

/// Whoever is let in has signed; what is waited for has a limit; a key is one that can be kept.
pub(crate) fn header(bytes: &[u8]) {
    let headers = parsed(bytes);
    let verifier = SubjectVerifier::new(SECRET);
    if let Ok(subject) = verifier.verify(&headers, NOW) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(text("x-client-subject"), Some(subject.as_str()));
        let at: i64 = text("x-client-subject-ts")
            .and_then(|text| text.parse().ok())
            .expect("the time is a number");
        assert!(NOW.as_seconds().abs_diff(at) <= SUBJECT_WINDOW.as_secs());
        let signature = verifier.sign(&subject, Timestamp::from_seconds(at));
        let sent = text("x-client-subject-sig").map(str::to_ascii_lowercase);
        assert_eq!(sent, Some(signature));
    }
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.headers = headers;
    if let Ok(PreferWait(Some(wait))) = at_once(PreferWait::from_request_parts(&mut parts, &())) {
        assert!(wait <= LONGEST_WAIT);
    }
    if let Ok(Idempotency(key)) = at_once(Idempotency::from_request_parts(&mut parts, &())) {
        is_a_key(key.as_str());
    }
}

/// What needs nothing but its arguments is ready when it is asked first.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a header is waited for"),
    }
}

fn is_a_key(text: &str) {
    assert!((1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()));
}

/// Ids, digests, words and texts of a fixed form.
pub(crate) fn name(bytes: &[u8]) {
    if let Ok(secret) = CallbackSecret::new(bytes) {
        assert!((1..=CallbackSecret::MAX_BYTES).contains(&secret.expose().len()));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(key) = IdempotencyKey::parse(text) {
        is_a_key(key.as_str());
        assert_eq!(key.as_str(), text);
    }
    if let Some(subject) = Subject::parse(text) {
        assert!(subject.as_str().len() <= 256 && subject.as_str() == text);
    }
    if let Some(blob) = Blob::from_base64url(text) {
        assert_eq!(
            blob.to_base64url(),
            text.trim_end_matches('='),
            "base64url in two spellings"
        );
    }
    same::<TaskId>(text);
    same::<ApplyId>(text);
    same::<Fingerprint>(text);
    exact::<TreeHash>(text);
    for known in [
        exact::<OperationId>(text),
        exact::<ScopeType>(text),
        exact::<Level>(text),
        exact::<Risk>(text),
        exact::<Algorithm>(text),
        exact::<CallbackEvent>(text),
    ] {
        assert!(!known || text.len() < 64);
    }
    let shown = ledger::operation::shown(text, 40);
    assert!(shown.chars().count() <= 40 * "\\u{10ffff}".len() + 1);
    assert!(!shown.contains(char::is_control), "{shown:?}");
}

/// What is read means the same when it is written and read again.
fn same<T: FromStr + Display>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        let written = read.to_string();
        let again = written.parse::<T>().ok().map(|again| again.to_string());
        assert_eq!(again, Some(written));
    }
}

/// What is read has one spelling.
fn exact<T: FromStr + Display>(text: &str) -> bool {
    let read = text.parse::<T>().ok();
    if let Some(read) = &read {
        assert_eq!(read.to_string(), text);
    }
    read.is_some()
}

pub(crate) fn name_seeds() -> Vec<Vec<u8>> {
    [
        "019a0000-0001-7000-8000-0000000000aa",
        "019a00000001700080000000000000aa",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "5677631b5c83b34f55d01f7c82e083c2d987e7f65677631b5c83b34f55d01f7c",
        "pQECAyYgASFYIOF0",
        "dns.record.write",
        "zone",
        "sensitive",
        "ES256",
        "apply.finished",
        "spiffe://agents/ci-bot",
        "a\u{202e}b\u{200b}\u{1b}[31m",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let subject = Subject::parse("client-a").expect("a subject");
    let signature = SubjectVerifier::new(SECRET).sign(&subject, NOW);
    let signed = format!(
        "x-client-subject: client-a\nx-client-subject-ts: 1800000000\n\
         x-client-subject-sig: {signature}\nidempotency-key: k-1\n\
         prefer: respond-async, wait=10; x=1\n"
    );
    let more = "prefer: Wait = \"7\"\nprefer: wait=99999999999999999999\nidempotency-key: \n";
    vec![signed.into_bytes(), more.as_bytes().to_vec()]
}
