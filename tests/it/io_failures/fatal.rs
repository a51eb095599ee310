//! After a sync that failed nobody knows what the disk holds: the process ends, and the next one looks.

use crate::shim::Shim;
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{Service, Task, purge};
use fixtures::upstream::Fault;
use std::time::{Duration, Instant};

const SYNC: &str = "sync proxy.ledger.db-wal";

/// Much longer than callers get to be told, much shorter than what is under way may take at an orderly end.
const SOON: Duration = Duration::from_secs(15);

fn commits(shim: &Shim) -> usize {
    let journal = shim.journal();
    journal.iter().filter(|seen| *seen == SYNC).count()
}

/// With a library that does what the plan says, and the settings without it.
async fn shimmed() -> (Sandbox, Shim) {
    let mut sandbox = Sandbox::new().await;
    let shim = Shim::new(sandbox.folder());
    sandbox.settings.extend(shim.envs());
    (sandbox, shim)
}

fn planned(sandbox: &mut Sandbox, shim: &mut Shim, plan: String) {
    shim.plan(plan);
    sandbox.settings.extend(shim.envs());
}

async fn stands(service: &Service, task: &Task) -> bool {
    let path = format!("/v1/tasks/{}", task.id);
    let found = service
        .caller
        .ask_with(reqwest::Method::GET, &path, &task.token, None, None);
    found.await.unwrap().status == 200
}

fn told_why(sandbox: &Sandbox) {
    let log = sandbox.log();
    let told = "the ledger cannot be written any more";
    assert!(log.contains(told) && log.contains("code: 1034"), "{log}");
}

#[tokio::test]
async fn a_failed_sync_of_a_commit_ends_the_process_and_loses_nothing_that_was_answered() {
    let (sandbox, shim) = shimmed().await;
    let service = sandbox.start().await;
    let during_start = commits(&shim);
    service.kill();
    for mode in ["lost", "done"] {
        let (mut sandbox, mut shim) = shimmed().await;
        // The task is the first commit after the start, the apply begins with the second.
        let nth = during_start + 2;
        planned(&mut sandbox, &mut shim, format!("{mode} {SYNC} {nth} 1"));
        let mut service = sandbox.try_start().await.unwrap();
        let task = service.open_task().await;
        let refused = service.try_apply(&task, "k", &purge("a")).await;
        // Whoever asked is told, or finds nobody there any more.
        if let Some(refused) = refused {
            assert_eq!(refused.status, 503, "{}", refused.text);
            assert!(!refused.text.contains("nothing was recorded"));
        }
        assert!(service.process.has_ended().is_some() || !service.is_ready().await);
        let status = service.end().await;
        assert_eq!(status.code(), Some(1), "{}", sandbox.log());
        told_why(&sandbox);
        assert!(sandbox.upstream.mutations("purge_cache").is_empty());

        sandbox.settings.remove("LD_PRELOAD");
        let service = sandbox.start().await;
        assert!(stands(&service, &task).await);
        assert!(service.stop().await.success());
    }
}

/// A service whose upstream does not answer an apply that was sent, nor will.
async fn held(sandbox: &Sandbox) -> (Service, Task) {
    sandbox.upstream.on_next_mutation(Fault::Hold);
    let service = sandbox.start().await;
    service.grant(&["cache.purge.execute"]).await;
    let task = service.open_task().await;
    let operation = purge("a");
    {
        let asking = service.try_apply(&task, "k", &operation);
        let sent = until("a request upstream", async || {
            let sent = sandbox.upstream.mutations("purge_cache");
            (!sent.is_empty()).then_some(())
        });
        tokio::select! {
            _ = asking => {}
            () = sent => {}
        }
    }
    (service, task)
}

#[tokio::test]
async fn a_failed_sync_ends_the_process_though_something_is_under_way() {
    let (sandbox, shim) = shimmed().await;
    let (service, _) = held(&sandbox).await;
    let before = commits(&shim);
    service.kill();

    let (mut sandbox, mut shim) = shimmed().await;
    let nth = before + 1;
    planned(&mut sandbox, &mut shim, format!("lost {SYNC} {nth} 1"));
    let (mut service, task) = held(&sandbox).await;
    until("a commit that fails", async || {
        let reply = service.ask_for_task().await;
        reply.is_none_or(|reply| reply.status == 503).then_some(())
    })
    .await;
    let began = Instant::now();
    let status = until("the end", async || service.process.has_ended()).await;
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    assert_eq!(status.code(), Some(1), "{}", sandbox.log());
    told_why(&sandbox);

    sandbox.settings.remove("LD_PRELOAD");
    let service = sandbox.start().await;
    let ended = service.ended(&task, "k", &purge("a")).await;
    assert_eq!((ended.status, ended.text_at("status")), (409, "unknown"));
    assert_eq!(sandbox.upstream.mutations("purge_cache").len(), 1);
    assert!(service.stop().await.success());
}
