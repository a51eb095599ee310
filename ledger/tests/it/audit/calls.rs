//! Calls: sent on for who is there, begun where they change something, ended as they began, and counted once.

use super::{altered, is_found};
use crate::calls::{
    READ, WRITE, begin, end, ended, entry, gateway, in_a_task, of_user, revoke, subject, used,
    with_key,
};
use crate::passkeys::{by_password, user};
use fixtures::commands::{SUBJECT, create_key};
use fixtures::history::History;
use ledger::aggregate::{AdmissionKind, Key};
use ledger::audit::Check;
use ledger::command::{SetAdmission, SetLock};
use ledger::event::{CallCredential, ClientTarget, Event, LockTarget, UpstreamKeyOwner};
use ledger::{Actor, AgentId, ClientSubject, KeyId, Role};
use std::sync::Arc;

/// An agent reads and writes, a user writes, what was used is recorded twice, and one call has no end.
async fn told() -> History {
    let (scene, key) = with_key().await;
    user(&scene, "root", Role::Admin).await;
    let zoe = user(&scene, "zoe", Role::Viewer).await;
    let session = by_password(&scene, zoe).await;
    let write = subject(&key, WRITE);
    let ends = vec![
        ended(1, subject(&key, READ), false),
        ended(2, write.clone(), true),
    ];
    scene.execute(gateway(), begin(2, write)).await.unwrap();
    scene.execute(gateway(), end(ends)).await.unwrap();
    let own = begin(3, of_user(&session));
    scene.execute(gateway(), own).await.unwrap();
    let owner = UpstreamKeyOwner::Agent(key.agent_id);
    for _ in 0..2 {
        let now = scene.now();
        scene
            .execute(gateway(), used(owner, now, now))
            .await
            .unwrap();
    }
    scene.run(revoke(&key)).await.unwrap();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

/// Changes the event at a position.
#[track_caller]
fn breaks(history: &History, at: u64, check: Check, change: impl FnOnce(&mut Event)) {
    let report = altered(history, |history| history.alter(at, change));
    is_found(&report, check, at);
}

#[tokio::test]
async fn calls_are_honest_and_one_without_an_end_is_told() {
    let report = told().await.verify();
    assert!(report.verified && report.everything, "{report}");
    assert_eq!(
        (report.history.calls, report.history.calls_without_end),
        (3, 1)
    );
    assert!(
        report
            .to_string()
            .contains("1 begun without a recorded end")
    );
}

#[tokio::test]
async fn a_call_that_changes_something_has_its_beginning() {
    let history = told().await;
    let read = history.first("call.ended");
    breaks(&history, read, Check::Call, |event| {
        let Event::CallEnded(ended) = event else {
            unreachable!()
        };
        ended.subject.operation = WRITE.to_owned();
    });
}

#[tokio::test]
async fn a_call_ends_as_it_began() {
    let history = told().await;
    let write = history.last("call.ended");
    breaks(&history, write, Check::Call, |event| {
        let Event::CallEnded(ended) = event else {
            unreachable!()
        };
        ended.subject.method = "DELETE".to_owned();
    });
}

#[tokio::test]
async fn a_call_is_made_with_a_credential_of_who_is_there() {
    let history = told().await;
    let write = history.first("call.begun");
    breaks(&history, write, Check::Call, |event| {
        let Event::CallBegun(begun) = event else {
            unreachable!()
        };
        begun.subject.credential = CallCredential::AgentKey(KeyId::from_bytes([9; 16]));
    });
    let own = history.last("call.begun");
    breaks(&history, own, Check::Call, |event| {
        let Event::CallBegun(begun) = event else {
            unreachable!()
        };
        begun.subject.owner = UpstreamKeyOwner::User(ledger::UserId::from_bytes([9; 16]));
    });
    let read = history.first("call.ended");
    breaks(&history, read, Check::Call, |event| {
        let Event::CallEnded(ended) = event else {
            unreachable!()
        };
        ended.subject.owner = UpstreamKeyOwner::Agent(AgentId::from_bytes([9; 16]));
    });
}

/// A lock on another operation and one on another key, a block on somebody else, and then a call with a key and one
/// with a token.
async fn told_beside_locks_and_blocks() -> (History, Arc<Key>) {
    let (scene, key) = with_key().await;
    let (_, in_task) = in_a_task(&scene, &key, WRITE).await;
    let other = scene.run(create_key("lpp_another_key")).await.unwrap();
    for target in [
        LockTarget::Operation(entry(READ).id.into()),
        LockTarget::Key(other.id),
    ] {
        let lock = SetLock {
            target,
            reason: "drill".to_owned(),
            duration: None,
        };
        scene.run(lock).await.unwrap();
    }
    let block = SetAdmission {
        kind: AdmissionKind::Block,
        target: ClientTarget::Subject(ClientSubject::unchecked("somebody else")),
        reason: None,
        duration: None,
    };
    scene.run(block).await.unwrap();
    for (number, call) in [(1, subject(&key, WRITE)), (2, in_task)] {
        let begun = begin(number, call);
        scene.execute(gateway(), begun).await.unwrap();
    }
    let closed = scene.ledger.close().await;
    (History::read(closed.path()), key)
}

/// Changes the event at a position; the rule is broken at the call.
#[track_caller]
fn breaks_call(
    history: &History,
    (at, call): (u64, u64),
    check: Check,
    change: impl FnOnce(&mut Event),
) {
    let report = altered(history, |history| history.alter(at, change));
    is_found(&report, check, call);
}

#[tokio::test]
async fn a_call_that_begins_under_a_lock_or_of_who_is_blocked_is_found() {
    let (history, key) = told_beside_locks_and_blocks().await;
    let report = history.verify();
    assert!(report.verified && report.everything, "{report}");
    let (with_key, with_token) = (history.first("call.begun"), history.last("call.begun"));
    let set = |event: &mut Event, target: LockTarget| match event {
        Event::LockSet(set) => set.target = target,
        _ => unreachable!(),
    };
    let operation = history.first("lock.set");
    breaks_call(&history, (operation, with_key), Check::Lock, |event| {
        set(event, LockTarget::Operation(entry(WRITE).id.into()));
    });
    let locked = history.last("lock.set");
    breaks_call(&history, (locked, with_key), Check::Lock, |event| {
        set(event, LockTarget::Key(key.id));
    });
    let block = history.first("block.set");
    for (call, target) in [
        (with_key, ClientTarget::Agent(key.agent_id)),
        (
            with_token,
            ClientTarget::Subject(ClientSubject::unchecked(SUBJECT)),
        ),
    ] {
        breaks_call(&history, (block, call), Check::Admission, |event| {
            let Event::BlockSet(set) = event else {
                unreachable!()
            };
            set.target = target;
        });
    }
}

#[tokio::test]
async fn a_call_that_the_allowlist_of_its_task_does_not_have_is_found() {
    let (history, _) = told_beside_locks_and_blocks().await;
    let (created, call) = (history.last("task.created"), history.last("call.begun"));
    breaks_call(&history, (created, call), Check::Call, |event| {
        let Event::TaskCreated(created) = event else {
            unreachable!()
        };
        for allowed in &mut created.allowed {
            allowed.operation = entry(READ).id;
        }
    });
}

#[tokio::test]
async fn only_the_proxies_record_calls() {
    let history = told().await;
    let read = history.first("call.ended");
    let report = altered(&history, |history| {
        history.alter_all(read, |envelope, _| {
            envelope.actor = Actor::system("executor")
        });
    });
    is_found(&report, Check::Actor, read);
}

#[tokio::test]
async fn what_was_used_is_added_up_once_and_of_the_past() {
    let history = told().await;
    let second = history.last("usage.recorded");
    let change = |change: fn(&mut ledger::event::UsageRecorded)| {
        breaks(&history, second, Check::Usage, |event| {
            let Event::UsageRecorded(recorded) = event else {
                unreachable!()
            };
            change(recorded);
        });
    };
    change(|recorded| recorded.from = ledger::Timestamp::from_seconds(0));
    change(|recorded| recorded.to = ledger::Timestamp::from_seconds(4_000_000_000));
    change(|recorded| recorded.counts.interrupted = 3);
    change(|recorded| recorded.counts.requests = 0);
    change(|recorded| recorded.owner = UpstreamKeyOwner::Agent(AgentId::from_bytes([9; 16])));
}
