//! The triggers refuse whatever is not the next event, to every program, without its cooperation.

use super::foreign;
use crate::scene::Scene;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

async fn count(connection: &mut SqliteConnection) -> i64 {
    sqlx::query("SELECT count(*) + (SELECT count(*) FROM payloads) FROM events")
        .fetch_one(connection)
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn rows_are_neither_updated_nor_deleted_nor_replaced() {
    let scene = Scene::new().await;
    let size = scene.size_now();
    let mut connection = foreign(scene.path()).await;
    let before = count(&mut connection).await;
    let row = |position: &str, stream: &str, version: &str| {
        format!(
            "INTO events SELECT {position}, event_id, {stream}, {version}, event_type, \
             schema_version, recorded_at, prev_hash, payload_len, payload_digest, record_hash \
             FROM events WHERE position = 1"
        )
    };
    let free = "randomblob(16)";
    let mut attempts = vec![
        "UPDATE events SET recorded_at = 0".to_owned(),
        "UPDATE events SET recorded_at = recorded_at WHERE position = 1".to_owned(),
        "UPDATE OR REPLACE events SET position = 0 WHERE position = 1".to_owned(),
        "UPDATE OR IGNORE events SET recorded_at = 0".to_owned(),
        "DELETE FROM events".to_owned(),
        format!("DELETE FROM events WHERE position = {}", size - 1),
        "UPDATE payloads SET payload = x''".to_owned(),
        "UPDATE OR REPLACE payloads SET position = 0 WHERE position = 1".to_owned(),
        "DELETE FROM payloads".to_owned(),
        "REPLACE INTO payloads SELECT * FROM payloads WHERE position = 1".to_owned(),
        "INSERT OR REPLACE INTO payloads VALUES (0, randomblob(16), x'00')".to_owned(),
        format!(
            "INSERT INTO payloads VALUES ({}, randomblob(16), x'')",
            size + 1
        ),
        "INSERT INTO payloads (salt, payload) VALUES (randomblob(16), x'')".to_owned(),
    ];
    for insert in ["INSERT", "INSERT OR REPLACE", "REPLACE", "INSERT OR IGNORE"] {
        // A position that is taken, one that leaves a gap, none, one before the first.
        for position in ["1", &(size + 1).to_string(), "NULL", "-1"] {
            attempts.push(format!("{insert} {}", row(position, free, "0")));
        }
        // The next position, but a place in a stream that is taken.
        let next = size.to_string();
        attempts.push(format!(
            "{insert} {}",
            row(&next, "stream_id", "stream_version")
        ));
    }
    attempts.push(format!(
        "INSERT {} ON CONFLICT (position) DO UPDATE SET recorded_at = 0",
        row("1", free, "0") + " AND true"
    ));
    for sql in attempts {
        let refused = sqlx::query(AssertSqlSafe(sql.clone()))
            .execute(&mut connection)
            .await;
        let error = refused.expect_err(&sql).to_string();
        assert!(
            error.contains("the ledger is append-only"),
            "{sql}: {error}"
        );
        assert_eq!(count(&mut connection).await, before, "{sql}");
    }
    // The ledger goes on as if nothing had been tried.
    scene.task().await;
}

#[tokio::test]
async fn no_setting_of_a_connection_turns_the_triggers_off() {
    let scene = Scene::new().await;
    let mut connection = foreign(scene.path()).await;
    for setting in [
        "PRAGMA recursive_triggers = OFF",
        "PRAGMA recursive_triggers = ON",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA ignore_check_constraints = ON",
    ] {
        sqlx::query(AssertSqlSafe(setting))
            .execute(&mut connection)
            .await
            .unwrap();
        for sql in [
            "DELETE FROM events",
            "REPLACE INTO events SELECT * FROM events WHERE position = 0",
        ] {
            let refused = sqlx::query(AssertSqlSafe(sql))
                .execute(&mut connection)
                .await;
            assert!(refused.is_err(), "{setting}: {sql}");
        }
    }
}

#[tokio::test]
async fn positions_are_gapless_and_each_record_names_the_one_before() {
    let scene = Scene::granted().await;
    let all = (0..40).map(|n| {
        let scene = &scene;
        async move {
            let key = format!("k{n}");
            scene
                .submitted(&key, vec![fixtures::commands::purge()])
                .await
        }
    });
    futures_util::future::join_all(all).await;
    let events = scene.log().events_from(0, 10_000).await.unwrap();
    assert_eq!(events.len() as u64, scene.size_now());
    let mut hash = ledger::genesis_hash(scene.id());
    for (position, recorded) in events.iter().enumerate() {
        assert_eq!(recorded.position(), position as u64);
        assert_eq!(recorded.header.prev_hash, hash);
        hash = recorded.header.record_hash();
    }
    let last = scene.size_now() - 1;
    let form = scene.log().form(last).await.unwrap();
    assert_eq!(form.map(|(_, hash)| hash), Some(hash));
}
