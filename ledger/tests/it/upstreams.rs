//! Other APIs: opened and taken away by administrators, one of a name, without operations of others.

use crate::consistency;
use crate::erasures::{holding, scrubbed};
use crate::scene::{Scene, refusal};
use crate::upstream_keys::{of_agent, put};
use fixtures::commands::{grant, permissions, put_upstream, upstream_api};
use ledger::aggregate::{Agent, UpstreamSecret};
use ledger::command::{PutSharedKey, PutUpstream, RemoveSharedKey, RemoveUpstream};
use ledger::event::UpstreamKeyOwner;
use ledger::{AgentName, UpstreamApiKey, UpstreamName};

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

#[tokio::test]
async fn a_grant_ends_with_its_operation_and_not_with_another_description_of_it() {
    let scene = Scene::new().await;
    scene.run(put_upstream("github")).await.unwrap();
    scene.grant_all().await;
    let own = scene.existing::<Agent>(scene.token.task.agent_id).await;
    let own = own.unwrap().grants.clone();
    let catalog = upstream_api("github").catalog();
    let read = catalog
        .iter()
        .find(|entry| entry.id.as_str() == "github.issues.read");
    let more = || permissions([own.clone(), vec![grant(*read.unwrap())]].concat());
    scene.run(more()).await.unwrap();
    let of = async || {
        let agent = scene.existing::<Agent>(scene.token.task.agent_id).await;
        agent.unwrap().grants.clone()
    };
    let changed = described("github", "https://other.example");
    scene.run(changed).await.unwrap();
    assert_eq!(of().await.len(), own.len() + 1);
    let name = github();
    scene.run(RemoveUpstream { name }).await.unwrap();
    assert_eq!(of().await, own);
    scene.run(put_upstream("github")).await.unwrap();
    assert_eq!(of().await, own);
    // One that leaves the operation out ends it as well.
    scene.run(more()).await.unwrap();
    let text = upstream_api("github").text();
    let without = text.replace("github.issues.read", "github.issues.look");
    let without = PutUpstream {
        name: github(),
        api: ledger::UpstreamApi::parse(&without).unwrap(),
    };
    scene.run(without).await.unwrap();
    assert_eq!(of().await, own);
    consistency::check(&scene.ledger).await;
}

const KEY: &str = "a-key-of-all-agents-0123456789";
const OTHER: &str = "another-key-of-all-agents-012345";

pub(crate) fn share(name: &str, key: &str) -> PutSharedKey {
    let name = UpstreamName::unchecked(name);
    PutSharedKey {
        api_key: UpstreamApiKey::parse(&name, key).unwrap(),
        name,
    }
}

/// The same API by another description, perhaps at another address.
pub(crate) fn described(name: &str, address: &str) -> PutUpstream {
    let text = upstream_api(name).text();
    let text = text.replace(&format!("https://api.{name}.example"), address);
    let text = text.replace("1048576", "1024");
    PutUpstream {
        name: UpstreamName::unchecked(name),
        api: ledger::UpstreamApi::parse(&text).unwrap(),
    }
}

async fn opened(ledger: &ledger::Ledger) -> Option<String> {
    let key = ledger.shared_api_key(&github()).await.unwrap();
    key.map(|key| key.unwrap().expose().to_owned())
}

/// The sealed bytes of the key, as they stand in the file.
async fn sealed(scene: &Scene) -> Vec<u8> {
    let upstream = scene.ledger.upstream(&github()).await.unwrap().unwrap();
    let secret = upstream.key.as_ref().unwrap().secret_id;
    let secret = scene.existing::<UpstreamSecret>(secret).await.unwrap();
    secret.sealed.as_slice().to_vec()
}

#[tokio::test]
async fn a_key_that_agents_share_is_the_one_that_was_stored_last_and_leaves_nothing() {
    let scene = Scene::new().await;
    let refused = scene.run(share("github", KEY)).await;
    assert_eq!(refusal(refused).code(), "upstream_not_found");
    scene.run(put_upstream("github")).await.unwrap();
    assert_eq!(opened(&scene.ledger).await, None);
    scene.run(share("github", KEY)).await.unwrap();
    let first = sealed(&scene).await;
    scene.run(share("github", OTHER)).await.unwrap();
    assert_eq!(opened(&scene.ledger).await.unwrap(), OTHER);
    let second = sealed(&scene).await;
    scrubbed(&scene).await;
    for gone in [KEY.as_bytes(), OTHER.as_bytes(), &first] {
        assert!(holding(scene.path(), gone).is_empty());
    }
    let before = *scene.size().borrow();
    for _ in 0..2 {
        scene.run(RemoveSharedKey { name: github() }).await.unwrap();
        assert_eq!(opened(&scene.ledger).await, None);
    }
    // It is removed once.
    assert_eq!(*scene.size().borrow(), before + 2);
    let ledger = scene.ledger.restart().await;
    scrubbed(&ledger).await;
    assert!(holding(ledger.path(), &second).is_empty());
    consistency::check(&ledger).await;
}

#[tokio::test]
async fn a_key_that_agents_share_is_not_led_elsewhere_by_another_description() {
    let scene = Scene::new().await;
    scene.run(put_upstream("github")).await.unwrap();
    scene.run(share("github", KEY)).await.unwrap();
    let stored = scene.ledger.upstream(&github()).await.unwrap().unwrap();
    // Other routes at the same address leave it there.
    scene
        .run(described("github", "https://api.github.example"))
        .await
        .unwrap();
    let upstream = scene.ledger.upstream(&github()).await.unwrap().unwrap();
    assert_ne!(upstream.id, stored.id);
    assert_eq!(upstream.key, stored.key);
    let ledger = scene.ledger.restart().await;
    assert_eq!(opened(&ledger).await.unwrap(), KEY);
    for elsewhere in [
        "https://api.github.example.net",
        "https://api.github.example/v3",
    ] {
        ledger.run(share("github", KEY)).await.unwrap();
        ledger.run(described("github", elsewhere)).await.unwrap();
        assert_eq!(opened(&ledger).await, None, "{elsewhere}");
        // Nor does it come back with the address.
        ledger.run(put_upstream("github")).await.unwrap();
        assert_eq!(opened(&ledger).await, None, "{elsewhere}");
    }
    ledger.run(share("github", KEY)).await.unwrap();
    ledger.run(RemoveUpstream { name: github() }).await.unwrap();
    ledger.run(put_upstream("github")).await.unwrap();
    assert_eq!(opened(&ledger).await, None);
    consistency::check(&ledger.restart().await).await;
}

#[tokio::test]
async fn the_keys_of_agents_go_with_the_address_of_their_upstream() {
    let scene = Scene::new().await;
    let agent = AgentName::unchecked(fixtures::commands::AGENT);
    let agent = scene.agent(&agent).await.unwrap().unwrap();
    let owner = UpstreamKeyOwner::Agent(agent.id);
    let store = || put(of_agent(), "github", KEY);
    let is_there = async || {
        let key = scene.ledger.upstream_key(owner, &github()).await.unwrap();
        key.is_some()
    };
    scene.run(put_upstream("github")).await.unwrap();
    scene.run(store()).await.unwrap();
    scene
        .run(put(of_agent(), "cloudflare", OTHER))
        .await
        .unwrap();
    let same = described("github", "https://api.github.example");
    scene.run(same).await.unwrap();
    assert!(is_there().await);
    let elsewhere = described("github", "https://elsewhere.example");
    scene.run(elsewhere).await.unwrap();
    assert!(!is_there().await);
    scene.run(store()).await.unwrap();
    scene.run(RemoveUpstream { name: github() }).await.unwrap();
    scene.run(put_upstream("github")).await.unwrap();
    assert!(!is_there().await);
    let other = UpstreamName::cloudflare();
    let other = scene.ledger.upstream_key(owner, &other).await.unwrap();
    assert!(other.is_some(), "that is another upstream's");
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_key_that_is_sealed_for_another_address_does_not_open() {
    let scene = Scene::new().await;
    scene.run(put_upstream("github")).await.unwrap();
    scene.run(share("github", KEY)).await.unwrap();
    let upstream = scene.ledger.upstream(&github()).await.unwrap().unwrap();
    let value = ledger::Sealed::from_bytes(sealed(&scene).await);
    let opens = |field: &str| {
        let place = ledger::SealContext {
            ledger_id: scene.id(),
            stream: upstream.key.as_ref().unwrap().secret_id.into(),
            field,
        };
        scene.rules().master_keys.open(&place, &value).is_ok()
    };
    assert!(opens(
        "upstream_key.shared.github https://api.github.example"
    ));
    assert!(!opens(
        "upstream_key.shared.gitea https://api.github.example"
    ));
    assert!(!opens(
        "upstream_key.shared.github https://api.gitea.example"
    ));
}
