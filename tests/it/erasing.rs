//! What was erased is gone from every file, whether or not the service runs, is killed or goes on.

use crate::service::{Service, Surroundings, Task, purge, said, until};
use ledger::event::{AfterAttempt, Event};
use reqwest::Method;
use std::collections::BTreeSet;
use std::process::Stdio;

/// Text that the task's records hold in the clear.
const TRACE: &str = "mrs-trace";

/// A task that ran something, was told of, and is closed.
async fn ended(surroundings: &Surroundings, service: &Service) -> Task {
    service.grant(&["cache.purge.execute"]).await;
    let task = service.open_task().await;
    let reply = service
        .apply(&task, &format!("{TRACE}-key"), &purge(TRACE))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let closed = surroundings.run(&format!("task close {} --reason {TRACE}", task.id));
    assert!(closed.status.success(), "{}", said(&closed).1);
    until("every delivery", async || {
        let mut open = BTreeSet::new();
        for event in surroundings.events().await {
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
fn holding(surroundings: &Surroundings) -> Vec<String> {
    let mut found = Vec::new();
    for file in [surroundings.ledger_file(), surroundings.read_tables_file()] {
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

async fn gone(surroundings: &Surroundings) {
    until("the trace to be gone", async || {
        holding(surroundings).is_empty().then_some(())
    })
    .await;
}

fn erase(surroundings: &Surroundings, task: &Task) -> String {
    let erased = surroundings.run(&format!("ledger erase {} --reason asked", task.id));
    let (told, complained) = said(&erased);
    assert!(erased.status.success(), "{complained}");
    told
}

/// What `ledger check` and `ledger verify` say.
fn checked(surroundings: &Surroundings) -> String {
    let checked = surroundings.run("ledger check");
    assert!(checked.status.success(), "{}", said(&checked).1);
    let key = said(&surroundings.run("ledger vkey")).0;
    let ledger = surroundings.ledger_file();
    let line = format!("ledger verify {} --key {}", ledger.display(), key.trim());
    let verified = surroundings.run(&line);
    let (told, complained) = said(&verified);
    // What is gone cannot be checked.
    assert_eq!(verified.status.code(), Some(3), "{told}{complained}");
    assert!(told.contains("erased"), "{told}");
    said(&checked).0
}

#[tokio::test]
async fn a_task_is_erased_beside_the_running_service() {
    let surroundings = Surroundings::new().await;
    let service = surroundings.start().await;
    let task = service.open_task().await;
    let open = surroundings.run(&format!("ledger erase {} --reason asked", task.id));
    assert_eq!(open.status.code(), Some(1));
    assert!(said(&open).1.contains("cannot be erased yet"), "{open:?}");

    let task = ended(&surroundings, &service).await;
    assert!(!holding(&surroundings).is_empty());
    let told = erase(&surroundings, &task);
    assert!(told.contains("hold nothing of it any more"), "{told}");
    gone(&surroundings).await;
    let again = erase(&surroundings, &task);
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
    assert_eq!(holding(&surroundings), [""; 0]);
    assert!(checked(&surroundings).contains("erased"));
    let tail = surroundings.run("ledger tail -n 200");
    assert!(
        said(&tail).0.contains("erased by the event at position"),
        "{tail:?}"
    );
    let other = service.open_task().await;
    let reply = service.apply(&other, "k", &purge("other")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(service.stop().await.success());
    assert_eq!(holding(&surroundings), [""; 0]);
}

#[tokio::test]
async fn a_task_is_erased_without_the_service_and_from_the_read_tables_at_the_next_start() {
    let surroundings = Surroundings::new().await;
    let service = surroundings.start().await;
    let task = ended(&surroundings, &service).await;
    assert!(service.stop().await.success());
    erase(&surroundings, &task);
    let read_tables = surroundings.read_tables_file();
    let read_tables = read_tables.to_string_lossy();
    assert!(
        holding(&surroundings)
            .iter()
            .all(|file| file.starts_with(&*read_tables))
    );
    let service = surroundings.start().await;
    gone(&surroundings).await;
    assert!(service.stop().await.success());
    checked(&surroundings);
}

#[tokio::test]
async fn an_erasure_during_which_the_service_is_killed_is_whole_or_not_at_all() {
    for late in [false, true] {
        let surroundings = Surroundings::new().await;
        let service = surroundings.start().await;
        let task = ended(&surroundings, &service).await;
        let mut erasing = surroundings.command(&format!("ledger erase {} --reason asked", task.id));
        let mut erasing = erasing
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if late {
            surroundings.event("ledger.erased").await;
        }
        service.kill();
        erasing.wait().unwrap();

        let service = surroundings.start().await;
        erase(&surroundings, &task);
        gone(&surroundings).await;
        let events = surroundings.events().await;
        let said = events
            .iter()
            .filter(|event| matches!(event.event, Event::LedgerErased(_)))
            .count();
        assert_eq!(said, 1);
        checked(&surroundings);
        assert!(service.stop().await.success());
    }
}
