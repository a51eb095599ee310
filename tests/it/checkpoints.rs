//! Checkpoints of the real binary: an old copy of the ledger is noticed, and so is a key that is gone.

use fixtures::process::said;
use fixtures::sandbox::Sandbox;
use ledger::tlog::{Checkpoint, LogKey, LogOrigin, Note};
use std::ffi::OsString;
use std::path::PathBuf;

fn beside(sandbox: &Sandbox, end: &str) -> PathBuf {
    let mut name = OsString::from(sandbox.ledger_file());
    name.push(end);
    PathBuf::from(name)
}

fn kept(sandbox: &Sandbox) -> Note {
    let file = beside(sandbox, ".signing-state");
    std::fs::read_to_string(file).unwrap().parse().unwrap()
}

fn refused(sandbox: &Sandbox) -> String {
    let output = sandbox.run("serve --log-format json");
    assert_eq!(output.status.code(), Some(1));
    said(&output).1
}

#[tokio::test]
async fn the_last_checkpoint_covers_everything_and_the_printed_key_verifies_it() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.open_task().await;
    let output = sandbox.run("ledger vkey");
    let key: LogKey = said(&output).0.trim_end().parse().unwrap();
    assert!(service.stop().await.success());
    let checkpoint = Checkpoint::open(&kept(&sandbox), &key, &LogOrigin::from(key.name())).unwrap();
    let recorded = sandbox.events().await.len();
    assert_eq!(checkpoint.size(), u64::try_from(recorded).unwrap());
}

#[tokio::test]
async fn an_old_copy_of_the_ledger_stops_the_start() {
    let sandbox = Sandbox::new().await;
    assert!(sandbox.start().await.stop().await.success());
    let old = beside(&sandbox, ".old");
    let made = sandbox.run(&format!("backup {}", old.display()));
    assert!(made.status.success(), "{}", said(&made).1);
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());

    let files = ["", "-wal", "-shm"];
    for end in files {
        let aside = beside(&sandbox, &format!(".aside{end}"));
        drop(std::fs::rename(beside(&sandbox, end), aside));
    }
    std::fs::copy(old, sandbox.ledger_file()).unwrap();
    let complaint = refused(&sandbox);
    assert!(complaint.contains("this is an old copy"), "{complaint}");

    for end in files {
        let file = beside(&sandbox, end);
        drop(std::fs::remove_file(&file));
        let aside = beside(&sandbox, &format!(".aside{end}"));
        drop(std::fs::rename(aside, file));
    }
    assert!(sandbox.start().await.stop().await.success());
}

#[tokio::test]
async fn a_ledger_without_its_newest_checkpoint_or_its_key_is_not_served() {
    let sandbox = Sandbox::new().await;
    assert!(sandbox.start().await.stop().await.success());
    for (end, expected) in [
        (
            ".signing-state",
            "is missing: it holds the newest checkpoint",
        ),
        (".signing-key", "LEDGER_SIGNING_KEY is not set and"),
    ] {
        let file = beside(&sandbox, end);
        let aside = beside(&sandbox, ".aside");
        std::fs::rename(&file, &aside).unwrap();
        let complaint = refused(&sandbox);
        assert!(complaint.contains(expected), "{complaint}");
        assert!(!file.exists(), "nothing is made in its place");
        std::fs::rename(&aside, &file).unwrap();
    }
    assert!(sandbox.start().await.stop().await.success());
}
