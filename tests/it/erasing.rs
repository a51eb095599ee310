//! What was erased is gone from every file, whether or not the service runs, is killed or goes on.

use fixtures::process::said;
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{Service, Task, purge};
use ledger::event::{AfterAttempt, Event};
use reqwest::Method;
use std::collections::BTreeSet;
use std::process::Stdio;

/// Text that the task's records hold in the clear.
const TRACE: &str = "mrs-trace";

/// A task that ran something, was told of, and is closed.
async fn ended(sandbox: &Sandbox, service: &Service) -> Task {
    service.grant(&["cache.purge.execute"]).await;
    let task = service.open_task().await;
    let reply = service
        .apply(&task, &format!("{TRACE}-key"), &purge(TRACE))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let closed = sandbox.run(&format!("task close {} --reason {TRACE}", task.id));
    assert!(closed.status.success(), "{}", said(&closed).1);
    until("every delivery", async || {
        let mut open = BTreeSet::new();
        for event in sandbox.events().await {
            match &event.event {
                Event::DeliveryOwed(_) => drop(open.insert(event.stream_id())),
                Event::AttemptEnded(ended) if ended.after == AfterAttempt::Done => {
                    open.remove(&event.stream_id());
                }
                _ => {}
            }
        }
        open.is_empty().then_some(())
    })
    .await;
    task
}

/// The files beside the ledger and the read tables that hold the trace.
fn holding(sandbox: &Sandbox) -> Vec<String> {
    let mut found = Vec::new();
    for file in [sandbox.ledger_file(), sandbox.read_tables_file()] {
        for end in ["", "-wal"] {
            let mut path = file.clone().into_os_string();
            path.push(end);
            let bytes = std::fs::read(&path).unwrap_or_default();
            if bytes
                .windows(TRACE.len())
                .any(|part| part == TRACE.as_bytes())
            {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found
}

async fn gone(sandbox: &Sandbox) {
    until("the trace to be gone", async || {
        holding(sandbox).is_empty().then_some(())
    })
    .await;
}

fn erase(sandbox: &Sandbox, task: &Task) -> String {
    let erased = sandbox.run(&format!("ledger erase {} --reason asked", task.id));
    let (told, complained) = said(&erased);
    assert!(erased.status.success(), "{complained}");
    told
}

/// What `ledger check` and `ledger verify` say.
fn checked(sandbox: &Sandbox) -> String {
    let checked = sandbox.run("ledger check");
    assert!(checked.status.success(), "{}", said(&checked).1);
    let key = said(&sandbox.run("ledger vkey")).0;
    let ledger = sandbox.ledger_file();
    let line = format!("ledger verify {} --key {}", ledger.display(), key.trim());
    let verified = sandbox.run(&line);
    let (told, complained) = said(&verified);
    // What is gone cannot be checked.
    assert_eq!(verified.status.code(), Some(3), "{told}{complained}");
    assert!(told.contains("erased"), "{told}");
    said(&checked).0
}

#[tokio::test]
async fn a_task_is_erased_beside_the_running_service() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let task = service.open_task().await;
    let open = sandbox.run(&format!("ledger erase {} --reason asked", task.id));
    assert_eq!(open.status.code(), Some(1));
    assert!(said(&open).1.contains("cannot be erased yet"), "{open:?}");

    let task = ended(&sandbox, &service).await;
    assert!(!holding(&sandbox).is_empty());
    let told = erase(&sandbox, &task);
    assert!(told.contains("hold nothing of it any more"), "{told}");
    gone(&sandbox).await;
    let again = erase(&sandbox, &task);
    assert!(again.contains("was erased before"), "{again}");

    let same_key = format!("{TRACE}-key");
    let reply = service.apply(&task, &same_key, &purge(TRACE)).await;
    assert_eq!(
        (reply.status, reply.text_at("code")),
        (410, "erased"),
        "{}",
        reply.text
    );
    for path in ["", "/applies", "/approval-status", "/callbacks/deliveries"] {
        let path = format!("/v1/tasks/{}{path}", task.id);
        let asked = service
            .caller
            .ask_with(Method::GET, &path, &task.token, None, None);
        let reply = asked.await.unwrap();
        if reply.status != 404 {
            assert_eq!(
                (reply.status, reply.text_at("code")),
                (410, "erased"),
                "{path}"
            );
        }
    }
    // Nothing of it is written again by what was asked since.
    assert_eq!(holding(&sandbox), [""; 0]);
    assert!(checked(&sandbox).contains("erased"));
    let tail = sandbox.run("ledger tail -n 200");
    assert!(
        said(&tail).0.contains("erased by the event at position"),
        "{tail:?}"
    );
    let other = service.open_task().await;
    let reply = service.apply(&other, "k", &purge("other")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(service.stop().await.success());
    assert_eq!(holding(&sandbox), [""; 0]);
}

#[tokio::test]
async fn a_task_is_erased_without_the_service_and_from_the_read_tables_at_the_next_start() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let task = ended(&sandbox, &service).await;
    assert!(service.stop().await.success());
    erase(&sandbox, &task);
    let read_tables = sandbox.read_tables_file();
    let read_tables = read_tables.to_string_lossy();
    assert!(
        holding(&sandbox)
            .iter()
            .all(|file| file.starts_with(&*read_tables))
    );
    let service = sandbox.start().await;
    gone(&sandbox).await;
    assert!(service.stop().await.success());
    checked(&sandbox);
}

#[tokio::test]
async fn an_erasure_during_which_the_service_is_killed_is_whole_or_not_at_all() {
    for late in [false, true] {
        let sandbox = Sandbox::new().await;
        let service = sandbox.start().await;
        let task = ended(&sandbox, &service).await;
        let mut erasing = sandbox.command(&format!("ledger erase {} --reason asked", task.id));
        let mut erasing = erasing
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if late {
            sandbox.event("ledger.erased").await;
        }
        service.kill();
        erasing.wait().unwrap();

        let service = sandbox.start().await;
        erase(&sandbox, &task);
        gone(&sandbox).await;
        let events = sandbox.events().await;
        let said = events
            .iter()
            .filter(|event| matches!(event.event, Event::LedgerErased(_)))
            .count();
        assert_eq!(said, 1);
        checked(&sandbox);
        assert!(service.stop().await.success());
    }
}
