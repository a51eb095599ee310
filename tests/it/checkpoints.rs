//! Checkpoints of the real binary: an old copy of the ledger is noticed, and so is a key that is gone.

use crate::service::{Surroundings, said};
use ledger::tlog::{Checkpoint, LogKey, LogOrigin, Note};
use std::ffi::OsString;
use std::path::PathBuf;

fn beside(surroundings: &Surroundings, end: &str) -> PathBuf {
    let mut name = OsString::from(surroundings.ledger_file());
    name.push(end);
    PathBuf::from(name)
}

fn kept(surroundings: &Surroundings) -> Note {
    let file = beside(surroundings, ".signing-state");
    std::fs::read_to_string(file).unwrap().parse().unwrap()
}

fn refused(surroundings: &Surroundings) -> String {
    let output = surroundings.run("serve --log-format json");
    assert_eq!(output.status.code(), Some(1));
    said(&output).1
}

#[tokio::test]
async fn the_last_checkpoint_covers_everything_and_the_printed_key_verifies_it() {
    let surroundings = Surroundings::new().await;
    let service = surroundings.start().await;
    service.open_task().await;
    let output = surroundings.run("ledger vkey");
    let key: LogKey = said(&output).0.trim_end().parse().unwrap();
    assert!(service.stop().await.success());
    let checkpoint =
        Checkpoint::open(&kept(&surroundings), &key, &LogOrigin::from(key.name())).unwrap();
    let recorded = surroundings.events().await.len();
    assert_eq!(checkpoint.size(), u64::try_from(recorded).unwrap());
}

#[tokio::test]
async fn an_old_copy_of_the_ledger_stops_the_start() {
    let surroundings = Surroundings::new().await;
    assert!(surroundings.start().await.stop().await.success());
    let old = beside(&surroundings, ".old");
    let made = surroundings.run(&format!("backup {}", old.display()));
    assert!(made.status.success(), "{}", said(&made).1);
    let service = surroundings.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());

    let files = ["", "-wal", "-shm"];
    for end in files {
        let aside = beside(&surroundings, &format!(".aside{end}"));
        drop(std::fs::rename(beside(&surroundings, end), aside));
    }
    std::fs::copy(old, surroundings.ledger_file()).unwrap();
    let complaint = refused(&surroundings);
    assert!(complaint.contains("this is an old copy"), "{complaint}");

    for end in files {
        let file = beside(&surroundings, end);
        drop(std::fs::remove_file(&file));
        let aside = beside(&surroundings, &format!(".aside{end}"));
        drop(std::fs::rename(aside, file));
    }
    assert!(surroundings.start().await.stop().await.success());
}

#[tokio::test]
async fn a_ledger_without_its_newest_checkpoint_or_its_key_is_not_served() {
    let surroundings = Surroundings::new().await;
    assert!(surroundings.start().await.stop().await.success());
    for (end, expected) in [
        (
            ".signing-state",
            "is missing: it holds the newest checkpoint",
        ),
        (".signing-key", "LEDGER_SIGNING_KEY is not set and"),
    ] {
        let file = beside(&surroundings, end);
        let aside = beside(&surroundings, ".aside");
        std::fs::rename(&file, &aside).unwrap();
        let complaint = refused(&surroundings);
        assert!(complaint.contains(expected), "{complaint}");
        assert!(!file.exists(), "nothing is made in its place");
        std::fs::rename(&aside, &file).unwrap();
    }
    assert!(surroundings.start().await.stop().await.success());
}
