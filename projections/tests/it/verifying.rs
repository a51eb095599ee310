//! Verifying names the first differing row of each table, and changes nothing.

use crate::dump::{connect, dump};
use crate::world::{self, catch_up, path_of, url_of};
use fixtures::commands;
use fixtures::test_ledger::TestLedger;
use projections::{Difference, Error, Projection, VerifyReport, verify};
use sqlx::{AssertSqlSafe, Connection as _};

async fn verified(ledger: &TestLedger) -> VerifyReport {
    let url = url_of(&path_of(ledger));
    let report = verify(&url, ledger.log(), |_| {}).await.unwrap();
    let mut left: Vec<_> = std::fs::read_dir(ledger.dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.retain(|name| name.contains("verify"));
    assert!(left.is_empty(), "{left:?}");
    report
}

async fn change(ledger: &TestLedger, sql: &str) {
    let mut db = connect(&path_of(ledger)).await;
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn tables_that_are_what_the_events_make_them_are_found_equal_beside_a_running_fold() {
    let (ledger, _projections, mut runner) = world::new().await;
    ledger.grant_all().await;
    let token = ledger.task().await;
    let purge = vec![commands::purge()];
    ledger
        .submit(&token, "key-1", purge)
        .await
        .unwrap()
        .unwrap();
    catch_up(&mut runner).await;
    let cursor = *ledger.size().borrow();
    // What comes after the tables' cursor is nobody's difference.
    ledger.task().await;
    let before = dump(&path_of(&ledger)).await;

    let report = verified(&ledger).await;

    assert_eq!(report.differences, []);
    assert_eq!(report.compared, Projection::ALL.map(|one| (one, cursor)));
    assert_eq!(dump(&path_of(&ledger)).await, before);
}

#[tokio::test]
async fn the_first_differing_row_of_each_table_is_named() {
    let (ledger, _projections, mut runner) = world::new().await;
    ledger.grant_all().await;
    let token = ledger.task().await;
    catch_up(&mut runner).await;
    let task = token.task.id;
    change(
        &ledger,
        "UPDATE tasks SET status = 'completed', agent = 'another';
         DELETE FROM permissions WHERE number IN (3, 5);
         INSERT INTO timeline_topics VALUES ('a stream', 'a task', NULL, NULL, NULL);
         UPDATE audit_timeline SET summary = 'nothing happened' WHERE position IN (1, 2);",
    )
    .await;

    let report = verified(&ledger).await;

    let found: Vec<_> = report
        .differences
        .iter()
        .map(Difference::to_string)
        .collect();
    let agent = commands::AGENT;
    assert_eq!(
        found[0],
        format!("permissions agent={agent} number=3: the row is missing")
    );
    assert_eq!(
        found[1],
        format!(
            "tasks task_id={task}: agent is another, the events make it {agent}; \
             status is completed, the events make it open"
        )
    );
    let timeline = "audit_timeline position=1: summary is nothing happened, the events make it ";
    assert!(found[2].starts_with(timeline), "{}", found[2]);
    assert_eq!(
        found[3],
        "timeline_topics subject_id=a stream: no event makes this row"
    );
    assert_eq!(found.len(), 4);
}

#[tokio::test]
async fn without_tables_of_this_version_there_is_nothing_to_verify() {
    let (ledger, projections, mut runner) = world::new().await;
    catch_up(&mut runner).await;
    drop((projections, runner));
    change(&ledger, "UPDATE projections SET schema_hash = 'older'").await;
    let url = url_of(&path_of(&ledger));

    let refused = verify(&url, ledger.log(), |_| {}).await;

    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
}
