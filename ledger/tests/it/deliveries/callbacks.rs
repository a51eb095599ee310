//! Callbacks: which of them a task has, and which events each is owed.

use super::{owed, task_with};
use crate::scene::Scene;
use fixtures::commands::{administrator, callback, create_task, purge, ssl_mode, submit};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::Task;
use ledger::command::{CreateTask, NewCallback, Ruling, SubmitApply};
use ledger::event::{CallbackOwner, CallbackSet, Event, RegisteredCallback};
use ledger::{
    CallbackEvent, CallbackId, ClientSubject, Rejection, SealContext, Sealed, StreamId, Timestamp,
};

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
