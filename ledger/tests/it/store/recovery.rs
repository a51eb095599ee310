//! What a crash leaves behind: whatever SQLite's recovery mends is survived, whole batches only.

use super::foreign;
use crate::scene::Scene;
use fixtures::commands::purge;
use fixtures::rules::TestRules;
use ledger::genesis_hash;
use ledger_sqlite::{LedgerOptions, OpenError, Reader};
use std::path::{Path, PathBuf};

async fn open(path: &Path) -> Result<u64, OpenError> {
    let url = format!("sqlite://{}", path.display());
    let options = LedgerOptions::new(url.clone(), TestRules::default().build());
    let (ledger, writer) = ledger_sqlite::open(options).await?;
    let size = *ledger.size().borrow();
    let events = ledger.log().events_from(0, 10_000).await?;
    assert_eq!(events.len() as u64, size);
    let mut hash = genesis_hash(ledger.id());
    for recorded in events {
        assert_eq!(recorded.header.prev_hash, hash);
        hash = recorded.header.record_hash();
    }
    drop(ledger);
    writer.await.unwrap().unwrap();
    Ok(size)
}

/// The files as a power cut at this moment would leave them, the log of the last commits cut to a
/// length.
fn copy(from: &Path, to: &Path, wal_len: Option<usize>) -> PathBuf {
    let target = to.join("copy.db");
    let beside = |path: &Path, end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    std::fs::copy(from, &target).unwrap();
    let mut wal = std::fs::read(beside(from, "-wal")).unwrap();
    if let Some(len) = wal_len {
        wal.truncate(len);
    }
    std::fs::write(beside(&target, "-wal"), wal).unwrap();
    target
}

#[tokio::test]
async fn what_was_answered_survives_a_crash_at_any_moment() {
    let scene = Scene::granted().await;
    for number in 0..8 {
        scene.submitted(&format!("k{number}"), vec![purge()]).await;
        let dir = tempfile::tempdir().unwrap();
        let path = copy(scene.path(), dir.path(), None);
        assert_eq!(open(&path).await.unwrap(), scene.size_now());
    }
}

#[tokio::test]
async fn a_log_torn_at_any_length_is_mended_to_whole_batches() {
    let scene = Scene::granted().await;
    // From here on the schema stands in the file itself, and only batches in its log.
    let mut connection = foreign(scene.path()).await;
    sqlx::raw_sql("PRAGMA wal_checkpoint(RESTART)")
        .execute(&mut connection)
        .await
        .unwrap();
    let mut sizes = vec![scene.size_now()];
    for number in 0..5 {
        scene.submitted(&format!("k{number}"), vec![purge()]).await;
        sizes.push(scene.size_now());
    }
    let mut wal = scene.path().as_os_str().to_owned();
    wal.push("-wal");
    let length = std::fs::read(wal).unwrap().len();
    let mut seen = Vec::new();
    for len in (0..=length).step_by(length / 60) {
        let dir = tempfile::tempdir().unwrap();
        let path = copy(scene.path(), dir.path(), Some(len));
        let size = open(&path).await.unwrap();
        assert!(sizes.contains(&size), "{size} at {len}");
        assert!(seen.last().is_none_or(|before| *before <= size));
        seen.push(size);
    }
    assert_eq!(seen.first(), sizes.first());
    assert!(seen.len() > 10 && seen.iter().any(|size| *size > sizes[2]));
}

#[tokio::test]
async fn garbage_at_the_end_of_the_log_is_no_commit() {
    let scene = Scene::granted().await;
    let dir = tempfile::tempdir().unwrap();
    let path = copy(scene.path(), dir.path(), None);
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let mut bytes = std::fs::read(&wal).unwrap();
    bytes.extend(std::iter::repeat_n(0xA5, 9000));
    std::fs::write(&wal, bytes).unwrap();
    assert_eq!(open(&path).await.unwrap(), scene.size_now());
}

#[tokio::test]
async fn a_reader_can_be_opened_on_what_a_crash_left() {
    let scene = Scene::granted().await;
    let dir = tempfile::tempdir().unwrap();
    let path = copy(scene.path(), dir.path(), None);
    let reader = Reader::open(&format!("sqlite://{}", path.display()))
        .await
        .unwrap();
    assert_eq!(reader.size().await.unwrap(), scene.size_now());
}
