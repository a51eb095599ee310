//! Other APIs: opened and taken away by administrators, one of a name, without operations of others.

use crate::scene::{Scene, refusal};
use fixtures::commands::{put_upstream, upstream_api};
use ledger::UpstreamName;
use ledger::command::{PutUpstream, RemoveUpstream};

fn github() -> UpstreamName {
    UpstreamName::unchecked("github")
}

#[tokio::test]
async fn an_api_is_open_as_it_was_described_last_until_it_is_removed_and_after_a_restart() {
    let scene = Scene::new().await;
    let first = scene.run(put_upstream("github")).await.unwrap();
    let again = scene.run(put_upstream("github")).await.unwrap();
    assert_eq!(
        first.id, again.id,
        "nothing changes, and nothing is recorded"
    );
    let other = PutUpstream {
        name: github(),
        api: upstream_api("gitea"),
    };
    let second = scene.run(other).await.unwrap();
    assert_ne!(first.id, second.id);
    let open = scene.ledger.upstream(&github()).await.unwrap().unwrap();
    assert_eq!(open.api.as_deref(), Some(&upstream_api("gitea")));
    let ledger = scene.ledger.close().await.open().await.unwrap();
    let all = ledger.upstreams().await.unwrap();
    assert_eq!(all, [open]);
    let remove = || RemoveUpstream { name: github() };
    ledger.run(remove()).await.unwrap();
    assert_eq!(ledger.upstream(&github()).await.unwrap(), None);
    let refused = ledger.run(remove()).await;
    assert_eq!(refusal(refused).code(), "upstream_not_found");
}

#[tokio::test]
async fn an_operation_has_one_upstream() {
    let scene = Scene::new().await;
    scene.run(put_upstream("github")).await.unwrap();
    let same = PutUpstream {
        name: UpstreamName::unchecked("mirror"),
        api: upstream_api("github"),
    };
    let refused = refusal(scene.run(same).await);
    assert_eq!(refused.code(), "invalid_upstream");
    assert!(
        refused.to_string().contains("github.issues.read"),
        "{refused}"
    );
    let text = upstream_api("github").text();
    let own = text.replace("github.issues.read", "dns.record.read");
    let own = PutUpstream {
        name: UpstreamName::unchecked("mirror"),
        api: ledger::UpstreamApi::parse(&own).unwrap(),
    };
    assert_eq!(refusal(scene.run(own).await).code(), "invalid_upstream");
}
