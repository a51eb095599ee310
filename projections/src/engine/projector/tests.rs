//! Each write of a batch, lost and persisted but reported as failed.

use super::Projector;
use crate::engine::file::connect_writer;
use crate::engine::opening::create;
use crate::engine::schema::table_names;
use crate::engine::source::Item;
use crate::error::Error;
use crate::store::{FileState, stored_tables};
use fixtures::commands;
use fixtures::test_ledger::TestLedger;
use ledger::Ledger;
use rusqlite::Connection;
use std::path::Path;

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

fn projector(path: &Path, ledger: &Ledger) -> Projector {
    let db = connect_writer(path).unwrap();
    if FileState::read(&db).is_none() {
        create(&db, ledger.id(), &[]).unwrap();
    }
    Projector::open(db)
}

async fn items(ledger: &Ledger, from: u64) -> Vec<Item> {
    let events = ledger.events_from(from, 1000).await.unwrap();
    events.into_iter().map(Item::Shared).collect()
}

/// How many rows each table has, and where the cursors are.
fn contents(db: &Connection) -> Vec<(String, i64)> {
    let number = |sql: String| db.query_row(&sql, [], |row| row.get(0)).unwrap();
    let mut contents = Vec::new();
    for table in stored_tables(db).unwrap() {
        let rows = number(format!("SELECT count(*) FROM {table}"));
        contents.push((table, rows));
    }
    for sql in [
        "SELECT cursor FROM projection_state",
        "SELECT min(cursor) FROM projections",
        "SELECT max(cursor) FROM projections",
    ] {
        contents.push(("cursor".to_owned(), number(sql.to_owned())));
    }
    contents
}

#[tokio::test]
async fn a_batch_of_which_any_write_fails_leaves_nothing_and_is_folded_again() {
    let ledger = eventful().await;
    let mut undisturbed = projector(&ledger.dir().join("undisturbed.db"), &ledger);
    let all = items(&ledger, 0).await;
    undisturbed.fold(0, &all).unwrap();
    let expected = contents(&undisturbed.db);

    let written = [
        ("agents", "INSERT"),
        ("permissions", "INSERT"),
        ("tasks", "INSERT"),
        ("capability_tokens", "INSERT"),
        ("approvals", "INSERT"),
        ("applies", "INSERT"),
        ("execution_queue", "INSERT"),
        ("approval_deciders", "INSERT"),
        ("timeline_topics", "INSERT"),
        ("timeline_mentions", "INSERT"),
        ("audit_timeline", "INSERT"),
        ("projections", "UPDATE"),
        ("projection_state", "UPDATE"),
    ];
    for (table, write) in written {
        let path = ledger.dir().join(format!("{table}.db"));
        let mut projector = projector(&path, &ledger);
        projector.fold(0, &all[..2]).unwrap();
        let before = contents(&projector.db);
        let fault = "BEGIN SELECT RAISE(ABORT, 'a fault'); END";
        let sql = format!("CREATE TRIGGER fault BEFORE {write} ON {table} {fault}");
        projector.db.execute_batch(&sql).unwrap();

        let lost = projector.fold(2, &all[2..]);

        assert!(matches!(lost, Err(Error::Sqlite { .. })), "{table}");
        assert_eq!(contents(&projector.db), before, "{table}");
        projector.db.execute_batch("DROP TRIGGER fault").unwrap();
        projector.fold(2, &all[2..]).unwrap();
        assert_eq!(contents(&projector.db), expected, "{table}");
    }
}

#[tokio::test]
async fn a_batch_that_was_persisted_unnoticed_is_not_folded_twice() {
    let ledger = eventful().await;
    let path = ledger.dir().join("proxy.db");
    let mut unaware = projector(&path, &ledger);
    let all = items(&ledger, 0).await;
    unaware.fold(0, &all[..2]).unwrap();
    // Another connection commits the batch that this one will believe to be lost.
    let mut other = projector(&path, &ledger);
    other.fold(2, &all[2..]).unwrap();
    let expected = contents(&other.db);
    drop(other);

    let again = unaware.fold(2, &all[2..]);

    assert!(matches!(again, Err(Error::CursorMoved { expected: 2 })));
    assert_eq!(contents(&unaware.db), expected);
    let cursor = *ledger.size().borrow();
    assert!(unaware.folds.iter().all(|fold| fold.state.cursor == cursor));
    ledger.task().await;
    let newer = items(&ledger, cursor).await;
    unaware.fold(cursor, &newer).unwrap();
    assert_eq!(contents(&unaware.db).len(), table_names().len() + 3);
}

#[tokio::test]
async fn a_batch_that_does_not_begin_at_the_cursor_is_refused() {
    let ledger = eventful().await;
    let mut projector = projector(&ledger.dir().join("proxy.db"), &ledger);
    let all = items(&ledger, 0).await;

    let refused = projector.fold(1, &all[2..]);

    assert!(matches!(
        refused,
        Err(Error::OutOfOrder {
            expected: 1,
            found: 2
        })
    ));
}
