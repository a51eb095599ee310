//! Deadlines bind in the decision itself, whether or not anybody has recorded that they passed.

use crate::scene::{Scene, refusal};
use fixtures::rules::TestRules;
use fixtures::test_ledger::Setup;
use ledger::aggregate::ApprovalState;
use ledger::command::{ExpireApproval, Standing, standing};
use ledger::{ApprovalId, Decision, Event, Rejection, Timestamp};
use std::time::Duration;

const TTL: Duration = Duration::from_secs(600);
const MICRO: Duration = Duration::from_micros(1);

#[tokio::test]
async fn the_deadline_binds_at_the_deadline_itself_without_the_expirer() {
    let scene = Scene::new().await;
    let asked = scene.asked("k1").await;
    let deadline = asked.approval.as_ref().unwrap().expires_at;
    assert_eq!(deadline, scene.now().plus(TTL));
    // An answer that comes in the last microsecond counts.
    scene.clock.set(deadline.minus(MICRO));
    let approval = scene.approval(&asked).await;
    assert_eq!(approval.state_at(scene.now()), ApprovalState::Pending);
    let in_time = scene
        .alice
        .decide(&scene.ledger, &approval, Decision::Approve, None);
    scene.clock.set(deadline);
    let before = scene.size_now();
    let late = scene.run(in_time).await.unwrap();
    assert_eq!(
        late.accepted().unwrap_err(),
        Rejection::ApprovalExpired { at: deadline }
    );
    assert_eq!(scene.names_since(before).await, ["approval.expired"]);
}

#[tokio::test]
async fn a_decision_in_the_last_microsecond_counts() {
    let scene = Scene::new().await;
    let asked = scene.asked("k1").await;
    let deadline = asked.approval.as_ref().unwrap().expires_at;
    scene.clock.set(deadline.minus(MICRO));
    let approved = scene.decided(&asked, Decision::Approve).await;
    assert_eq!(approved.state, ApprovalState::Approved);
    assert_eq!(
        approved.continue_until(),
        Some(deadline.minus(MICRO).plus(TTL))
    );
}

#[tokio::test]
async fn the_continuation_window_ends_exactly_at_its_end() {
    for (early, runs) in [(MICRO, true), (Duration::ZERO, false)] {
        let scene = Scene::with(Setup {
            rules: TestRules {
                approval_ttl: Duration::from_secs(60),
                ..TestRules::default()
            }
            .build(),
            ..Setup::default()
        })
        .await;
        let asked = scene.approved("k1").await;
        let until = scene.approval(&asked).await.continue_until().unwrap();
        scene.clock.set(until.minus(early));
        let continued = scene.continued(&asked).await.unwrap();
        assert_eq!(continued.apply.authorised, runs);
        let expected = if runs {
            Standing::Running
        } else {
            Standing::Expired { at: until }
        };
        assert_eq!(
            standing(&continued.apply, continued.approval.as_deref(), scene.now()),
            expected,
        );
    }
}

#[tokio::test]
async fn what_is_expired_stays_expired_and_says_when() {
    let rules = TestRules {
        approval_ttl: Duration::from_secs(60),
        ..TestRules::default()
    };
    let scene = Scene::with(Setup {
        rules: rules.build(),
        ..Setup::default()
    })
    .await;
    let asked = scene.asked("k1").await;
    let deadline = asked.approval.as_ref().unwrap().expires_at;
    scene.clock.set(deadline.plus(Duration::from_secs(30)));
    let again = scene.asked("k1").await;
    assert_eq!(
        again.approval.as_ref().unwrap().state,
        ApprovalState::Expired
    );
    scene.clock.advance(Duration::from_secs(30));
    let approval = scene.approval(&asked).await;
    let before = scene.size_now();
    assert_eq!(
        standing(&asked.apply, Some(&approval), scene.now()),
        Standing::Expired { at: deadline }
    );
    let late = scene
        .alice
        .decide(&scene.ledger, &approval, Decision::Approve, None);
    assert_eq!(
        refusal(scene.run(late).await),
        Rejection::ApprovalExpired { at: deadline }
    );
    assert_eq!(scene.size_now(), before);
}

#[tokio::test]
async fn after_an_expiry_the_same_operations_are_asked_anew() {
    let rules = TestRules {
        approval_ttl: Duration::from_secs(60),
        ..TestRules::default()
    };
    let scene = Scene::with(Setup {
        rules: rules.build(),
        ..Setup::default()
    })
    .await;
    let asked = scene.asked("k1").await;
    scene.clock.advance(Duration::from_secs(60));
    let before = scene.size_now();
    let again = scene.asked("k2").await;
    assert_ne!(again.apply.approval_id, asked.apply.approval_id);
    assert_eq!(
        scene.names_since(before).await,
        ["approval.expired", "approval.requested", "apply.accepted"]
    );
}

#[tokio::test]
async fn the_expirer_records_a_deadline_once_and_only_when_it_has_passed() {
    let scene = Scene::new().await;
    let asked = scene.asked("k1").await;
    let approval_id = asked.approval.as_ref().unwrap().id;
    let expire = || scene.run(ExpireApproval { approval_id });
    let before = scene.size_now();
    assert!(!expire().await.unwrap());
    scene.clock.advance(TTL);
    assert!(expire().await.unwrap());
    assert!(!expire().await.unwrap());
    let events = scene.since(before).await;
    assert_eq!(events.len(), 1);
    let Event::ApprovalExpired(expired) = &events[0].event else {
        panic!("{events:?}");
    };
    assert!(!expired.was_approved);
    assert_eq!(
        refusal(
            scene
                .run(ExpireApproval {
                    approval_id: ApprovalId::from_bytes([1; 16])
                })
                .await
        ),
        Rejection::ApprovalNotFound
    );
}

#[tokio::test]
async fn an_approval_that_was_not_continued_in_time_expires_as_approved() {
    let scene = Scene::new().await;
    let asked = scene.approved("k1").await;
    scene.clock.advance(TTL);
    let before = scene.size_now();
    let approval_id = asked.approval.as_ref().unwrap().id;
    assert!(scene.run(ExpireApproval { approval_id }).await.unwrap());
    let events = scene.since(before).await;
    assert!(matches!(&events[0].event, Event::ApprovalExpired(e) if e.was_approved));
    let approval = scene.approval(&asked).await;
    assert!(approval.decision.is_some(), "who approved stays known");
}

#[tokio::test]
async fn a_verify_racing_the_expiry_gives_exactly_one_of_the_two() {
    let scene = Scene::new().await;
    let asked = scene.asked("k1").await;
    let approval = scene.approval(&asked).await;
    for at in [approval.expires_at.minus(MICRO), approval.expires_at] {
        scene.clock.set(at);
        let decide = scene
            .alice
            .decide(&scene.ledger, &approval, Decision::Approve, None);
        let before = scene.size_now();
        let approval_id = approval.id;
        let (decided, expired) =
            tokio::join!(scene.run(decide), scene.run(ExpireApproval { approval_id }));
        let names = scene.names_since(before).await;
        let ends = names
            .iter()
            .filter(|name| ["approval.approved", "approval.expired"].contains(*name))
            .count();
        if at < approval.expires_at {
            assert!(decided.unwrap().accepted().is_ok() && !expired.unwrap());
            assert_eq!(ends, 1);
        } else {
            assert!(decided.is_err(), "it was approved before");
        }
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_does_not_bring_a_deadline_back() {
    let scene = Scene::new().await;
    let asked = scene.asked("k1").await;
    scene.clock.advance(TTL);
    scene
        .run(ExpireApproval {
            approval_id: asked.approval.as_ref().unwrap().id,
        })
        .await
        .unwrap();
    let head = scene.now();
    scene.clock.set(Timestamp::from_seconds(0));
    assert_eq!(scene.now(), head);
    assert!(scene.clock_behind() > Duration::from_secs(60));
    let before = scene.size_now();
    scene.task().await;
    assert!(
        scene
            .since(before)
            .await
            .iter()
            .all(|recorded| recorded.recorded_at() == head)
    );
}
