//! A ledger has one writer, across processes.

use fixtures::rules::TestRules;
use fixtures::test_ledger::TestLedger;
use ledger_sqlite::{LedgerOptions, OpenError, Reader};
use std::process::Command;

const URL: &str = "LEDGER_TEST_SECOND_WRITER";

#[tokio::test]
async fn a_second_writer_in_the_same_process_is_refused() {
    let ledger = TestLedger::open().await;
    let options = LedgerOptions::new(ledger.url(), TestRules::default().build());
    let Err(OpenError::Locked { path, holder }) = ledger_sqlite::open(options).await else {
        panic!("a second writer was let in");
    };
    assert_eq!(path.file_name().unwrap(), "proxy.ledger.db.lock");
    let pid = std::process::id();
    assert_eq!(holder, format!(", held by process {pid}"));
    // The first one is none the worse, and may be read beside.
    ledger.task().await;
    assert!(Reader::open(&ledger.url()).await.is_ok());
}

#[tokio::test]
async fn a_ledger_by_another_name_is_the_same_ledger() {
    let ledger = TestLedger::open().await;
    let link = ledger.dir().join("link.db");
    std::os::unix::fs::symlink(ledger.path(), &link).unwrap();
    let url = format!("sqlite://{}", link.display());
    let options = LedgerOptions::new(url, TestRules::default().build());
    assert!(matches!(
        ledger_sqlite::open(options).await,
        Err(OpenError::Locked { .. })
    ));
}

#[tokio::test]
async fn a_ledger_with_two_names_is_not_opened_under_either() {
    let closed = TestLedger::open().await.close().await;
    let link = closed.path().with_file_name("link.db");
    std::fs::hard_link(closed.path(), &link).unwrap();
    for path in [closed.path(), link.as_path()] {
        let url = format!("sqlite://{}", path.display());
        let options = LedgerOptions::new(url, TestRules::default().build());
        let refused = ledger_sqlite::open(options).await;
        assert!(matches!(
            refused,
            Err(OpenError::HardLinked { names: 2, .. })
        ));
    }
    std::fs::remove_file(link).unwrap();
    closed.try_open().await.unwrap();
}

#[tokio::test]
async fn a_second_process_is_refused_with_a_clear_message() {
    let ledger = TestLedger::open().await;
    let second = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::one_writer::second_process",
            "--nocapture",
        ])
        .env(URL, ledger.url())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stdout);
    let expected = format!(
        "another process already writes to this ledger (lock file {}.lock, held by process {})",
        ledger.path().display(),
        std::process::id()
    );
    assert!(said.contains(&expected), "{said}");
}

/// What the second process does; by itself it has nothing to open.
#[tokio::test]
async fn second_process() {
    #[expect(clippy::disallowed_methods, reason = "how the first process tells it")]
    let Ok(url) = std::env::var(URL) else { return };
    let options = LedgerOptions::new(url, TestRules::default().build());
    match ledger_sqlite::open(options).await {
        Ok(_) => println!("a second writer was let in"),
        Err(error) => println!("{error}"),
    }
}

#[tokio::test]
async fn the_lock_is_free_again_when_the_writer_has_ended() {
    let closed = TestLedger::open().await.close().await;
    closed.try_open().await.unwrap();
    closed.try_open().await.unwrap();
}

#[tokio::test]
async fn a_lock_file_that_somebody_put_there_is_not_written_to() {
    let closed = TestLedger::open().await.close().await;
    let path = |end: &str| closed.path().with_file_name(end);
    let lock = path("proxy.ledger.db.lock");
    for content in ["dear notes", "17 and more"] {
        std::fs::remove_file(&lock).unwrap();
        std::fs::write(path("dear"), content).unwrap();
        std::os::unix::fs::symlink(path("dear"), &lock).unwrap();
        let refused = closed.try_open().await.unwrap_err();
        assert!(matches!(refused, OpenError::File { .. }), "{refused:?}");
        std::fs::remove_file(&lock).unwrap();
        std::fs::rename(path("dear"), &lock).unwrap();
        let refused = closed.try_open().await.unwrap_err();
        assert!(matches!(refused, OpenError::File { .. }), "{refused:?}");
        assert_eq!(std::fs::read_to_string(&lock).unwrap(), content);
    }
    std::fs::remove_file(&lock).unwrap();
    closed.try_open().await.unwrap();
}
