//! Keys of upstreams: whose they are, what opens them, and that nothing is left of one that is not used any more.

use crate::consistency;
use crate::erasures::{holding, scrubbed};
use crate::passkeys::{by_password, user};
use crate::scene::{Scene, refusal};
use fixtures::commands::AGENT;
use fixtures::people::{by, delete_user};
use ledger::aggregate::{Session, UpstreamSecret};
use ledger::command::{
    CloseTask, EraseTarget, PutUpstreamKey, RemoveUpstreamKey, UpstreamKeyHolder,
};
use ledger::event::UpstreamKeyOwner;
use ledger::{Actor, AgentName, Error, Origin, Rejection, Role, UpstreamApiKey, UpstreamName};

pub(crate) const KEY: &str = "sk-ant-api03-of-zoe-0123456789";
const OTHER: &str = "sk-ant-api03-another-0123456789";
const OF_AGENT: &str = "cloudflare-token-of-the-agent-01";

pub(crate) fn put(holder: UpstreamKeyHolder, upstream: &str, key: &str) -> PutUpstreamKey {
    let upstream = UpstreamName::unchecked(upstream);
    PutUpstreamKey {
        holder,
        api_key: UpstreamApiKey::parse(&upstream, key).unwrap(),
        upstream,
    }
}

pub(crate) fn remove(holder: UpstreamKeyHolder, upstream: &str) -> RemoveUpstreamKey {
    RemoveUpstreamKey {
        holder,
        upstream: UpstreamName::unchecked(upstream),
    }
}

pub(crate) fn of_agent() -> UpstreamKeyHolder {
    UpstreamKeyHolder::Agent(AgentName::unchecked(AGENT))
}

const fn own(session: &Session) -> UpstreamKeyOwner {
    UpstreamKeyOwner::User(session.user_id)
}

async fn opened(scene: &Scene, owner: UpstreamKeyOwner, upstream: &str) -> Option<String> {
    let upstream = UpstreamName::unchecked(upstream);
    let opened = scene.upstream_api_key(owner, &upstream).await.unwrap();
    opened.map(|key| key.unwrap().expose().to_owned())
}

/// The sealed bytes of a stored key, as they stand in the file.
async fn sealed(scene: &Scene, owner: UpstreamKeyOwner, upstream: &str) -> Vec<u8> {
    let upstream = UpstreamName::unchecked(upstream);
    let key = scene.upstream_key(owner, &upstream).await.unwrap().unwrap();
    let secret = scene.existing::<UpstreamSecret>(key.secret_id).await;
    secret.unwrap().sealed.as_slice().to_vec()
}

/// A scene with an administrator, and a viewer with a session.
async fn with_zoe() -> (Scene, std::sync::Arc<Session>) {
    let scene = Scene::new().await;
    user(&scene, "root", Role::Admin).await;
    let zoe = user(&scene, "zoe", Role::Viewer).await;
    let session = by_password(&scene, zoe).await;
    (scene, session)
}

#[tokio::test]
async fn a_stored_key_opens_for_its_owner_and_its_upstream_and_stands_nowhere_in_the_clear() {
    let (scene, session) = with_zoe().await;
    let agent = scene.agent(&AgentName::unchecked(AGENT)).await;
    let agent = UpstreamKeyOwner::Agent(agent.unwrap().unwrap().id);
    let put_own = put(UpstreamKeyHolder::Own, "anthropic", KEY);
    scene.execute(by(&session), put_own).await.unwrap();
    let put_agents = put(of_agent(), "cloudflare", OF_AGENT);
    scene.run(put_agents).await.unwrap();
    assert_eq!(
        opened(&scene, own(&session), "anthropic").await.unwrap(),
        KEY
    );
    assert_eq!(opened(&scene, agent, "cloudflare").await.unwrap(), OF_AGENT);
    assert_eq!(opened(&scene, agent, "anthropic").await, None);
    assert_eq!(opened(&scene, own(&session), "cloudflare").await, None);
    for key in [KEY, OF_AGENT] {
        assert!(holding(scene.path(), key.as_bytes()).is_empty());
    }
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_key_that_is_replaced_or_removed_leaves_nothing_of_its_sealed_bytes() {
    let (scene, session) = with_zoe().await;
    let owner = own(&session);
    let store = |key| scene.execute(by(&session), put(UpstreamKeyHolder::Own, "anthropic", key));
    store(KEY).await.unwrap();
    let first = sealed(&scene, owner, "anthropic").await;
    store(OTHER).await.unwrap();
    assert_eq!(opened(&scene, owner, "anthropic").await.unwrap(), OTHER);
    let second = sealed(&scene, owner, "anthropic").await;
    scrubbed(&scene).await;
    assert!(holding(scene.path(), &first).is_empty());
    assert!(!holding(scene.path(), &second).is_empty());
    let before = *scene.size().borrow();
    for _ in 0..2 {
        let remove = remove(UpstreamKeyHolder::Own, "anthropic");
        scene.execute(by(&session), remove).await.unwrap();
        assert_eq!(opened(&scene, owner, "anthropic").await, None);
    }
    // It is removed once, and gone from the tables at once; the next start cleans what the last one left.
    assert_eq!(*scene.size().borrow(), before + 2);
    let ledger = scene.ledger.restart().await;
    scrubbed(&ledger).await;
    assert!(holding(ledger.path(), &second).is_empty());
    consistency::check(&ledger).await;
}

#[tokio::test]
async fn the_keys_of_a_deleted_user_are_erased_and_one_of_the_same_name_has_none() {
    let (scene, session) = with_zoe().await;
    let owner = own(&session);
    let store = put(UpstreamKeyHolder::Own, "anthropic", KEY);
    scene.execute(by(&session), store.clone()).await.unwrap();
    let before = sealed(&scene, owner, "anthropic").await;
    scene.run(delete_user(session.user_id)).await.unwrap();
    assert_eq!(opened(&scene, owner, "anthropic").await, None);
    scrubbed(&scene).await;
    assert!(holding(scene.path(), &before).is_empty());
    let again = user(&scene, "zoe", Role::Viewer).await;
    let anew = UpstreamKeyOwner::User(again);
    assert_eq!(opened(&scene, anew, "anthropic").await, None);
    // The session that stored it stores nothing any more.
    let refused = refusal(scene.execute(by(&session), store).await);
    assert_eq!(refused, Rejection::SessionEnded);
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_user_stores_their_own_key_and_only_an_administrator_one_of_an_agent() {
    let (scene, session) = with_zoe().await;
    let agents = put(of_agent(), "anthropic", KEY);
    let refused = refusal(scene.execute(by(&session), agents.clone()).await);
    assert!(
        matches!(refused, Rejection::RoleRequired { .. }),
        "{refused}"
    );
    let refused = scene.execute(by(&session), remove(of_agent(), "anthropic"));
    let refused = refusal(refused.await);
    assert!(
        matches!(refused, Rejection::RoleRequired { .. }),
        "{refused}"
    );
    // Who is no user has none of their own.
    let refused = refusal(
        scene
            .run(put(UpstreamKeyHolder::Own, "anthropic", KEY))
            .await,
    );
    assert_eq!(refused, Rejection::SessionEnded);
    let nobody = UpstreamKeyHolder::Agent(AgentName::unchecked("nobody"));
    let refused = refusal(scene.run(put(nobody, "anthropic", KEY)).await);
    assert_eq!(refused, Rejection::AgentNotFound);
}

#[tokio::test]
async fn a_key_that_was_sealed_for_another_place_does_not_open() {
    let (scene, session) = with_zoe().await;
    let owner = own(&session);
    let store = put(UpstreamKeyHolder::Own, "anthropic", KEY);
    scene.execute(by(&session), store).await.unwrap();
    let bytes = sealed(&scene, owner, "anthropic").await;
    let value = ledger::Sealed::from_bytes(bytes);
    let keys = &scene.rules().master_keys;
    let place = |ledger_id, stream, field| ledger::SealContext {
        ledger_id,
        stream,
        field,
    };
    let (id, stream) = (scene.id(), owner.stream());
    let right = place(id, stream, "upstream_key.user.anthropic");
    assert_eq!(&**keys.open(&right, &value).unwrap(), KEY.as_bytes());
    for wrong in [
        place(ledger::LedgerId::from_bytes([1; 16]), stream, right.field),
        place(id, ledger::StreamId::from_bytes([1; 16]), right.field),
        place(id, stream, "upstream_key.agent.anthropic"),
        place(id, stream, "upstream_key.user.cloudflare"),
    ] {
        assert!(keys.open(&wrong, &value).is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn an_agent_is_not_erased_while_a_key_is_stored_for_it() {
    let scene = Scene::new().await;
    scene.run(put(of_agent(), "anthropic", KEY)).await.unwrap();
    let close = CloseTask {
        task_id: scene.token.task.id,
        token: None,
        reason: None,
    };
    scene.run(close).await.unwrap();
    let erase = || {
        let target = EraseTarget::Agent(AgentName::unchecked(AGENT));
        let origin = Origin {
            actor: Actor::Operator {
                name: "ops".to_owned(),
            },
            request_id: None,
        };
        scene.erase(origin, target, "request 17".to_owned())
    };
    let refused = erase().await;
    let is_kept = matches!(refused, Err(Error::Rejected(Rejection::NotErasable { .. })));
    assert!(is_kept, "{refused:?}");
    scene.run(remove(of_agent(), "anthropic")).await.unwrap();
    erase().await.unwrap();
    consistency::check(&scene.ledger.restart().await).await;
}
