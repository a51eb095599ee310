//! Checkpoints: what is signed is committed and kept before anybody sees it, and a ledger that does
//! not go on from it is not opened.

use crate::scene::Scene;
use crate::store::foreign;
use fixtures::commands::{dns_create, purge};
use fixtures::test_ledger::{
    Closed, ORIGIN, SIGNING_SEED, Setup, TestLedger, signing, state_beside,
};
use ledger::tlog::{Checkpoint, Frontier, LogOrigin, Note};
use ledger::{Ledger, SignedCheckpoint, WriterTask};
use ledger_sqlite::OpenError;
use sqlx::Connection as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

async fn covering_all(ledger: &Ledger) -> Arc<SignedCheckpoint> {
    let last = *ledger.size().borrow() - 1;
    let checkpoints = ledger.checkpoints().unwrap();
    checkpoints.covering(last, PATIENCE).await.unwrap()
}

/// The note in the file beside the ledger.
fn kept(ledger: &Path) -> Note {
    let text = std::fs::read_to_string(state_beside(ledger)).unwrap();
    text.parse().unwrap()
}

async fn signed_and_closed() -> (Closed, u64) {
    let scene = Scene::with(Setup::signed()).await;
    let size = scene.size_now();
    (scene.ledger.close().await, size)
}

/// The ledger's file with all that was committed in it, and no log of SQLite's beside it.
async fn whole(path: &Path) -> Vec<u8> {
    let mut connection = foreign(path).await;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    std::fs::read(path).unwrap()
}

/// Puts another file where the ledger stands.
async fn put(path: &Path, file: &[u8]) {
    whole(path).await;
    std::fs::write(path, file).unwrap();
}

#[tokio::test]
async fn a_checkpoint_covers_what_was_recorded_and_verifies_with_the_key_alone() {
    let scene = Scene::with(Setup::signed()).await;
    let signed = covering_all(&scene).await;
    let checkpoints = scene.checkpoints().unwrap();
    let origin: LogOrigin = ORIGIN.parse().unwrap();
    let read = Checkpoint::open(signed.note(), checkpoints.key(), &origin).unwrap();
    assert_eq!(&read, signed.checkpoint());
    let tree = Frontier::lookup(read.size()).unwrap();
    let stored = scene.log().compute(tree).await.unwrap();
    assert_eq!(stored.root(), *read.root());
    assert_eq!(&kept(scene.path()), signed.note());
    let recorded = scene.file().await.signing().await.unwrap().unwrap();
    assert_eq!(recorded, (origin, checkpoints.key().clone()));
}

#[tokio::test]
async fn the_end_of_the_process_is_signed() {
    let (closed, size) = signed_and_closed().await;
    let last = Checkpoint::of_unverified(&kept(closed.path())).unwrap();
    assert_eq!(last.size(), size);
    let ledger = closed.open().await.unwrap();
    let newest = ledger.checkpoints().unwrap().newest().unwrap();
    assert_eq!(newest.checkpoint(), &last);
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_published() {
    let ledger = TestLedger::with(Setup::signed()).await;
    let before = covering_all(&ledger).await;
    let state = state_beside(ledger.path());
    std::fs::remove_file(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    ledger.grant_all().await;
    let token = ledger.task().await;
    ledger
        .submit(&token, "k", vec![purge()])
        .await
        .unwrap()
        .unwrap();
    let checkpoints = ledger.checkpoints().unwrap();
    while checkpoints.failing().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(checkpoints.newest(), Some(before));
    std::fs::remove_dir(&state).unwrap();
    covering_all(&ledger).await;
    assert_eq!(checkpoints.failing(), None);
}

#[tokio::test]
async fn an_old_copy_is_not_opened() {
    let (closed, size) = signed_and_closed().await;
    let old = whole(closed.path()).await;
    let ledger = closed.open().await.unwrap();
    ledger.grant_all().await;
    let closed = ledger.close().await;
    put(closed.path(), &old).await;
    let refused = closed.try_open().await;
    assert!(
        matches!(refused, Err(OpenError::BehindCheckpoint { signed, found, .. })
            if found == size && signed > size),
        "{refused:?}"
    );
}

#[tokio::test]
async fn another_history_is_not_opened() {
    let (closed, _) = signed_and_closed().await;
    let other = Scene::granted().await;
    other
        .submitted("k", vec![dns_create("a.example.com"), purge()])
        .await;
    let other = other.ledger.close().await;
    let other = whole(other.path()).await;
    put(closed.path(), &other).await;
    let refused = closed.try_open().await;
    assert!(
        matches!(refused, Err(OpenError::NotFromCheckpoint { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_ledger_that_was_signed_is_not_opened_without_its_newest_checkpoint() {
    let (closed, _) = signed_and_closed().await;
    std::fs::remove_file(state_beside(closed.path())).unwrap();
    let refused = closed.try_open().await;
    assert!(
        matches!(refused, Err(OpenError::SigningStateMissing { .. })),
        "{refused:?}"
    );
    for content in ["", "torn", "proxy.example.com/ledger\n3\n"] {
        std::fs::write(state_beside(closed.path()), content).unwrap();
        let refused = closed.try_open().await;
        assert!(
            matches!(refused, Err(OpenError::SigningState { .. })),
            "{content:?}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_first_start_that_ended_before_it_was_noted_is_begun_again() {
    let closed = TestLedger::open().await.close().await;
    // The state was written, and the process ended before the ledger said so.
    let before = whole(closed.path()).await;
    let closed = closed.signing();
    closed.try_open().await.unwrap();
    put(closed.path(), &before).await;
    let ledger = closed.open().await.unwrap();
    assert!(ledger.file().await.signing().await.unwrap().is_some());
}

/// A copy of a ledger under another name, opened to sign from that file.
async fn open_copy(of: &Closed, state: &Path) -> Result<(Ledger, WriterTask), OpenError> {
    let copy = of.path().with_file_name("copy.ledger.db");
    if !copy.exists() {
        std::fs::write(&copy, whole(of.path()).await).unwrap();
    }
    let options = ledger_sqlite::LedgerOptions {
        signing: Some(signing(&SIGNING_SEED, state.to_owned())),
        ..ledger_sqlite::LedgerOptions::new(
            format!("sqlite://{}", copy.display()),
            fixtures::rules::TestRules::default().build(),
        )
    };
    ledger_sqlite::open(options).await
}

#[tokio::test]
async fn two_ledgers_that_share_what_was_signed_are_not_both_opened() {
    let (closed, _) = signed_and_closed().await;
    let state = state_beside(closed.path());
    let (other, writer) = open_copy(&closed, &state).await.unwrap();
    // By another name of the folder too.
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(closed.path().parent().unwrap(), &link).unwrap();
    let linked = link.join(state.file_name().unwrap());
    let options = |state: &Path| ledger_sqlite::LedgerOptions {
        signing: Some(signing(&SIGNING_SEED, state.to_owned())),
        ..ledger_sqlite::LedgerOptions::new(
            format!("sqlite://{}", closed.path().display()),
            fixtures::rules::TestRules::default().build(),
        )
    };
    for name in [&state, &linked] {
        let refused = ledger_sqlite::open(options(name)).await.map(drop);
        assert!(
            matches!(refused, Err(OpenError::SigningStateInUse { .. })),
            "{name:?}: {refused:?}"
        );
        let says = refused.unwrap_err().to_string();
        assert!(says.contains(&std::process::id().to_string()), "{says}");
    }
    drop(other);
    writer.await.unwrap().unwrap();
    // It is free again when the process that held it has ended.
    closed.try_open().await.unwrap();
}

/// On another machine, say, whose locks nobody here sees.
#[tokio::test]
async fn what_somebody_else_signed_meanwhile_is_not_signed_over() {
    let (closed, _) = signed_and_closed().await;
    let state = state_beside(closed.path());
    let elsewhere = closed.path().with_file_name("elsewhere.signing-state");
    std::fs::copy(&state, &elsewhere).unwrap();
    let (other, writer) = open_copy(&closed, &elsewhere).await.unwrap();
    let command = fixtures::commands::create_task();
    other
        .execute(fixtures::commands::administrator(), command)
        .await
        .unwrap();
    let theirs = covering_all(&other).await;
    drop(other);
    writer.await.unwrap().unwrap();

    let ledger = closed.open().await.unwrap();
    let before = ledger.checkpoints().unwrap().newest();
    std::fs::copy(&elsewhere, &state).unwrap();
    ledger.grant_all().await;
    let checkpoints = ledger.checkpoints().unwrap().clone();
    while checkpoints.failing().is_none() {
        tokio::task::yield_now().await;
    }
    assert!(checkpoints.failing().unwrap().contains("another one signs"));
    assert_eq!(checkpoints.newest(), before);
    assert_eq!(&kept(ledger.path()), theirs.note());
}

#[tokio::test]
async fn another_key_is_refused() {
    let (closed, _) = signed_and_closed().await;
    let options = ledger_sqlite::LedgerOptions {
        signing: Some(signing(&[8; 32], state_beside(closed.path()))),
        ..ledger_sqlite::LedgerOptions::new(
            format!("sqlite://{}", closed.path().display()),
            fixtures::rules::TestRules::default().build(),
        )
    };
    let refused = ledger_sqlite::open(options).await.map(drop);
    assert!(
        matches!(refused, Err(OpenError::OtherSigner { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_ledger_of_an_earlier_version_is_signed_when_its_tree_is_complete() {
    let (closed, size) = signed_and_closed().await;
    std::fs::remove_file(state_beside(closed.path())).unwrap();
    crate::store::tree::without_tree(&closed).await;
    let ledger = closed.accepting().open().await.unwrap();
    assert_eq!(covering_all(&ledger).await.size(), size);
}
