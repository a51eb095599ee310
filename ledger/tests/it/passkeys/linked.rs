//! Principals of approvers that users have made their own: nobody else changes the passkey that logs in.

use super::*;
use ledger::command::{EraseTarget, NewCredential};
use ledger::event::CredentialStatus;
use ledger::{Actor, Origin, RejectionKind};

/// Puts another key, or another status, in the place of a passkey's.
fn put(passkey: &SoftApprover, change: impl FnOnce(&mut NewCredential)) -> PutCredential {
    let mut put = passkey.registration();
    change(&mut put.credential);
    put
}

/// The same passkey with the key of another one.
fn with_key_of(passkey: &SoftApprover, other: &SoftApprover) -> PutCredential {
    let other = other.new_credential();
    put(passkey, |credential| {
        *credential = NewCredential {
            credential_id: credential.credential_id.clone(),
            ..other
        };
    })
}

fn revoke(passkey: &SoftApprover) -> RevokeCredential {
    RevokeCredential {
        principal: passkey.principal().clone(),
        credential_id: id_of(passkey),
        reason: None,
    }
}

#[tokio::test]
async fn whoever_registers_approvers_changes_no_passkey_by_which_a_user_logs_in() {
    let scene = Scene::new().await;
    let ledger = &scene.ledger;
    let zoe = user(ledger, "zoe", Role::Admin).await;
    let session = by_password(ledger, zoe).await;
    link(ledger, &session, &scene.alice).await.unwrap();
    let mallory = SoftApprover::with_credential("mallory", "passkey of alice");
    let other_key = || with_key_of(&scene.alice, &mallory);
    assert_eq!(
        refusal(ledger.run(other_key()).await),
        Rejection::CredentialLinked
    );
    // As it was it may be put again, and taken away; not given back by somebody else, nor under another key.
    ledger.run(scene.alice.registration()).await.unwrap();
    ledger.run(revoke(&scene.alice)).await.unwrap();
    for refused in [
        refusal(ledger.run(scene.alice.registration()).await),
        refusal(ledger.run(other_key()).await),
    ] {
        assert_eq!(refused, Rejection::CredentialLinked);
    }
    let command = login(ledger, zoe, &mallory).await;
    assert_eq!(refusal(ledger.run(command).await), Rejection::LoginFailed);
    // Another one of the principal decides alone, and is the registrar's as before.
    let added = SoftApprover::with_credential(scene.alice.principal(), "added");
    ledger.run(added.registration()).await.unwrap();
    ledger.run(revoke(&added)).await.unwrap();
    ledger.run(with_key_of(&added, &mallory)).await.unwrap();
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_passkey_of_a_user_who_is_disabled_keeps_its_key_and_that_of_a_deleted_one_does_not() {
    let scene = Scene::new().await;
    let ledger = &scene.ledger;
    user(ledger, "root", Role::Admin).await;
    let zoe = user(ledger, "zoe", Role::Admin).await;
    let session = by_password(ledger, zoe).await;
    link(ledger, &session, &scene.alice).await.unwrap();
    ledger.run(set_disabled(zoe, true)).await.unwrap();
    let mallory = SoftApprover::with_credential("mallory", "mallory");
    let other_key = || with_key_of(&scene.alice, &mallory);
    let refused = refusal(ledger.run(other_key()).await);
    assert_eq!(refused, Rejection::CredentialLinked);
    ledger.run(delete_user(zoe)).await.unwrap();
    ledger.run(other_key()).await.unwrap();
    consistency::check(&scene.ledger.restart().await).await;
}

/// An auditor of the sealed history finds that rule broken there.
pub(super) fn is_found(history: &mut History, check: Check, at: u64) {
    history.reseal();
    let report = history.verify();
    let mut findings = report.findings.iter();
    let found = findings.any(|it| it.check == check && it.position == Some(at));
    assert!(found, "{report}");
}

/// A history in which a user links a principal whose passkey is put twice more, the second time to revoke it.
async fn put_again() -> History {
    let scene = Scene::new().await;
    let zoe = user(&scene.ledger, "zoe", Role::Admin).await;
    let session = by_password(&scene.ledger, zoe).await;
    link(&scene.ledger, &session, &scene.alice).await.unwrap();
    scene.run(scene.alice.registration()).await.unwrap();
    scene.run(revoke(&scene.alice)).await.unwrap();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn an_auditor_finds_a_linked_passkey_that_was_changed() {
    let mut history = put_again().await;
    let report = history.verify();
    assert!(report.verified && report.impossible.is_empty(), "{report}");
    let puts = history.all("approver.credential_put");
    let [_, again, revoked] = puts[..] else {
        panic!("{puts:?}")
    };
    let mallory = SoftApprover::with_credential("mallory", "mallory").new_credential();
    let mut other_key = history.clone();
    other_key.alter(again, |event| {
        if let Event::CredentialPut(put) = event {
            put.public_key = mallory.public_key.clone();
            put.public_key_thumbprint = mallory.public_key_thumbprint.clone();
        }
    });
    is_found(&mut other_key, Check::Passkey, again);
    // Taken away by the second, and given back by the third.
    for (at, status) in [
        (again, CredentialStatus::Revoked),
        (revoked, CredentialStatus::Active),
    ] {
        history.alter(at, |event| {
            if let Event::CredentialPut(put) = event {
                put.status = status;
            }
        });
    }
    is_found(&mut history, Check::Passkey, revoked);
}

#[tokio::test]
async fn a_session_does_not_gain_a_way_in_when_somebody_else_takes_the_passkeys_away() {
    let scene = Scene::new().await;
    let ledger = &scene.ledger;
    user(ledger, "root", Role::Admin).await;
    let zoe = user(ledger, "zoe", Role::Admin).await;
    let max = user(ledger, "max", Role::Viewer).await;
    let phone = enrol(ledger, zoe, "phone").await;
    let stolen = by_password(ledger, zoe).await;
    let linked = by_password(ledger, max).await;
    link(ledger, &linked, &scene.alice).await.unwrap();
    let taken = RevokeUserPasskey {
        user_id: zoe,
        credential_id: id_of(&phone),
        reason: None,
    };
    ledger.run(taken).await.unwrap();
    ledger.run(revoke(&scene.alice)).await.unwrap();
    for session in [&stolen, &linked] {
        let user_id = session.user_id;
        let invite = ledger.execute(by(session), OpenUserEnrolment { user_id });
        assert_eq!(refusal(invite.await), Rejection::StepUpRequired);
    }
    // Somebody else invites them.
    ledger
        .run(OpenUserEnrolment { user_id: zoe })
        .await
        .unwrap();
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn nobody_links_a_principal_for_somebody_else() {
    let scene = Scene::new().await;
    let ledger = &scene.ledger;
    let root = user(ledger, "root", Role::Admin).await;
    let zoe = user(ledger, "zoe", Role::Viewer).await;
    let phone = enrol(ledger, zoe, "phone").await;
    let session = login(ledger, zoe, &phone).await;
    let session = ledger.run(session).await.unwrap().session;
    let principal = scene.alice.principal().clone();
    let ceremony = Ceremony::Link(root, principal.clone());
    let command = LinkPrincipal {
        user_id: root,
        principal,
        assertion: scene.alice.prove(ledger, ceremony).0,
    };
    let refused = refusal(ledger.execute(by(&session), command).await);
    assert_eq!(refused.kind(), RejectionKind::Forbidden);
    link(ledger, &session, &scene.alice).await.unwrap();
    let session = by_password(ledger, root).await;
    let actor = by(&session).actor;
    let closed = scene.ledger.close().await;
    let mut history = History::read(closed.path());
    let linked = history.event(history.last("user.principal_linked"));
    let stream = history
        .record(history.last("user.principal_linked"))
        .header
        .stream_id;
    let at = history.size();
    let envelope = ledger::event::Envelope { actor, ..linked.0 };
    history.insert_with(at, stream, &envelope, &linked.1);
    is_found(&mut history, Check::Actor, at);
}

#[tokio::test]
async fn of_two_who_link_a_principal_at_once_one_has_it_and_a_step_up_counts_once() {
    let scene = Scene::new().await;
    let ledger = &scene.ledger;
    let alice = SoftApprover::new(scene.alice.principal()).without_counter();
    let mut sessions = Vec::new();
    for name in ["zoe", "max"] {
        let id = user(ledger, name, Role::Viewer).await;
        sessions.push(by_password(ledger, id).await);
    }
    let (one, two) = tokio::join!(
        link(ledger, &sessions[0], &alice),
        link(ledger, &sessions[1], &alice)
    );
    one.unwrap();
    assert_eq!(refusal(two), Rejection::PrincipalLinked);
    let session_id = sessions[0].id;
    let (assertion, _) = alice.prove(ledger, Ceremony::StepUp(session_id));
    let step_up = || {
        let assertion = assertion.clone();
        ledger.run(StepUp {
            session_id,
            assertion,
        })
    };
    let (one, two) = tokio::join!(step_up(), step_up());
    one.unwrap();
    assert_eq!(refusal(two), Rejection::ChallengeUsed);
    consistency::check(&scene.ledger.restart().await).await;
}

/// The way in goes in the same batch in which the session that relies on it asks.
#[tokio::test]
async fn a_passkey_that_is_taken_away_steps_nobody_up_in_the_same_batch() {
    let scene = Scene::new().await;
    let ledger = &scene.ledger;
    let zoe = user(ledger, "zoe", Role::Viewer).await;
    let session = by_password(ledger, zoe).await;
    link(ledger, &session, &scene.alice).await.unwrap();
    let session_id = session.id;
    let (assertion, _) = scene.alice.prove(ledger, Ceremony::StepUp(session_id));
    let step_up = StepUp {
        session_id,
        assertion,
    };
    let (revoked, refused) = tokio::join!(ledger.run(revoke(&scene.alice)), ledger.run(step_up));
    revoked.unwrap();
    assert_eq!(refusal(refused), Rejection::PasskeyNotEligible);
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_linked_principal_that_was_erased_is_no_way_in_and_in_nobodys_way() {
    let scene = Scene::new().await;
    let ledger = &scene.ledger;
    user(ledger, "root", Role::Admin).await;
    let zoe = user(ledger, "zoe", Role::Viewer).await;
    let session = by_password(ledger, zoe).await;
    link(ledger, &session, &scene.alice).await.unwrap();
    let opened = login(ledger, zoe, &scene.alice).await;
    ledger.run(opened).await.unwrap();
    ledger.run(revoke(&scene.alice)).await.unwrap();
    let operator = || Origin {
        actor: Actor::Operator {
            name: "ops".to_owned(),
        },
        request_id: None,
    };
    let principal = scene.alice.principal().clone();
    let target = EraseTarget::Approver(principal);
    let erased = ledger.erase(operator(), target, "request 7".to_owned());
    erased.await.unwrap();
    let login = login(ledger, zoe, &scene.alice).await;
    assert_eq!(refusal(ledger.run(login).await), Rejection::LoginFailed);
    let (assertion, _) = scene.alice.prove(ledger, Ceremony::StepUp(session.id));
    let step_up = StepUp {
        session_id: session.id,
        assertion,
    };
    assert_eq!(
        refusal(ledger.run(step_up).await),
        Rejection::PasskeyNotEligible
    );
    consistency::check(ledger).await;
    let ledger = scene.ledger.restart().await;
    ledger.run(set_disabled(zoe, true)).await.unwrap();
    ledger.run(delete_user(zoe)).await.unwrap();
    let erased = ledger.erase(operator(), EraseTarget::User(zoe), "request 8".to_owned());
    erased.await.unwrap();
    consistency::check(&ledger.restart().await).await;
}
