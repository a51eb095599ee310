//! Each write of a batch, lost and persisted but reported as failed.

use super::Folder;
use crate::error::Error;
use crate::runner::remake;
use crate::store::{State, connect_writer, schema_hash, stored_tables};
use fixtures::commands;
use fixtures::test_ledger::TestLedger;
use ledger::{Ledger, Recorded};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use std::path::Path;
use std::sync::Arc;

/// A ledger in which something happened to several tables.
async fn eventful() -> TestLedger {
    let ledger = TestLedger::open().await;
    ledger.grant_all().await;
    let token = ledger.task().await;
    for (key, operation) in [("a", commands::purge()), ("b", commands::ssl_mode("full"))] {
        let submitted = ledger.submit(&token, key, vec![operation]).await;
        submitted.unwrap().unwrap();
    }
    ledger
}

async fn folder(path: &Path, ledger: &Ledger) -> Folder {
    let mut db = connect_writer(path).await.unwrap();
    let state = match State::read(&mut db).await {
        Some(state) => state,
        None => remake(&mut db, ledger.id(), None).await.unwrap(),
    };
    assert_eq!(state.schema_hash, schema_hash());
    Folder::new(db, state)
}

async fn events(ledger: &Ledger, from: u64) -> Vec<Arc<Recorded>> {
    ledger.events_from(from, 1000).await.unwrap()
}

async fn fold(folder: &mut Folder, events: &[Arc<Recorded>]) -> Result<(), Error> {
    folder.fold(events.iter().map(|event| &**event)).await
}

async fn run(db: &mut SqliteConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.unwrap();
}

/// How many rows each table has, and where the cursor is.
async fn contents(db: &mut SqliteConnection) -> Vec<(String, i64)> {
    let mut contents = Vec::new();
    for table in stored_tables(db).await.unwrap() {
        let sql = format!("SELECT count(*) FROM {table}");
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut *db).await;
        contents.push((table, row.unwrap().get(0)));
    }
    let cursor = sqlx::query("SELECT cursor FROM projection_state");
    let cursor = cursor.fetch_one(db).await.unwrap().get(0);
    contents.push(("cursor".to_owned(), cursor));
    contents
}

#[tokio::test]
async fn a_batch_of_which_any_write_fails_leaves_nothing_and_is_folded_again() {
    let ledger = eventful().await;
    let undisturbed = ledger.dir().join("undisturbed.db");
    let mut undisturbed = folder(&undisturbed, &ledger).await;
    let all = events(&ledger, 0).await;
    fold(&mut undisturbed, &all).await.unwrap();
    let expected = contents(&mut undisturbed.db).await;

    let written = [
        ("agents", "INSERT"),
        ("permissions", "INSERT"),
        ("tasks", "INSERT"),
        ("capability_tokens", "INSERT"),
        ("approvals", "INSERT"),
        ("applies", "INSERT"),
        ("execution_queue", "INSERT"),
        ("audit_timeline", "INSERT"),
        ("projection_state", "UPDATE"),
    ];
    for (table, write) in written {
        let path = ledger.dir().join(format!("{table}.db"));
        let mut folder = folder(&path, &ledger).await;
        fold(&mut folder, &all[..2]).await.unwrap();
        let before = contents(&mut folder.db).await;
        let fault = "BEGIN SELECT RAISE(ABORT, 'a fault'); END";
        let sql = format!("CREATE TRIGGER fault BEFORE {write} ON {table} {fault}");
        run(&mut folder.db, sql).await;

        let lost = fold(&mut folder, &all[2..]).await;

        assert!(matches!(lost, Err(Error::Database { .. })), "{table}");
        assert_eq!(contents(&mut folder.db).await, before, "{table}");
        run(&mut folder.db, "DROP TRIGGER fault".to_owned()).await;
        fold(&mut folder, &all[2..]).await.unwrap();
        assert_eq!(contents(&mut folder.db).await, expected, "{table}");
    }
}

#[tokio::test]
async fn a_batch_that_was_persisted_unnoticed_is_not_folded_twice() {
    let ledger = eventful().await;
    let path = ledger.dir().join("proxy.db");
    let mut unaware = folder(&path, &ledger).await;
    let all = events(&ledger, 0).await;
    fold(&mut unaware, &all[..2]).await.unwrap();
    // Another connection commits the batch that this one will believe to be lost.
    let mut other = folder(&path, &ledger).await;
    fold(&mut other, &all[2..]).await.unwrap();
    let expected = contents(&mut other.db).await;
    other.db.close().await.unwrap();

    let again = fold(&mut unaware, &all[2..]).await;

    assert!(matches!(again, Err(Error::CursorMoved { expected: 2 })));
    assert_eq!(contents(&mut unaware.db).await, expected);
    assert_eq!(unaware.state.cursor, *ledger.size().borrow());
    ledger.task().await;
    let newer = events(&ledger, unaware.state.cursor).await;
    fold(&mut unaware, &newer).await.unwrap();
}
