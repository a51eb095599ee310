//! Rebuilding read tables beside a running service: no effect is repeated, and a kill at any step
//! leaves tables that are what the events make them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fixtures::approver::SoftApprover;
use fixtures::commands;
use fixtures::process::said;
use fixtures::rules::TestRules;
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{Service, Task, purge};
use ledger::{MasterKeys, Rules};
use ledger_sqlite::LedgerOptions;
use secrecy::zeroize::Zeroizing;
use std::process::{Child, Stdio};
use std::sync::Arc;

fn verified(sandbox: &Sandbox) {
    let verified = sandbox.run("projections verify");
    let (told, complained) = said(&verified);
    assert!(verified.status.success(), "{told}{complained}");
}

/// A service on which an apply was carried out, and one waits for approval.
async fn busy(sandbox: &Sandbox) -> (Service, Task) {
    let service = sandbox.start().await;
    service.grant(&["cache.purge.execute"]).await;
    service.register(&SoftApprover::new("alice")).await;
    let task = service.open_task().await;
    let reply = service.apply(&task, "done", &purge("done")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let waiting = fixtures::service::deployment();
    let reply = service.apply(&task, "waiting", &waiting).await;
    assert_eq!(reply.text_at("status"), "requires_approval");
    (service, task)
}

#[tokio::test]
async fn a_rebuild_beside_the_service_sends_nothing_again() {
    let sandbox = Sandbox::new().await;
    let (service, task) = busy(&sandbox).await;
    let received = until("both deliveries", async || {
        let received = sandbox.receiver.received().len();
        (received >= 2).then_some(received)
    })
    .await;

    for (names, key) in [("", "a"), (" tasks", "b"), (" callbacks timeline", "c")] {
        let line = format!("projections rebuild{names} --online");
        let rebuilt = sandbox.run(&line);
        let (told, complained) = said(&rebuilt);
        assert!(rebuilt.status.success(), "{complained}");
        assert!(told.contains("the old rows were the same"), "{told}");
        verified(&sandbox);
        let reply = service.apply(&task, key, &purge(key)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    assert_eq!(sandbox.upstream.mutations("purge_cache").len(), 4);
    until("the deliveries of three more", async || {
        let now = sandbox.receiver.received().len();
        (now >= received + 3).then_some(())
    })
    .await;
    assert_eq!(sandbox.receiver.received().len(), received + 3);
    assert!(service.stop().await.success());
    verified(&sandbox);
}

#[tokio::test]
async fn a_rebuild_online_needs_a_service_and_names_that_exist() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let refused = sandbox.run("projections rebuild nothing --online");
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).1.contains("not a projection"), "{refused:?}");
    assert!(service.stop().await.success());
    let refused = sandbox.run("projections rebuild --online");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).1.contains("leave --online away"),
        "{refused:?}"
    );
}

/// The key that the service made for its ledger.
fn key_of(sandbox: &Sandbox) -> MasterKeys {
    let file = format!("{}.key", sandbox.ledger_file().display());
    let text = std::fs::read_to_string(file).unwrap();
    let key: [u8; 32] = STANDARD.decode(text.trim()).unwrap().try_into().unwrap();
    MasterKeys::new(&Zeroizing::new(key), &[])
}

/// A ledger with so many events that a rebuild of it takes a while.
async fn filled(sandbox: &Sandbox) {
    assert!(sandbox.start().await.stop().await.success());
    let url = format!("sqlite://{}", sandbox.ledger_file().display());
    let rules = Rules {
        master_keys: Arc::new(key_of(sandbox)),
        ..TestRules::default().build()
    };
    let options = LedgerOptions::new(url, rules);
    let (ledger, writer) = ledger_sqlite::open(options).await.unwrap();
    for _ in 0..40 {
        let mut making = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let ledger = ledger.clone();
            making.spawn(async move {
                let origin = commands::administrator();
                ledger
                    .execute(origin, commands::create_task())
                    .await
                    .map(drop)
            });
        }
        for made in making.join_all().await {
            made.unwrap();
        }
    }
    drop(ledger);
    writer.await.unwrap().unwrap();
}

fn rebuild_online(sandbox: &Sandbox) -> Child {
    sandbox
        .command("projections rebuild --online")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn is_rebuilding(sandbox: &Sandbox) -> bool {
    let status = sandbox.run("projections status");
    said(&status).0.contains("made anew beside")
}

#[tokio::test]
async fn a_kill_at_any_step_of_a_rebuild_leaves_whole_tables() {
    let sandbox = Sandbox::new().await;
    filled(&sandbox).await;
    for step in 0..3 {
        let service = sandbox.start().await;
        let mut rebuilding = rebuild_online(&sandbox);
        if step > 0 {
            until("the rebuild", async || {
                is_rebuilding(&sandbox).then_some(())
            })
            .await;
        }
        if step > 1 {
            // Switched; what was replaced is being removed.
            until("the switch", async || rebuilding.try_wait().unwrap()).await;
        }
        service.kill();
        rebuilding.wait().unwrap();
        verified(&sandbox);

        let service = sandbox.start().await;
        assert!(!is_rebuilding(&sandbox), "step {step}");
        verified(&sandbox);
        service.open_task().await;
        assert!(service.stop().await.success());
        verified(&sandbox);
    }
}

#[tokio::test]
async fn a_kill_of_a_rebuild_without_the_service_leaves_the_old_tables() {
    let sandbox = Sandbox::new().await;
    filled(&sandbox).await;
    assert!(sandbox.start().await.stop().await.success());
    let left = sandbox.read_tables_file().with_extension("db.rebuild");
    let mut rebuilding = sandbox.command("projections rebuild").spawn().unwrap();
    let ended = until("the new file", async || {
        let ended = rebuilding.try_wait().unwrap().is_some();
        (ended || left.exists()).then_some(ended)
    })
    .await;
    rebuilding.kill().unwrap();
    rebuilding.wait().unwrap();
    assert!(!ended, "killed while it was under way");

    verified(&sandbox);
    let service = sandbox.start().await;
    assert!(!left.exists());
    verified(&sandbox);
    assert!(service.stop().await.success());
}
