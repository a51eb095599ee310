//! The Merkle tree stands in the file beside the records, and follows from them.

use super::{damage, foreign, tamper, written};
use crate::consistency;
use crate::scene::Scene;
use fixtures::commands::purge;
use fixtures::test_ledger::Closed;
use sqlx::{AssertSqlSafe, Connection as _};

/// The file as the version before the tree had written it.
pub(crate) async fn without_tree(closed: &Closed) {
    let mut connection = foreign(closed.path()).await;
    let sql = "DROP TABLE tree; DROP TABLE signing; DROP TABLE erasures;
        DROP TRIGGER payloads_no_delete;
        CREATE TRIGGER payloads_no_delete BEFORE DELETE ON payloads
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: payloads cannot be deleted'); END;
        ALTER TABLE head DROP COLUMN mac;
        PRAGMA user_version = 1";
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

/// The file as the version before the head's MAC had written it.
pub(crate) async fn of_schema_2(closed: &Closed) {
    let mut connection = foreign(closed.path()).await;
    let sql = "ALTER TABLE head DROP COLUMN mac;
        DROP TRIGGER erasures_recorded;
        CREATE TRIGGER erasures_recorded BEFORE INSERT ON erasures
        WHEN EXISTS (SELECT 1 FROM erasures WHERE position = NEW.position)
          OR (SELECT event_type FROM events WHERE position = NEW.erased_by) IS NOT 2
          OR (SELECT event_type FROM events WHERE position = NEW.position) IN (1, 2, 3)
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no event says that this was erased'); END;
        PRAGMA user_version = 2";
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_ledger_of_an_earlier_version_gains_its_tree_by_itself() {
    let scene = Scene::granted().await;
    for number in 0..700 {
        scene.submitted(&format!("k{number}"), vec![purge()]).await;
    }
    let Scene { ledger, token, .. } = scene;
    let closed = ledger.close().await;
    without_tree(&closed).await;
    let ledger = closed.accepting().open().await.unwrap();
    let mut tree = ledger.tree();
    // Commands are served while it grows.
    let during = ledger.submit(&token, "during", vec![purge()]).await;
    assert!(during.is_ok());
    tree.wait_for(Option::is_some).await.unwrap();
    consistency::check(&ledger).await;
    let after = ledger.submit(&token, "after", vec![purge()]).await;
    assert!(after.is_ok());
    consistency::check(&ledger).await;
}

#[tokio::test]
async fn a_tree_that_does_not_follow_from_the_records_stops_the_start() {
    let cases = [
        (
            "UPDATE tree SET hashes = zeroblob(length(hashes)) WHERE position = 4",
            "the tree's row does not follow",
        ),
        (
            "UPDATE tree SET hashes = CAST(x'00' || substr(hashes, 2) AS BLOB)
             WHERE position = (SELECT max(position) FROM tree)",
            "the tree's row does not follow",
        ),
        (
            "INSERT INTO tree SELECT max(position) + 1, zeroblob(32) FROM tree",
            "there are ",
        ),
    ];
    for (sql, expected) in cases {
        let (closed, _) = written().await;
        tamper(closed.path(), sql).await;
        let (_, what) = damage(closed.try_open().await);
        assert!(what.starts_with(expected), "{sql}: {what}");
    }
}
