//! A key names one apply, for good.

use crate::scene::{Scene, end, failed, start, succeeded, unknown};
use fixtures::commands::{callback, dns_create, dns_read, purge, ssl_mode, submit};
use ledger::aggregate::Apply;
use ledger::command::{Standing, SubmitApply, standing};
use ledger::event::{ApplyEnd, Event};
use ledger::{Decision, IdempotencyKey, Link, Purpose, Reason, Rejection};
use std::collections::HashSet;

#[tokio::test]
async fn the_same_key_and_operations_are_the_same_apply() {
    let scene = Scene::granted().await;
    let first = scene.submitted("k", vec![purge()]).await;
    let before = scene.size_now();
    let again = scene.submitted("k", vec![purge()]).await;
    assert!(first.is_new && !again.is_new);
    assert_eq!(again.apply.id, first.apply.id);
    assert_eq!(scene.size_now(), before, "a repetition records nothing");
}

#[tokio::test]
async fn a_known_key_with_other_operations_is_refused_and_recorded() {
    let scene = Scene::granted().await;
    scene.submitted("k", vec![purge()]).await;
    let before = scene.size_now();
    let refused = scene
        .submit(&scene.token, "k", vec![dns_read()])
        .await
        .unwrap();
    assert_eq!(refused.unwrap_err(), Rejection::KeyReused);
    assert_eq!(scene.names_since(before).await, ["apply.refused"]);
}

#[tokio::test]
async fn the_order_of_operations_matters_and_each_task_has_its_own_keys() {
    let scene = Scene::granted().await;
    let (a, b) = (dns_create("a.example.com"), dns_create("b.example.com"));
    scene.submitted("k", vec![a.clone(), b.clone()]).await;
    let turned = scene
        .submit(&scene.token, "k", vec![b, a.clone()])
        .await
        .unwrap();
    assert_eq!(turned.unwrap_err(), Rejection::KeyReused);
    let other = scene.task().await;
    let elsewhere = scene.submit(&other, "k", vec![a]).await.unwrap().unwrap();
    assert!(elsewhere.is_new);
}

#[tokio::test]
async fn six_at_once_with_one_key_are_one_apply() {
    let scene = Scene::granted().await;
    let before = scene.size_now();
    let all = futures_util::future::join_all(
        (0..6).map(|_| scene.submit(&scene.token, "k", vec![purge()])),
    )
    .await;
    let all: Vec<_> = all.into_iter().map(|one| one.unwrap().unwrap()).collect();
    assert_eq!(all.iter().filter(|one| one.is_new).count(), 1);
    let ids: HashSet<_> = all.iter().map(|one| one.apply.id).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(scene.names_since(before).await, ["apply.accepted"]);
}

#[tokio::test]
async fn at_once_with_one_key_and_other_operations_one_wins_and_the_others_are_refused() {
    let scene = Scene::granted().await;
    let all = futures_util::future::join_all(["a", "b", "c"].map(|name| {
        let operation = dns_create(&format!("{name}.example.com"));
        scene.submit(&scene.token, "k", vec![operation])
    }))
    .await;
    let (won, refused): (Vec<_>, Vec<_>) =
        all.into_iter().map(Result::unwrap).partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(
        refused
            .into_iter()
            .all(|one| one.unwrap_err() == Rejection::KeyReused)
    );
}

#[tokio::test]
async fn a_known_key_is_told_where_its_apply_stands() {
    let scene = Scene::granted().await;
    for (key, outcome, expected) in [
        ("k1", succeeded(), ApplyEnd::Completed),
        ("k2", failed(), ApplyEnd::Failed),
        ("k3", unknown(), ApplyEnd::Unknown),
    ] {
        let first = scene.submitted(key, vec![purge()]).await;
        assert_eq!(standing(&first.apply, None, scene.now()), Standing::Running);
        scene.run(start(first.apply.id, 0)).await.unwrap();
        scene.run(end(first.apply.id, 0, outcome)).await.unwrap();
        let again = scene.submitted(key, vec![purge()]).await;
        assert_eq!(
            standing(&again.apply, again.approval.as_deref(), scene.now()),
            Standing::Ended(expected)
        );
    }
}

#[tokio::test]
async fn a_known_key_is_told_of_the_decision_on_its_approval() {
    let scene = Scene::new().await;
    let stands = async |key: &str, mode: &str| {
        let again = scene.submitted(key, vec![ssl_mode(mode)]).await;
        assert!(!again.is_new);
        standing(&again.apply, again.approval.as_deref(), scene.now())
    };
    let first = scene.submitted("k1", vec![ssl_mode("strict")]).await;
    assert_eq!(stands("k1", "strict").await, Standing::Waiting);
    scene.decided(&first, Decision::Approve).await;
    assert_eq!(stands("k1", "strict").await, Standing::Approved);
    scene.continued(&first).await.unwrap();
    assert_eq!(stands("k1", "strict").await, Standing::Running);
    let second = scene.submitted("k2", vec![ssl_mode("off")]).await;
    scene.decided(&second, Decision::Deny).await;
    assert_eq!(stands("k2", "off").await, Standing::Denied { reason: None });
}

#[tokio::test]
async fn a_repetition_does_not_replace_the_callback() {
    let scene = Scene::granted().await;
    let with_callback = |key: &str, operations| SubmitApply {
        callback: Some(callback(9, "secret")),
        ..submit(&scene.token, key, operations)
    };
    let first = scene.run(with_callback("k", vec![purge()])).await;
    let first = first.unwrap().accepted().unwrap();
    let registered = first.task.callback_id();
    assert!(registered.is_some());
    assert_eq!(first.apply.callback_id, registered);
    let again = scene.run(with_callback("k", vec![purge()])).await;
    assert_eq!(
        again.unwrap().accepted().unwrap().task.callback_id(),
        registered
    );
    // Nor does a refusal.
    let refused = scene.run(with_callback("k", vec![dns_read()])).await;
    assert!(refused.unwrap().accepted().is_err());
    let set = scene
        .all()
        .await
        .into_iter()
        .filter(|event| matches!(event, Event::CallbackSet(_)))
        .count();
    assert_eq!(set, 1);
}

#[tokio::test]
async fn the_reason_and_the_link_belong_to_the_request() {
    let scene = Scene::granted().await;
    let with = |reason: Option<&str>, link: Option<&str>| SubmitApply {
        purpose: Purpose {
            reason: reason.map(Reason::unchecked),
            link: link.map(Link::unchecked),
        },
        ..submit(&scene.token, "k", vec![ssl_mode("strict")])
    };
    let (why, link) = (Some("OPS-42"), Some("https://tickets.example/OPS-42"));
    let first = scene
        .run(with(why, link))
        .await
        .unwrap()
        .accepted()
        .unwrap();
    assert_eq!(first.apply.purpose, with(why, link).purpose);
    let again = scene
        .run(with(why, link))
        .await
        .unwrap()
        .accepted()
        .unwrap();
    assert!(!again.is_new);
    for other in [
        with(None, None),
        with(why, None),
        with(Some("OPS-43"), link),
    ] {
        let refused = scene.run(other).await.unwrap().accepted().unwrap_err();
        assert_eq!(refused, Rejection::KeyReusedForAnotherPurpose);
    }
    // They bind nothing: another apply of the same operations waits for the same approval.
    let silent = submit(&scene.token, "k2", vec![ssl_mode("strict")]);
    let silent = scene.run(silent).await.unwrap().accepted().unwrap();
    assert_eq!(silent.apply.fingerprint, first.apply.fingerprint);
    assert_eq!(silent.apply.approval_id, first.apply.approval_id);
}

#[tokio::test]
async fn the_writer_takes_only_a_reason_and_a_link_in_their_form() {
    let scene = Scene::granted().await;
    let most = "x".repeat(501);
    for (reason, link) in [
        (Some(most.as_str()), None),
        (Some(" "), None),
        (None, Some("http://tickets.example/")),
        (None, Some("javascript:alert(1)")),
        (None, Some("https://bank.example@tickets.example/")),
        (None, Some("https://TICKETS.example/")),
    ] {
        let command = SubmitApply {
            purpose: Purpose {
                reason: reason.map(Reason::unchecked),
                link: link.map(Link::unchecked),
            },
            ..submit(&scene.token, "k", vec![purge()])
        };
        let refused = scene.run(command).await.unwrap().accepted().unwrap_err();
        assert_eq!(refused.code(), "bad_request", "{reason:?} {link:?}");
    }
}

#[tokio::test]
async fn what_is_executed_is_what_was_fingerprinted() {
    let scene = Scene::granted().await;
    let submitted = scene
        .submitted("k", vec![dns_create("a.example.com")])
        .await;
    let apply = scene
        .load::<Apply>(submitted.apply.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        ledger::Fingerprint::of(apply.submission.as_bytes()),
        apply.fingerprint
    );
    let operations = ledger::operations_of(apply.submission.as_bytes()).unwrap();
    assert_eq!(operations, [dns_create("a.example.com").to_json()]);
}

#[tokio::test]
async fn no_operations_at_all_are_refused() {
    let scene = Scene::granted().await;
    let refused = scene.submit(&scene.token, "k", Vec::new()).await.unwrap();
    assert_eq!(refused.unwrap_err().code(), "invalid_operations");
}

#[test]
fn a_key_is_1_to_255_visible_ascii_characters() {
    for fine in ["a", "~!{}", &"k".repeat(255)] {
        assert!(IdempotencyKey::parse(fine).is_ok(), "{fine:?}");
    }
    for wrong in ["", " ", "a b", "a\n", "é", "\u{7f}", &"k".repeat(256)] {
        assert!(IdempotencyKey::parse(wrong).is_err(), "{wrong:?}");
    }
}
