//! Users who were deleted.

use super::*;
use fixtures::approver::SoftApprover;
use fixtures::people::{
    add_device, by, change_user, create_user, delete_user, enrol, open_session, passkey_login,
};
use ledger::aggregate::{Session, User};
use ledger::audit::Check;
use ledger::command::{
    AgentChanges, ChangeUser, CreateUser, DescribeAgent, LinkPrincipal, RecordFailedLogin,
    RevokeUserPasskey,
};
use ledger::event::LoginWay;
use ledger::{AgentName, ApproverName, Ceremony, EndpointDigest, Role, UserId, UserName};

const NAME: &str = "mrs-trace";
const ADDRESS: &str = "198.51.100.77";

/// A user with everything that users have, who answers for an agent, and was deleted.
struct Gone {
    scene: Scene,
    id: UserId,
    session: Arc<Session>,
    of_passkey: Arc<Session>,
    link: ApproverName,
    linked: SoftApprover,
    /// The digest of a device's address.
    endpoint: EndpointDigest,
}

/// A passkey of a principal that a user makes their own.
async fn link(scene: &Scene, session: &Session, passkey: &SoftApprover, name: &ApproverName) {
    let (assertion, _) =
        passkey.prove(&scene.ledger, Ceremony::Link(session.user_id, name.clone()));
    let link = LinkPrincipal {
        user_id: session.user_id,
        principal: name.clone(),
        assertion,
    };
    scene.execute(by(session), link).await.unwrap();
}

async fn gone() -> Gone {
    let scene = Scene::new().await;
    scene.run(create_user("root", Role::Admin)).await.unwrap();
    let user = scene.run(create_user("before", Role::Admin)).await.unwrap();
    let id = user.id;
    let rename = ChangeUser {
        name: Some(UserName::parse(NAME).unwrap()),
        ..change_user(id)
    };
    scene.run(rename).await.unwrap();
    let mut login = open_session(&scene.ledger, id, user.epoch);
    login.address = ADDRESS.to_owned();
    let session = scene.run(login).await.unwrap().session;
    let phone = enrol(&scene.ledger, id, "phone").await;
    let login = passkey_login(&scene.ledger, id, user.epoch, &phone);
    let of_passkey = scene.run(login).await.unwrap().session;
    let name = ApproverName::unchecked("zoe");
    let linked = SoftApprover::with_credential(&name, "linked");
    scene.run(linked.registration()).await.unwrap();
    link(&scene, &of_passkey, &linked, &name).await;
    for _ in 0..12 {
        let failed = RecordFailedLogin {
            user_id: Some(id),
            address: ADDRESS.to_owned(),
            via: LoginWay::Password,
        };
        scene.run(failed).await.unwrap();
    }
    let describe = DescribeAgent {
        agent: AgentName::unchecked(AGENT),
        changes: AgentChanges {
            owner: Some(Some(id)),
            ..AgentChanges::default()
        },
    };
    scene.run(describe).await.unwrap();
    let device = add_device(&scene.ledger, &session, "phone").await.unwrap();
    let endpoint = device.endpoint_digest;
    scene.run(delete_user(id)).await.unwrap();
    Gone {
        scene,
        id,
        session,
        of_passkey,
        link: name,
        linked,
        endpoint,
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_user_who_was_erased() {
    let gone = gone().await;
    let scene = &gone.scene;
    let traces = [
        NAME.as_bytes(),
        ADDRESS.as_bytes(),
        gone.endpoint.as_bytes(),
    ];
    for trace in traces {
        assert!(!holding(scene.path(), trace).is_empty(), "{trace:?}");
    }
    let done = erase(scene, EraseTarget::User(gone.id)).await.unwrap();
    assert_eq!(done.subject, ErasedSubject::User(gone.id));
    assert!(done.streams >= 13, "{done:?}");
    scrubbed(scene).await;
    for trace in traces {
        assert_eq!(holding(scene.path(), trace), [""; 0], "{trace:?}");
    }
    let again = erase(scene, EraseTarget::User(gone.id)).await.unwrap();
    assert_eq!((again.position, again.is_new), (done.position, false));
    for session in [&gone.session, &gone.of_passkey] {
        let loaded = scene.load::<Session>(session.id).await;
        assert_eq!(refusal(loaded), Rejection::Erased);
        assert_eq!(scene.session_of(&session.token_hash).await.unwrap(), None);
    }
    assert_eq!(
        refusal(scene.load::<User>(gone.id).await),
        Rejection::Erased
    );
    // The name is free, as after any deletion.
    scene.run(create_user(NAME, Role::Viewer)).await.unwrap();
    consistency::check(&scene.ledger).await;
    consistency::check(&gone.scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_principal_that_was_an_erased_users_decides_nothing_and_becomes_nobody_elses() {
    let gone = gone().await;
    erase(&gone.scene, EraseTarget::User(gone.id))
        .await
        .unwrap();
    let scene = Scene {
        ledger: gone.scene.ledger.restart().await,
        ..gone.scene
    };
    let user = scene.run(create_user("vera", Role::Viewer)).await.unwrap();
    let phone = enrol(&scene.ledger, user.id, "another phone").await;
    let login = passkey_login(&scene.ledger, user.id, user.epoch, &phone);
    let session = scene.run(login).await.unwrap().session;
    let ceremony = Ceremony::Link(user.id, gone.link.clone());
    let (assertion, _) = gone.linked.prove(&scene.ledger, ceremony);
    let link = LinkPrincipal {
        user_id: user.id,
        principal: gone.link.clone(),
        assertion,
    };
    let refused = scene.execute(by(&session), link).await;
    assert_eq!(refusal(refused), Rejection::PrincipalLinked);
    let id = ledger::CredentialId::unchecked(gone.linked.credential_id());
    assert_eq!(scene.user_of_passkey(&id).await.unwrap(), None);
    let asked = scene.asked("k-1").await;
    let approval = asked.approval.as_ref().unwrap();
    let late = gone
        .linked
        .decide(&scene.ledger, approval, Decision::Approve, None);
    assert_eq!(
        refusal(scene.run(late).await).kind(),
        ledger::RejectionKind::Forbidden
    );
}

#[tokio::test]
async fn a_user_is_erased_once_deleted_and_the_passkeys_after_that() {
    let scene = Scene::new().await;
    scene.run(create_user("root", Role::Admin)).await.unwrap();
    let user = scene.run(create_user(NAME, Role::Viewer)).await.unwrap();
    enrol(&scene.ledger, user.id, "phone").await;
    let passkeys = || EraseTarget::Approver(User::principal_of(user.id));
    let there = why(erase(&scene, EraseTarget::User(user.id)).await);
    assert!(there.contains("user delete"), "{there}");
    let active = why(erase(&scene, passkeys()).await);
    assert!(active.contains("active passkeys"), "{active}");
    let nobody = erase(&scene, EraseTarget::User(UserId::from_bytes([9; 16]))).await;
    assert_eq!(refusal(nobody), Rejection::UserNotFound);
    scene.run(delete_user(user.id)).await.unwrap();
    let telling = scene.erase(origin(), EraseTarget::User(user.id), format!("{NAME} left"));
    assert_eq!(refusal(telling.await).code(), "reason_repeats_name");
    erase(&scene, EraseTarget::User(user.id)).await.unwrap();
    erase(&scene, passkeys()).await.unwrap();
    consistency::check(&scene.ledger).await;
    consistency::check(&scene.ledger.restart().await).await;
}

/// An auditor who cannot see an administrator any more does not take the last one for gone.
#[tokio::test]
async fn the_history_before_an_erasure_is_still_sound() {
    let scene = Scene::new().await;
    let first = scene.run(create_user("first", Role::Admin)).await.unwrap();
    let second = scene.run(create_user(NAME, Role::Admin)).await.unwrap();
    // While the second is there the first may go, and comes back.
    let role = |user_id, role| ChangeUser {
        role: Some(role),
        ..change_user(user_id)
    };
    scene.run(role(first.id, Role::Viewer)).await.unwrap();
    scene.run(role(first.id, Role::Admin)).await.unwrap();
    let describe = |owner: Option<UserId>, site: &str| DescribeAgent {
        agent: AgentName::unchecked(AGENT),
        changes: AgentChanges {
            owner: owner.map(Some),
            site: Some(Some(site.to_owned())),
            ..AgentChanges::default()
        },
    };
    scene.run(describe(Some(second.id), "fra1")).await.unwrap();
    scene.run(delete_user(second.id)).await.unwrap();
    scene.run(describe(None, "ams1")).await.unwrap();
    consistency::check(&scene.ledger).await;
    erase(&scene, EraseTarget::User(second.id)).await.unwrap();
    scene.run(describe(None, "cdg1")).await.unwrap();
    let refused = refusal(scene.run(describe(Some(second.id), "cdg1")).await);
    assert_eq!(refused, Rejection::Erased);
    let report = fixtures::history::History::read(scene.ledger.close().await.path()).verify();
    assert!(report.verified, "{report}");
    let mut impossible = report.impossible.iter();
    assert!(
        impossible.any(|rule| rule.check == Check::LastAdmin),
        "{report}"
    );
}

/// A scene in which these users have linked a principal one after the other, each but the last of them deleted.
async fn linked_by(names: &[&str]) -> (Scene, Vec<UserId>) {
    let scene = Scene::new().await;
    scene.run(create_user("root", Role::Admin)).await.unwrap();
    let mut ids: Vec<UserId> = Vec::new();
    for name in names {
        if let Some(before) = ids.last() {
            scene.run(delete_user(*before)).await.unwrap();
        }
        let user = scene.run(create_user(name, Role::Viewer)).await.unwrap();
        let session = open_session(&scene.ledger, user.id, user.epoch);
        let session = scene.run(session).await.unwrap().session;
        link(&scene, &session, &scene.alice, scene.alice.principal()).await;
        ids.push(user.id);
    }
    (scene, ids)
}

async fn restarted(scene: Scene) -> Scene {
    consistency::check(&scene.ledger).await;
    let ledger = scene.ledger.restart().await;
    consistency::check(&ledger).await;
    Scene { ledger, ..scene }
}

#[tokio::test]
async fn a_principal_stays_with_who_links_it_after_an_erased_user() {
    let (scene, ids) = linked_by(&["first", "second"]).await;
    let done = erase(&scene, EraseTarget::User(ids[0])).await.unwrap();
    assert_eq!(said(&scene, &done).await.names, []);
    let scene = restarted(scene).await;
    let passkey = ledger::CredentialId::unchecked(scene.alice.credential_id());
    let found = scene.user_of_passkey(&passkey).await.unwrap().unwrap();
    assert_eq!(found.id, ids[1]);
    let login = passkey_login(&scene.ledger, ids[1], found.epoch, &scene.alice);
    scene.run(login).await.unwrap();
    scene.run(delete_user(ids[1])).await.unwrap();
    let done = erase(&scene, EraseTarget::User(ids[1])).await.unwrap();
    assert_eq!(said(&scene, &done).await.names.len(), 1);
    restarted(scene).await;
}

#[tokio::test]
async fn a_principal_is_that_of_who_linked_it_before_once_the_newest_of_them_is_erased() {
    for order in [[2, 1, 0], [2, 0, 1], [1, 2, 0], [1, 0, 2], [0, 2, 1]] {
        let (mut scene, ids) = linked_by(&["first", "second", "third"]).await;
        scene.run(delete_user(ids[2])).await.unwrap();
        let asked = scene.asked("k-1").await;
        for erased in order {
            erase(&scene, EraseTarget::User(ids[erased])).await.unwrap();
            let approval = asked.approval.as_ref().unwrap();
            let late = scene
                .alice
                .decide(&scene.ledger, approval, Decision::Approve, None);
            assert_eq!(
                refusal(scene.run(late).await),
                Rejection::CredentialNotEligible,
                "{order:?}"
            );
            scene = restarted(scene).await;
        }
    }
}

/// A scene with an administrator by password, and one who had passkeys alone, all of which were revoked and
/// erased.
async fn without_passkeys() -> (Scene, UserId) {
    let scene = Scene::new().await;
    scene.run(create_user("root", Role::Admin)).await.unwrap();
    let zoe = CreateUser {
        password: None,
        ..create_user("zoe", Role::Admin)
    };
    let zoe = scene.run(zoe).await.unwrap().id;
    let phone = enrol(&scene.ledger, zoe, "phone").await;
    let revoke = RevokeUserPasskey {
        user_id: zoe,
        credential_id: ledger::CredentialId::unchecked(phone.credential_id()),
        reason: None,
    };
    scene.run(revoke).await.unwrap();
    let passkeys = EraseTarget::Approver(User::principal_of(zoe));
    erase(&scene, passkeys).await.unwrap();
    (scene, zoe)
}

#[tokio::test]
async fn an_administrator_whose_passkeys_were_erased_has_none() {
    let (scene, zoe) = without_passkeys().await;
    let root = scene.users().await.unwrap();
    let root = root.iter().find(|user| user.id != zoe).unwrap().id;
    let refused = refusal(scene.run(delete_user(root)).await);
    assert_eq!(refused, Rejection::LastAdmin);
    let first = CreateUser {
        is_first: true,
        ..create_user("first", Role::Admin)
    };
    assert_eq!(refusal(scene.run(first).await), Rejection::AdminExists);
    let demote = ChangeUser {
        role: Some(Role::Viewer),
        ..change_user(zoe)
    };
    scene.run(demote).await.unwrap();
    restarted(scene).await;
}

/// An auditor who cannot see the passkeys of an administrator any more does not take the last one for gone.
#[tokio::test]
async fn the_history_before_an_administrators_passkeys_were_erased_is_still_sound() {
    let scene = Scene::new().await;
    let zoe = CreateUser {
        password: None,
        ..create_user("zoe", Role::Admin)
    };
    let zoe = scene.run(zoe).await.unwrap().id;
    let phone = enrol(&scene.ledger, zoe, "phone").await;
    let other = scene.run(create_user("other", Role::Admin)).await.unwrap();
    scene.run(delete_user(other.id)).await.unwrap();
    scene.run(create_user("root", Role::Admin)).await.unwrap();
    let revoke = RevokeUserPasskey {
        user_id: zoe,
        credential_id: ledger::CredentialId::unchecked(phone.credential_id()),
        reason: None,
    };
    scene.run(revoke).await.unwrap();
    let passkeys = EraseTarget::Approver(User::principal_of(zoe));
    erase(&scene, passkeys).await.unwrap();
    restarted(scene).await;
}
