//! Refused attempts stand in the log: ten for each task and minute, the rest in one count.

use crate::scene::{Scene, refusal};
use fixtures::commands::{allow, create_task, presented, purge};
use ledger::command::{CreateTask, IssuedToken, RefuseApply};
use ledger::{ClientSubject, Event, Rejection};
use providers::cloudflare;
use std::time::Duration;

async fn read_only_task(scene: &Scene) -> IssuedToken {
    let command = CreateTask {
        operations: vec![allow(cloudflare::DNS_RECORD_READ)],
        ..create_task()
    };
    scene.run(command).await.unwrap()
}

async fn refuse(scene: &Scene, token: &IssuedToken, times: usize) {
    let all = (0..times).map(|_| scene.submit(token, "k", vec![purge()]));
    for answer in futures_util::future::join_all(all).await {
        assert!(answer.unwrap().is_err());
    }
}

fn counts(events: &[Event]) -> Vec<(i64, u64)> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::RefusalsCounted(counted) => Some((counted.minute, counted.count)),
            _ => None,
        })
        .collect()
}

fn recorded(events: &[Event]) -> usize {
    events
        .iter()
        .filter(|event| matches!(event, Event::ApplyRefused(_)))
        .count()
}

#[tokio::test]
async fn ten_a_minute_are_recorded_and_the_rest_is_counted_once() {
    let scene = Scene::new().await;
    let token = read_only_task(&scene).await;
    let minute = scene.now().as_seconds();
    refuse(&scene, &token, 25).await;
    assert_eq!(recorded(&scene.all().await), 10);
    assert_eq!(counts(&scene.all().await), []);
    scene.clock.advance(Duration::from_secs(60));
    scene.task().await;
    scene.task().await;
    assert_eq!(counts(&scene.all().await), [(minute, 15)]);
}

#[tokio::test]
async fn the_first_refusal_of_a_new_minute_is_recorded_by_itself() {
    let scene = Scene::new().await;
    let token = read_only_task(&scene).await;
    let minute = scene.now().as_seconds();
    refuse(&scene, &token, 11).await;
    scene.clock.advance(Duration::from_secs(60));
    let before = scene.size_now();
    refuse(&scene, &token, 1).await;
    assert_eq!(
        scene.names_since(before).await,
        ["apply.refusals_counted", "apply.refused"]
    );
    assert_eq!(counts(&scene.all().await), [(minute, 1)]);
}

#[tokio::test]
async fn each_task_has_ten_of_its_own() {
    let scene = Scene::new().await;
    let (one, two) = (read_only_task(&scene).await, read_only_task(&scene).await);
    refuse(&scene, &one, 12).await;
    refuse(&scene, &two, 12).await;
    assert_eq!(recorded(&scene.all().await), 20);
}

#[tokio::test]
async fn the_running_minute_is_counted_when_the_service_ends() {
    let scene = Scene::new().await;
    let token = read_only_task(&scene).await;
    let minute = scene.now().as_seconds();
    refuse(&scene, &token, 13).await;
    let Scene { ledger, .. } = scene;
    let ledger = ledger.restart().await;
    let events = ledger.log().events_from(0, 1000).await.unwrap();
    let events: Vec<_> = events.into_iter().map(|recorded| recorded.event).collect();
    assert_eq!(counts(&events), [(minute, 3)]);
}

#[tokio::test]
async fn a_count_is_recorded_even_when_nobody_asks_any_more() {
    let scene = Scene::new().await;
    let token = read_only_task(&scene).await;
    let minute = scene.now().as_seconds();
    refuse(&scene, &token, 11).await;
    let mut size = scene.size();
    size.mark_unchanged();
    scene.clock.advance(Duration::from_secs(60));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    size.changed().await.unwrap();
    assert_eq!(counts(&scene.all().await), [(minute, 1)]);
}

#[tokio::test]
async fn what_a_request_is_refused_for_before_it_is_a_command_is_recorded_too() {
    let scene = Scene::new().await;
    let because = Rejection::Invalid {
        code: "invalid_params",
        detail: "params.ttl: must be 1 or 60..86400".to_owned(),
    };
    let before = scene.size_now();
    let told = scene
        .run(RefuseApply {
            token: presented(&scene.token).into(),
            key: None,
            refusal: because.clone(),
        })
        .await
        .unwrap();
    assert_eq!(*told.rejection(), because);
    let events = scene.since(before).await;
    assert_eq!(events.len(), 1);
    let Event::ApplyRefused(refused) = &events[0].event else {
        panic!("{events:?}");
    };
    assert_eq!(refused.code, "invalid_params");
    assert_eq!(refused.detail, because.to_string());
    assert_eq!(
        (&refused.idempotency_key, refused.fingerprint),
        (&None, None)
    );
}

#[tokio::test]
async fn who_is_not_authenticated_gets_nothing_recorded() {
    let scene = Scene::new().await;
    let mut token = presented(&scene.token);
    token.subject = ClientSubject::unchecked("somebody else");
    let before = scene.size_now();
    let command = RefuseApply {
        token: token.into(),
        key: None,
        refusal: Rejection::KeyReused,
    };
    assert_eq!(
        refusal(scene.run(command).await),
        Rejection::SubjectMismatch
    );
    assert_eq!(scene.size_now(), before);
}
