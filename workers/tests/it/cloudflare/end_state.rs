//! Every way in which a request can go wrong has one defined end.

use super::{client, config, create, hasty_client, operation};
use fixtures::upstream::{FakeUpstream, Fault, UPSTREAM_TOKEN};
use ledger::provider::Outcome;
use serde_json::json;
use workers::upstream::UpstreamClient;

fn code_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Failed { code, .. } => code,
        other => panic!("did not fail: {other:?}"),
    }
}

fn read() -> ledger::operation::Operation {
    operation("dns.record.read", json!({}))
}

#[tokio::test]
async fn a_mutation_whose_answer_is_lost_was_sent_once_and_is_not_called_failed() {
    for fault in [
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::Status(500),
        Fault::StatusAfter(502),
        Fault::Status(524),
        Fault::Malformed,
        Fault::Oversized(2 * 1024 * 1024),
    ] {
        let upstream = FakeUpstream::start().await.unwrap();
        upstream.on_next(fault.clone());
        let outcome = client(&upstream).send(&create("www"), None).await;
        assert!(
            matches!(outcome, Outcome::Lost { .. }),
            "{fault:?}: {outcome:?}"
        );
        assert_eq!(upstream.mutations("").len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_read_that_gets_no_answer_has_failed_and_is_never_lost() {
    for (fault, code) in [
        (Fault::DropBefore, "upstream_no_answer"),
        (Fault::Status(500), "upstream_error"),
        (Fault::Malformed, "upstream_malformed_answer"),
        (
            Fault::Oversized(2 * 1024 * 1024),
            "upstream_malformed_answer",
        ),
    ] {
        let upstream = FakeUpstream::start().await.unwrap();
        upstream.on_next(fault.clone());
        let outcome = client(&upstream).send(&read(), None).await;
        assert_eq!(code_of(&outcome), code, "{fault:?}");
    }
}

#[tokio::test]
async fn what_takes_too_long_is_lost_or_for_a_read_failed() {
    let upstream = FakeUpstream::start().await.unwrap();
    let client = hasty_client(&upstream);
    upstream.on_next(Fault::Hold);
    match client.send(&create("www"), None).await {
        Outcome::Lost {
            http_status: None,
            request_id: None,
            why,
            ..
        } => {
            assert!(why.contains("timed out"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    upstream.on_next(Fault::Hold);
    assert_eq!(
        code_of(&client.send(&read(), None).await),
        "upstream_no_answer"
    );
    upstream.release();
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let upstream = FakeUpstream::start().await.unwrap();
    let base_url = upstream.base_url();
    drop(upstream);
    for base_url in [base_url.as_str(), "https://no-such-host.invalid/client/v4"] {
        let client = UpstreamClient::new(config(base_url)).unwrap();
        let outcome = client.send(&create("www"), None).await;
        assert_eq!(code_of(&outcome), "upstream_unreachable", "{outcome:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_tls_was_not_asked_for_anything() {
    let upstream = FakeUpstream::start().await.unwrap();
    let base_url = upstream.base_url().replace("http://", "https://");
    let client = UpstreamClient::new(config(base_url)).unwrap();
    assert_eq!(
        code_of(&client.send(&create("www"), None).await),
        "upstream_unreachable"
    );
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn throttled_for_a_moment_is_tried_again_since_it_was_not_applied() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.on_next(Fault::Throttle { retry_after: 0 });
    let outcome = client(&upstream).send(&create("www"), None).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    let applied: Vec<_> = upstream
        .mutations("")
        .into_iter()
        .map(|request| request.applied)
        .collect();
    assert_eq!(applied, [false, true]);
}

#[tokio::test]
async fn throttled_for_long_or_often_has_failed() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.on_next(Fault::Throttle { retry_after: 300 });
    match client(&upstream).send(&create("www"), None).await {
        Outcome::Failed {
            http_status: Some(429),
            code,
            message,
            ..
        } => {
            assert_eq!(code, "upstream_rate_limited");
            assert!(message.contains("after 300 seconds"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(upstream.mutations("").len(), 1);
    for _ in 0..3 {
        upstream.on_next(Fault::Throttle { retry_after: 0 });
    }
    let outcome = client(&upstream).send(&create("www"), None).await;
    assert_eq!(code_of(&outcome), "upstream_rate_limited");
    assert_eq!(upstream.mutations("").len(), 4);
    assert!(
        upstream
            .mutations("")
            .iter()
            .all(|request| !request.applied)
    );
}

#[tokio::test]
async fn refusals_and_redirects_were_surely_not_applied() {
    for (status, code) in [
        (400, "upstream_refused"),
        (401, "upstream_unauthorized"),
        (403, "upstream_unauthorized"),
        (404, "upstream_not_found"),
        (409, "upstream_refused"),
        (422, "upstream_refused"),
        (302, "upstream_redirected"),
        (307, "upstream_redirected"),
    ] {
        let upstream = FakeUpstream::start().await.unwrap();
        upstream.on_next(Fault::Status(status));
        let outcome = client(&upstream).send(&create("www"), None).await;
        assert_eq!(code_of(&outcome), code, "{status}");
        assert_eq!(upstream.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_that_says_it_was_done_is_lost() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.on_next(Fault::StatusAfter(303));
    let outcome = client(&upstream).send(&create("www"), None).await;
    assert!(
        matches!(
            outcome,
            Outcome::Lost {
                http_status: Some(303),
                ..
            }
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn upstream_cannot_make_the_token_appear_in_an_outcome() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.on_next(Fault::Refuse {
        status: 403,
        code: 9109,
        message: format!("Invalid access token {UPSTREAM_TOKEN}"),
    });
    let outcome = format!("{:?}", client(&upstream).send(&create("www"), None).await);
    assert!(
        outcome.contains("Invalid access token [token]"),
        "{outcome}"
    );
    assert!(!outcome.contains(UPSTREAM_TOKEN), "{outcome}");
}
