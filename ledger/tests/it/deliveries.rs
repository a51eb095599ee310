//! Deliveries: owed with their event, claimed before each try, given up visibly, retried by hand.

use crate::scene::{Scene, refusal};
use fixtures::commands::{administrator, callback, create_task, purge, ssl_mode, submit};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::{Delivery, DeliveryState, Task};
use ledger::command::{
    CreateTask, EndAttempt, IssuedToken, NewCallback, RetryDelivery, StartAttempt, SubmitApply,
};
use ledger::event::{AfterAttempt, AttemptOutcome, DeliveryOwed, Event};
use ledger::{
    CallbackEvent, CallbackId, DeliveryId, Rejection, SealContext, Sealed, StreamId, Timestamp,
};
use std::time::Duration;

async fn task_with(ledger: &TestLedger, callback: NewCallback) -> IssuedToken {
    let command = CreateTask {
        callback: Some(callback),
        ..create_task()
    };
    ledger.execute(administrator(), command).await.unwrap()
}

async fn owed(ledger: &TestLedger) -> Vec<DeliveryOwed> {
    let events = ledger.reader().events_from(0, 1000).await.unwrap();
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
async fn only_the_events_that_were_asked_for_are_owed() {
    let ledger = TestLedger::open().await;
    let wanted = NewCallback {
        events: vec![CallbackEvent::ApplyFinished],
        ..callback(9, "secret")
    };
    let token = task_with(&ledger, wanted).await;
    ledger
        .run(submit(&token, "k", vec![ssl_mode("off")]))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(owed(&ledger).await, []);
}

#[tokio::test]
async fn a_callback_of_an_apply_hears_of_it_and_earlier_debts_stay_with_the_earlier_one() {
    let ledger = TestLedger::open().await;
    let token = task_with(&ledger, callback(9, "first")).await;
    let first = token.task.callback_id().unwrap();
    ledger
        .run(submit(&token, "k1", vec![ssl_mode("off")]))
        .await
        .unwrap()
        .unwrap();
    let replacing = SubmitApply {
        callback: Some(callback(10, "second")),
        ..submit(&token, "k2", vec![ssl_mode("full")])
    };
    let replaced = ledger.run(replacing).await.unwrap().unwrap();
    let second = replaced.task.callback_id().unwrap();
    assert_ne!(first, second);
    assert_eq!(replaced.apply.callback_id, Some(second));
    let owed: Vec<_> = owed(&ledger)
        .await
        .into_iter()
        .map(|owed| owed.callback_id)
        .collect();
    assert_eq!(owed, [first, second]);
}

#[tokio::test]
async fn the_same_callback_again_is_not_registered_again() {
    let ledger = TestLedger::open().await;
    let token = task_with(&ledger, callback(9, "first")).await;
    let first = token.task.callback_id();
    for (key, again, same) in [
        ("k1", callback(9, "first"), true),
        ("k2", callback(9, "second"), false),
        ("k3", callback(9, "second"), true),
        ("k4", callback(10, "second"), false),
    ] {
        let before = ledger.load::<Task>(token.task.id).await.unwrap().unwrap();
        let submit = SubmitApply {
            callback: Some(again),
            ..submit(&token, key, vec![ssl_mode("off")])
        };
        let after = ledger.run(submit).await.unwrap().unwrap();
        assert_eq!(before.callback == after.task.callback, same, "{key}");
        assert_eq!(after.apply.callback_id, after.task.callback_id());
    }
    let task = ledger.load::<Task>(token.task.id).await.unwrap().unwrap();
    assert_eq!(task.registrations, 3);
    // Deliveries that are owed to one that was replaced still find it.
    let found = ledger
        .callback(token.task.id, first.unwrap())
        .await
        .unwrap();
    assert_eq!(found, token.task.callback);
    assert_eq!(
        ledger
            .callback(token.task.id, CallbackId::from_bytes([1; 16]))
            .await
            .unwrap(),
        None
    );
}

/// A task's stream is read whole, by the one writer: an agent must not be able to make it as long as it
/// likes.
#[tokio::test]
async fn a_task_has_256_callbacks_and_no_more() {
    let ledger = TestLedger::open().await;
    let token = task_with(&ledger, callback(1, "s")).await;
    let replace = |port: u16| {
        let key = format!("k{port}");
        let apply = SubmitApply {
            callback: Some(callback(port, "s")),
            ..submit(&token, &key, vec![ssl_mode("off")])
        };
        ledger.run(apply)
    };
    let accepted = futures_util::future::join_all((2..=255).map(replace)).await;
    assert!(accepted.into_iter().all(|answer| answer.unwrap().is_ok()));
    replace(256).await.unwrap().unwrap();
    let refused = replace(257).await.unwrap().map(drop);
    assert_eq!(refused, Err(Rejection::TooManyCallbacks { most: 256 }));
    let recorded = ledger.events_from(0, 10_000).await.unwrap();
    let last = &recorded.last().unwrap().event;
    assert_eq!(last.name(), "apply.refused");
    // The one that stands may be named for good.
    let again = SubmitApply {
        callback: Some(callback(256, "s")),
        ..submit(&token, "again", vec![ssl_mode("off")])
    };
    ledger.run(again).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_callback_that_comes_with_a_refused_apply_is_not_taken() {
    let scene = Scene::new().await;
    let mut token = scene.token.clone();
    token.claims.bindings.mtls_subject = fixtures::commands::SUBJECT.to_owned();
    let refused = SubmitApply {
        callback: Some(callback(9, "secret")),
        operations: Vec::new(),
        ..submit(&token, "k", vec![purge()])
    };
    assert!(scene.run(refused).await.unwrap().is_err());
    let task = scene
        .load::<ledger::aggregate::Task>(token.task.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(task.callback, None);
}

#[tokio::test]
async fn the_secret_stands_in_the_log_sealed_for_its_place() {
    let ledger = TestLedger::open().await;
    let token = task_with(&ledger, callback(9, "a callback secret")).await;
    let registered = token.task.callback.clone().unwrap();
    let place = SealContext {
        ledger_id: ledger.id(),
        stream: StreamId::from(token.task.id),
        field: NewCallback::SECRET_FIELD,
    };
    let sealed = Sealed::from_bytes(registered.sealed_secret.as_slice().to_vec());
    let opened = ledger.rules().master_keys.open(&place, &sealed).unwrap();
    assert_eq!(opened.as_slice(), b"a callback secret");
    let file = std::fs::read(ledger.path()).unwrap();
    let mut wal = ledger.path().as_os_str().to_owned();
    wal.push("-wal");
    let wal = std::fs::read(wal).unwrap();
    for bytes in [file, wal] {
        let found = bytes
            .windows(b"a callback secret".len())
            .any(|window| window == b"a callback secret");
        assert!(!found);
    }
}
