//! Restoring a backup: on the machine that signed, on a new one, and as another log.

use fixtures::process::said;
use fixtures::sandbox::Sandbox;
use ledger::{Actor, Event};
use std::path::{Path, PathBuf};

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn backup(sandbox: &Sandbox, name: &str) -> PathBuf {
    let file = sandbox.folder().join(name);
    let made = sandbox.run(&format!("backup {}", file.display()));
    assert!(made.status.success(), "{}", said(&made).1);
    file
}

/// The complaint of a restore that is refused.
fn refused(sandbox: &Sandbox, line: &str) -> String {
    let before = listing(sandbox);
    let output = sandbox.run(&format!("restore {line}"));
    let (_, complained) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{complained}");
    assert_eq!(
        listing(sandbox),
        before,
        "nothing is made or moved: {complained}"
    );
    complained
}

fn restored(sandbox: &Sandbox, line: &str) -> String {
    let output = sandbox.run(&format!("restore {line}"));
    let (told, complained) = said(&output);
    assert!(output.status.success(), "{complained}");
    told
}

/// The files beside the ledger, but for the lock and SQLite's shared memory. A running service still
/// folds, so the read tables' log may grow.
fn listing(sandbox: &Sandbox) -> Vec<(String, u64)> {
    let folder = sandbox.ledger_file();
    let mut files: Vec<_> = std::fs::read_dir(folder.parent().unwrap())
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let length = entry.metadata().unwrap().len();
            let grows = name == "proxy.db-wal" && length > 0;
            (name, if grows { 1 } else { length })
        })
        .filter(|(name, _)| !name.ends_with(".lock") && !name.ends_with("-shm"))
        .filter(|(name, length)| !name.ends_with("-wal") || *length > 0)
        .collect();
    files.sort();
    files
}

fn moved_aside(sandbox: &Sandbox) -> Vec<String> {
    let names = listing(sandbox).into_iter().map(|(name, _)| name);
    names
        .filter(|name| name.contains(".before-restore-"))
        .collect()
}

/// A machine that has lost everything but its settings.
fn lose_everything(sandbox: &Sandbox) {
    let folder = sandbox.ledger_file();
    std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    std::fs::create_dir(folder.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn a_backup_that_holds_what_was_signed_takes_the_ledgers_place() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let task = service.open_task().await;
    let while_running = sandbox.folder().join("l.db");
    std::fs::write(&while_running, "").unwrap();
    let complained = refused(&sandbox, &while_running.display().to_string());
    assert!(
        complained.contains("needs the service stopped"),
        "{complained}"
    );
    std::fs::remove_file(&while_running).unwrap();
    assert!(service.stop().await.success());
    let file = backup(&sandbox, "l.db");
    let before = sandbox.events().await;
    // What a restore is for.
    std::fs::write(sandbox.ledger_file(), [0xA5; 8192]).unwrap();
    drop(std::fs::remove_file(beside(&sandbox.ledger_file(), "-wal")));

    let told = restored(&sandbox, &file.display().to_string());
    assert!(
        told.contains(&format!("records     {},", before.len())),
        "{told}"
    );
    assert_eq!(sandbox.events().await, before);
    assert_eq!(
        moved_aside(&sandbox).len(),
        3,
        "ledger, read tables with log"
    );
    let service = sandbox.start().await;
    let path = format!("/v1/tasks/{}", task.id);
    let reply = service
        .caller
        .ask_with(reqwest::Method::GET, &path, &task.token, None, None);
    assert_eq!(reply.await.unwrap().status, 200);
    assert!(service.stop().await.success());
    let (found, _) = said(&sandbox.run("doctor"));
    assert!(found.contains("moved aside by a restore"), "{found}");
}

#[tokio::test]
async fn an_older_backup_is_only_gone_on_from_as_another_log() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    let file = backup(&sandbox, "old.db");
    let kept = sandbox.events().await.len();
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    let written = sandbox.events().await;
    let line = file.display().to_string();

    let complained = refused(&sandbox, &line);
    assert!(complained.contains("--accept-fork"), "{complained}");
    let checkpoint = beside(&file, ".checkpoint");
    let complained = refused(
        &sandbox,
        &format!("{line} --checkpoint {}", checkpoint.display()),
    );
    assert!(
        complained.contains(&format!("ends after {kept} events")),
        "an old checkpoint does not lower the state: {complained}"
    );

    let state = beside(&sandbox.ledger_file(), ".signing-state");
    let last = std::fs::read_to_string(&state).unwrap();
    let old_key = std::fs::read(beside(&sandbox.ledger_file(), ".signing-key")).unwrap();
    let told = restored(&sandbox, &format!("{line} --accept-fork --reason broken"));
    assert!(told.contains("goes on as"), "{told}");
    let behind = format!("left behind {} events", written.len() - kept);
    assert!(told.contains(&behind), "{told}");
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());

    let events = sandbox.events().await;
    assert_eq!(events[..kept], written[..kept]);
    let Event::LedgerForked(forked) = &events[kept].event else {
        panic!("{:?}", events[kept]);
    };
    assert_eq!(forked.old_checkpoint, last);
    assert_eq!(forked.old_size, written.len() as u64);
    assert_eq!(forked.forked_at, kept as u64);
    assert_eq!(forked.reason, "broken");
    assert!(matches!(
        events[kept].envelope.actor,
        Actor::Operator { .. }
    ));
    let signed = std::fs::read_to_string(&state).unwrap();
    assert!(
        signed.starts_with(&format!("{}\n", forked.new_origin)),
        "{signed}"
    );
    assert!(
        !signed.contains(&forked.old_origin[..])
            || forked.new_origin.starts_with(&forked.old_origin)
    );
    let aside = moved_aside(&sandbox);
    let old = aside.iter().find(|name| name.contains(".signing-key."));
    let old = sandbox.ledger_file().with_file_name(old.unwrap());
    assert_eq!(
        std::fs::read(old).unwrap(),
        old_key,
        "kept under another name"
    );
    assert!(sandbox.run("ledger check").status.success());

    // The fork is a log like any other: its backups come back.
    let again = backup(&sandbox, "new.db");
    let complained = refused(
        &sandbox,
        &format!("{} --accept-fork --reason again", again.display()),
    );
    assert!(
        complained.contains("leave out --accept-fork"),
        "{complained}"
    );
    let complained = refused(&sandbox, &line);
    assert!(
        complained.contains("--accept-fork"),
        "the old log: {complained}"
    );
}

#[tokio::test]
async fn a_new_machine_wants_the_newest_checkpoint_and_the_keys() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    let file = backup(&sandbox, "l.db");
    let ledger = sandbox.ledger_file();
    let keys: Vec<(PathBuf, Vec<u8>)> = [".key", ".signing-key"]
        .map(|end| beside(&ledger, end))
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .into();
    let newer = sandbox.folder().join("newer.checkpoint");
    {
        let service = sandbox.start().await;
        service.open_task().await;
        assert!(service.stop().await.success());
        std::fs::copy(beside(&ledger, ".signing-state"), &newer).unwrap();
    }
    lose_everything(&sandbox);

    let line = file.display().to_string();
    let complained = refused(&sandbox, &line);
    assert!(complained.contains("--checkpoint"), "{complained}");
    let complained = refused(
        &sandbox,
        &format!("{line} --checkpoint {}", newer.display()),
    );
    assert!(complained.contains("--accept-fork"), "{complained}");
    let other = sandbox.folder().join("other");
    std::fs::write(&other, "no note").unwrap();
    let complained = refused(
        &sandbox,
        &format!("{line} --checkpoint {}", other.display()),
    );
    assert!(
        complained.contains("not a signed checkpoint"),
        "{complained}"
    );

    let known = beside(&file, ".checkpoint");
    let told = restored(
        &sandbox,
        &format!("{line} --checkpoint {}", known.display()),
    );
    assert!(told.contains("put the signing key back"), "{told}");
    let start = sandbox.run("serve --log-format json");
    assert_eq!(
        start.status.code(),
        Some(1),
        "not with a key of its own making"
    );
    for (path, key) in keys {
        std::fs::write(&path, key).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, private).unwrap();
    }
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn what_is_no_sound_backup_is_not_restored() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    let file = backup(&sandbox, "l.db");
    let whole = std::fs::read(&file).unwrap();
    let line = file.display().to_string();

    std::fs::write(&file, "a letter").unwrap();
    refused(&sandbox, &line);
    std::fs::write(&file, "").unwrap();
    refused(&sandbox, &line);
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    refused(&sandbox, &line);
    let name = b"a task of the tests";
    let at = whole.windows(name.len()).position(|window| window == name);
    let mut changed = whole.clone();
    changed[at.unwrap()] ^= 1;
    std::fs::write(&file, &changed).unwrap();
    let complained = refused(&sandbox, &line);
    assert!(complained.contains("damaged at position"), "{complained}");
    let tables = sandbox.read_tables_file().display().to_string();
    refused(&sandbox, &tables);
    let own = sandbox.ledger_file().display().to_string();
    assert!(refused(&sandbox, &own).contains("is the ledger itself"));
    std::fs::write(&file, &whole).unwrap();
    restored(&sandbox, &line);
}

#[tokio::test]
async fn a_restore_that_was_broken_off_is_done_by_the_next_start() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    let before = sandbox.events().await;
    let file = backup(&sandbox, "l.db");
    let ledger = sandbox.ledger_file();
    // As a kill between two renames leaves it: the old ledger is aside, the new one not yet in its place.
    let (aside, new) = (beside(&ledger, ".aside"), beside(&ledger, ".new-one"));
    std::fs::rename(&ledger, &aside).unwrap();
    drop(std::fs::rename(
        beside(&ledger, "-wal"),
        beside(&aside, "-wal"),
    ));
    drop(std::fs::remove_file(beside(&ledger, "-shm")));
    std::fs::copy(&file, &new).unwrap();
    let list = serde_json::json!({"steps": [
        {"from": ledger, "to": aside},
        {"from": new, "to": ledger},
    ]});
    let list_file = beside(&ledger, ".restoring");
    std::fs::write(&list_file, list.to_string()).unwrap();
    let (found, _) = said(&sandbox.run("doctor"));
    assert!(found.contains("broken off in the middle"), "{found}");

    let service = sandbox.start().await;
    assert!(service.stop().await.success());
    assert!(!list_file.exists());
    assert_eq!(sandbox.events().await, before);
}

#[tokio::test]
async fn a_restore_that_does_not_fit_changes_nothing() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    for _ in 0..50 {
        service.open_task().await;
    }
    assert!(service.stop().await.success());
    let file = backup(&sandbox, "l.db");
    let before = listing(&sandbox);
    let line = format!("restore {}", file.display());
    let refused = sandbox.command_with_room(&line, 64).output().unwrap();
    let (_, complained) = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{complained}");
    assert!(complained.contains("cannot be copied"), "{complained}");
    assert_eq!(listing(&sandbox), before);
    assert!(sandbox.start().await.stop().await.success());
}
