//! What has not ended is not erased.

use super::{close, deliver_all, erase, story, why};
use crate::scene::{Scene, end, refusal, start, unknown};
use fixtures::commands::dns_create;
use ledger::command::EraseTarget;
use ledger::{Rejection, TaskId};
use std::time::Duration;

#[tokio::test]
async fn what_has_not_ended_is_not_erased() {
    let told = story(Scene::granted().await).await;
    let scene = &told.scene;
    let before = scene.size_now();
    assert!(why(erase(scene, told.target()).await).contains("the task is open"));
    // Old, but an approval of it is still open in the log.
    scene.clock.advance(Duration::from_secs(25 * 60 * 60));
    assert!(why(erase(scene, told.target()).await).contains("is open"));
    assert_eq!(scene.size_now(), before);
    close(scene, told.task()).await;
    assert!(why(erase(scene, told.target()).await).contains("still being tried"));
    deliver_all(scene, told.task()).await;
    assert!(erase(scene, told.target()).await.unwrap().is_new);
    let nobody = EraseTarget::Task(TaskId::from_bytes([9; 16]));
    assert_eq!(refusal(erase(scene, nobody).await), Rejection::TaskNotFound);
}

#[tokio::test]
async fn a_task_that_is_a_day_old_has_ended_when_nothing_of_it_is_open() {
    let scene = Scene::granted().await;
    let target = EraseTarget::Task(scene.token.task.id);
    scene
        .clock
        .advance(Duration::from_secs(24 * 60 * 60) - Duration::from_micros(1));
    assert!(why(erase(&scene, target.clone()).await).contains("the task is open"));
    scene.clock.advance(Duration::from_micros(1));
    assert!(erase(&scene, target).await.unwrap().is_new);
}

#[tokio::test]
async fn an_execution_that_nobody_knows_the_end_of_is_not_erased() {
    let scene = Scene::granted().await;
    let apply = scene
        .submitted("k", vec![dns_create("a.example.com")])
        .await
        .apply;
    scene.run(start(apply.id, 0)).await.unwrap();
    scene.run(end(apply.id, 0, unknown())).await.unwrap();
    close(&scene, scene.token.task.id).await;
    let target = EraseTarget::Task(scene.token.task.id);
    assert!(why(erase(&scene, target).await).contains("apply resolve"));
}
