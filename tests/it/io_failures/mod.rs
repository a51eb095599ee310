//! Writes and syncs of the service's files that fail: what was answered stays, once, and what could not
//! be kept is not answered.

use crate::service::{Surroundings, Task, purge};
use crate::shim::Shim;

/// Where in the journal's past a plan for a running process begins: the operations that a start does.
async fn operations_until_ready(line: &str) -> usize {
    let mut surroundings = Surroundings::new().await;
    let shim = Shim::new(surroundings.folder());
    surroundings.settings.extend(shim.envs());
    let service = surroundings.start().await;
    let journal = shim.journal();
    service.kill();
    journal.iter().filter(|seen| *seen == line).count()
}

#[tokio::test]
async fn a_failed_sync_of_a_commit_ends_the_process_and_loses_nothing_that_was_answered() {
    let during_start = operations_until_ready("sync proxy.ledger.db-wal").await;
    for mode in ["lost", "done"] {
        let mut surroundings = Surroundings::new().await;
        let mut shim = Shim::new(surroundings.folder());
        // The task is the first commit after the start, the apply begins with the second.
        let nth = during_start + 2;
        shim.plan(format!("{mode} sync proxy.ledger.db-wal {nth} 1"));
        let plain = surroundings.settings.clone();
        surroundings.settings.extend(shim.envs());
        let mut service = surroundings.try_start().await.unwrap();
        let task: Task = service.open_task().await;
        let refused = service.try_apply(&task, "k", &purge("a")).await;
        // Whoever asked is told, or finds nobody there any more.
        if let Some(refused) = refused {
            assert_eq!(refused.status, 503, "{}", refused.text);
            assert!(!refused.text.contains("nothing was recorded"));
        }
        assert!(service.has_ended().is_some() || !service.is_ready().await);
        let status = service.end().await;
        assert_eq!(status.code(), Some(1), "{}", surroundings.log());
        let log = surroundings.log();
        let told = "the ledger cannot be written any more";
        assert!(log.contains(told) && log.contains("code: 1034"), "{log}");
        assert!(surroundings.upstream.mutations("purge_cache").is_empty());

        surroundings.settings = plain;
        let service = surroundings.start().await;
        let path = format!("/v1/tasks/{}", task.id);
        let found = service
            .caller
            .ask_with(reqwest::Method::GET, &path, &task.token, None, None);
        assert_eq!(found.await.unwrap().status, 200);
        assert!(service.stop().await.success());
    }
}
