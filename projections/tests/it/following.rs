//! The runner follows the ledger, and readers can wait for it.

use crate::world::{self, catch_up};
use fixtures::commands;
use projections::{ApplyState, Error, Projection, TaskStatus};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn what_was_committed_is_seen_once_the_tables_have_caught_up() {
    let (ledger, projections, runner) = world::new().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(runner.run(stop.clone()));
    ledger.grant_all().await;
    let token = ledger.task().await;
    let submitted = ledger
        .submit(&token, "key-1", vec![commands::purge()])
        .await
        .unwrap()
        .unwrap();

    projections
        .caught_up(&[Projection::Tasks], Duration::from_secs(60))
        .await
        .unwrap();

    let task = projections.task(token.task.id).await.unwrap().unwrap();
    assert_eq!(task.status, TaskStatus::Applying);
    assert_eq!(task.apply_state, ApplyState::Applying);
    assert_eq!(
        projections.ready_applies(10).await.unwrap(),
        [submitted.apply.id]
    );
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn tables_that_lag_say_by_how_much() {
    let (ledger, projections, mut runner) = world::new().await;
    catch_up(&mut runner).await;
    ledger.task().await;

    let read = [Projection::Timeline];
    let lagging = projections.caught_up(&read, Duration::from_millis(1)).await;

    let Err(Error::Lagging { projection, behind }) = lagging else {
        panic!("{lagging:?}");
    };
    assert_eq!((projection, behind), (Projection::Timeline, 3));
    let status = projections.status();
    assert_eq!(status.head, 4);
    for one in status.projections {
        assert_eq!((one.cursor, one.stop), (1, None));
    }
}
