//! Backups: beside a running service, of a damaged ledger, onto a disk that is full.

use fixtures::process::said;
use fixtures::sandbox::Sandbox;
use ledger::Log as _;
use ledger_sqlite::Reader;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

async fn events_in(file: &Path) -> Vec<ledger::Recorded> {
    let url = format!("sqlite://{}", file.display());
    let reader = Reader::open(&url).await.unwrap();
    reader.events_from(0, 100_000).await.unwrap()
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_beside_a_running_service_holds_what_was_answered_before_it() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.open_task().await;
    let before = sandbox.events().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("l.db");
    let mut backing_up = sandbox
        .command(&format!("backup {}", file.display()))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while backing_up.try_wait().unwrap().is_none() {
        service.open_task().await;
    }
    let output = backing_up.wait_with_output().unwrap();
    let (told, complained) = said(&output);
    assert!(output.status.success(), "{complained}");
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);

    let kept = events_in(&file).await;
    let written = sandbox.events().await;
    assert!(kept.len() >= before.len(), "{told}");
    assert_eq!(kept, written[..kept.len()]);
    let head = kept.last().unwrap().header.record_hash().to_string();
    assert!(
        told.contains(&format!("records    {},", kept.len())),
        "{told}"
    );
    assert!(told.contains(&head), "{told}");
    let note = std::fs::read_to_string(folder.path().join("l.db.checkpoint")).unwrap();
    let signed: usize = note.lines().nth(1).unwrap().parse().unwrap();
    assert!((1..=kept.len()).contains(&signed), "{note}");
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_backup_has_no_key_in_it_and_says_where_the_key_is() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("l.db");
    let (told, _) = said(&sandbox.run(&format!("backup {}", file.display())));
    let key_file = sandbox.ledger_file().with_extension("db.key");
    assert!(told.contains(&key_file.display().to_string()), "{told}");
    let key = std::fs::read_to_string(&key_file).unwrap();
    let signing = sandbox.ledger_file().with_extension("db.signing-key");
    assert!(told.contains(&signing.display().to_string()), "{told}");
    let signing = std::fs::read_to_string(signing).unwrap();
    // Base64 has a `+` of its own: only the first four separate the parts.
    let secret = signing.trim().splitn(5, '+').last().unwrap();
    assert_eq!(secret.len(), 44);
    let bytes = std::fs::read(&file).unwrap();
    let found = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    assert!(found(b"a task of the tests"));
    assert!(!found(key.trim().as_bytes()));
    assert!(!found(secret.as_bytes()));
}

/// A stopped service's ledger can be copied as the one file that its settings name.
#[tokio::test]
async fn a_service_that_was_stopped_leaves_its_ledger_in_one_file() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    let log = sandbox.ledger_file().with_extension("db-wal");
    assert!(!log.exists(), "{log:?} was left");
    assert!(events_in(&sandbox.ledger_file()).await.len() > 1);
}

#[tokio::test]
async fn a_backup_never_replaces_a_file() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    assert!(service.stop().await.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("l.db");
    std::fs::write(&file, "something dear").unwrap();
    let refused = sandbox.run(&format!("backup {}", file.display()));
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).1.contains("exists already"), "{refused:?}");
    assert_eq!(std::fs::read(&file).unwrap(), b"something dear");
    assert_eq!(names_in(folder.path()), ["l.db"]);

    let own = sandbox.ledger_file();
    let refused = sandbox.run(&format!("backup {}", own.display()));
    assert_eq!(refused.status.code(), Some(1));
    let nowhere = folder.path().join("nowhere/l.db");
    let refused = sandbox.run(&format!("backup {}", nowhere.display()));
    assert!(said(&refused).1.contains("make it first"), "{refused:?}");
}

#[tokio::test]
async fn a_damaged_ledger_makes_no_backup() {
    let mut sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("l.db");
    let made = sandbox.run(&format!("backup {}", ledger.display()));
    assert!(made.status.success(), "{made:?}");
    let bytes = std::fs::read(&ledger).unwrap();
    let name = b"a task of the tests";
    let at = bytes.windows(name.len()).position(|window| window == name);
    let damaged = File::options().write(true).open(&ledger).unwrap();
    damaged.write_all_at(b"A", at.unwrap() as u64).unwrap();

    let url = format!("sqlite://{}", ledger.display());
    sandbox.settings.insert("LEDGER_URL", url);
    let file = folder.path().join("again.db");
    let refused = sandbox.run(&format!("backup {}", file.display()));
    let (_, complained) = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{complained}");
    assert!(complained.contains("damaged at position"), "{complained}");
    assert_eq!(names_in(folder.path()), ["l.db", "l.db.checkpoint"]);
}

#[tokio::test]
async fn a_backup_that_does_not_fit_is_said_and_leaves_nothing() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    for _ in 0..50 {
        service.open_task().await;
    }
    assert!(service.stop().await.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("l.db");
    let line = format!("backup {}", file.display());
    let refused = sandbox.command_with_room(&line, 64).output().unwrap();
    let (_, complained) = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{complained}");
    assert!(
        complained.contains("the backup cannot be written"),
        "{complained}"
    );
    assert!(names_in(folder.path()).is_empty());
}
