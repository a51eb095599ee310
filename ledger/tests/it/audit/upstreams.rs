//! Other APIs: one of a name, with a description that can be read, and no operation of another's.

use super::{altered, is_found};
use crate::scene::Scene;
use fixtures::commands::put_upstream;
use fixtures::history::History;
use ledger::UpstreamName;
use ledger::audit::Check;
use ledger::command::RemoveUpstream;
use ledger::event::Event;

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
