//! Agents as they are described, and their keys.

use crate::consistency;
use crate::scene::{Scene, refusal};
use crate::store::tamper;
use fixtures::commands::{AGENT, agent_with_key, create_key, create_template, open_task};
use fixtures::people::{
    by, change_user, create_user, delete_user, enrol, open_session, passkey_login,
};
use ledger::aggregate::{Agent, Key};
use ledger::command::{
    AgentChanges, ChangeUser, CloseTask, CreateAgent, CreateKey, DeleteUser, DescribeAgent,
    EraseTarget, LeftBehind, RevokeKey,
};
use ledger::event::{Assurance, KeyOrigin, Via};
use ledger::{
    Actor, AgentKeyHash, AgentName, Clock as _, Error, KeyId, Origin, ReadError, Rejection, Role,
    UserId,
};
use ledger_sqlite::Reader;

const TEXT: &str = "cak_one";

fn revoke(key_id: KeyId) -> RevokeKey {
    RevokeKey {
        agent: AgentName::unchecked(AGENT),
        key_id,
        reason: Some("it leaked".to_owned()),
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_hash_and_proves_its_agent_until_it_is_revoked() {
    let scene = Scene::new().await;
    let key = scene.run(create_key(TEXT)).await.unwrap();
    let other = scene.run(create_key("cak_two")).await.unwrap();
    let found = scene.agent_key(&AgentKeyHash::of(TEXT)).await.unwrap();
    assert_eq!(found.as_deref(), Some(&*key));
    assert_eq!(key.agent_id, scene.token.task.agent_id);
    let unknown = scene.agent_key(&AgentKeyHash::of("cak_none")).await;
    assert_eq!(unknown.unwrap(), None);

    let revoked = scene.run(revoke(key.id)).await.unwrap();
    assert_eq!(revoked.revoked_at, Some(scene.clock.now()));
    scene.run(create_template("deploy")).await.unwrap();
    let opened = scene.execute(agent_with_key(&key), open_task(&key, "deploy"));
    assert_eq!(refusal(opened.await), Rejection::KeyRevoked);
    let opened = scene.execute(agent_with_key(&other), open_task(&other, "deploy"));
    assert!(
        opened.await.is_ok(),
        "the other key of the agent still does"
    );
}

#[tokio::test]
async fn a_key_that_is_revoked_again_stays_as_it_was_and_nothing_is_recorded() {
    let scene = Scene::new().await;
    let key = scene.run(create_key(TEXT)).await.unwrap();
    let first = scene.run(revoke(key.id)).await.unwrap();
    let size = scene.size_now();
    scene.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(scene.run(revoke(key.id)).await.unwrap(), first);
    assert_eq!(scene.size_now(), size);
}

#[tokio::test]
async fn a_key_is_revoked_under_its_own_agent_only() {
    let scene = Scene::new().await;
    let key = scene.run(create_key(TEXT)).await.unwrap();
    let create = CreateAgent {
        agent: AgentName::unchecked("mallory"),
        described: AgentChanges::default(),
    };
    scene.run(create).await.unwrap();
    let elsewhere = |agent: &str, key_id| RevokeKey {
        agent: AgentName::unchecked(agent),
        key_id,
        reason: None,
    };
    for (command, refused) in [
        (elsewhere("mallory", key.id), Rejection::KeyNotFound),
        (elsewhere("nobody", key.id), Rejection::AgentNotFound),
        (
            elsewhere(AGENT, KeyId::from_bytes([9; 16])),
            Rejection::KeyNotFound,
        ),
    ] {
        assert_eq!(refusal(scene.run(command).await), refused);
    }
    assert_eq!(scene.load(key.id).await.unwrap().as_deref(), Some(&*key));
    let mut unknown = create_key("cak_two");
    unknown.agent = AgentName::unchecked("nobody");
    assert_eq!(refusal(scene.run(unknown).await), Rejection::AgentNotFound);
}

/// The lookups are rows beside the log, under no hash.
#[tokio::test]
async fn a_hash_that_somebody_led_to_another_key_finds_none() {
    let scene = Scene::new().await;
    scene.run(create_key(TEXT)).await.unwrap();
    scene.run(create_key("cak_two")).await.unwrap();
    let ledger = scene.ledger.restart().await;
    let (one, two) = (AgentKeyHash::of(TEXT), AgentKeyHash::of("cak_two"));
    let sql = format!(
        "UPDATE lookups SET value = (SELECT value FROM lookups WHERE key = x'{one}')
         WHERE key = x'{two}'"
    );
    tamper(ledger.path(), &sql).await;
    let found = ledger.agent_key(&two).await;
    assert!(
        matches!(found, Err(Error::Read(ReadError::LookupsDiffer { .. }))),
        "{found:?}"
    );
}

#[tokio::test]
async fn an_agent_is_made_once_and_only_what_changes_of_it_is_recorded() {
    let scene = Scene::new().await;
    let create = CreateAgent {
        agent: AgentName::unchecked("builder"),
        described: AgentChanges {
            organization: Some(Some("ops".to_owned())),
            tags: Some(vec!["b".to_owned(), "a".to_owned(), "b".to_owned()]),
            ..AgentChanges::default()
        },
    };
    let agent = scene.run(create.clone()).await.unwrap();
    assert_eq!(agent.described.organization.as_deref(), Some("ops"));
    assert_eq!(agent.described.tags, ["a", "b"]);
    assert_eq!(refusal(scene.run(create).await), Rejection::AgentExists);

    let describe = |changes| DescribeAgent {
        agent: AgentName::unchecked("builder"),
        changes,
    };
    let before = scene.size_now();
    let site = AgentChanges {
        site: Some(Some("fra1".to_owned())),
        organization: Some(None),
        ..AgentChanges::default()
    };
    let agent = scene.run(describe(site.clone())).await.unwrap();
    assert_eq!(agent.described.organization, None);
    assert_eq!(agent.described.tags, ["a", "b"]);
    assert_eq!(scene.names_since(before).await, ["agent.described"]);
    scene.run(describe(site)).await.unwrap();
    assert_eq!(scene.size_now(), before + 1);

    for wrong in [
        AgentChanges {
            site: Some(Some(String::new())),
            ..AgentChanges::default()
        },
        AgentChanges {
            organization: Some(Some("a\nb".to_owned())),
            ..AgentChanges::default()
        },
        AgentChanges {
            tags: Some(vec!["x".repeat(65)]),
            ..AgentChanges::default()
        },
        AgentChanges {
            tags: Some((0..33).map(|tag| tag.to_string()).collect()),
            ..AgentChanges::default()
        },
    ] {
        let refused = refusal(scene.run(describe(wrong)).await);
        assert_eq!(refused.kind(), ledger::RejectionKind::Invalid, "{refused}");
    }
    let unknown = DescribeAgent {
        agent: AgentName::unchecked("nobody"),
        changes: AgentChanges::default(),
    };
    assert_eq!(refusal(scene.run(unknown).await), Rejection::AgentNotFound);
}

#[tokio::test]
async fn an_agent_with_a_key_in_force_is_not_erased() {
    let scene = Scene::new().await;
    let key = scene.run(create_key(TEXT)).await.unwrap();
    let close = CloseTask {
        task_id: scene.token.task.id,
        token: None,
        reason: None,
    };
    scene.run(close).await.unwrap();
    let erase = || {
        let target = EraseTarget::Agent(AgentName::unchecked(AGENT));
        let operator = Actor::Operator {
            name: "ops".to_owned(),
        };
        let origin = Origin {
            actor: operator,
            request_id: None,
        };
        scene.erase(origin, target, "request 17".to_owned())
    };
    assert!(matches!(
        refusal(erase().await),
        Rejection::NotErasable { .. }
    ));
    scene.run(revoke(key.id)).await.unwrap();
    erase().await.unwrap();
    let found = scene.agent_key(&AgentKeyHash::of(TEXT)).await.unwrap();
    assert!(
        found.unwrap().revoked_at.is_some(),
        "the key's own stream stays"
    );
}

/// A user of that role, by a session of theirs.
async fn signed_in(scene: &Scene, name: &str, role: Role) -> (UserId, Origin) {
    let user = scene.run(create_user(name, role)).await.unwrap();
    let login = open_session(&scene.ledger, user.id, user.epoch);
    let opened = scene.run(login).await.unwrap();
    let actor = Actor::User {
        user_id: user.id,
        via: Via::Session,
        via_id: opened.session.id,
        assurance: Assurance::Password,
    };
    let request_id = None;
    (user.id, Origin { actor, request_id })
}

#[tokio::test]
async fn users_make_and_take_away_keys_by_the_role_that_they_have_at_that_moment() {
    let scene = Scene::new().await;
    signed_in(&scene, "root", Role::Admin).await;
    let (admin, by_admin) = signed_in(&scene, "ada", Role::Admin).await;
    let (_, by_operator) = signed_in(&scene, "otto", Role::Operator).await;
    let (_, by_viewer) = signed_in(&scene, "vera", Role::Viewer).await;
    let key = scene.execute(by_admin.clone(), create_key(TEXT)).await;
    let key = key.unwrap();
    let required = |required, role| Rejection::RoleRequired { required, role };
    let made = scene.execute(by_operator.clone(), create_key("cak_two"));
    let refused = required(Role::Admin, Role::Operator);
    assert_eq!(refusal(made.await), refused);
    let taken = scene.execute(by_viewer.clone(), revoke(key.id)).await;
    assert_eq!(refusal(taken), required(Role::Operator, Role::Viewer));
    let template = scene.execute(by_viewer, create_template("deploy")).await;
    assert_eq!(refusal(template), required(Role::Operator, Role::Viewer));
    let template = scene.execute(by_operator.clone(), create_template("deploy"));
    assert!(template.await.is_ok());
    let taken = scene.execute(by_operator, revoke(key.id)).await.unwrap();
    assert!(taken.revoked_at.is_some());

    let demote = ChangeUser {
        role: Some(Role::Operator),
        ..change_user(admin)
    };
    scene.run(demote).await.unwrap();
    let made = scene.execute(by_admin, create_key("cak_two")).await;
    assert_eq!(refusal(made), Rejection::SessionEnded);
}

#[tokio::test]
async fn a_ledger_from_before_the_keys_of_users_were_held_in_rows_gets_the_rows() {
    let scene = Scene::new().await;
    let (root, by_root) = signed_in(&scene, "root", Role::Admin).await;
    signed_in(&scene, "ada", Role::Admin).await;
    let key = scene.execute(by_root, create_key(TEXT)).await.unwrap();
    let owned = DescribeAgent {
        agent: AgentName::unchecked(AGENT),
        changes: AgentChanges {
            owner: Some(Some(root)),
            ..AgentChanges::default()
        },
    };
    scene.run(owned).await.unwrap();
    let Scene { ledger, .. } = scene;
    let closed = ledger.close().await;
    let earlier = "DELETE FROM lookups WHERE kind IN (18, 19); PRAGMA user_version = 3";
    tamper(closed.path(), earlier).await;
    let url = format!("sqlite://{}", closed.path().display());
    let reader = Reader::open(&url).await.unwrap();
    reader.verify_lookups().await.unwrap();
    reader.check_file(None, providers::all()).await.unwrap();
    reader.close().await;

    let ledger = closed.open().await.unwrap();
    let delete = DeleteUser {
        revoke_keys: true,
        ..delete_user(root)
    };
    let left = ledger.run(delete).await.unwrap().left_behind.unwrap();
    let keys: Vec<KeyId> = left.keys.iter().map(|(key, _)| key.id).collect();
    assert_eq!((keys, left.agents.len()), (vec![key.id], 1));
    consistency::check(&ledger).await;
}

/// A user and what they leave, by the service.
async fn deleted(scene: &Scene, user: UserId, revoke_keys: bool) -> LeftBehind {
    let delete = DeleteUser {
        revoke_keys,
        ..delete_user(user)
    };
    let deleted = scene.run(delete).await.unwrap();
    deleted.left_behind.unwrap()
}

#[tokio::test]
async fn the_keys_of_a_user_go_with_the_user_in_one_commit() {
    let scene = Scene::new().await;
    signed_in(&scene, "root", Role::Admin).await;
    let (ada, by_ada) = signed_in(&scene, "ada", Role::Admin).await;
    let (_, by_otto) = signed_in(&scene, "otto", Role::Admin).await;
    let made = |origin: &Origin, text| scene.execute(origin.clone(), create_key(text));
    let first = made(&by_ada, "cak_1").await.unwrap();
    let gone = made(&by_ada, "cak_2").await.unwrap();
    // Ids of one moment are in no order.
    scene.clock.advance(std::time::Duration::from_secs(1));
    let second = made(&by_ada, "cak_3").await.unwrap();
    let others = made(&by_otto, "cak_4").await.unwrap();
    let nobodys = scene.run(create_key("cak_5")).await.unwrap();
    scene.run(revoke(gone.id)).await.unwrap();
    let scene = Scene {
        ledger: scene.ledger.restart().await,
        ..scene
    };
    let size = scene.size_now();
    let left = deleted(&scene, ada, true).await;
    let ids: Vec<KeyId> = left.keys.iter().map(|(key, _)| key.id).collect();
    assert_eq!(ids, [first.id, second.id]);
    for (key, agent) in &left.keys {
        assert!(key.revoked_at.is_some());
        assert_eq!(*agent.name, *AGENT);
    }
    assert_eq!(scene.size_now(), size + 3, "the user and two keys");
    for (key, stays) in [
        (first, false),
        (second, false),
        (others, true),
        (nobodys, true),
    ] {
        let key = scene.load::<Key>(key.id).await.unwrap().unwrap();
        assert_eq!(key.revoked_at.is_none(), stays, "{}", key.id);
    }
    consistency::check(&scene.ledger).await;
}

#[tokio::test]
async fn keys_and_agents_of_a_user_who_goes_are_told_and_stay() {
    let scene = Scene::new().await;
    signed_in(&scene, "root", Role::Admin).await;
    let (ada, by_ada) = signed_in(&scene, "ada", Role::Admin).await;
    let (zoe, _) = signed_in(&scene, "zoe", Role::Viewer).await;
    let key = scene.execute(by_ada, create_key(TEXT)).await.unwrap();
    let owned = |owner| DescribeAgent {
        agent: AgentName::unchecked(AGENT),
        changes: AgentChanges {
            owner: Some(owner),
            ..AgentChanges::default()
        },
    };
    scene.run(owned(Some(zoe))).await.unwrap();
    let disable = |user_id, revoke_keys| ChangeUser {
        disabled: Some(true),
        revoke_keys,
        ..change_user(user_id)
    };
    let left = scene.run(disable(zoe, true)).await.unwrap().left_behind;
    let left = left.unwrap();
    assert!(left.keys.is_empty());
    assert_eq!(left.agents.len(), 1);
    // Whose it was before leaves it no more.
    scene.run(owned(Some(ada))).await.unwrap();
    assert!(deleted(&scene, zoe, false).await.agents.is_empty());
    let left = scene.run(disable(ada, false)).await.unwrap().left_behind;
    let left = left.unwrap();
    assert_eq!(left.keys.len(), 1);
    assert!(left.keys.iter().all(|(key, _)| key.revoked_at.is_none()));
    assert_eq!(left.agents.len(), 1);
    // Who is disabled already can still lose them.
    let left = scene.run(disable(ada, true)).await.unwrap().left_behind;
    assert_eq!(left.unwrap().keys.len(), 1);
    let key = scene.load::<Key>(key.id).await.unwrap().unwrap();
    assert!(key.revoked_at.is_some());
    let stays = ChangeUser {
        revoke_keys: true,
        ..change_user(ada)
    };
    let refused = refusal(scene.run(stays).await);
    assert!(matches!(
        refused,
        Rejection::Invalid {
            code: "keys_stay",
            ..
        }
    ));
    consistency::check(&scene.ledger).await;
}

/// Commands that wait together are one batch: a key is made before the user goes, or not at all.
#[tokio::test]
async fn no_key_that_a_user_makes_while_they_are_deleted_is_left() {
    for rounds in 0..12 {
        let scene = Scene::new().await;
        signed_in(&scene, "root", Role::Admin).await;
        let (ada, by_ada) = signed_in(&scene, "ada", Role::Admin).await;
        let texts: Vec<String> = (0..12).map(|n| format!("cak_{n}")).collect();
        let make = |texts: &[String]| {
            let made = texts.iter();
            let made = made.map(|text| scene.execute(by_ada.clone(), create_key(text)));
            futures_util::future::join_all(made.collect::<Vec<_>>())
        };
        let (before, after) = texts.split_at(rounds);
        let (before, _, after) =
            tokio::join!(make(before), deleted(&scene, ada, true), make(after));
        assert!(before.iter().all(Result::is_ok), "{before:?}");
        for made in after {
            assert_eq!(refusal(made), Rejection::SessionEnded);
        }
        for text in &texts {
            let key = scene.agent_key(&AgentKeyHash::of(text)).await.unwrap();
            assert!(key.is_none_or(|key| key.revoked_at.is_some()), "{text}");
        }
    }
}

fn paired(agent: &str, text: &str) -> CreateKey {
    CreateKey {
        agent: AgentName::unchecked(agent),
        how: KeyOrigin::Paired,
        ..create_key(text)
    }
}

#[tokio::test]
async fn an_agent_that_is_paired_for_the_first_time_is_made_and_is_the_confirmers() {
    let scene = Scene::new().await;
    let (otto, by_otto) = signed_in(&scene, "otto", Role::Operator).await;
    let size = scene.size_now();
    let key = scene
        .execute(by_otto, paired("new-bot", TEXT))
        .await
        .unwrap();
    let events = scene.log().events_from(size, 10).await.unwrap();
    let names: Vec<&str> = events.iter().map(|it| it.event.name()).collect();
    assert_eq!(
        names,
        ["agent.registered", "agent.described", "key.created"]
    );
    let agent = scene.agent(&AgentName::unchecked("new-bot")).await.unwrap();
    let agent = agent.unwrap();
    assert_eq!(
        (agent.id, agent.described.owner),
        (key.agent_id, Some(otto))
    );
    // The service token is nobody who could answer for it.
    let service = Origin {
        actor: Actor::Service {
            fingerprint: [1; 8],
        },
        request_id: None,
    };
    let made = scene.execute(service, paired("other-bot", "cak_two")).await;
    let agent = scene.load::<Agent>(made.unwrap().agent_id).await.unwrap();
    assert_eq!(agent.unwrap().described.owner, None);
    consistency::check(&scene.ledger).await;
}

#[tokio::test]
async fn who_confirms_a_pairing_is_asked_on_the_writer() {
    let scene = Scene::new().await;
    let (_, by_viewer) = signed_in(&scene, "vera", Role::Viewer).await;
    let (otto, by_otto) = signed_in(&scene, "otto", Role::Operator).await;
    let (_, by_admin) = signed_in(&scene, "ada", Role::Admin).await;
    let eve = scene.run(create_user("eve", Role::Admin)).await.unwrap();
    let passkey = enrol(&scene.ledger, eve.id, "phone").await;
    let login = passkey_login(&scene.ledger, eve.id, eve.epoch, &passkey);
    let by_eve = by(&scene.run(login).await.unwrap().session);
    let required = |required, role| Rejection::RoleRequired { required, role };
    let refused = scene.execute(by_viewer, paired("new-bot", TEXT)).await;
    assert_eq!(refusal(refused), required(Role::Operator, Role::Viewer));
    let refused = scene.execute(by_otto.clone(), paired(AGENT, TEXT)).await;
    assert_eq!(refusal(refused), required(Role::Admin, Role::Operator));
    let refused = scene.execute(by_admin.clone(), paired(AGENT, TEXT)).await;
    assert_eq!(refusal(refused), Rejection::StepUpRequired);
    scene
        .execute(by_eve, paired(AGENT, "cak_eve"))
        .await
        .unwrap();
    // A new one takes no passkey of an administrator either.
    let new = scene.execute(by_admin, paired("new-bot", "cak_ada")).await;
    assert!(new.is_ok());
    let owned = DescribeAgent {
        agent: AgentName::unchecked(AGENT),
        changes: AgentChanges {
            owner: Some(Some(otto)),
            ..AgentChanges::default()
        },
    };
    scene.run(owned).await.unwrap();
    scene
        .execute(by_otto.clone(), paired(AGENT, TEXT))
        .await
        .unwrap();
    // Who goes takes what they confirmed along, and confirms nothing more.
    let (left, refused) = tokio::join!(
        deleted(&scene, otto, true),
        scene.execute(by_otto, paired(AGENT, "cak_late"))
    );
    assert_eq!(left.keys.len(), 1);
    assert_eq!(refusal(refused), Rejection::SessionEnded);
    consistency::check(&scene.ledger).await;
}

#[tokio::test]
async fn a_user_who_lives_answers_for_an_agent() {
    let scene = Scene::new().await;
    let (root, _) = signed_in(&scene, "root", Role::Admin).await;
    let (gone, _) = signed_in(&scene, "zoe", Role::Viewer).await;
    scene.run(delete_user(gone)).await.unwrap();
    let owned = |owner| DescribeAgent {
        agent: AgentName::unchecked(AGENT),
        changes: AgentChanges {
            owner: Some(owner),
            ..AgentChanges::default()
        },
    };
    for nobody in [gone, UserId::from_bytes([9; 16])] {
        let refused = scene.run(owned(Some(nobody))).await;
        assert_eq!(refusal(refused), Rejection::UserNotFound);
    }
    let agent = scene.run(owned(Some(root))).await.unwrap();
    assert_eq!(agent.described.owner, Some(root));
    let agent = scene.run(owned(None)).await.unwrap();
    assert_eq!(agent.described.owner, None);
}
