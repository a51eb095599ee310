//! Other APIs: one of a name, with a description that can be read, and no operation of another's.

use super::{altered, is_found};
use crate::scene::Scene;
use crate::upstream_keys::{of_agent, put};
use crate::upstreams::{described, share};
use fixtures::commands::{administrator, allow, create_task, put_upstream, upstream_api};
use fixtures::history::History;
use ledger::audit::{Check, Verdict};
use ledger::command::{CreateTask, RemoveSharedKey, RemoveUpstream};
use ledger::event::{Event, UpstreamKeyEnd};
use ledger::{Risk, UpstreamName};

/// Two are opened, and the second is removed and opened again.
async fn told() -> History {
    let scene = Scene::new().await;
    scene.run(put_upstream("github")).await.unwrap();
    scene.run(put_upstream("gitea")).await.unwrap();
    let remove = RemoveUpstream {
        name: UpstreamName::unchecked("gitea"),
    };
    scene.run(remove).await.unwrap();
    scene.run(put_upstream("gitea")).await.unwrap();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn apis_that_are_opened_and_removed_are_honest() {
    let report = told().await.verify();
    assert!(report.verified && report.everything, "{report}");
}

/// A task that may use an operation of an API that is open.
async fn with_a_task() -> History {
    let scene = Scene::new().await;
    scene.run(put_upstream("github")).await.unwrap();
    let entries = upstream_api("github").catalog();
    let open = CreateTask {
        operations: entries.into_iter().map(allow).collect(),
        ..create_task()
    };
    scene.execute(administrator(), open).await.unwrap();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn a_task_is_held_to_the_catalog_of_the_api_that_was_open_then() {
    let history = with_a_task().await;
    let report = history.verify();
    assert_eq!(report.verdict, Verdict::Verified, "{report}");
    let created = history.first("task.created");
    let for_less = altered(&history, |history| {
        history.alter(created, |event| {
            let Event::TaskCreated(created) = event else {
                unreachable!()
            };
            for allowed in &mut created.allowed {
                allowed.risk_tier = Risk::Safe;
            }
        });
    });
    is_found(&for_less, Check::PermissionCheck, created);
}

#[tokio::test]
async fn a_description_that_cannot_be_read_or_shares_a_name_or_an_operation_is_found() {
    let history = told().await;
    let last = history.last("upstream.defined");
    let changes: [fn(&mut Event); 3] = [
        |event| {
            if let Event::UpstreamDefined(defined) = event {
                defined.document = defined.document.replace("https://", "ftp://");
            }
        },
        |event| {
            if let Event::UpstreamDefined(defined) = event {
                defined.name = UpstreamName::unchecked("github");
            }
        },
        |event| {
            if let Event::UpstreamDefined(defined) = event {
                defined.document = defined.document.replace("gitea.", "github.");
            }
        },
    ];
    for change in changes {
        let report = altered(&history, |history| {
            history.alter_all(last, |_, event| change(event))
        });
        is_found(&report, Check::Upstream, last);
    }
}

const KEY: &str = "a-key-of-all-agents-0123456789";

/// A key is shared, replaced, kept by another description, ended by another address, shared again, removed, and shared
/// until the API is removed.
async fn with_keys() -> History {
    let scene = Scene::new().await;
    scene.run(put_upstream("github")).await.unwrap();
    for _ in 0..2 {
        scene.run(share("github", KEY)).await.unwrap();
    }
    for address in ["https://api.github.example", "https://elsewhere.example"] {
        scene.run(described("github", address)).await.unwrap();
    }
    let name = || UpstreamName::unchecked("github");
    scene.run(share("github", KEY)).await.unwrap();
    scene.run(RemoveSharedKey { name: name() }).await.unwrap();
    scene.run(share("github", KEY)).await.unwrap();
    let own = put(of_agent(), "github", KEY);
    scene.run(own).await.unwrap();
    scene.run(RemoveUpstream { name: name() }).await.unwrap();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn keys_that_agents_share_are_honest_and_gone_with_their_upstream_or_its_address() {
    let history = with_keys().await;
    let report = history.verify();
    assert!(report.verified && report.everything, "{report}");
    let breaks = |at: u64, check: Check, change: fn(&mut Event)| {
        let report = altered(&history, |history| {
            history.alter_all(at, |_, event| change(event));
        });
        is_found(&report, check, at);
    };
    breaks(
        history.last("upstream.key_removed"),
        Check::UpstreamKey,
        |event| {
            if let Event::UpstreamKeyUnshared(unshared) = event {
                unshared.why = UpstreamKeyEnd::OwnerDeleted;
            }
        },
    );
    breaks(
        history.first("upstream.key_removed"),
        Check::UpstreamKey,
        |event| {
            if let Event::UpstreamKeyUnshared(unshared) = event {
                unshared.name = UpstreamName::unchecked("gitea");
            }
        },
    );
    // A description at another address would take the key along.
    let second = history.all("upstream.defined")[1];
    breaks(second, Check::UpstreamKey, |event| {
        if let Event::UpstreamDefined(defined) = event {
            let elsewhere = "https://elsewhere.example";
            let document = &mut defined.document;
            *document = document.replace("https://api.github.example", elsewhere);
        }
    });
}
