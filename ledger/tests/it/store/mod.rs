//! The file: append-only to everybody, one writer, checked at start, readable at all times.

mod append_only;
mod one_writer;
mod readers;
mod recovery;
mod schema;
mod tail;
pub(crate) mod tree;

use crate::scene::{Scene, end, start, succeeded};
use fixtures::commands::{dns_create, purge};
use fixtures::test_ledger::Closed;
use ledger::ReadError;
use ledger_sqlite::OpenError;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use std::path::Path;

/// A connection like any other program's.
pub(crate) async fn foreign(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// What somebody does who can write the file: takes the triggers away, changes the rows and puts the
/// triggers back.
pub(crate) async fn tamper(path: &Path, sql: &str) {
    let mut connection = foreign(path).await;
    let rows = sqlx::query("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let mut script = String::from("BEGIN IMMEDIATE;");
    for row in &rows {
        script += &format!("DROP TRIGGER {};", row.get::<String, _>(0));
    }
    script += sql;
    script += ";";
    for row in &rows {
        script += &format!("{};", row.get::<String, _>(1));
    }
    script += "COMMIT;";
    sqlx::raw_sql(AssertSqlSafe(script))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

/// A ledger of a few events whose process has ended, and its size.
pub(crate) async fn written() -> (Closed, u64) {
    let scene = Scene::granted().await;
    let apply = scene
        .submitted("k1", vec![dns_create("a.example.com"), purge()])
        .await
        .apply;
    scene.run(start(apply.id, 0)).await.unwrap();
    scene.run(end(apply.id, 0, succeeded())).await.unwrap();
    let size = scene.size_now();
    (scene.ledger.close().await, size)
}

/// The position and what differs, or the test ends.
pub(crate) fn damage(opened: Result<(), OpenError>) -> (u64, String) {
    match opened {
        Err(OpenError::Read(ReadError::Damaged { position, what })) => (position, what),
        other => panic!("expected damage, got {other:?}"),
    }
}
