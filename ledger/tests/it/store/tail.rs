//! Whatever was changed in the file stops the start, with the position and what differs.

use super::{damage, foreign, tamper, written};
use crate::scene::Scene;
use fixtures::commands::create_task;
use ledger::Error;
use ledger_sqlite::OpenError;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use std::path::Path;

/// One bit of a column, the rest as it was.
async fn flip(path: &Path, table: &str, column: &str, position: u64) {
    let mut connection = foreign(path).await;
    let sql = format!("SELECT hex({column}) FROM {table} WHERE position = {position}");
    let row = sqlx::query(AssertSqlSafe(sql))
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let mut bytes = hex::decode(row.get::<String, _>(0)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    connection.close().await.unwrap();
    let bytes = hex::encode(bytes);
    let sql = format!("UPDATE {table} SET {column} = x'{bytes}' WHERE position = {position}");
    tamper(path, &sql).await;
}

async fn add_one(path: &Path, column: &str, position: u64) {
    // Far enough to be nobody else's.
    let sql = format!("UPDATE events SET {column} = {column} + 1000 WHERE position = {position}");
    tamper(path, &sql).await;
}

#[tokio::test]
async fn an_untouched_ledger_opens() {
    let (closed, _) = written().await;
    tamper(closed.path(), "SELECT 1").await;
    closed.try_open().await.unwrap();
}

#[tokio::test]
async fn every_changed_column_of_an_event_is_found() {
    for position in [0, 3] {
        for column in ["event_id", "stream_id", "payload_digest"] {
            let (closed, _) = written().await;
            flip(closed.path(), "events", column, position).await;
            let (at, what) = damage(closed.try_open().await);
            assert_eq!(at, position, "{column}");
            assert!(what.starts_with("its hash is "), "{column}: {what}");
        }
        for column in [
            "stream_version",
            "event_type",
            "schema_version",
            "recorded_at",
            "payload_len",
        ] {
            let (closed, _) = written().await;
            add_one(closed.path(), column, position).await;
            let (at, what) = damage(closed.try_open().await);
            assert_eq!(at, position, "{column}");
            assert!(what.starts_with("its hash is "), "{column}: {what}");
        }
        let (closed, _) = written().await;
        flip(closed.path(), "events", "record_hash", position).await;
        let (at, what) = damage(closed.try_open().await);
        assert_eq!(at, position);
        assert!(what.starts_with("its hash is "), "{what}");
    }
    let (closed, _) = written().await;
    flip(closed.path(), "events", "prev_hash", 3).await;
    let (at, what) = damage(closed.try_open().await);
    assert_eq!(at, 3);
    assert!(what.starts_with("it names "), "{what}");
}

#[tokio::test]
async fn numbers_that_fit_no_header_are_found() {
    for (column, value) in [
        ("stream_version", -1_i64),
        ("event_type", 70_000),
        ("schema_version", -5),
        ("payload_len", 5_000_000_000),
    ] {
        let (closed, _) = written().await;
        let sql = format!("UPDATE events SET {column} = {value} WHERE position = 2");
        tamper(closed.path(), &sql).await;
        let (at, what) = damage(closed.try_open().await);
        assert_eq!(at, 2);
        assert_eq!(
            what,
            format!("column {column} does not hold what it should")
        );
    }
}

#[tokio::test]
async fn a_changed_payload_or_salt_is_found() {
    for column in ["payload", "salt"] {
        for position in [0, 4] {
            let (closed, _) = written().await;
            flip(closed.path(), "payloads", column, position).await;
            assert_eq!(
                damage(closed.try_open().await),
                (position, "its payload does not match its digest".to_owned())
            );
        }
    }
}

#[tokio::test]
async fn a_missing_payload_is_found() {
    let (closed, _) = written().await;
    tamper(closed.path(), "DELETE FROM payloads WHERE position = 2").await;
    assert_eq!(
        damage(closed.try_open().await),
        (2, "its payload is missing".to_owned())
    );
    let (closed, size) = written().await;
    let sql = format!("DELETE FROM payloads WHERE position = {}", size - 1);
    tamper(closed.path(), &sql).await;
    assert_eq!(
        damage(closed.try_open().await),
        (
            size - 1,
            format!("there are {size} events, but payloads up to {}", size - 1)
        )
    );
}

#[tokio::test]
async fn a_payload_without_an_event_is_found() {
    let (closed, size) = written().await;
    let sql = format!("INSERT INTO payloads VALUES ({size}, randomblob(16), x'00')");
    tamper(closed.path(), &sql).await;
    let (at, what) = damage(closed.try_open().await);
    assert_eq!(at, size);
    assert!(what.starts_with("there are "), "{what}");
}

#[tokio::test]
async fn deleted_last_events_are_found() {
    for gone in [1, 2] {
        let (closed, size) = written().await;
        let first = size - gone;
        let sql = format!(
            "DELETE FROM events WHERE position >= {first}; \
             DELETE FROM payloads WHERE position >= {first}"
        );
        tamper(closed.path(), &sql).await;
        assert_eq!(
            damage(closed.try_open().await),
            (
                first,
                format!("the log ends here, but {size} events had been committed")
            )
        );
    }
}

#[tokio::test]
async fn deleted_last_events_are_found_even_where_the_head_was_set_back() {
    let (closed, size) = written().await;
    let first = size - 1;
    let sql = format!(
        "DELETE FROM events WHERE position >= {first}; \
         DELETE FROM payloads WHERE position >= {first}; \
         DELETE FROM tree WHERE position >= {first}; \
         UPDATE head SET size = {first}"
    );
    tamper(closed.path(), &sql).await;
    let (at, what) = damage(closed.try_open().await);
    assert_eq!(at, first);
    assert!(what.starts_with("the chain ends at "), "{what}");
}

#[tokio::test]
async fn a_deleted_event_in_the_middle_is_found() {
    for position in [0, 1, 5] {
        let (closed, _) = written().await;
        let sql = format!("DELETE FROM events WHERE position = {position}");
        tamper(closed.path(), &sql).await;
        assert_eq!(
            damage(closed.try_open().await),
            (position, "this position is missing".to_owned())
        );
    }
}

#[tokio::test]
async fn an_appended_forgery_is_found() {
    let (closed, size) = written().await;
    // Everything that can be copied is; only the head does not know of it.
    let sql = format!(
        "INSERT INTO events SELECT {size}, event_id, randomblob(16), 0, event_type, \
         schema_version, recorded_at, record_hash, payload_len, payload_digest, record_hash \
         FROM events WHERE position = {last}; \
         INSERT INTO payloads SELECT {size}, salt, payload FROM payloads WHERE position = {last}",
        last = size - 1
    );
    tamper(closed.path(), &sql).await;
    assert_eq!(
        damage(closed.try_open().await),
        (size, "1 events stand beyond the committed head".to_owned())
    );
    let sql = format!("UPDATE head SET size = {}", size + 1);
    tamper(closed.path(), &sql).await;
    let (at, what) = damage(closed.try_open().await);
    assert_eq!(at, size);
    assert!(what.starts_with("its hash is "), "{what}");
}

#[tokio::test]
async fn a_changed_head_is_found() {
    let hash = |length: usize| "7".repeat(length * 2);
    let cases = [
        (
            format!("record_hash = x'{}'", hash(32)),
            "the chain ends at ",
        ),
        (
            format!("verified_hash = x'{}'", hash(32)),
            "the head does not begin",
        ),
        (
            format!("ledger_id = x'{}'", hash(16)),
            "it does not begin the ledger",
        ),
        (
            format!("record_hash = x'{}'", hash(31)),
            "the head row's hash is not one",
        ),
        (
            format!("ledger_id = x'{}'", hash(15)),
            "the head row's ledger id is not one",
        ),
        ("size = -1".to_owned(), "the head row holds a negative size"),
        ("size = size + 1".to_owned(), "the log ends here"),
        ("size = size - 1".to_owned(), "1 events stand beyond"),
        ("verified_size = 3".to_owned(), "it names "),
        ("verified_size = 1000000".to_owned(), "the chain ends at "),
    ];
    for (change, expected) in cases {
        let (closed, _) = written().await;
        tamper(closed.path(), &format!("UPDATE head SET {change}")).await;
        let (_, what) = damage(closed.try_open().await);
        assert!(what.starts_with(expected), "{change}: {what}");
    }
}

#[tokio::test]
async fn a_head_that_is_gone_is_found() {
    let (closed, size) = written().await;
    tamper(closed.path(), "DELETE FROM head").await;
    assert_eq!(
        damage(closed.try_open().await),
        (
            size,
            "the head row is gone, but events stand in the log".to_owned()
        )
    );
}

#[tokio::test]
async fn a_long_log_is_checked_from_its_bookmark_on() {
    let scene = Scene::new().await;
    while scene.size_now() < 9000 {
        let tasks = (0..250).map(|_| scene.run(create_task()));
        futures_util::future::join_all(tasks).await;
    }
    let closed = scene.ledger.close().await;
    let bookmark = async |path: &Path| {
        let mut connection = foreign(path).await;
        let row = sqlx::query("SELECT verified_size, size FROM head")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let number = |index| u64::try_from(row.get::<i64, _>(index)).unwrap();
        (number(0), number(1))
    };
    let (verified, size) = bookmark(closed.path()).await;
    assert!(
        verified > 0 && size - verified >= 4096,
        "{verified} of {size}"
    );
    closed.try_open().await.unwrap();
    // At the bookmark itself the chain is held to what was known good.
    tamper(
        closed.path(),
        "UPDATE head SET verified_hash = x'0000000000000000000000000000000000000000000000000000000000000000'",
    )
    .await;
    let (at, what) = damage(closed.try_open().await);
    assert_eq!(at, verified);
    assert!(what.starts_with("it names "), "{what}");
}

/// The bookmark stands in the same file: who can change the one can move the other.
#[tokio::test]
async fn a_bookmark_that_was_moved_proves_nothing() {
    let (closed, _) = written().await;
    tamper(
        closed.path(),
        "UPDATE head SET verified_size = size, verified_hash = record_hash",
    )
    .await;
    let refused = closed.try_open().await;
    assert!(
        matches!(refused, Err(OpenError::Unproven { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_event_that_is_changed_meanwhile_is_not_decided_on() {
    let (closed, _) = written().await;
    let ledger = closed.open().await.unwrap();
    let events = ledger.events_from(0, 1000).await.unwrap();
    let granted = events
        .iter()
        .find(|event| event.event.name() == "agent.permissions_replaced");
    let position = granted.unwrap().position();
    flip(ledger.path(), "payloads", "payload", position).await;
    let refused = ledger.run(create_task()).await.map(drop);
    let Err(Error::Read(refused)) = refused else {
        panic!("expected damage, got {refused:?}");
    };
    assert_eq!(
        damage(Err(refused.into())),
        (position, "its payload does not match its digest".to_owned())
    );
    assert!(ledger.is_damaged());
}

#[tokio::test]
async fn an_event_swapped_for_another_is_found() {
    let (closed, _) = written().await;
    tamper(
        closed.path(),
        "UPDATE events SET position = -1 WHERE position = 2; \
         UPDATE events SET position = 2 WHERE position = 3; \
         UPDATE events SET position = 3 WHERE position = -1",
    )
    .await;
    let (at, what) = damage(closed.try_open().await);
    assert_eq!(at, 2);
    assert!(what.starts_with("it names "), "{what}");
}

#[tokio::test]
async fn a_form_of_a_later_version_is_refused_when_it_is_read_not_when_it_is_checked() {
    let error = ledger::Event::decode(10, 9, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "event type 10 schema 9 is not known to this version"
    );
}
