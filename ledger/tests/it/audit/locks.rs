//! Locks: what begins, is decided or goes on under one is found.

use super::{altered, is_found};
use crate::scene::{Scene, end, start, succeeded};
use fixtures::commands::{administrator, dns_create};
use fixtures::history::History;
use fixtures::people::{create_user, open_session};
use ledger::audit::Check;
use ledger::command::{LiftLock, OperationStart, SetLock};
use ledger::event::{Envelope, Event, LockLifted, LockSet, LockTarget};
use ledger::{Actor, CommandId, Decision, LockId, Role, StreamId};
use std::time::Duration;

const LOCK: [u8; 16] = [7; 16];

/// A login, an apply that was granted and carried out, one that was approved and continued, and after all of it a
/// lock that stops a third and is lifted.
async fn told() -> History {
    let scene = Scene::granted().await;
    let zoe = scene.run(create_user("zoe", Role::Admin)).await.unwrap();
    let login = open_session(&scene.ledger, zoe.id, zoe.epoch);
    scene.run(login).await.unwrap();
    let granted = scene
        .submitted("k1", vec![dns_create("a.example.com")])
        .await;
    scene.clock.advance(Duration::from_secs(1));
    scene.run(start(granted.apply.id, 0)).await.unwrap();
    scene
        .run(end(granted.apply.id, 0, succeeded()))
        .await
        .unwrap();
    let asked = scene.asked("k2").await;
    scene.clock.advance(Duration::from_secs(1));
    scene.decided(&asked, Decision::Approve).await;
    scene.continued(&asked).await.unwrap();
    scene.clock.advance(Duration::from_secs(1));
    let set = SetLock {
        target: LockTarget::All,
        reason: "drill".to_owned(),
        duration: None,
    };
    let lock_id = scene.run(set).await.unwrap().lock.id;
    let stopped = scene.run(start(asked.apply.id, 0)).await.unwrap();
    assert_eq!(stopped, OperationStart::Stopped);
    let lift = LiftLock {
        lock_id,
        revoke_keys: false,
    };
    scene.run(lift).await.unwrap();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

fn set(target: LockTarget) -> Event {
    LockSet {
        lock_id: LockId::from_bytes(LOCK),
        target,
        reason: "drill".to_owned(),
        until: None,
    }
    .into()
}

fn by(actor: Actor) -> Envelope {
    Envelope {
        actor,
        request_id: None,
        cause: None,
        command_id: CommandId::from_bytes([0xCD; 16]),
    }
}

/// Locks everything before the first event of that name: the event is found then.
#[track_caller]
fn is_found_under_a_lock(history: &History, name: &str) {
    let at = history.first(name);
    let report = altered(history, |history| {
        let envelope = by(administrator().actor);
        let stream = StreamId::from_bytes(LOCK);
        history.insert_with(at, stream, &envelope, &set(LockTarget::All));
    });
    is_found(&report, Check::Lock, at + 1);
}

#[tokio::test]
async fn what_locks_stopped_is_honest() {
    let report = told().await.verify();
    assert!(report.verified && report.everything, "{report}");
    assert!(report.impossible.is_empty(), "{report}");
}

#[tokio::test]
async fn what_begins_is_decided_or_goes_on_under_a_lock_is_found() {
    let history = told().await;
    for name in [
        "task.created",
        "task.token_issued",
        "apply.accepted",
        "apply.operation_started",
        "approval.approved",
        "apply.authorised",
    ] {
        is_found_under_a_lock(&history, name);
    }
}

#[tokio::test]
async fn an_execution_that_began_under_a_lock_on_its_task_or_operation_is_found() {
    let history = told().await;
    let at = history.first("apply.operation_started");
    let (_, created) = history.event(history.first("task.created"));
    let Event::TaskCreated(created) = created else {
        unreachable!()
    };
    let operation = providers::cloudflare::DNS_RECORD_WRITE.id;
    for target in [
        LockTarget::Task(created.task_id),
        LockTarget::Agent(created.agent_id),
        LockTarget::Operation(operation.into()),
    ] {
        let report = altered(&history, |history| {
            let stream = StreamId::from_bytes(LOCK);
            history.insert_with(at, stream, &by(administrator().actor), &set(target));
        });
        is_found(&report, Check::Lock, at + 1);
    }
}

#[tokio::test]
async fn what_was_accepted_before_a_lock_and_goes_on_after_it_is_found() {
    let history = told().await;
    let at = history.first("apply.operation_started");
    let report = altered(&history, |history| {
        let (stream, envelope) = (StreamId::from_bytes(LOCK), by(administrator().actor));
        history.insert_with(at, stream, &envelope, &set(LockTarget::All));
        history.insert_with(at + 1, stream, &envelope, &LockLifted {}.into());
    });
    is_found(&report, Check::Lock, at + 2);
}

#[tokio::test]
async fn an_apply_with_a_token_from_before_a_lock_that_was_lifted_is_found() {
    let history = told().await;
    let at = history.first("apply.accepted");
    let report = altered(&history, |history| {
        let (stream, envelope) = (StreamId::from_bytes(LOCK), by(administrator().actor));
        history.insert_with(at, stream, &envelope, &set(LockTarget::All));
        history.insert_with(at + 1, stream, &envelope, &LockLifted {}.into());
    });
    is_found(&report, Check::Lock, at + 2);
}

#[tokio::test]
async fn a_session_of_a_locked_user_is_found() {
    let history = told().await;
    let at = history.first("session.opened");
    let (_, opened) = history.event(at);
    let Event::SessionOpened(opened) = opened else {
        unreachable!()
    };
    let report = altered(&history, |history| {
        let envelope = by(administrator().actor);
        let target = LockTarget::User(opened.user_id);
        history.insert_with(at, StreamId::from_bytes(LOCK), &envelope, &set(target));
    });
    is_found(&report, Check::Lock, at + 1);
}

#[tokio::test]
async fn an_end_by_a_lock_that_was_never_set_is_found() {
    let history = told().await;
    let (set, lifted) = (history.first("lock.set"), history.first("lock.lifted"));
    let ended = history.last("apply.ended");
    let report = altered(&history, |history| {
        history.remove(lifted);
        history.remove(set);
    });
    is_found(&report, Check::Lock, ended - 1);
}

#[tokio::test]
async fn the_service_token_lifts_no_lock_on_people_and_nothing_lifts_one_twice() {
    let history = told().await;
    let lifted = history.first("lock.lifted");
    let report = altered(&history, |history| {
        history.alter_all(lifted, |envelope, _| {
            envelope.actor = Actor::Service {
                fingerprint: [1; 8],
            };
        });
    });
    is_found(&report, Check::Actor, lifted);
    let report = altered(&history, |history| {
        let stream = history.record(lifted).header.stream_id;
        let envelope = by(administrator().actor);
        history.insert_with(lifted + 1, stream, &envelope, &LockLifted {}.into());
    });
    is_found(&report, Check::AfterEnd, lifted + 1);
}

#[tokio::test]
async fn a_lock_names_something_that_there_is() {
    let history = told().await;
    let at = history.size();
    for target in [
        LockTarget::Task(ledger::TaskId::from_bytes([9; 16])),
        LockTarget::User(ledger::UserId::from_bytes([9; 16])),
    ] {
        let report = altered(&history, |history| {
            let envelope = by(administrator().actor);
            history.insert_with(at, StreamId::from_bytes(LOCK), &envelope, &set(target));
        });
        is_found(&report, Check::Reference, at);
    }
}
