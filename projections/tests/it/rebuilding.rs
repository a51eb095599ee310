//! Rebuilding while no service runs: some projections or all, and what is left of one that failed.

use crate::dump::{connect, dump};
use crate::world::{self, catch_up, path_of, url_of};
use fixtures::commands;
use fixtures::test_ledger::TestLedger;
use projections::{Error, Projection, rebuild};
use sqlx::{AssertSqlSafe, Connection as _};

async fn folded() -> TestLedger {
    let (ledger, _projections, mut runner) = world::new().await;
    ledger.grant_all().await;
    let token = ledger.task().await;
    for (key, operation) in [("a", commands::purge()), ("b", commands::ssl_mode("full"))] {
        let submitted = ledger.submit(&token, key, vec![operation]).await;
        submitted.unwrap().unwrap();
    }
    catch_up(&mut runner).await;
    ledger
}

async fn change(ledger: &TestLedger, sql: &str) {
    let mut db = connect(&path_of(ledger)).await;
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn all_or_some_are_made_again_and_what_differed_is_named() {
    use Projection::{Agents, Tasks};
    for names in [vec![], vec![Tasks], vec![Tasks, Agents]] {
        let ledger = folded().await;
        let path = path_of(&ledger);
        let before = dump(&path).await;
        change(&ledger, "UPDATE tasks SET agent = 'another'").await;

        let report = rebuild(&url_of(&path), ledger.log(), &names, |_| {})
            .await
            .unwrap();

        assert_eq!(dump(&path).await, before, "{names:?}");
        let [differed] = report.differences.as_slice() else {
            panic!("{:?}", report.differences);
        };
        assert_eq!(differed.table, "tasks");
        if names.is_empty() {
            assert_eq!(report.compared, Projection::ALL);
        } else {
            assert_eq!(report.compared.len(), names.len());
        }
        // The next start goes on from there.
        let (projections, mut runner) = world::open(&ledger).await.unwrap();
        let head = *ledger.size().borrow();
        let status = projections.status().projections;
        assert!(status.iter().all(|one| one.cursor == head));
        ledger.task().await;
        catch_up(&mut runner).await;
    }
}

#[tokio::test]
async fn a_projection_that_is_not_named_keeps_its_rows() {
    let ledger = folded().await;
    let path = path_of(&ledger);
    change(&ledger, "UPDATE agents SET permission_revision = 99").await;
    let before = dump(&path).await;

    let url = url_of(&path);
    let names = [Projection::Callbacks];
    rebuild(&url, ledger.log(), &names, |_| {}).await.unwrap();

    assert_eq!(dump(&path).await, before);
}

#[tokio::test]
async fn a_file_that_somebody_reads_is_not_replaced_under_them() {
    let ledger = folded().await;
    let path = path_of(&ledger);
    let reading = connect(&path).await;
    let mut reading = reading;
    sqlx::query("SELECT count(*) FROM tasks")
        .execute(&mut reading)
        .await
        .unwrap();
    let before = dump(&path).await;

    let refused = rebuild(&url_of(&path), ledger.log(), &[], |_| {}).await;

    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    assert_eq!(dump(&path).await, before);
    reading.close().await.unwrap();
    rebuild(&url_of(&path), ledger.log(), &[], |_| {})
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_killed_rebuild_left_behind_is_removed_at_the_next_start() {
    let ledger = folded().await;
    let path = path_of(&ledger);
    let before = dump(&path).await;
    let left = ledger.dir().join("proxy.db.rebuild");
    std::fs::write(&left, "half of a file").unwrap();
    // And of one that ran beside a service.
    change(
        &ledger,
        "CREATE TABLE tasks__next (a TEXT); CREATE TABLE applies__old (a TEXT);
         INSERT INTO projections VALUES ('tasks', 'next', 0, '', 'x', 1);
         UPDATE projection_state SET tables = tables || ' tasks__next applies__old'",
    )
    .await;

    let (projections, mut runner) = world::open(&ledger).await.unwrap();

    assert!(!left.exists());
    catch_up(&mut runner).await;
    drop((projections, runner));
    assert_eq!(dump(&path).await, before);
}
