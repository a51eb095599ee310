//! Rebuilding beside the tables in use, by the task that folds.

use crate::dump::{connect, dump};
use crate::step::step;
use crate::story::Story;
use crate::world::{self, path_of, url_of};
use fixtures::commands;
use fixtures::test_ledger::TestLedger;
use ledger::AgentName;
use projections::{Error, Paging, Projection, ProjectionOptions, Projections, Runner, rebuild};
use proptest::prelude::*;
use sqlx::{AssertSqlSafe, Connection as _};
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

/// A runner at work.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    fn begin(runner: Runner) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(runner.run(stop.clone()));
        Self { stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// The rows of all tables but those about the fold itself.
async fn rows(path: &Path) -> Vec<String> {
    let mut rows = dump(path).await;
    rows.retain(|row| !row.starts_with("projections:") && !row.starts_with("projection_state:"));
    rows
}

async fn change(path: &Path, sql: &str) {
    let mut db = connect(path).await;
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

/// Waits until nothing is left of the tables that were replaced.
async fn cleaned(path: &Path) {
    loop {
        let mut db = connect(path).await;
        let left =
            sqlx::query("SELECT 1 FROM sqlite_schema WHERE name LIKE '%\\_\\_%' ESCAPE '\\'")
                .fetch_optional(&mut db)
                .await
                .unwrap();
        db.close().await.unwrap();
        if left.is_none() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_rebuild_during_traffic_ends_in_the_rows_of_a_fresh_fold(
        steps in prop::collection::vec((step(), 0..6_u8), 20..80),
        names in prop::sample::subsequence(Projection::ALL.to_vec(), 0..=5),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut story = Story::begin().await;
            let ledger = story.ledger.ledger.clone();
            let path = story.ledger.dir().join("live.db");
            let options = ProjectionOptions { url: url_of(&path), ledger: ledger.clone() };
            let (projections, runner) = Projections::open(options).await.unwrap();
            let running = Running::begin(runner);
            let mut rebuilding: Option<JoinHandle<_>> = None;
            for (step, chance) in &steps {
                if *chance == 0 && rebuilding.as_ref().is_none_or(JoinHandle::is_finished) {
                    let (projections, names) = (projections.clone(), names.clone());
                    let rebuild = async move { projections.rebuild(&names, |_| {}).await };
                    if let Some(ended) = rebuilding.replace(tokio::spawn(rebuild)) {
                        let report = ended.await.unwrap().unwrap();
                        assert_eq!(report.differences, []);
                    }
                }
                story.happen(step).await;
            }
            if let Some(rebuilding) = rebuilding {
                rebuilding.await.unwrap().unwrap();
            }
            let report = projections.rebuild(&names, |_| {}).await.unwrap();
            assert_eq!(report.differences, []);
            projections.caught_up(&Projection::ALL, PATIENCE).await.unwrap();
            cleaned(&path).await;
            running.end().await;
            let fresh = story.ledger.dir().join("fresh.db");
            rebuild(&url_of(&fresh), ledger.log(), &[], |_| {}).await.unwrap();
            assert_eq!(rows(&path).await, rows(&fresh).await);
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_no_gap_and_nothing_goes_back_while_tables_are_switched() {
    let (ledger, projections, runner) = world::new().await;
    let running = Running::begin(runner);
    ledger.grant_all().await;
    let token = ledger.task().await;
    let task = token.task.id;
    let stop = CancellationToken::new();
    let mut readers = Vec::new();
    for _ in 0..3 {
        let (projections, stop) = (projections.clone(), stop.clone());
        let size = ledger.ledger.size();
        readers.push(tokio::spawn(async move {
            let (mut seen, mut reads) = (0, 0_u32);
            while !stop.is_cancelled() {
                let head = *size.borrow();
                let all = &Projection::ALL;
                projections.caught_up(all, PATIENCE).await.unwrap();
                let all = Paging {
                    after: None,
                    limit: u32::MAX,
                };
                let entries = projections.timeline(None, all).await.unwrap().rows.len();
                let entries = u64::try_from(entries).unwrap();
                assert!(
                    entries >= head.max(seen),
                    "{entries} of {head}, {seen} before"
                );
                seen = entries;
                assert!(projections.task(task).await.unwrap().is_some());
                let agent = &AgentName::unchecked(commands::AGENT);
                assert_eq!(projections.permissions(agent).await.unwrap().len(), 7);
                reads += 1;
            }
            reads
        }));
    }
    let appending = {
        let (ledger, stop) = (ledger.ledger.clone(), stop.clone());
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                let origin = commands::administrator();
                ledger
                    .execute(origin, commands::create_task())
                    .await
                    .unwrap();
            }
        })
    };

    for _ in 0..5 {
        let report = projections.rebuild(&[], |_| {}).await.unwrap();
        assert_eq!(report.compared, Projection::ALL);
        assert_eq!(report.differences, []);
    }

    stop.cancel();
    appending.await.unwrap();
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    running.end().await;
}

#[tokio::test]
async fn damaged_rows_stop_their_projection_and_a_rebuild_is_the_way_out() {
    let (ledger, projections, runner) = world::new().await;
    let running = Running::begin(runner);
    let token = ledger.task().await;
    let read = [Projection::Tasks];
    projections.caught_up(&read, PATIENCE).await.unwrap();
    running.end().await;
    drop(projections);
    let path = path_of(&ledger);
    change(&path, "UPDATE tasks SET status = 'nonsense'").await;
    let (projections, runner) = world::open(&ledger).await.unwrap();
    let running = Running::begin(runner);
    let purge = vec![commands::purge()];
    ledger.submit(&token, "a", purge).await.unwrap().unwrap();
    let stopped = projections.caught_up(&read, PATIENCE).await.unwrap_err();
    assert!(
        stopped.to_string().contains("column status of tasks"),
        "{stopped}"
    );

    let report = projections.rebuild(&read, |_| {}).await.unwrap();

    assert_eq!(report.events, *ledger.size().borrow());
    assert_eq!(report.compared, [], "they were not at the same cursor");
    projections
        .caught_up(&Projection::ALL, PATIENCE)
        .await
        .unwrap();
    assert!(projections.task(token.task.id).await.unwrap().is_some());
    let status = projections.status().projections;
    assert!(status.iter().all(|one| one.stop.is_none()));
    running.end().await;
}

#[tokio::test]
async fn what_differed_is_named_and_replaced() {
    let (ledger, projections, runner) = world::new().await;
    let running = Running::begin(runner);
    ledger.task().await;
    projections
        .caught_up(&Projection::ALL, PATIENCE)
        .await
        .unwrap();
    let path = path_of(&ledger);
    let before = rows(&path).await;
    change(&path, "UPDATE capability_tokens SET agent = 'another'").await;
    let mut told = 0;

    let report = projections.rebuild(&[], |_| told += 1).await.unwrap();

    assert_eq!(report.differences.len(), 1);
    assert_eq!(report.differences[0].table, "capability_tokens");
    cleaned(&path).await;
    assert_eq!(rows(&path).await, before);
    running.end().await;
}

#[tokio::test]
async fn a_rebuild_that_cannot_fold_leaves_the_tables_in_use() {
    let (ledger, projections, runner) = world::new().await;
    let path = path_of(&ledger);
    let running = Running::begin(runner);
    ledger.grant_all().await;
    projections
        .caught_up(&Projection::ALL, PATIENCE)
        .await
        .unwrap();
    let before = rows(&path).await;
    // The new tables would hold a second agent of the same name.
    let fault = "CREATE TRIGGER fault BEFORE INSERT ON projections WHEN NEW.place = 'next'
                 BEGIN SELECT RAISE(ABORT, 'a fault'); END";
    change(&path, fault).await;

    let failed = projections.rebuild(&[Projection::Agents], |_| {}).await;

    assert!(matches!(failed, Err(Error::Sqlite { .. })), "{failed:?}");
    change(&path, "DROP TRIGGER fault").await;
    assert_eq!(rows(&path).await, before);
    ledger.task().await;
    projections
        .caught_up(&Projection::ALL, PATIENCE)
        .await
        .unwrap();
    projections
        .rebuild(&[Projection::Agents], |_| {})
        .await
        .unwrap();
    running.end().await;
}

#[tokio::test]
async fn a_rebuild_that_the_end_interrupts_is_removed_at_the_next_start() {
    let ledger = TestLedger::open().await;
    for _ in 0..400 {
        ledger.task().await;
    }
    let (projections, runner) = world::open(&ledger).await.unwrap();
    let path = path_of(&ledger);
    let running = Running::begin(runner);
    projections
        .caught_up(&Projection::ALL, PATIENCE)
        .await
        .unwrap();
    let before = rows(&path).await;
    let stop = running.stop.clone();

    // Told to stop as soon as the first batch is in.
    let interrupted = projections.rebuild(&[], move |_| stop.cancel()).await;

    assert!(matches!(interrupted, Err(Error::Ended)), "{interrupted:?}");
    running.task.await.unwrap().unwrap();
    drop(projections);
    let (_projections, runner) = world::open(&ledger).await.unwrap();
    assert_eq!(rows(&path).await, before);
    drop(runner);
}
