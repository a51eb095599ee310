//! Files that are not ours, or of a later version, are refused and left as they are.

use super::{foreign, tamper, written};
use fixtures::rules::TestRules;
use fixtures::test_ledger::TestLedger;
use ledger_sqlite::{LedgerOptions, OpenError, Reader};
use sqlx::{AssertSqlSafe, Connection as _};
use std::path::Path;

async fn open(path: &Path) -> Result<(), OpenError> {
    let url = format!("sqlite://{}", path.display());
    let options = LedgerOptions::new(url, TestRules::default().build());
    let (ledger, writer) = ledger_sqlite::open(options).await?;
    drop(ledger);
    writer.await.unwrap().unwrap();
    Ok(())
}

async fn make(path: &Path, sql: &'static str) {
    std::fs::File::create(path).unwrap();
    let mut connection = foreign(path).await;
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_foreign_file_is_refused_and_left_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        "CREATE TABLE approvals (id TEXT)",
        "PRAGMA application_id = 77",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 77; CREATE TABLE events (position INTEGER PRIMARY KEY)",
        "PRAGMA journal_mode = WAL; CREATE TABLE approvals (id TEXT)",
    ];
    for (number, sql) in cases.into_iter().enumerate() {
        let path = dir.path().join(format!("{number}.db"));
        make(&path, sql).await;
        let before = std::fs::read(&path).unwrap();
        let refused = open(&path).await;
        assert!(
            matches!(refused, Err(OpenError::ForeignFile { .. })),
            "{sql}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), before, "{sql}");
        let url = format!("sqlite://{}", path.display());
        assert!(Reader::open(&url).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_foreign_file_with_a_log_of_its_own_keeps_both() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("a.db"), dir.path().join("b.db"));
    make(&path, "PRAGMA journal_mode = WAL").await;
    let mut connection = foreign(&path).await;
    sqlx::raw_sql("CREATE TABLE approvals (id TEXT); INSERT INTO approvals VALUES ('x')")
        .execute(&mut connection)
        .await
        .unwrap();
    let (wal, wal_copy) = (dir.path().join("a.db-wal"), dir.path().join("b.db-wal"));
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(&wal, &wal_copy).unwrap();
    let before = (
        std::fs::read(&copy).unwrap(),
        std::fs::read(&wal_copy).unwrap(),
    );
    assert!(matches!(
        open(&copy).await,
        Err(OpenError::ForeignFile { .. })
    ));
    let after = (
        std::fs::read(&copy).unwrap(),
        std::fs::read(&wal_copy).unwrap(),
    );
    assert!(before == after);
}

#[tokio::test]
async fn what_is_no_database_at_all_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    let text = "not a database, ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    assert!(open(&path).await.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn an_empty_file_becomes_a_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new.db");
    std::fs::File::create(&path).unwrap();
    open(&path).await.unwrap();
    open(&path).await.unwrap();
}

#[tokio::test]
async fn a_start_that_ended_before_the_first_event_is_begun_anew() {
    let (closed, _) = written().await;
    tamper(
        closed.path(),
        "DELETE FROM events; DELETE FROM payloads; DELETE FROM head; DELETE FROM lookups; \
         DELETE FROM open_streams; DELETE FROM tree",
    )
    .await;
    closed.try_open().await.unwrap();
}

#[tokio::test]
async fn a_later_schema_is_refused_and_left_as_it_is() {
    let (closed, _) = written().await;
    let mut connection = foreign(closed.path()).await;
    sqlx::raw_sql("PRAGMA user_version = 5; PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let before = std::fs::read(closed.path()).unwrap();
    let refused = closed.try_open().await;
    assert!(matches!(
        refused,
        Err(OpenError::NewerSchema { found: 5, known: 4 })
    ));
    assert_eq!(std::fs::read(closed.path()).unwrap(), before);
}

#[tokio::test]
async fn a_schema_that_somebody_changed_stops_the_start_and_is_named() {
    let cases = [
        (
            "DROP TRIGGER events_no_delete",
            "trigger events_no_delete is missing",
        ),
        (
            "DROP TRIGGER payloads_no_update;
             CREATE TRIGGER payloads_no_update BEFORE UPDATE ON payloads BEGIN SELECT 1; END",
            "trigger payloads_no_update was changed",
        ),
        (
            "CREATE TRIGGER forget AFTER INSERT ON lookups BEGIN DELETE FROM lookups; END",
            "trigger forget does not belong there",
        ),
        (
            "CREATE TABLE notes (t TEXT)",
            "table notes does not belong there",
        ),
        // A name that only SQLite may give makes nothing SQLite's.
        (
            "CREATE TRIGGER x AFTER INSERT ON events BEGIN DELETE FROM lookups; END;
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET name = 'sqlite_x', sql = replace(sql, ' x ', ' sqlite_x ')
             WHERE name = 'x';",
            "trigger sqlite_x does not belong there",
        ),
        (
            "CREATE TABLE x (tbl, idx, stat);
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET name = 'sqlite_stat1', tbl_name = 'sqlite_stat1',
                 sql = 'CREATE TABLE sqlite_stat1(tbl,idx,stat CHECK (abs(stat)))'
             WHERE name = 'x';",
            "table sqlite_stat1 does not belong there",
        ),
    ];
    for (sql, what) in cases {
        let (closed, _) = written().await;
        let mut connection = foreign(closed.path()).await;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        match closed.try_open().await {
            Err(OpenError::SchemaChanged { what: said }) => assert_eq!(said, what),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn statistics_of_sqlite_are_no_change() {
    let (closed, _) = written().await;
    let mut connection = foreign(closed.path()).await;
    sqlx::raw_sql("ANALYZE; PRAGMA optimize; VACUUM")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    closed.try_open().await.unwrap();
}

#[tokio::test]
async fn a_url_that_names_no_file_is_refused() {
    for url in [
        "postgres://localhost/ledger",
        "sqlite::memory:",
        "sqlite://",
        "sqlite://:memory:",
        "proxy.db",
    ] {
        let options = LedgerOptions::new(url, TestRules::default().build());
        assert!(
            matches!(
                ledger_sqlite::open(options).await,
                Err(OpenError::InvalidUrl { .. })
            ),
            "{url}"
        );
    }
}

#[tokio::test]
async fn the_file_says_what_it_is() {
    let ledger = TestLedger::open().await;
    let mut connection = foreign(ledger.path()).await;
    let pragma = async |connection: &mut sqlx::SqliteConnection, name: &str| {
        let sql = AssertSqlSafe(format!("PRAGMA {name}"));
        let row = sqlx::query(sql).fetch_one(connection).await.unwrap();
        sqlx::Row::get::<i64, _>(&row, 0)
    };
    assert_eq!(pragma(&mut connection, "application_id").await, 0x4C50_504C);
    assert_eq!(pragma(&mut connection, "user_version").await, 4);
    assert!(!ledger_sqlite::is_plainly_foreign(ledger.path()));
    let closed = ledger.close().await;
    assert!(!ledger_sqlite::is_plainly_foreign(closed.path()));
}

#[tokio::test]
async fn what_a_new_ledger_makes_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let ledger = TestLedger::open().await;
    ledger.task().await;
    for end in ["", "-wal", "-shm", ".lock"] {
        let mut path = ledger.path().as_os_str().to_owned();
        path.push(end);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}
