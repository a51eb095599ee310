//! Which files the read tables are kept in, which are refused, and when they are made anew.

use crate::dump::{connect, dump};
use crate::world::{self, catch_up, path_of, url_of};
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::Log;
use projections::{
    Error, Progress, Projection, ProjectionOptions, Projections, Schema, inspect, rebuild,
};
use sqlx::{AssertSqlSafe, Connection as _};
use std::path::Path;
use std::sync::Arc;

async fn change(path: &Path, sql: &str) {
    let mut db = connect(path).await;
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

async fn refusal(ledger: &TestLedger, url: &str) -> Error {
    let options = ProjectionOptions {
        url: url.to_owned(),
        ledger: ledger.ledger.clone(),
    };
    match Projections::open(options).await {
        Ok(_) => panic!("{url} was not refused"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn an_empty_file_is_fine_and_a_missing_folder_is_made() {
    let ledger = TestLedger::open().await;
    std::fs::write(path_of(&ledger), "").unwrap();
    let (_, mut runner) = world::open(&ledger).await.unwrap();
    catch_up(&mut runner).await;

    let deeper = ledger.dir().join("not/yet/there.db");
    let options = ProjectionOptions {
        url: url_of(&deeper),
        ledger: ledger.ledger.clone(),
    };
    let (_, mut runner) = Projections::open(options).await.unwrap();
    catch_up(&mut runner).await;
    assert_eq!(dump(&deeper).await, dump(&path_of(&ledger)).await);
}

#[tokio::test]
async fn foreign_files_are_refused_and_left_as_they_are() {
    let ledger = TestLedger::open().await;
    let path = ledger.dir().join("foreign.db");
    // The service before this one used some of our table names.
    let cases = [
        "CREATE TABLE tasks (id TEXT); INSERT INTO tasks VALUES ('precious');",
        "PRAGMA application_id = 7;",
        "PRAGMA user_version = 3;",
    ];
    for sql in cases {
        change(&path, sql).await;
        let before = std::fs::read(&path).unwrap();

        let refused = refusal(&ledger, &url_of(&path)).await;

        assert!(
            matches!(refused, Error::ForeignFile { .. }),
            "{sql}: {refused}"
        );
        let rebuilt = rebuild(&url_of(&path), ledger.log(), &[], |_| {}).await;
        assert!(matches!(rebuilt, Err(Error::ForeignFile { .. })), "{sql}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "{sql}");
        std::fs::remove_file(&path).unwrap();
    }
    std::fs::write(
        &path,
        "not a database, and long enough to be looked at".repeat(100),
    )
    .unwrap();
    let refused = refusal(&ledger, &url_of(&path)).await;
    assert!(matches!(refused, Error::ForeignFile { .. }), "{refused}");
}

#[tokio::test]
async fn a_table_that_somebody_added_is_not_rebuilt_over() {
    let (ledger, projections, mut runner) = world::new().await;
    catch_up(&mut runner).await;
    drop((projections, runner));
    change(&path_of(&ledger), "CREATE TABLE notes (text TEXT);").await;

    let refused = refusal(&ledger, &url_of(&path_of(&ledger))).await;

    assert!(refused.to_string().contains("table notes"), "{refused}");
}

#[tokio::test]
async fn the_ledgers_own_file_is_refused_under_every_name() {
    let ledger = TestLedger::open().await;
    let link = ledger.dir().join("link.db");
    std::os::unix::fs::symlink(ledger.path(), &link).unwrap();
    for url in [ledger.url(), url_of(&link)] {
        let refused = refusal(&ledger, &url).await;
        assert!(
            matches!(refused, Error::SameFile { .. }),
            "{url}: {refused}"
        );
    }
    // Another ledger is no place for read tables either.
    let other = TestLedger::open().await;
    let refused = refusal(&ledger, &other.url()).await;
    assert!(refused.to_string().contains("it is a ledger"), "{refused}");
    let refused = refusal(&ledger, "postgres://localhost/proxy").await;
    assert!(matches!(refused, Error::InvalidUrl { .. }), "{refused}");
}

#[tokio::test]
async fn a_second_folder_of_the_same_file_is_refused() {
    let (ledger, _projections, runner) = world::new().await;
    let url = url_of(&path_of(&ledger));

    assert!(matches!(refusal(&ledger, &url).await, Error::InUse { .. }));
    let rebuilt = rebuild(&url, ledger.log(), &[], |_| {}).await;
    assert!(matches!(rebuilt, Err(Error::InUse { .. })));

    drop(runner);
    rebuild(&url, ledger.log(), &[], |_| {}).await.unwrap();
}

#[tokio::test]
async fn tables_that_know_more_than_the_ledger_stop_the_start() {
    let (ledger, projections, mut runner) = world::new().await;
    ledger.task().await;
    catch_up(&mut runner).await;
    drop((projections, runner));
    let path = path_of(&ledger);
    let url = url_of(&path);
    let before = dump(&path).await;

    change(&path, "UPDATE projection_state SET cursor = 9").await;
    let refused = refusal(&ledger, &url).await;
    assert!(
        matches!(
            refused,
            Error::LedgerShorter {
                remembered: 9,
                found: 4
            }
        ),
        "{refused}"
    );
    // The same length and another past.
    let hash = "0123456789abcdef".repeat(4);
    let sql = format!("UPDATE projection_state SET cursor = 3, record_hash = '{hash}'");
    change(&path, &sql).await;
    let refused = refusal(&ledger, &url).await;
    assert!(
        matches!(refused, Error::OtherHistory { position: 2, .. }),
        "{refused}"
    );

    let other = TestLedger::with(Setup {
        random: std::sync::Arc::new(fixtures::random::SeededRandom::new(77)),
        ..Setup::default()
    })
    .await;
    let refused = refusal(&other, &url).await;
    assert!(matches!(refused, Error::OtherLedger { .. }), "{refused}");

    // Whoever knows better has them made anew.
    rebuild(&url, ledger.log(), &[], |_| {}).await.unwrap();
    assert_eq!(dump(&path).await, before);
}

#[tokio::test]
async fn changed_definitions_are_answered_by_a_rebuild_at_the_next_start() {
    let (ledger, projections, mut runner) = world::new().await;
    ledger.task().await;
    catch_up(&mut runner).await;
    drop((projections, runner));
    let path = path_of(&ledger);
    let before = dump(&path).await;
    // As older versions would have left it: a table that is no more, one that was different; and,
    // of still older ones, nothing about projections.
    let changed = "DROP TABLE tasks; CREATE TABLE tasks (task TEXT); CREATE TABLE bygone (a TEXT);
         UPDATE projection_state SET schema_hash = 'older', tables = tables || ' bygone';";
    let cases = [
        (
            "UPDATE projections SET schema_hash = 'older' WHERE name = 'tasks'",
            vec![Projection::Tasks],
        ),
        ("DROP TABLE projections", Projection::ALL.to_vec()),
    ];
    for (sql, expected) in cases {
        change(&path, &format!("{changed} {sql}")).await;
        let found = inspect(&url_of(&path)).await.unwrap();
        assert_eq!(found.schema, Schema::Changed);

        let (projections, mut runner) = world::open(&ledger).await.unwrap();

        let at = |cursor| {
            let projections = projections.status().projections.into_iter();
            let at = projections.filter(|one| one.cursor == cursor);
            at.map(|one| one.projection).collect::<Vec<_>>()
        };
        assert_eq!(at(0), expected, "{sql}");
        catch_up(&mut runner).await;
        assert_eq!(at(4), Projection::ALL);
        drop(runner);
        assert_eq!(dump(&path).await, before);
    }
}

#[tokio::test]
async fn deleted_tables_come_back_the_same() {
    let (ledger, projections, mut runner) = world::new().await;
    ledger.task().await;
    catch_up(&mut runner).await;
    drop((projections, runner));
    let path = path_of(&ledger);
    let before = dump(&path).await;
    std::fs::remove_file(&path).unwrap();
    for suffix in ["-wal", "-shm"] {
        // SQLite may have taken them away already.
        drop(std::fs::remove_file(format!("{}{suffix}", path.display())));
    }

    let (_, mut runner) = world::open(&ledger).await.unwrap();
    catch_up(&mut runner).await;

    assert_eq!(dump(&path).await, before);
}

#[tokio::test]
async fn a_rebuild_reports_its_progress_and_can_be_looked_at() {
    let ledger = TestLedger::open().await;
    for _ in 0..1000 {
        ledger.task().await;
    }
    let url = url_of(&path_of(&ledger));
    let reader: Arc<dyn Log> = Arc::new(ledger.file().await);
    let mut seen = Vec::new();

    let report = rebuild(&url, &reader, &[], |progress| seen.push(progress))
        .await
        .unwrap();

    assert_eq!(report.events, 2002);
    let (done, total) = (2002, 2002);
    assert_eq!(seen.last(), Some(&Progress { done, total }));
    let status = inspect(&url).await.unwrap();
    assert_eq!(status.ledger_id, Some(ledger.id()));
    assert_eq!((status.cursor, status.schema), (2002, Schema::Current));
    let rows = |table: &str| {
        status
            .tables
            .iter()
            .find(|(name, _)| name == table)
            .unwrap()
            .1
    };
    assert_eq!((rows("tasks"), rows("audit_timeline")), (1000, 2002));
}

#[tokio::test]
async fn what_new_read_tables_make_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let ledger = TestLedger::open().await;
    let (_reads, mut runner) = world::open(&ledger).await.unwrap();
    catch_up(&mut runner).await;
    for end in ["", "-wal", "-shm", ".fold.lock"] {
        let mut path = path_of(&ledger).into_os_string();
        path.push(end);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}
