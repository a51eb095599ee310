//! Keys of upstreams: stored by who may, one at a time, and erased when they end.

use super::{altered, is_found};
use crate::passkeys::{by_password, user};
use crate::scene::Scene;
use crate::upstream_keys::{KEY, of_agent, put, remove};
use fixtures::history::History;
use fixtures::people::{by, delete_user};
use ledger::audit::{Check, Verdict};
use ledger::command::UpstreamKeyHolder;
use ledger::event::{Envelope, Event, UpstreamKeyEnd, UpstreamKeyOwner};
use ledger::{Actor, Role, UserId};

/// A user stores a key, replaces it and is deleted; an administrator stores one for an agent and removes it.
async fn told() -> History {
    let scene = Scene::new().await;
    user(&scene, "root", Role::Admin).await;
    let zoe = user(&scene, "zoe", Role::Viewer).await;
    let session = by_password(&scene, zoe).await;
    for _ in 0..2 {
        let own = put(UpstreamKeyHolder::Own, "anthropic", KEY);
        scene.execute(by(&session), own).await.unwrap();
    }
    scene.run(put(of_agent(), "anthropic", KEY)).await.unwrap();
    scene.run(remove(of_agent(), "anthropic")).await.unwrap();
    scene.run(delete_user(zoe)).await.unwrap();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

/// Changes the event at a position.
#[track_caller]
fn breaks(
    history: &History,
    at: u64,
    check: Check,
    change: impl FnOnce(&mut Envelope, &mut Event),
) {
    let report = altered(history, |history| history.alter_all(at, change));
    is_found(&report, check, at);
}

#[tokio::test]
async fn keys_that_are_stored_replaced_and_removed_are_honest() {
    let report = told().await.verify();
    assert!(report.verified && report.everything, "{report}");
    // They were erased as they were to be: nothing is unchecked.
    assert_eq!(report.verdict, Verdict::Verified, "{report}");
}

#[tokio::test]
async fn a_key_of_a_user_is_stored_by_that_user_while_they_are_there() {
    let history = told().await;
    let stored = history.first("upstream_key.stored");
    let other = UserId::from_bytes([1; 16]);
    breaks(&history, stored, Check::UpstreamKey, |_, event| {
        let Event::UpstreamKeyStored(stored) = event else {
            unreachable!()
        };
        stored.owner = UpstreamKeyOwner::User(other);
    });
    let agents = history.last("upstream_key.stored");
    breaks(&history, agents, Check::Reference, |_, event| {
        let Event::UpstreamKeyStored(stored) = event else {
            unreachable!()
        };
        stored.owner = UpstreamKeyOwner::Agent(ledger::AgentId::from_bytes([1; 16]));
    });
}

#[tokio::test]
async fn a_removal_names_the_key_that_was_stored() {
    let mut history = told().await;
    let removed = history.first("upstream_key.removed");
    breaks(&history, removed, Check::UpstreamKey, |_, event| {
        let Event::UpstreamKeyRemoved(removed) = event else {
            unreachable!()
        };
        removed.upstream = ledger::UpstreamName::cloudflare();
    });
    let agents = (removed + 1..history.size())
        .find(|at| history.record(*at).header.event_type == 191)
        .unwrap();
    breaks(&history, agents, Check::UpstreamKey, |_, event| {
        let Event::UpstreamKeyRemoved(removed) = event else {
            unreachable!()
        };
        removed.why = UpstreamKeyEnd::OwnerDeleted;
    });
}

#[tokio::test]
async fn nobody_but_an_operator_erases_anything_else_than_a_stored_key() {
    let history = told().await;
    let erased = history.first("ledger.erased");
    breaks(&history, erased, Check::Actor, |envelope, event| {
        let Event::LedgerErased(erased) = event else {
            unreachable!()
        };
        assert!(matches!(envelope.actor, Actor::User { .. }));
        let stream = erased.subject.stream();
        erased.subject = ledger::event::ErasedSubject::Task(stream.into());
    });
}
