//! Readers never hold up the writer.

use super::foreign;
use crate::scene::Scene;
use ledger::Log as _;
use ledger_sqlite::Reader;
use sqlx::Row as _;

#[tokio::test]
async fn a_long_read_does_not_stop_commits_and_sees_one_moment() {
    let scene = Scene::new().await;
    let size = i64::try_from(scene.size_now()).unwrap();
    let mut reader = foreign(scene.path()).await;
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    let mut counted = Vec::new();
    for _ in 0..20 {
        let row = sqlx::query("SELECT count(*) FROM events")
            .fetch_one(&mut reader)
            .await
            .unwrap();
        counted.push(row.get::<i64, _>(0));
        scene.task().await;
    }
    assert_eq!(counted, [size; 20]);
    sqlx::query("COMMIT").execute(&mut reader).await.unwrap();
    let row = sqlx::query("SELECT count(*) FROM events")
        .fetch_one(&mut reader)
        .await
        .unwrap();
    assert_eq!(row.get::<i64, _>(0), size + 40);
}

#[tokio::test]
async fn a_reader_of_another_process_sees_every_answer_that_was_given() {
    let scene = Scene::new().await;
    let reader = Reader::open(&scene.url()).await.unwrap();
    assert_eq!(reader.ledger_id().await.unwrap(), Some(scene.id()));
    for _ in 0..10 {
        let token = scene.task().await;
        assert_eq!(reader.size().await.unwrap(), scene.size_now());
        assert_eq!(
            reader
                .stream(token.task.id.into(), u64::MAX)
                .await
                .unwrap()
                .len(),
            2
        );
    }
    assert_eq!(
        reader.form(scene.size_now()).await.unwrap(),
        None,
        "the size is the next position"
    );
}

#[tokio::test]
async fn events_come_in_pages_from_memory_as_from_the_file() {
    let scene = Scene::new().await;
    let size = scene.size_now();
    for from in 0..=size + 1 {
        for limit in [0, 1, 3, 100] {
            let memory = scene.events_from(from, limit).await.unwrap();
            let file = scene.log().events_from(from, limit).await.unwrap();
            let memory: Vec<_> = memory.iter().map(|event| (**event).clone()).collect();
            assert_eq!(memory, file, "{limit} from {from}");
        }
    }
}

#[tokio::test]
async fn a_page_of_events_ends_with_the_one_that_brings_it_to_its_bytes() {
    let scene = Scene::granted().await;
    let reader = scene.log();
    let all = reader.events_from(0, 1000).await.unwrap();
    assert!(all.len() > 2);
    let within = |from, most| async move { reader.events_within(from, 1000, most).await.unwrap() };
    assert_eq!(within(0, u64::MAX).await.len(), all.len());
    let mut read = Vec::new();
    while read.len() < all.len() {
        // Never nothing: whoever follows would stand still.
        let page = within(u64::try_from(read.len()).unwrap(), 1).await;
        assert_eq!(page.len(), 1);
        read.extend(page);
    }
    let positions = |events: &[ledger::Recorded]| {
        let positions = events.iter().map(ledger::Recorded::position);
        positions.collect::<Vec<_>>()
    };
    assert_eq!(positions(&read), positions(&all));
}
