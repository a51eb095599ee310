//! Files that are full, locked or damaged: what is said, and that nothing is lost that was answered.

use fixtures::process::said;
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{Service, Task};
use reqwest::Method;
use rusqlite::Connection;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const PAGE: u32 = 4096;

/// Everything in one file: SQLite's log is copied into it and emptied.
fn settle(file: &Path) -> Connection {
    let db = Connection::open(file).unwrap();
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    let left: i64 = db.query_row(sql, [], |row| row.get(1)).unwrap();
    // -1 where there is no log, as after a restore.
    assert!(left <= 0);
    db
}

/// Overwrites the first page of a table or index.
fn damage(file: &Path, name: &str) {
    let db = settle(file);
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?";
    let page: u32 = db.query_row(sql, [name], |row| row.get(0)).unwrap();
    db.close().unwrap();
    let file = File::options().write(true).open(file).unwrap();
    file.write_all_at(
        &[0xA5; PAGE as usize],
        u64::from(page - 1) * u64::from(PAGE),
    )
    .unwrap();
}

async fn reason_against(service: &Service) -> String {
    until("not being ready", async || {
        let reply = service.caller.ask(Method::GET, "/v1/readyz", None);
        let reply = reply.await.unwrap();
        (reply.status == 503).then_some(reply.text)
    })
    .await
}

async fn stands(service: &Service, task: &Task) -> bool {
    let path = format!("/v1/tasks/{}", task.id);
    let reply = service
        .caller
        .ask_with(Method::GET, &path, &task.token, None, None);
    reply.await.unwrap().status == 200
}

fn start_refused(sandbox: &Sandbox) -> String {
    let output = sandbox.run("serve --log-format json");
    let (_, complained) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{complained}");
    complained
}

#[tokio::test]
async fn a_ledger_that_is_locked_records_nothing_and_goes_on_when_it_is_free() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let first = service.open_task().await;
    let other = Connection::open(sandbox.ledger_file()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let refused = service.try_open_task().await.unwrap_err();
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(
        refused.text.contains("nothing was recorded"),
        "{}",
        refused.text
    );
    let why = reason_against(&service).await;
    assert!(
        why.contains("the last commit to the ledger failed"),
        "{why}"
    );
    assert!(
        sandbox.log().contains("database is locked"),
        "the log says why"
    );
    other.execute_batch("ROLLBACK").unwrap();
    let second = service.open_task().await;
    let reply = service.caller.ask(Method::GET, "/v1/readyz", None).await;
    assert_eq!(reply.unwrap().status, 200);
    assert!(stands(&service, &first).await && stands(&service, &second).await);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn damaged_read_tables_stop_the_start_which_says_to_delete_them() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let task = service.open_task().await;
    assert!(service.stop().await.success());
    let tables = sandbox.read_tables_file();
    let whole = {
        drop(settle(&tables));
        std::fs::read(&tables).unwrap()
    };
    let half = whole.len() / 2;
    let mut headless = whole.clone();
    headless[..100].fill(0xA5);
    let mut stateless = whole.clone();
    stateless[PAGE as usize..2 * PAGE as usize].fill(0xA5);
    for damaged in [&whole[..half], &headless, &stateless] {
        std::fs::write(&tables, damaged).unwrap();
        let complained = start_refused(&sandbox);
        assert!(complained.contains("delete"), "{complained}");
        assert!(complained.contains("anew"), "{complained}");
        let (found, _) = said(&sandbox.run("doctor"));
        assert!(found.contains("problem  read tables"), "{found}");
    }
    for end in ["", "-wal", "-shm"] {
        let mut file = tables.clone().into_os_string();
        file.push(end);
        drop(std::fs::remove_file(file));
    }
    let service = sandbox.start().await;
    assert!(stands(&service, &task).await);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_damaged_page_of_the_log_stops_the_start_and_a_backup_brings_everything_back() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let task = service.open_task().await;
    assert!(service.stop().await.success());
    let file = sandbox.folder().join("l.db");
    let made = sandbox.run(&format!("backup {}", file.display()));
    assert!(made.status.success(), "{made:?}");
    for table in ["events", "payloads", "tree", "head"] {
        damage(&sandbox.ledger_file(), table);
        let complained = start_refused(&sandbox);
        assert!(complained.contains("the ledger is damaged"), "{complained}");
        assert!(complained.contains("restore a backup"), "{complained}");
        let (found, _) = said(&sandbox.run("doctor"));
        assert!(found.contains("problem  ledger"), "{found}");
        let restored = sandbox.run(&format!("restore {}", file.display()));
        assert!(restored.status.success(), "{}", said(&restored).1);
        let aside = std::fs::read_dir(sandbox.ledger_file().parent().unwrap()).unwrap();
        for aside in aside.map(|entry| entry.unwrap().path()) {
            // The next one happens within the same second.
            if aside.display().to_string().contains(".before-restore-") {
                std::fs::remove_file(aside).unwrap();
            }
        }
    }
    let service = sandbox.start().await;
    assert!(stands(&service, &task).await);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_damaged_index_of_the_ledger_stops_the_start_and_is_told() {
    for index in ["sqlite_autoindex_events_1", "lookups"] {
        let sandbox = Sandbox::new().await;
        let service = sandbox.start().await;
        service.open_task().await;
        assert!(service.stop().await.success());
        let before = sandbox.events().await;
        damage(&sandbox.ledger_file(), index);
        let (found, _) = said(&sandbox.run("doctor"));
        assert!(found.contains("problem  ledger"), "{index}: {found}");
        let complained = start_refused(&sandbox);
        assert!(complained.contains("the ledger is damaged"), "{complained}");
        assert!(complained.contains("restore a backup"), "{complained}");
        assert_eq!(sandbox.events().await, before, "{index}");
    }
}
