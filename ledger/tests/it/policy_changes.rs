//! Changes of the policy that people decide about: who may, what becomes of the others, and when it is in force.

use crate::audit::{altered, is_found};
use crate::passkeys::by_password;
use crate::scene::{Scene, refusal, refused};
use crate::votes::{People, of};
use fixtures::approver::SoftApprover;
use fixtures::history::History;
use fixtures::people::{by, passkey_login};
use fixtures::policies::{policy, put};
use fixtures::rules::TestRules;
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::aggregate::{Approval, ApprovalState, User};
use ledger::audit::Check;
use ledger::command::{
    ChangeGroup, ExpireApproval, PolicyChanging, PutPolicy, RollbackPolicy, SetLock,
};
use ledger::event::{Actor, Event, LockTarget};
use ledger::policy::{DefaultAction, Need, NeedGroup, Policy, PolicyChange};
use ledger::{
    Binding, Breadth, CallbackId, Decision, GroupId, KeptMode, Notifier, Origin, QuestionKind,
    Rejection, Retention,
};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn wanting(needs: &[Need]) -> Policy {
    Policy {
        policy_change: Some(PolicyChange {
            needs: needs.to_vec(),
        }),
        ..policy()
    }
}

pub(crate) fn denying() -> Policy {
    Policy {
        default: DefaultAction::Deny,
        ..policy()
    }
}

/// Anna, Ben and Carl, of whom two of `security` approve a change.
pub(crate) async fn people() -> (People, GroupId) {
    let people = People::of(["anna", "ben", "carl"]).await;
    let security = people.group("security", &[0, 1, 2]).await;
    let saved = people.ledger.run(put(wanting(&[of(security, 2)]), 0)).await;
    assert_eq!(saved.unwrap().changed().unwrap().version, 1);
    (people, security)
}

/// A session in which somebody has just shown their passkey.
pub(crate) async fn fresh(people: &People, who: usize) -> Origin {
    let user = people.users[who];
    let epoch = people.load::<User>(user).await.unwrap().unwrap().epoch;
    let login = passkey_login(&people.ledger, user, epoch, &people.passkeys[who]);
    by(&people.ledger.run(login).await.unwrap().session)
}

pub(crate) async fn proposed(people: &People, who: usize, policy: Policy) -> Arc<Approval> {
    let follows = people.policy().version;
    let by = fresh(people, who).await;
    let changing = people.execute(by, put(policy, follows)).await.unwrap();
    let PolicyChanging::Asked(approval) = changing else {
        panic!("a change was made that people decide about");
    };
    approval
}

async fn answers(
    ledger: &TestLedger,
    passkey: &SoftApprover,
    approval: &Approval,
    decision: Decision,
) -> Arc<Approval> {
    let now: Arc<Approval> = ledger.load(approval.id).await.unwrap().unwrap();
    let command = passkey.decide(ledger, &now, decision, None);
    ledger.run(command).await.unwrap().accepted().unwrap()
}

pub(crate) async fn approves(people: &People, who: usize, approval: &Approval) -> Arc<Approval> {
    let passkey = &people.passkeys[who];
    answers(&people.ledger, passkey, approval, Decision::Approve).await
}

async fn state(people: &People, approval: &Approval) -> ApprovalState {
    let now: Arc<Approval> = people.load(approval.id).await.unwrap().unwrap();
    now.state
}

async fn audited(people: People) {
    let ledger = people.scene.ledger.restart().await;
    crate::consistency::check(&ledger).await;
    let closed = ledger.close().await;
    History::read(closed.path()).assert_verified();
}

#[tokio::test]
async fn a_change_is_in_force_with_the_last_approval_that_it_needs() {
    let (people, _) = people().await;
    let asked = proposed(&people, 0, denying()).await;
    assert_eq!(asked.kind(), QuestionKind::PolicyChange);
    assert_eq!((asked.task_id(), people.policy().version), (None, 1));
    let from = people.scene.size_now();
    let voted = approves(&people, 1, &asked).await;
    assert_eq!(voted.state, ApprovalState::Pending);
    assert_eq!(people.policy().version, 1);
    let approved = approves(&people, 2, &asked).await;
    assert_eq!(approved.state, ApprovalState::Approved);
    assert_eq!(people.policy().version, 2);
    let digest = people.policy().in_force.as_ref().unwrap().digest;
    assert_eq!(digest, denying().digest());
    let events = people.scene.since(from).await;
    let [.., approved, changed] = events.as_slice() else {
        panic!("{events:?}");
    };
    let names = [approved.event.name(), changed.event.name()];
    assert_eq!(names, ["approval.approved", "policy.changed"]);
    assert_eq!(approved.envelope.command_id, changed.envelope.command_id);
    // What took effect waits for nothing and does not lapse.
    people.clock.advance(Duration::from_secs(90_000));
    let approval_id = asked.id;
    assert!(
        !people
            .ledger
            .run(ExpireApproval { approval_id })
            .await
            .unwrap()
    );
    audited(people).await;
}

#[tokio::test]
async fn who_wants_a_change_never_approves_it_whatever_the_policy_says_of_ones_own() {
    let people = People::of(["anna", "ben"]).await;
    let security = people.group("security", &[0, 1]).await;
    let own = Policy {
        self_approval: true,
        ..wanting(&[of(security, 1)])
    };
    people.ledger.run(put(own, 0)).await.unwrap();
    let asked = proposed(&people, 0, denying()).await;
    let command = people.passkeys[0].decide(&people.ledger, &asked, Decision::Approve, None);
    assert_eq!(
        refused(&people.scene, command).await,
        Rejection::VoterExcluded
    );
    approves(&people, 1, &asked).await;
    assert_eq!(people.policy().version, 2);
    audited(people).await;
}

#[tokio::test]
async fn the_change_that_gets_in_withdraws_the_others() {
    let (people, security) = people().await;
    let first = proposed(&people, 0, denying()).await;
    let second = proposed(&people, 1, policy()).await;
    let back = RollbackPolicy {
        version: 0,
        follows: 1,
    };
    let third = people.execute(fresh(&people, 2).await, back).await.unwrap();
    let third = Arc::clone(third.asked().unwrap());
    approves(&people, 0, &second).await;
    approves(&people, 2, &second).await;
    assert_eq!(people.policy().version, 2);
    for other in [&first, &third] {
        assert_eq!(state(&people, other).await, ApprovalState::Cancelled);
        let command = people.passkeys[1].decide(&people.ledger, other, Decision::Approve, None);
        let refused = refused(&people.scene, command).await;
        assert_eq!(refused, Rejection::CancelledByPolicy);
    }
    // The version that is in force now has nobody decide.
    let saved = people.ledger.run(put(wanting(&[of(security, 1)]), 2)).await;
    assert_eq!(saved.unwrap().changed().unwrap().version, 3);
    audited(people).await;
}

#[tokio::test]
async fn a_change_that_was_asked_before_a_restart_is_made_after_it() {
    let (people, _) = people().await;
    let asked = proposed(&people, 0, denying()).await;
    approves(&people, 1, &asked).await;
    let other = proposed(&people, 1, policy()).await;
    let People {
        scene,
        passkeys,
        users,
    } = people;
    let scene = crate::scene::Scene {
        ledger: scene.ledger.restart().await,
        ..scene
    };
    let people = People {
        scene,
        passkeys,
        users,
    };
    approves(&people, 2, &asked).await;
    assert_eq!(people.policy().version, 2);
    assert_eq!(state(&people, &other).await, ApprovalState::Cancelled);
    audited(people).await;
}

#[tokio::test]
async fn a_change_that_is_denied_or_that_nobody_decides_changes_nothing() {
    let (people, _) = people().await;
    let denied = proposed(&people, 0, denying()).await;
    let passkey = &people.passkeys[1];
    let denied = answers(&people.ledger, passkey, &denied, Decision::Deny).await;
    assert_eq!(denied.state, ApprovalState::Denied);
    let expired = proposed(&people, 0, denying()).await;
    assert_ne!(expired.id, denied.id);
    people.clock.advance(Duration::from_secs(90_000));
    let approval_id = expired.id;
    assert!(
        people
            .ledger
            .run(ExpireApproval { approval_id })
            .await
            .unwrap()
    );
    assert_eq!(state(&people, &expired).await, ApprovalState::Expired);
    assert_eq!(people.policy().version, 1);
    audited(people).await;
}

#[tokio::test]
async fn the_same_change_is_not_asked_twice_while_it_waits() {
    let (people, _) = people().await;
    let first = proposed(&people, 0, denying()).await;
    let again = proposed(&people, 0, denying()).await;
    assert_eq!(first.id, again.id);
    // Of somebody else it excludes another person.
    let others = proposed(&people, 1, denying()).await;
    assert_ne!(first.id, others.id);
    audited(people).await;
}

#[tokio::test]
async fn a_change_that_could_not_be_saved_any_more_is_not_approved() {
    let (people, _) = people().await;
    let few = people.group("few", &[0, 1]).await;
    let asked = proposed(&people, 0, wanting(&[of(few, 2)])).await;
    approves(&people, 1, &asked).await;
    let smaller = ChangeGroup {
        group_id: few,
        name: None,
        members: Some(vec![people.users[0]]),
        reason: None,
    };
    people.ledger.run(smaller).await.unwrap();
    let now: Arc<Approval> = people.load(asked.id).await.unwrap().unwrap();
    let last = people.passkeys[2].decide(&people.ledger, &now, Decision::Approve, None);
    assert_eq!(refused(&people.scene, last).await.code(), "policy_invalid");
    assert_eq!(state(&people, &asked).await, ApprovalState::Pending);
    assert_eq!(people.policy().version, 1);
    audited(people).await;
}

#[tokio::test]
async fn a_change_that_only_its_author_could_approve_is_refused() {
    let people = People::of(["anna", "ben"]).await;
    let security = people.group("security", &[0]).await;
    people
        .ledger
        .run(put(wanting(&[of(security, 1)]), 0))
        .await
        .unwrap();
    let by = fresh(&people, 0).await;
    let refused = refusal(people.execute(by, put(denying(), 1)).await);
    assert_eq!(refused.code(), "approval_unsatisfiable");
    // And a document that nobody could ever change is not saved.
    let both = wanting(&[of(security, 2)]);
    let by = fresh(&people, 1).await;
    let refused = refusal(people.execute(by, put(both, 1)).await);
    assert_eq!(refused.code(), "policy_invalid");
    audited(people).await;
}

#[tokio::test]
async fn a_lock_on_who_wants_a_change_ends_it() {
    let (people, _) = people().await;
    let asked = proposed(&people, 0, denying()).await;
    let lock = SetLock {
        target: LockTarget::User(people.users[0]),
        reason: "drill".to_owned(),
        duration: None,
    };
    people.ledger.run(lock).await.unwrap();
    let command = people.passkeys[1].decide(&people.ledger, &asked, Decision::Approve, None);
    let refused = refused(&people.scene, command).await;
    assert_eq!(refused.code(), "locked");
    audited(people).await;
}

#[tokio::test]
async fn an_approval_of_a_change_is_not_kept_for_later_ones() {
    let (people, _) = people().await;
    let asked = proposed(&people, 0, denying()).await;
    let kept = Retention {
        mode: KeptMode::Cache,
        breadth: Breadth::Exact,
        binding: Binding::Agent,
        until: Some(people.now().plus(Duration::from_secs(60))),
    };
    let command = people.passkeys[1].keep(&people.ledger, &asked, Decision::Approve, kept);
    let refused = refused(&people.scene, command).await;
    assert_eq!(refused.code(), "retention_not_allowed");
    audited(people).await;
}

#[tokio::test]
async fn a_signature_about_one_change_is_none_about_another() {
    let (people, _) = people().await;
    let first = proposed(&people, 0, denying()).await;
    let second = proposed(&people, 0, policy()).await;
    let about = |asked| people.passkeys[1].decide(&people.ledger, asked, Decision::Approve, None);
    let mut of_first = about(&first);
    of_first.approval_id = second.id;
    let mut in_words_of_second = of_first.clone();
    in_words_of_second.statement = about(&second).statement;
    for (command, code) in [
        (of_first, "question_changed"),
        (in_words_of_second, "assertion_invalid"),
    ] {
        let refused = refused(&people.scene, command).await;
        assert_eq!(refused.code(), code);
    }
    audited(people).await;
}

#[tokio::test]
async fn a_password_alone_proposes_no_change() {
    let (people, _) = people().await;
    let plain = by(&*by_password(&people.ledger, people.users[0]).await);
    let refused = refusal(people.execute(plain, put(denying(), 1)).await);
    assert_eq!(refused, Rejection::StepUpRequired);
    let none = people.scene.all().await;
    assert!(
        !none
            .iter()
            .any(|event| matches!(event, Event::ApprovalAsked(_)))
    );
}

/// Who is to decide is told of every question, not of those about applies alone.
#[tokio::test]
async fn notifiers_are_told_of_a_change_that_people_decide_about() {
    let rules = TestRules {
        notifiers: vec![Notifier::Slack, Notifier::Email],
        ..TestRules::default()
    };
    let setup = Setup {
        rules: rules.build(),
        ..Setup::default()
    };
    let people = People::over(Scene::with(setup).await, ["anna", "ben", "carl"]).await;
    let security = people.group("security", &[0, 1, 2]).await;
    let saved = people.ledger.run(put(wanting(&[of(security, 2)]), 0)).await;
    assert!(saved.unwrap().changed().is_some());
    let asked = proposed(&people, 0, denying()).await;
    let events = people.all().await.into_iter();
    let owed: Vec<_> = events
        .filter_map(|event| match event {
            Event::DeliveryOwed(owed) => Some(owed),
            _ => None,
        })
        .filter(|owed| owed.approval_id == Some(asked.id))
        .collect();
    let told: Vec<_> = owed.iter().map(|owed| owed.callback_id).collect();
    assert_eq!(
        told,
        [Notifier::Slack, Notifier::Email].map(Notifier::callback_id)
    );
    for owed in &owed {
        assert_eq!(owed.of_task(), None);
        let event: serde_json::Value = serde_json::from_str(&owed.event).unwrap();
        assert_eq!(event["event_type"], "approval.pending");
        assert_eq!(event["task_id"], serde_json::Value::Null);
        assert_eq!(event["payload"]["kind"], "policy_change");
    }
    let closed = people.scene.ledger.close().await;
    let history = History::read(closed.path());
    history.assert_verified();
    // A task's callback is never told of it.
    let at = history.first("delivery.owed");
    let other = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::DeliveryOwed(owed) = event {
                owed.callback_id = CallbackId::from_bytes([7; 16]);
            }
        });
    });
    is_found(&other, Check::DeliveryEvent, at);
}

/// Everybody of `security` has left.
async fn nobody_is_left(people: &People, security: GroupId) {
    let change = ChangeGroup {
        group_id: security,
        name: None,
        members: Some(Vec::new()),
        reason: None,
    };
    people.run(change).await.unwrap();
}

#[tokio::test]
async fn the_machines_operator_puts_a_policy_that_nobody_is_left_to_approve() {
    let (people, security) = people().await;
    let operator = || Origin {
        actor: Actor::Operator {
            name: "root".to_owned(),
        },
        request_id: None,
    };
    let overriding = |why: &str| PutPolicy {
        overrides: Some(why.to_owned()),
        ..put(denying(), 1)
    };
    let why = "both of security have left";
    // While enough are left, they decide.
    let too_early = people.execute(operator(), overriding(why)).await;
    assert_eq!(refusal(too_early), Rejection::PolicyNotLocked);
    nobody_is_left(&people, security).await;
    let by_token = people.run(overriding(why)).await;
    assert_eq!(refusal(by_token), Rejection::PolicyNotLocked);
    let without_a_reason = people.execute(operator(), overriding(" ")).await;
    assert_eq!(refusal(without_a_reason).code(), "policy_invalid");
    let made = people.execute(operator(), overriding(why)).await.unwrap();
    assert_eq!(made.changed().unwrap().version, 2);
    let closed = people.scene.ledger.close().await;
    let history = History::read(closed.path());
    history.assert_verified();
    let at = history.last("policy.changed");
    let (_, event) = history.event(at);
    let Event::PolicyChanged(changed) = event else {
        panic!("{event:?}");
    };
    assert_eq!(changed.overrides.as_deref(), Some(why));
    // Nobody else could, nor he without saying so.
    let by_token = altered(&history, |history| {
        history.alter_all(at, |envelope, _| {
            envelope.actor = Actor::Service {
                fingerprint: [7; 8],
            };
        });
    });
    is_found(&by_token, Check::Policy, at);
    let silent = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::PolicyChanged(changed) = event {
                changed.overrides = None;
            }
        });
    });
    is_found(&silent, Check::Policy, at);
    // Nor does it help to say so while enough are left.
    let (first, last) = (
        history.first("group.changed"),
        history.last("group.changed"),
    );
    let (_, Event::GroupChanged(before)) = history.event(first) else {
        panic!("the first change has the members");
    };
    assert_eq!(before.members.len(), 3);
    let untrue = altered(&history, |history| {
        history.alter(last, |event| {
            if let Event::GroupChanged(changed) = event {
                changed.members = before.members;
            }
        });
    });
    is_found(&untrue, Check::Policy, at);
}

#[tokio::test]
async fn one_need_that_nobody_is_left_for_proves_a_change_without_people() {
    let (people, security) = people().await;
    let by_default = Need {
        group: NeedGroup::Default,
        ..of(security, 1)
    };
    let wanted = wanting(&[by_default, of(security, 1)]);
    let asked = proposed(&people, 0, wanted).await;
    approves(&people, 1, &asked).await;
    approves(&people, 2, &asked).await;
    nobody_is_left(&people, security).await;
    let operator = Origin {
        actor: Actor::Operator {
            name: "root".to_owned(),
        },
        request_id: None,
    };
    let made = PutPolicy {
        overrides: Some("both of security have left".to_owned()),
        ..put(denying(), 2)
    };
    people.execute(operator, made).await.unwrap();
    let closed = people.scene.ledger.close().await;
    let report = History::read(closed.path()).verify();
    assert!(report.verified && report.impossible.is_empty(), "{report}");
}
