//! Command-line keys: what they decide, what they open, and what they never count for.

use crate::consistency;
use crate::passkeys::{by_password, user};
use crate::ruled::{always, policy as policy_of, put, rule};
use crate::scene::{Scene, refusal, refused};
use fixtures::commands::purge;
use fixtures::people::{by, end_sessions, enrol, open_session, passkey_login};
use fixtures::rules::APPROVER;
use fixtures::soft_key::SoftKey;
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::{ApprovalState, Session, User};
use ledger::command::{
    DecideApproval, EndSessions, OpenSession, Reissue, RevokeCredential, RevokeUserPasskey, StepUp,
};
use ledger::event::{Approved, Assurance, LoginWay};
use ledger::policy::{self, RuleAction};
use ledger::{
    Ceremony, Choice, CredentialId, Decision, DecisionProof, Error, Event, Rejection, Role,
    SessionId, UserId,
};
use std::sync::Arc;
use std::time::Duration;

/// A scene in which the approver has a command-line key besides.
async fn with_key() -> (Scene, SoftKey) {
    let scene = Scene::new().await;
    let key = SoftKey::new("laptop");
    scene
        .run(key.registration(APPROVER).unwrap())
        .await
        .unwrap();
    (scene, key)
}

/// A session of a user who has shown a passkey, and the user.
async fn shown(ledger: &TestLedger, name: &str, role: Role) -> (UserId, Arc<Session>) {
    let id = user(ledger, name, role).await;
    let phone = enrol(ledger, id, &format!("phone of {name}")).await;
    let login = passkey_login(ledger, id, epoch(ledger, id).await, &phone);
    (id, ledger.run(login).await.unwrap().session)
}

async fn epoch(ledger: &TestLedger, user: UserId) -> u64 {
    ledger.load::<User>(user).await.unwrap().unwrap().epoch
}

/// A user with a command-line key of their own, and the session that added it.
async fn owner(ledger: &TestLedger) -> (UserId, Arc<Session>, SoftKey) {
    let (zoe, session) = shown(ledger, "zoe", Role::Operator).await;
    let key = SoftKey::new("laptop");
    let added = ledger.execute(by(&session), key.addition(zoe).unwrap());
    added.await.unwrap();
    (zoe, session, key)
}

async fn login(ledger: &TestLedger, user: UserId, key: &SoftKey) -> OpenSession {
    key.login(ledger, user, epoch(ledger, user).await)
}

#[tokio::test]
async fn a_command_line_key_decides_and_anybody_can_verify_it_later() {
    let (scene, key) = with_key().await;
    for (asked, decision) in [("k", Decision::Deny), ("l", Decision::Approve)] {
        let asked = scene.asked(asked).await;
        let approval = asked.approval.as_ref().unwrap();
        let command = key.decide(&scene.ledger, approval, decision, Choice::default());
        let decided = scene.run(command).await.unwrap().accepted().unwrap();
        let is_approved = decided.state == ApprovalState::Approved;
        assert_eq!(is_approved, decision == Decision::Approve);
    }
    let events = scene.all().await;
    let decided = events.iter().find_map(|event| match event {
        Event::ApprovalApproved(Approved(decided)) => Some(decided),
        _ => None,
    });
    let decided = decided.unwrap();
    assert_eq!(decided.proof().assurance(), Assurance::SoftwareKey);
    assert!(decided.is_of_one_kind() && decided.client_data_json.as_slice().is_empty());
    let DecisionProof::Software(signature) = decided.proof() else {
        panic!("a command-line key has decided");
    };
    assert_eq!(signature.credential_id, b"laptop");
}

#[tokio::test]
async fn what_a_command_line_key_approved_is_proven_again_when_it_is_used() {
    let (scene, key) = with_key().await;
    let asked = scene.asked("k").await;
    let approval = asked.approval.as_ref().unwrap();
    let command = key.decide(
        &scene.ledger,
        approval,
        Decision::Approve,
        Choice::default(),
    );
    scene.run(command).await.unwrap().accepted().unwrap();
    scene.continued(&asked).await.unwrap();
}

#[tokio::test]
async fn a_signature_counts_for_its_decision_its_statement_and_its_time() {
    let (scene, key) = with_key().await;
    let asked = scene.asked("k").await;
    let approval = asked.approval.as_ref().unwrap();
    let honest = || {
        key.decide(
            &scene.ledger,
            approval,
            Decision::Approve,
            Choice::default(),
        )
    };
    let denied = DecideApproval {
        decision: Decision::Deny,
        ..honest()
    };
    assert_eq!(refused(&scene, denied).await, Rejection::QuestionChanged);
    let denied = DecideApproval {
        decision: Decision::Deny,
        statement: None,
        ..honest()
    };
    let refusal_of = refused(&scene, denied).await;
    assert!(matches!(refusal_of, Rejection::AssertionInvalid { .. }));
    let other = SoftKey::new("another");
    let by_other = other.decide(
        &scene.ledger,
        approval,
        Decision::Approve,
        Choice::default(),
    );
    assert_eq!(
        refused(&scene, by_other).await,
        Rejection::CredentialNotEligible
    );
    let DecisionProof::Software(mut altered) = honest().proof else {
        panic!("a command-line key decides");
    };
    altered.signature[0] ^= 1;
    let altered = DecideApproval {
        proof: altered.into(),
        ..honest()
    };
    let refusal_of = refused(&scene, altered).await;
    assert!(matches!(refusal_of, Rejection::AssertionInvalid { .. }));
    let late = honest();
    scene.clock.advance(Duration::from_secs(90));
    assert_eq!(refused(&scene, late).await, Rejection::ChallengeExpired);
}

#[tokio::test]
async fn a_revoked_key_decides_nothing() {
    let (scene, key) = with_key().await;
    let asked = scene.asked("k").await;
    let approval = asked.approval.as_ref().unwrap();
    let command = key.decide(
        &scene.ledger,
        approval,
        Decision::Approve,
        Choice::default(),
    );
    let revoke = RevokeCredential {
        principal: ledger::ApproverName::unchecked(APPROVER),
        credential_id: key.credential_id(),
        reason: None,
    };
    scene.run(revoke).await.unwrap();
    assert_eq!(
        refused(&scene, command).await,
        Rejection::CredentialNotEligible
    );
}

#[tokio::test]
async fn a_passkeys_answer_does_not_stand_for_a_command_line_key() {
    let (scene, key) = with_key().await;
    let asked = scene.asked("k").await;
    let approval = asked.approval.as_ref().unwrap();
    let mut command = scene
        .alice
        .decide(&scene.ledger, approval, Decision::Approve, None);
    let mut assertion = command.proof.passkey().unwrap().clone();
    assertion.credential_id = key.credential_id().as_slice().to_vec();
    command.proof = assertion.into();
    let refusal_of = refused(&scene, command).await;
    assert!(matches!(refusal_of, Rejection::AssertionInvalid { .. }));
    let mut command = key.decide(
        &scene.ledger,
        approval,
        Decision::Approve,
        Choice::default(),
    );
    let DecisionProof::Software(mut signature) = command.proof else {
        panic!("a command-line key decides");
    };
    signature.credential_id = scene.alice.credential_id().to_vec();
    command.proof = signature.into();
    let refusal_of = refused(&scene, command).await;
    assert!(matches!(refusal_of, Rejection::AssertionInvalid { .. }));
}

#[tokio::test]
async fn only_the_user_adds_a_key_and_only_after_a_passkey() {
    let ledger = TestLedger::open().await;
    let (zoe, session) = shown(&ledger, "zoe", Role::Viewer).await;
    let (_, admin) = shown(&ledger, "ann", Role::Admin).await;
    let key = SoftKey::new("laptop");
    let add = || key.addition(zoe).unwrap();
    let by_admin = ledger.execute(by(&admin), add()).await;
    assert_eq!(refusal(by_admin), Rejection::PasskeyNotEligible);
    // The administrator's route is for approvers alone.
    let principal = User::principal_of(zoe);
    let registered = key.registration(&principal).unwrap();
    let registered = ledger.execute(by(&admin), registered).await;
    assert_eq!(refusal(registered), Rejection::NameReserved);
    let open = open_session(&ledger, zoe, epoch(&ledger, zoe).await);
    let by_pw = ledger.run(open).await.unwrap().session;
    let without = ledger.execute(by(&by_pw), add()).await;
    assert_eq!(refusal(without), Rejection::StepUpRequired);
    ledger.execute(by(&session), add()).await.unwrap();
    let again = ledger.execute(by(&session), add()).await;
    assert_eq!(refusal(again), Rejection::CredentialTaken);
    ledger.clock.advance(Duration::from_secs(5 * 60));
    let other = SoftKey::new("other").addition(zoe).unwrap();
    let late = ledger.execute(by(&session), other).await;
    assert_eq!(refusal(late), Rejection::StepUpRequired);
    consistency::check(&ledger.restart().await).await;
}

#[tokio::test]
async fn a_user_who_never_had_a_passkey_adds_no_key() {
    let ledger = TestLedger::open().await;
    let max = user(&ledger, "max", Role::Viewer).await;
    let session = by_password(&ledger, max).await;
    let added = ledger.execute(by(&session), SoftKey::new("k").addition(max).unwrap());
    assert_eq!(refusal(added.await), Rejection::StepUpRequired);
}

#[tokio::test]
async fn a_key_opens_a_session_of_15_minutes_and_a_challenge_opens_one() {
    let ledger = TestLedger::open().await;
    let (zoe, _, key) = owner(&ledger).await;
    let command = login(&ledger, zoe, &key).await;
    let opened = ledger.run(command.clone()).await.unwrap().session;
    assert_eq!(opened.via, LoginWay::SoftwareKey);
    assert_eq!(opened.key, Some(key.credential_id()));
    assert!(!opened.is_stepped_up(ledger.now()), "it is no passkey");
    let again = ledger.run(command).await;
    assert_eq!(refusal(again), Rejection::LoginFailed);
    let longer = OpenSession {
        expires_at: ledger.now().plus(Duration::from_secs(15 * 60 + 1)),
        ..login(&ledger, zoe, &key).await
    };
    let longer = refusal(ledger.run(longer).await);
    assert_eq!(longer.code(), "invalid_session_life");
    let other_id = OpenSession {
        session_id: SessionId::from_bytes([9; 16]),
        ..login(&ledger, zoe, &key).await
    };
    assert_eq!(refusal(ledger.run(other_id).await), Rejection::LoginFailed);
    let late = login(&ledger, zoe, &key).await;
    ledger.clock.advance(Duration::from_secs(90));
    assert_eq!(refusal(ledger.run(late).await), Rejection::LoginFailed);
    consistency::check(&ledger.restart().await).await;
}

#[tokio::test]
async fn a_principals_key_logs_nobody_in() {
    let scene = Scene::new().await;
    let (zoe, _) = shown(&scene.ledger, "zoe", Role::Admin).await;
    let key = SoftKey::new("of the principal");
    scene
        .run(key.registration(APPROVER).unwrap())
        .await
        .unwrap();
    let command = login(&scene.ledger, zoe, &key).await;
    assert_eq!(refusal(scene.run(command).await), Rejection::LoginFailed);
}

#[tokio::test]
async fn a_session_ends_with_its_key_and_with_nothing_less() {
    let ledger = TestLedger::open().await;
    // The agent of the templates.
    ledger.grant_all().await;
    let (zoe, session, key) = owner(&ledger).await;
    let command = login(&ledger, zoe, &key).await;
    let opened = ledger.run(command).await.unwrap().session;
    let template = || fixtures::commands::create_template("deploy");
    ledger.execute(by(&opened), template()).await.unwrap();
    let revoke = RevokeUserPasskey {
        user_id: zoe,
        credential_id: key.credential_id(),
        reason: None,
    };
    ledger.execute(by(&session), revoke).await.unwrap();
    let ended = ledger.execute(by(&opened), template()).await;
    assert_eq!(refusal(ended), Rejection::SessionEnded);
    assert!(ledger.is_session_key_gone(&opened).await.unwrap());
    // The passkey's session goes on.
    let other = fixtures::commands::create_template("other");
    ledger.execute(by(&session), other).await.unwrap();
    let command = login(&ledger, zoe, &key).await;
    assert_eq!(refusal(ledger.run(command).await), Rejection::LoginFailed);
}

#[tokio::test]
async fn a_session_by_a_key_is_never_stepped_up_and_never_goes_on_as_another() {
    let ledger = TestLedger::open().await;
    let (zoe, session) = shown(&ledger, "zoe", Role::Admin).await;
    let key = SoftKey::new("laptop");
    let added = ledger.execute(by(&session), key.addition(zoe).unwrap());
    added.await.unwrap();
    let opened = login(&ledger, zoe, &key).await;
    let opened = ledger.run(opened).await.unwrap().session;
    let phone = enrolled_again(&ledger, zoe, &session).await;
    let step_up = StepUp {
        session_id: opened.id,
        assertion: phone.prove(&ledger, Ceremony::StepUp(opened.id)).0,
    };
    let stepped_up = ledger.execute(by(&opened), step_up).await;
    assert_eq!(refusal(stepped_up), Rejection::KeySession);
    let everywhere = EndSessions {
        reissue: Some(Reissue {
            session_id: opened.id,
            token_hash: fixtures::people::token_hash(&ledger),
            address: String::new(),
        }),
        ..end_sessions(zoe)
    };
    let ended = ledger.execute(by(&opened), everywhere).await;
    assert_eq!(refusal(ended), Rejection::KeySession);
    let another = SoftKey::new("another").addition(zoe).unwrap();
    let another = ledger.execute(by(&opened), another).await;
    assert_eq!(refusal(another), Rejection::StepUpRequired);
}

async fn enrolled_again(
    ledger: &TestLedger,
    user_id: UserId,
    session: &Session,
) -> fixtures::approver::SoftApprover {
    let invitation = ledger::command::OpenUserEnrolment { user_id };
    let invitation = ledger.execute(by(session), invitation).await.unwrap();
    let passkey =
        fixtures::approver::SoftApprover::with_credential(&User::principal_of(user_id), "tablet");
    let enrol = ledger::command::Enrol {
        enrolment_id: invitation.enrolment_id,
        credential: passkey.new_credential(),
    };
    ledger.run(enrol).await.unwrap();
    passkey
}

#[tokio::test]
async fn the_last_administrator_does_not_give_the_last_passkey_away_for_a_key() {
    let ledger = TestLedger::open().await;
    let first = ledger
        .run(fixtures::people::make_first_admin("ann"))
        .await
        .unwrap();
    let ann = User::named_by(&first.principal).unwrap();
    let phone = fixtures::approver::SoftApprover::with_credential(&first.principal, "ann");
    let session = passkey_login(&ledger, ann, epoch(&ledger, ann).await, &phone);
    let session = ledger.run(session).await.unwrap().session;
    let key = SoftKey::new("laptop");
    let added = ledger.execute(by(&session), key.addition(ann).unwrap());
    added.await.unwrap();
    let revoke = RevokeUserPasskey {
        user_id: ann,
        credential_id: CredentialId::unchecked(phone.credential_id()),
        reason: None,
    };
    let revoked: Result<_, Error> = ledger.execute(by(&session), revoke).await;
    assert_eq!(refusal(revoked), Rejection::LastAdmin);
    let passkeys = ledger.load::<User>(ann).await.unwrap().unwrap();
    assert_eq!(ledger.passkeys_of(&passkeys).await.unwrap().len(), 1);
    assert_eq!(ledger.software_keys_of(&passkeys).await.unwrap().len(), 1);
}

#[tokio::test]
async fn where_a_rule_asks_for_a_passkey_a_command_line_key_does_not_count() {
    let (scene, key) = with_key().await;
    let mut asks = rule("passkey", RuleAction::Ask, always());
    asks.needs[0].assurance = policy::Assurance::Passkey;
    put(&scene, 1, Some(policy_of([asks]))).await;
    let asked = scene.submitted("k", vec![purge()]).await;
    let approval = asked.approval.as_ref().unwrap();
    for decision in [Decision::Approve, Decision::Deny] {
        let command = key.decide(&scene.ledger, approval, decision, Choice::default());
        assert_eq!(refused(&scene, command).await, Rejection::VoterNotEligible);
    }
    scene.decided(&asked, Decision::Approve).await;
}
