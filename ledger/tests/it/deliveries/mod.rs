//! Deliveries: owed with their event, claimed before each try, given up visibly, retried by hand.

mod callbacks;

use crate::scene::refusal;
use fixtures::commands::{administrator, callback, create_task, ssl_mode, submit};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::{Delivery, DeliveryState};
use ledger::command::{
    CreateTask, EndAttempt, IssuedToken, NewCallback, RetryDelivery, StartAttempt,
};
use ledger::event::{AfterAttempt, AttemptOutcome, DeliveryOwed, Event};
use ledger::{DeliveryId, Rejection, Timestamp};
use std::time::Duration;

async fn task_with(ledger: &TestLedger, callback: NewCallback) -> IssuedToken {
    let command = CreateTask {
        callback: Some(callback),
        ..create_task()
    };
    ledger.execute(administrator(), command).await.unwrap()
}

async fn owed(ledger: &TestLedger) -> Vec<DeliveryOwed> {
    let events = ledger.log().events_from(0, 1000).await.unwrap();
    events
        .into_iter()
        .filter_map(|recorded| match recorded.event {
            Event::DeliveryOwed(owed) => Some(owed),
            _ => None,
        })
        .collect()
}

/// A ledger with one delivery that is due.
async fn one_owed() -> (TestLedger, DeliveryId) {
    let ledger = TestLedger::open().await;
    let token = task_with(&ledger, callback(9, "secret")).await;
    ledger
        .run(submit(&token, "k", vec![ssl_mode("off")]))
        .await
        .unwrap()
        .accepted()
        .unwrap();
    let id = owed(&ledger).await[0].delivery_id;
    (ledger, id)
}

fn failed() -> AttemptOutcome {
    AttemptOutcome::Failed {
        http_status: Some(503),
        code: "http_status".to_owned(),
        message: "the receiver answered 503".to_owned(),
    }
}

fn ended(delivery_id: DeliveryId, attempt: u32, outcome: AttemptOutcome) -> EndAttempt {
    EndAttempt {
        delivery_id,
        attempt,
        outcome,
        retry_at: Timestamp::default(),
        duration: Duration::from_millis(3),
    }
}

async fn state(ledger: &TestLedger, id: DeliveryId) -> DeliveryState {
    ledger.load::<Delivery>(id).await.unwrap().unwrap().state
}

#[tokio::test]
async fn a_delivery_is_claimed_by_one() {
    let (ledger, delivery_id) = one_owed().await;
    let claims = (0..4).map(|_| ledger.run(StartAttempt { delivery_id }));
    let claims = futures_util::future::join_all(claims).await;
    let claimed: Vec<_> = claims.into_iter().filter_map(Result::ok).collect();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].attempt, 1);
    assert_eq!(state(&ledger, delivery_id).await, DeliveryState::UnderWay);
    let after = ledger
        .run(ended(
            delivery_id,
            1,
            AttemptOutcome::Delivered { http_status: 204 },
        ))
        .await
        .unwrap();
    assert_eq!(after, AfterAttempt::Done);
    assert_eq!(state(&ledger, delivery_id).await, DeliveryState::Delivered);
    for refused in [
        refusal(ledger.run(StartAttempt { delivery_id }).await),
        refusal(ledger.run(ended(delivery_id, 1, failed())).await),
    ] {
        assert_eq!(refused, Rejection::DeliveryNotDue);
    }
}

#[tokio::test]
async fn a_retry_is_due_exactly_at_its_moment() {
    let (ledger, delivery_id) = one_owed().await;
    ledger.run(StartAttempt { delivery_id }).await.unwrap();
    let retry_at = ledger.now().plus(Duration::from_secs(4));
    let after = ledger
        .run(EndAttempt {
            retry_at,
            ..ended(delivery_id, 1, failed())
        })
        .await
        .unwrap();
    assert_eq!(after, AfterAttempt::RetryAt(retry_at));
    ledger.clock.set(retry_at.minus(Duration::from_micros(1)));
    assert_eq!(
        refusal(ledger.run(StartAttempt { delivery_id }).await),
        Rejection::DeliveryNotDue
    );
    ledger.clock.set(retry_at);
    let second = ledger.run(StartAttempt { delivery_id }).await.unwrap();
    assert_eq!(second.attempt, 2);
}

#[tokio::test]
async fn the_outcome_of_another_try_is_refused() {
    let (ledger, delivery_id) = one_owed().await;
    for attempt in [0, 1, 2] {
        assert_eq!(
            refusal(ledger.run(ended(delivery_id, attempt, failed())).await),
            Rejection::DeliveryNotDue,
            "nothing is under way"
        );
    }
    ledger.run(StartAttempt { delivery_id }).await.unwrap();
    for attempt in [0, 2] {
        assert_eq!(
            refusal(ledger.run(ended(delivery_id, attempt, failed())).await),
            Rejection::DeliveryNotDue
        );
    }
    assert!(ledger.run(ended(delivery_id, 1, failed())).await.is_ok());
}

#[tokio::test]
async fn after_its_tries_a_delivery_is_given_up_and_a_retry_by_hand_gives_as_many_again() {
    let (ledger, delivery_id) = one_owed().await;
    let retry = || {
        ledger.run(RetryDelivery {
            delivery_id,
            reason: Some("the receiver is back".to_owned()),
        })
    };
    assert_eq!(refusal(retry().await), Rejection::DeliveryNotGivenUp);
    for round in 0..2_u32 {
        for attempt in round * 5 + 1..=round * 5 + 5 {
            let started = ledger.run(StartAttempt { delivery_id }).await.unwrap();
            assert_eq!(started.attempt, attempt);
            // An interrupted try counts like a failed one.
            let outcome = if attempt % 2 == 0 {
                AttemptOutcome::Interrupted
            } else {
                failed()
            };
            let after = ledger
                .run(ended(delivery_id, attempt, outcome))
                .await
                .unwrap();
            assert_eq!(
                after == AfterAttempt::GivenUp,
                attempt % 5 == 0,
                "{attempt}: {after:?}"
            );
        }
        assert_eq!(state(&ledger, delivery_id).await, DeliveryState::GivenUp);
        assert_eq!(
            refusal(ledger.run(StartAttempt { delivery_id }).await),
            Rejection::DeliveryNotDue
        );
        let due = retry().await.unwrap();
        assert_eq!(due.state, DeliveryState::Due(ledger.now()));
    }
}

#[tokio::test]
async fn a_try_that_was_under_way_when_the_service_stopped_is_ended_as_interrupted() {
    let (ledger, delivery_id) = one_owed().await;
    ledger.run(StartAttempt { delivery_id }).await.unwrap();
    let ledger = ledger.restart().await;
    assert_eq!(state(&ledger, delivery_id).await, DeliveryState::UnderWay);
    let after = ledger
        .run(ended(delivery_id, 1, AttemptOutcome::Interrupted))
        .await
        .unwrap();
    assert_eq!(
        after,
        AfterAttempt::RetryAt(ledger.now()),
        "never before now"
    );
    let again = ledger.run(StartAttempt { delivery_id }).await.unwrap();
    assert_eq!(again.attempt, 2);
}

#[tokio::test]
async fn nothing_is_known_of_a_delivery_that_was_never_owed() {
    let ledger = TestLedger::open().await;
    let delivery_id = DeliveryId::from_bytes([1; 16]);
    for refused in [
        refusal(ledger.run(StartAttempt { delivery_id }).await),
        refusal(ledger.run(ended(delivery_id, 1, failed())).await),
        refusal(
            ledger
                .run(RetryDelivery {
                    delivery_id,
                    reason: None,
                })
                .await,
        ),
    ] {
        assert_eq!(refused, Rejection::DeliveryNotFound);
    }
}

#[tokio::test]
async fn a_receiver_that_says_410_is_not_tried_again() {
    for (status, after) in [
        (410, AfterAttempt::GivenUp),
        (
            404,
            AfterAttempt::RetryAt(Timestamp::from_seconds(i64::MAX / 2_000_000)),
        ),
    ] {
        let (ledger, delivery_id) = one_owed().await;
        let started = ledger.run(StartAttempt { delivery_id }).await.unwrap();
        let ended = EndAttempt {
            delivery_id,
            attempt: started.attempt,
            outcome: AttemptOutcome::Failed {
                http_status: Some(status),
                code: "http_status".to_owned(),
                message: format!("the receiver answered {status}"),
            },
            retry_at: Timestamp::from_seconds(i64::MAX / 2_000_000),
            duration: Duration::ZERO,
        };
        assert_eq!(ledger.run(ended).await.unwrap(), after, "{status}");
    }
}
