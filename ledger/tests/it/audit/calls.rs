//! Calls: sent on for who is there, begun where they change something, ended as they began, and counted once.

use super::{altered, is_found};
use crate::calls::{
    READ, WRITE, begin, end, ended, gateway, of_user, revoke, subject, used, with_key,
};
use crate::passkeys::{by_password, user};
use fixtures::history::History;
use ledger::audit::Check;
use ledger::event::{CallCredential, Event, UpstreamKeyOwner};
use ledger::{Actor, AgentId, KeyId, Role};

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
