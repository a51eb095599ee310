//! Passkeys of users: those that log in, step-up, principals that are linked, and what a user who is gone
//! decides.

mod linked;

use crate::consistency;
use crate::scene::{Scene, refusal};
use fixtures::approver::SoftApprover;
use fixtures::commands::{agent, continue_apply, ssl_mode};
use fixtures::history::History;
use fixtures::people::{
    by, change_user, create_user, delete_user, end_sessions, enrol, make_first_admin, open_session,
    passkey_login, set_password,
};
use fixtures::rules::TestRules;
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::aggregate::{Session, User};
use ledger::audit::Check;
use ledger::command::{
    ChangeUser, CreateUser, Enrol, LinkPrincipal, LoginProof, OpenEnrolment, OpenSession,
    OpenUserEnrolment, PutCredential, RevokeCredential, RevokeUserPasskey, StepUp,
};
use ledger::{
    ApproverName, Ceremony, Challenge, CredentialId, Decision, Error, Event, Rejection, Role,
    SessionId, UserId,
};
use std::sync::Arc;
use std::time::Duration;

pub(crate) async fn user(ledger: &TestLedger, name: &str, role: Role) -> UserId {
    ledger.run(create_user(name, role)).await.unwrap().id
}

async fn epoch(ledger: &TestLedger, user: UserId) -> u64 {
    ledger.load::<User>(user).await.unwrap().unwrap().epoch
}

pub(crate) async fn by_password(ledger: &TestLedger, user: UserId) -> Arc<Session> {
    let login = open_session(ledger, user, epoch(ledger, user).await);
    ledger.run(login).await.unwrap().session
}

async fn login(ledger: &TestLedger, user: UserId, passkey: &SoftApprover) -> OpenSession {
    passkey_login(ledger, user, epoch(ledger, user).await, passkey)
}

fn id_of(passkey: &SoftApprover) -> CredentialId {
    CredentialId::unchecked(passkey.credential_id())
}

pub(crate) async fn link(
    ledger: &TestLedger,
    session: &Session,
    passkey: &SoftApprover,
) -> Result<Arc<User>, Error> {
    let principal = passkey.principal().clone();
    let ceremony = Ceremony::Link(session.user_id, principal.clone());
    let command = LinkPrincipal {
        user_id: session.user_id,
        principal,
        assertion: passkey.prove(ledger, ceremony).0,
    };
    ledger.execute(by(session), command).await
}

fn set_disabled(user: UserId, disabled: bool) -> ChangeUser {
    ChangeUser {
        disabled: Some(disabled),
        ..change_user(user)
    }
}

#[tokio::test]
async fn a_user_logs_in_by_a_passkey_of_their_own_and_a_challenge_opens_one_session() {
    let ledger = TestLedger::open().await;
    let zoe = user(&ledger, "zoe", Role::Admin).await;
    let phone = enrol(&ledger, zoe, "phone").await;
    let found = ledger.user_of_passkey(&id_of(&phone)).await.unwrap();
    assert_eq!(found.unwrap().id, zoe);
    let command = login(&ledger, zoe, &phone).await;
    let opened = ledger.run(command.clone()).await.unwrap().session;
    assert!(opened.is_stepped_up(ledger.now()), "a passkey was shown");
    assert_eq!(
        refusal(ledger.run(command).await),
        Rejection::LoginFailed,
        "the challenge has opened one"
    );
    // Under another id it is not the session of that challenge.
    let other = OpenSession {
        session_id: SessionId::from_bytes([9; 16]),
        ..login(&ledger, zoe, &phone).await
    };
    assert_eq!(refusal(ledger.run(other).await), Rejection::LoginFailed);
    let late = login(&ledger, zoe, &phone).await;
    ledger.clock.advance(Duration::from_secs(90));
    assert_eq!(refusal(ledger.run(late).await), Rejection::LoginFailed);
    consistency::check(&ledger.restart().await).await;
}

#[tokio::test]
async fn an_authenticator_without_a_counter_opens_one_session_by_one_challenge_too() {
    let ledger = TestLedger::open().await;
    let zoe = user(&ledger, "zoe", Role::Admin).await;
    enrol(&ledger, zoe, "phone").await;
    let principal = User::principal_of(zoe);
    let phone = SoftApprover::with_credential(&principal, "phone").without_counter();
    let command = login(&ledger, zoe, &phone).await;
    let (one, two) = tokio::join!(ledger.run(command.clone()), ledger.run(command));
    one.unwrap();
    assert_eq!(refusal(two), Rejection::LoginFailed);
}

#[tokio::test]
async fn what_was_signed_for_one_thing_is_nothing_for_another() {
    let scene = Scene::new().await;
    let zoe = user(&scene.ledger, "zoe", Role::Admin).await;
    let phone = enrol(&scene.ledger, zoe, "phone").await;
    let session = by_password(&scene.ledger, zoe).await;
    // A decision is no login.
    let asked = scene.asked("k").await;
    let approval = asked.approval.as_ref().unwrap();
    let decide = scene
        .alice
        .decide(&scene.ledger, approval, Decision::Approve, None);
    let signed = decide.proof.passkey().unwrap().clone();
    let challenge = signed.challenge().unwrap();
    let as_login = OpenSession {
        session_id: SessionId::from_bytes(*challenge.nonce()),
        proof: LoginProof::Passkey(signed),
        ..login(&scene.ledger, zoe, &phone).await
    };
    let shown = login(&scene.ledger, zoe, &phone).await;
    let shown = scene.run(shown).await.unwrap().session;
    link(&scene.ledger, &shown, &scene.alice).await.unwrap();
    let refused = refusal(scene.run(as_login).await);
    assert_eq!(refused, Rejection::LoginFailed);
    // A login is no decision, and no step-up.
    let (assertion, _) = scene.alice.prove(&scene.ledger, Ceremony::Login);
    let as_decision = ledger::command::DecideApproval {
        proof: assertion.into(),
        ..decide
    };
    let refused = refusal(scene.run(as_decision).await);
    assert!(matches!(refused, Rejection::AssertionInvalid { .. }));
    let (assertion, _) = phone.prove(&scene.ledger, Ceremony::Login);
    let session_id = session.id;
    let as_step_up = StepUp {
        session_id,
        assertion,
    };
    let refused = refusal(scene.run(as_step_up).await);
    assert!(matches!(refused, Rejection::AssertionInvalid { .. }));
}

#[tokio::test]
async fn a_step_up_counts_for_five_minutes_of_one_session_and_once() {
    let ledger = TestLedger::open().await;
    let zoe = user(&ledger, "zoe", Role::Admin).await;
    enrol(&ledger, zoe, "phone").await;
    let principal = User::principal_of(zoe);
    let phone = SoftApprover::with_credential(&principal, "phone").without_counter();
    let (session, other) = (
        by_password(&ledger, zoe).await.id,
        by_password(&ledger, zoe).await.id,
    );
    let (assertion, _) = phone.prove(&ledger, Ceremony::StepUp(session));
    let step_up = |session_id| StepUp {
        session_id,
        assertion: assertion.clone(),
    };
    let refused = refusal(ledger.run(step_up(other)).await);
    assert!(matches!(refused, Rejection::AssertionInvalid { .. }));
    let stepped_up = ledger.run(step_up(session)).await.unwrap();
    let minutes = Duration::from_secs(5 * 60);
    assert_eq!(stepped_up.step_up_until, Some(ledger.now().plus(minutes)));
    assert_eq!(
        refusal(ledger.run(step_up(session)).await),
        Rejection::ChallengeUsed
    );
    ledger.run(set_password(zoe)).await.unwrap();
    let (assertion, _) = phone.prove(&ledger, Ceremony::StepUp(session));
    let late = StepUp {
        session_id: session,
        assertion,
    };
    assert_eq!(refusal(ledger.run(late).await), Rejection::SessionEnded);
    consistency::check(&ledger.restart().await).await;
}

#[tokio::test]
async fn of_a_linked_principal_only_the_passkey_that_was_shown_logs_in() {
    let scene = Scene::new().await;
    let zoe = user(&scene.ledger, "zoe", Role::Admin).await;
    let session = by_password(&scene.ledger, zoe).await;
    link(&scene.ledger, &session, &scene.alice).await.unwrap();
    let command = login(&scene.ledger, zoe, &scene.alice).await;
    scene.run(command).await.unwrap();
    // Whoever may register approvers would be an administrator otherwise.
    let added = SoftApprover::with_credential(scene.alice.principal(), "added");
    scene.run(added.registration()).await.unwrap();
    let command = login(&scene.ledger, zoe, &added).await;
    assert_eq!(refusal(scene.run(command).await), Rejection::LoginFailed);
    let found = scene.user_of_passkey(&id_of(&added)).await.unwrap();
    assert_eq!(found, None);
    let user = scene.load::<User>(zoe).await.unwrap().unwrap();
    let passkeys = scene.passkeys_of(&user).await.unwrap();
    let ids: Vec<_> = passkeys.iter().map(|known| &known.credential_id).collect();
    assert_eq!(ids, [&id_of(&scene.alice)]);
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_principal_is_one_living_users() {
    let scene = Scene::new().await;
    let root = user(&scene.ledger, "root", Role::Admin).await;
    let zoe = user(&scene.ledger, "zoe", Role::Viewer).await;
    let (first, second) = (
        by_password(&scene.ledger, root).await,
        by_password(&scene.ledger, zoe).await,
    );
    link(&scene.ledger, &second, &scene.alice).await.unwrap();
    let refused = refusal(link(&scene.ledger, &first, &scene.alice).await);
    assert_eq!(refused, Rejection::PrincipalLinked);
    scene.run(delete_user(zoe)).await.unwrap();
    link(&scene.ledger, &first, &scene.alice).await.unwrap();
    let found = scene.user_of_passkey(&id_of(&scene.alice)).await.unwrap();
    assert_eq!(found.unwrap().id, root);
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn what_registers_approvers_does_not_reach_passkeys_of_users() {
    let ledger = TestLedger::open().await;
    let zoe = user(&ledger, "zoe", Role::Admin).await;
    let phone = enrol(&ledger, zoe, "phone").await;
    let principal = User::principal_of(zoe);
    let added = SoftApprover::with_credential(&principal, "added");
    let put = PutCredential {
        principal: principal.clone(),
        credential: added.new_credential(),
        reason: None,
    };
    let open = OpenEnrolment {
        principal: principal.clone(),
    };
    let revoke = RevokeCredential {
        principal,
        credential_id: id_of(&phone),
        reason: None,
    };
    for refused in [
        refusal(ledger.run(put).await),
        refusal(ledger.run(open).await),
        refusal(ledger.run(revoke).await),
    ] {
        assert_eq!(refused, Rejection::NameReserved);
    }
}

#[tokio::test]
async fn an_invitation_of_a_user_who_is_disabled_is_good_for_nothing() {
    let ledger = TestLedger::open().await;
    user(&ledger, "root", Role::Admin).await;
    let zoe = user(&ledger, "zoe", Role::Viewer).await;
    let invitation = ledger
        .run(OpenUserEnrolment { user_id: zoe })
        .await
        .unwrap();
    ledger.run(set_disabled(zoe, true)).await.unwrap();
    let phone = SoftApprover::with_credential(&User::principal_of(zoe), "phone");
    let enrol = Enrol {
        enrolment_id: invitation.enrolment_id,
        credential: phone.new_credential(),
    };
    assert_eq!(refusal(ledger.run(enrol).await), Rejection::EnrolmentEnded);
}

#[tokio::test]
async fn an_invitation_of_a_user_ends_with_the_sessions_of_before() {
    let ledger = TestLedger::open().await;
    let zoe = user(&ledger, "zoe", Role::Admin).await;
    let session = by_password(&ledger, zoe).await;
    let invite = OpenUserEnrolment { user_id: zoe };
    let enrol = |invited: ledger::command::OpenedEnrolment| {
        let phone = SoftApprover::with_credential(&User::principal_of(zoe), "phone");
        ledger.run(Enrol {
            enrolment_id: invited.enrolment_id,
            credential: phone.new_credential(),
        })
    };
    // Of the moment of their creation nobody has a session that is to end.
    let of_creation = ledger.execute(by(&session), invite).await.unwrap();
    ledger.clock.advance(Duration::from_secs(1));
    let taken = ledger.execute(by(&session), invite).await.unwrap();
    // In the same moment too: what came first cannot be told by the time.
    ledger.run(end_sessions(zoe)).await.unwrap();
    for ended in [of_creation, taken, ledger.run(invite).await.unwrap()] {
        assert_eq!(refusal(enrol(ended).await), Rejection::EnrolmentEnded);
    }
    ledger.clock.advance(Duration::from_micros(1));
    let fresh = ledger.run(invite).await.unwrap();
    enrol(fresh).await.unwrap();
    consistency::check(&ledger.restart().await).await;
}

#[tokio::test]
async fn the_last_administrator_keeps_the_passkey_that_is_the_only_way_in() {
    let ledger = TestLedger::open().await;
    let root = CreateUser {
        password: None,
        ..create_user("root", Role::Admin)
    };
    let root = ledger.run(root).await.unwrap().id;
    let phone = enrol(&ledger, root, "phone").await;
    let refused = refusal(ledger.run(delete_user(root)).await);
    assert_eq!(refused, Rejection::LastAdmin, "it can log in by passkey");
    let revoke = || RevokeUserPasskey {
        user_id: root,
        credential_id: id_of(&phone),
        reason: None,
    };
    assert_eq!(refusal(ledger.run(revoke()).await), Rejection::LastAdmin);
    enrol(&ledger, root, "key").await;
    ledger.run(revoke()).await.unwrap();
    let command = login(&ledger, root, &phone).await;
    assert_eq!(refusal(ledger.run(command).await), Rejection::LoginFailed);
    consistency::check(&ledger.restart().await).await;
}

#[tokio::test]
async fn the_principals_of_a_user_who_is_disabled_or_deleted_decide_nothing() {
    let ledger = TestLedger::open().await;
    let root = user(&ledger, "root", Role::Admin).await;
    let zoe = user(&ledger, "zoe", Role::Viewer).await;
    let phone = enrol(&ledger, zoe, "phone").await;
    let approvers = vec![
        ApproverName::unchecked(fixtures::rules::APPROVER),
        User::principal_of(zoe),
    ];
    let rules = TestRules {
        approvers,
        ..TestRules::default()
    };
    let ledger = ledger.close().await.with_rules(rules.build());
    let ledger = ledger.open().await.unwrap();
    let token = ledger.task().await;
    let alice = SoftApprover::new(fixtures::rules::APPROVER);
    ledger.run(alice.registration()).await.unwrap();
    let scene = Scene {
        ledger,
        alice,
        token,
    };
    let decide = |scene: &Scene, asked: &ledger::command::Submitted, by: &SoftApprover| {
        let approval = asked.approval.as_ref().unwrap();
        by.decide(&scene.ledger, approval, Decision::Approve, None)
    };
    let refused_at_consumption = async |scene: &Scene, asked: &ledger::command::Submitted| {
        let command = continue_apply(&scene.token, asked);
        match refusal(scene.execute(agent(&scene.token), command).await) {
            Rejection::ApprovalUnproven { is_forged, .. } => assert!(!is_forged),
            other => panic!("{other:?}"),
        }
    };
    // At the decision, and once more when it is used.
    let first = scene.asked("first").await;
    let command = decide(&scene, &first, &phone);
    scene.run(command).await.unwrap().accepted().unwrap();
    scene.run(set_disabled(zoe, true)).await.unwrap();
    refused_at_consumption(&scene, &first).await;
    let operations = vec![ssl_mode("flexible")];
    let second = scene.submitted("second", operations).await;
    let command = decide(&scene, &second, &phone);
    let refused = refusal(scene.run(command).await);
    assert_eq!(refused, Rejection::CredentialNotEligible);
    scene.run(set_disabled(zoe, false)).await.unwrap();
    scene.continued(&first).await.unwrap();
    // The same for a principal that a user has shown to be theirs.
    let session = login(&scene.ledger, zoe, &phone).await;
    let session = scene.run(session).await.unwrap().session;
    link(&scene.ledger, &session, &scene.alice).await.unwrap();
    scene.decided(&second, Decision::Approve).await;
    scene.run(delete_user(zoe)).await.unwrap();
    refused_at_consumption(&scene, &second).await;
    let third = scene.asked("third").await;
    let command = decide(&scene, &third, &scene.alice);
    let refused = refusal(scene.run(command).await);
    assert_eq!(refused, Rejection::CredentialNotEligible);
    assert_eq!(epoch(&scene.ledger, root).await, 1);
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_session_alone_makes_nobody_another_way_in() {
    let scene = Scene::new().await;
    let ledger = &scene.ledger;
    user(ledger, "root", Role::Admin).await;
    let zoe = user(ledger, "zoe", Role::Admin).await;
    let bob = user(ledger, "bob", Role::Viewer).await;
    let session = by_password(ledger, zoe).await;
    let invite = async |session: &Session, user_id| {
        let command = OpenUserEnrolment { user_id };
        ledger.execute(by(session), command).await
    };
    let remove = async |session: &Session, passkey: &SoftApprover| {
        let command = RevokeUserPasskey {
            user_id: zoe,
            credential_id: id_of(passkey),
            reason: None,
        };
        ledger.execute(by(session), command).await
    };
    // Nobody has shown what they do not have yet; that is so for one's own first one alone.
    invite(&session, zoe).await.unwrap();
    let refused = refusal(invite(&session, bob).await);
    assert_eq!(refused, Rejection::StepUpRequired);
    let phone = enrol(ledger, zoe, "phone").await;
    for refused in [
        refusal(invite(&session, zoe).await),
        refusal(remove(&session, &phone).await),
        // Somebody with a passkey that decides, and a session that is not theirs.
        refusal(link(ledger, &session, &scene.alice).await),
    ] {
        assert_eq!(refused, Rejection::StepUpRequired);
    }
    let shown = login(ledger, zoe, &phone).await;
    let shown = ledger.run(shown).await.unwrap().session;
    ledger.clock.advance(Duration::from_secs(299));
    invite(&shown, zoe).await.unwrap();
    invite(&shown, bob).await.unwrap();
    link(ledger, &shown, &scene.alice).await.unwrap();
    remove(&shown, &scene.alice).await.unwrap();
    let gone = refusal(remove(&shown, &scene.alice).await);
    assert_eq!(gone, Rejection::CredentialNotFound);
    ledger.clock.advance(Duration::from_secs(1));
    for refused in [
        refusal(invite(&shown, zoe).await),
        refusal(remove(&shown, &phone).await),
    ] {
        assert_eq!(refused, Rejection::StepUpRequired);
    }
    consistency::check(&scene.ledger.restart().await).await;
}

#[tokio::test]
async fn a_session_alone_gives_nobody_a_first_password() {
    let ledger = TestLedger::open().await;
    user(&ledger, "root", Role::Admin).await;
    let zoe = CreateUser {
        password: None,
        ..create_user("zoe", Role::Viewer)
    };
    let zoe = ledger.run(zoe).await.unwrap().id;
    let phone = enrol(&ledger, zoe, "phone").await;
    let session = login(&ledger, zoe, &phone).await;
    let session = ledger.run(session).await.unwrap().session;
    let set = || ledger.execute(by(&session), set_password(zoe));
    ledger.clock.advance(Duration::from_secs(5 * 60));
    assert_eq!(refusal(set().await), Rejection::StepUpRequired);
    let (assertion, _) = phone.prove(&ledger, Ceremony::StepUp(session.id));
    let step_up = StepUp {
        session_id: session.id,
        assertion,
    };
    ledger.run(step_up).await.unwrap();
    set().await.unwrap();
    consistency::check(&ledger).await;
    let mut history = History::read(ledger.close().await.path());
    let [stepped_up, set] = ["session.stepped_up", "user.password_set"].map(|it| history.last(it));
    let at = history.record(set).header.recorded_at;
    history.alter(stepped_up, |event| {
        if let Event::SteppedUp(stepped_up) = event {
            stepped_up.until = at;
        }
    });
    linked::is_found(&mut history, Check::Passkey, set);
}

#[tokio::test]
async fn only_a_challenge_of_this_service_logs_in() {
    let ledger = TestLedger::with(Setup::default()).await;
    let zoe = user(&ledger, "zoe", Role::Admin).await;
    let phone = enrol(&ledger, zoe, "phone").await;
    let rules = ledger.rules();
    let statement = ledger::IdentityStatement {
        ledger_id: ledger.id(),
        ceremony: Ceremony::Login,
    };
    let key = ledger::ChallengeKey::derive(b"another secret, which is not ours");
    let until = ledger.now().plus(Duration::from_secs(60));
    let challenge = Challenge::issue(&key, [7; 16], until, &statement);
    let assertion = phone.assert(&rules.rp_id, &rules.origin, &challenge.to_bytes());
    let command = OpenSession {
        session_id: SessionId::from_bytes([7; 16]),
        proof: LoginProof::Passkey(assertion),
        ..login(&ledger, zoe, &phone).await
    };
    assert_eq!(refusal(ledger.run(command).await), Rejection::LoginFailed);
}

#[tokio::test]
async fn an_invitation_of_a_first_administrator_ends_when_another_one_is_made() {
    for by_link in [true, false] {
        let ledger = TestLedger::open().await;
        let invited = |name| CreateUser {
            password: None,
            is_first: true,
            ..create_user(name, Role::Admin)
        };
        let ann = ledger.run(invited("ann")).await.unwrap().id;
        ledger.clock.advance(Duration::from_secs(1));
        let left = ledger
            .run(OpenUserEnrolment { user_id: ann })
            .await
            .unwrap();
        ledger.clock.advance(Duration::from_secs(1));
        match by_link {
            true => drop(ledger.run(make_first_admin("bob")).await.unwrap()),
            false => drop(ledger.run(invited("bob")).await.unwrap()),
        }
        let phone = SoftApprover::with_credential(&User::principal_of(ann), "phone");
        let enrol = Enrol {
            enrolment_id: left.enrolment_id,
            credential: phone.new_credential(),
        };
        assert_eq!(refusal(ledger.run(enrol).await), Rejection::EnrolmentEnded);
        consistency::check(&ledger.restart().await).await;
    }
}

#[tokio::test]
async fn the_first_administrator_and_the_passkey_are_one_commit_and_there_is_one() {
    let ledger = TestLedger::open().await;
    let size = *ledger.size().borrow();
    let (ann, bob) = tokio::join!(
        ledger.run(make_first_admin("ann")),
        ledger.run(make_first_admin("bob"))
    );
    let made = ann.unwrap();
    assert_eq!(refusal(bob), Rejection::AdminExists);
    let users = ledger.users().await.unwrap();
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["ann"]);
    assert_eq!(made.principal, users[0].principal());
    assert_eq!(ledger.passkeys_of(&users[0]).await.unwrap().len(), 1);
    let events = ledger.log().events_from(size, 10).await.unwrap();
    let commands: Vec<_> = events.iter().map(|it| it.envelope.command_id).collect();
    assert_eq!(events.len(), 4);
    assert!(commands.iter().all(|command| *command == commands[0]));
    let again = ledger.run(make_first_admin("cis")).await;
    assert_eq!(refusal(again), Rejection::AdminExists);
    consistency::check(&ledger).await;
}

#[tokio::test]
async fn a_first_administrator_whose_passkey_is_known_leaves_nothing() {
    let ledger = TestLedger::open().await;
    let command = make_first_admin("ann");
    let known = PutCredential {
        principal: ApproverName::unchecked("alice"),
        credential: command.credential.clone(),
        reason: None,
    };
    ledger.run(known).await.unwrap();
    let size = *ledger.size().borrow();
    assert_eq!(
        refusal(ledger.run(command).await),
        Rejection::CredentialTaken
    );
    assert_eq!(*ledger.size().borrow(), size);
    assert!(ledger.users().await.unwrap().is_empty());
}
