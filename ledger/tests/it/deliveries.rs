//! Deliveries: owed with their event, claimed before each try, given up visibly, retried by hand.

use crate::scene::{Scene, refusal};
use fixtures::commands::{administrator, callback, create_task, purge, ssl_mode, submit};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::{Delivery, DeliveryState, Task};
use ledger::command::{
    CreateTask, EndAttempt, IssuedToken, NewCallback, RetryDelivery, Ruling, StartAttempt,
    SubmitApply,
};
use ledger::event::{
    AfterAttempt, AttemptOutcome, CallbackOwner, CallbackSet, DeliveryOwed, Event,
    RegisteredCallback,
};
use ledger::{
    CallbackEvent, CallbackId, ClientSubject, DeliveryId, Rejection, SealContext, Sealed, StreamId,
    Timestamp,
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
        .accepted()
        .unwrap();
    assert_eq!(owed(&ledger).await, []);
}

#[tokio::test]
async fn a_callback_of_an_apply_stands_beside_the_orchestrators_and_debts_stay_where_they_were() {
    let ledger = TestLedger::open().await;
    let token = task_with(&ledger, callback(9, "first")).await;
    let first = token.task.callback_id().unwrap();
    ledger
        .run(submit(&token, "k1", vec![ssl_mode("off")]))
        .await
        .unwrap()
        .accepted()
        .unwrap();
    let replacing = SubmitApply {
        callback: Some(callback(10, "second")),
        ..submit(&token, "k2", vec![ssl_mode("full")])
    };
    let replaced = ledger.run(replacing).await.unwrap().accepted().unwrap();
    let second = replaced.task.callback_id().unwrap();
    assert_ne!(first, second);
    assert_eq!(replaced.apply.callback_id, Some(second));
    let owed: Vec<_> = owed(&ledger)
        .await
        .into_iter()
        .map(|owed| owed.callback_id)
        .collect();
    assert_eq!(owed, [first, first, second]);
    // Another of the agent's takes the place of the agent's, never of the orchestrator's.
    let again = SubmitApply {
        callback: Some(callback(11, "third")),
        ..submit(&token, "k3", vec![ssl_mode("strict")])
    };
    let again = ledger.run(again).await.unwrap().accepted().unwrap();
    let third = again.task.callback_id().unwrap();
    let standing: Vec<_> = again.task.callbacks().map(|it| it.callback_id).collect();
    assert_eq!(standing, [first, third]);
    let delivered: Vec<_> = owed_to(&ledger).await;
    assert_eq!(delivered, [first, first, second, first, third]);
}

async fn owed_to(ledger: &TestLedger) -> Vec<CallbackId> {
    let owed = owed(ledger).await.into_iter();
    owed.map(|owed| owed.callback_id).collect()
}

#[tokio::test]
async fn both_callbacks_are_told_of_one_event_in_the_same_words() {
    let ledger = TestLedger::open().await;
    let token = task_with(&ledger, callback(9, "first")).await;
    let with_own = SubmitApply {
        callback: Some(callback(10, "second")),
        ..submit(&token, "k", vec![ssl_mode("full")])
    };
    ledger.run(with_own).await.unwrap().accepted().unwrap();
    let owed = owed(&ledger).await;
    assert_eq!(owed.len(), 2);
    assert_eq!(owed[0].event, owed[1].event);
    assert_eq!(owed[0].event_id, owed[1].event_id);
    assert_ne!(owed[0].delivery_id, owed[1].delivery_id);
}

#[tokio::test]
async fn a_task_may_keep_its_callbacks_to_the_orchestrator() {
    let ledger = TestLedger::open().await;
    let command = CreateTask {
        callback: Some(callback(9, "first")),
        agent_callbacks: false,
        ..create_task()
    };
    let token = ledger.execute(administrator(), command).await.unwrap();
    let with = |key: &str, again: NewCallback| SubmitApply {
        callback: Some(again),
        ..submit(&token, key, vec![ssl_mode("off")])
    };
    let refused = ledger.run(with("k1", callback(10, "own"))).await.unwrap();
    assert_eq!(
        refused.accepted().map(drop),
        Err(Rejection::AgentCallbackForbidden)
    );
    let recorded = ledger.events_from(0, 1_000).await.unwrap();
    assert_eq!(recorded.last().unwrap().event.name(), "apply.refused");
    // What events go to anyway may be named, and the refused key is still free.
    ledger
        .run(with("k1", callback(9, "first")))
        .await
        .unwrap()
        .accepted()
        .unwrap();
    let task = ledger.load::<Task>(token.task.id).await.unwrap().unwrap();
    assert_eq!(task.agent_callback, None);
}

/// A ledger of an earlier version holds `task.callback_set` 1, which took the place of whatever stood.
#[test]
fn a_callback_of_an_earlier_version_stands_alone() {
    let set = |of: u8, owner| {
        Event::from(CallbackSet {
            callback: RegisteredCallback {
                callback_id: CallbackId::from_bytes([of; 16]),
                url: "https://localhost/".to_owned(),
                events: Vec::new(),
                sealed_secret: ledger::Blob::default(),
            },
            owner,
        })
    };
    let golden = fixtures::golden_events::read("task.created", 1).unwrap();
    let created = golden.cases[0].event(10, 1);
    let standing = |owners: &[CallbackOwner]| {
        let mut task = None;
        ledger::aggregate::Aggregate::evolve(&mut task, &created, Timestamp::from_seconds(1));
        for (of, owner) in (1..).zip(owners) {
            let set = set(of, *owner);
            ledger::aggregate::Aggregate::evolve(&mut task, &set, Timestamp::from_seconds(1));
        }
        let task: Task = task.unwrap();
        let ids = task.callbacks().map(|it| it.callback_id.as_bytes()[0]);
        (task.agent_callbacks, ids.collect::<Vec<_>>())
    };
    use CallbackOwner::{Agent, Orchestrator, Unsaid};
    assert_eq!(standing(&[Unsaid, Unsaid]), (true, vec![2]));
    assert_eq!(standing(&[Unsaid, Agent]), (true, vec![1, 2]));
    assert_eq!(standing(&[Orchestrator, Agent, Agent]), (true, vec![1, 3]));
    assert_eq!(standing(&[Orchestrator, Agent, Unsaid]), (true, vec![3]));
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
        let after = ledger.run(submit).await.unwrap().accepted().unwrap();
        assert_eq!(before.callbacks().eq(after.task.callbacks()), same, "{key}");
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
    let is_accepted = |ruling: Ruling<_>| ruling.accepted().is_ok();
    assert!(
        accepted
            .into_iter()
            .all(|answer| is_accepted(answer.unwrap()))
    );
    replace(256).await.unwrap().accepted().unwrap();
    let refused = replace(257).await.unwrap().accepted().map(drop);
    assert_eq!(refused, Err(Rejection::TooManyCallbacks { most: 256 }));
    let recorded = ledger.events_from(0, 10_000).await.unwrap();
    let last = &recorded.last().unwrap().event;
    assert_eq!(last.name(), "apply.refused");
    // The one that stands may be named for good.
    let again = SubmitApply {
        callback: Some(callback(256, "s")),
        ..submit(&token, "again", vec![ssl_mode("off")])
    };
    ledger.run(again).await.unwrap().accepted().unwrap();
}

#[tokio::test]
async fn a_callback_that_comes_with_a_refused_apply_is_not_taken() {
    let scene = Scene::new().await;
    let mut token = scene.token.clone();
    token.claims.bindings.mtls_subject = ClientSubject::unchecked(fixtures::commands::SUBJECT);
    let refused = SubmitApply {
        callback: Some(callback(9, "secret")),
        operations: Vec::new(),
        ..submit(&token, "k", vec![purge()])
    };
    assert!(scene.run(refused).await.unwrap().accepted().is_err());
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
