//! Writes through proxies: a task that was opened for another one, or for more, is found.

use super::{altered, is_found};
use crate::scene::Scene;
use crate::writes::{by_token, forward, with_token, write};
use fixtures::commands::{agent_with_key, create_key};
use fixtures::history::History;
use ledger::audit::Check;
use ledger::event::{Envelope, Event};
use ledger::operation::MatchDigest;

/// A granted write through a proxy.
async fn told() -> History {
    let scene = Scene::granted().await;
    let key = scene.run(create_key("cak_one")).await.unwrap();
    let asked = forward(&key, write("www"));
    let ruling = scene.execute(agent_with_key(&key), asked).await.unwrap();
    assert!(ruling.accepted().unwrap().apply.authorised);
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn a_task_that_was_opened_for_another_write_or_by_nobodys_key_is_found() {
    let history = told().await;
    history.assert_verified();
    let (created, accepted) = (history.last("task.created"), history.last("apply.accepted"));
    let with = |change: &dyn Fn(&mut Envelope, &mut Event)| {
        altered(&history, |history| history.alter_all(created, change))
    };
    let other = with(&|_, event| {
        if let Event::TaskCreated(created) = event {
            created.write = Some(MatchDigest::from_bytes([7; 32]));
        }
    });
    is_found(&other, Check::Write, accepted);
    let none = with(&|_, event| {
        if let Event::TaskCreated(created) = event {
            created.write = None;
        }
    });
    is_found(&none, Check::Write, accepted);
    let more = with(&|_, event| {
        if let Event::TaskCreated(created) = event {
            let again = created.allowed.clone();
            created.allowed.extend(again);
        }
    });
    is_found(&more, Check::Write, created);
}

#[tokio::test]
async fn an_apply_that_is_no_request_in_the_task_of_a_write_is_found() {
    let history = told().await;
    let accepted = history.last("apply.accepted");
    let other = altered(&history, |history| {
        history.alter(accepted, |event| {
            if let Event::ApplyAccepted(accepted) = event {
                accepted.submission = accepted.submission.replace("192.0.2.1", "192.0.2.9");
            }
        });
    });
    is_found(&other, Check::Write, accepted);
}

#[tokio::test]
async fn a_request_in_the_task_of_a_token_is_under_its_own_key_and_by_that_token() {
    let scene = Scene::granted().await;
    let issued = with_token(&scene, true).await;
    let (origin, asked) = by_token(&issued, write("www"));
    let ruling = scene.execute(origin, asked).await.unwrap();
    assert!(ruling.accepted().unwrap().apply.authorised);
    let closed = scene.ledger.close().await;
    let history = History::read(closed.path());
    history.assert_verified();
    let accepted = history.last("apply.accepted");
    let other = altered(&history, |history| {
        history.alter(accepted, |event| {
            if let Event::ApplyAccepted(accepted) = event {
                accepted.idempotency_key = ledger::IdempotencyKey::unchecked("proxy 00 1");
            }
        });
    });
    is_found(&other, Check::Write, accepted);
    let opened = history.last("task.proxies_opened");
    let closed = altered(&history, |history| {
        history.remove(opened);
        history.reseal();
    });
    is_found(&closed, Check::Write, accepted - 1);
}
