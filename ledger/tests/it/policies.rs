//! The policy: versions count up by one, each follows the one that its author saw, and the newest is in force.

use crate::scene::refusal;
use fixtures::history::History;
use fixtures::people::{by, create_group, create_user, enrol, open_session, passkey_login};
use fixtures::policies::{policy, put, rule};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::{PolicyVersion, User};
use ledger::command::{DeleteGroup, PolicyChanging, PutPolicy, RollbackPolicy};
use ledger::event::{Event, StoredTree};
use ledger::policy::{Assurance, DefaultAction, Need, NeedGroup, Policy, RuleAction};
use ledger::{Error, GroupId, Rejection, RejectionKind, Role};
use std::sync::Arc;
use std::time::Duration;

fn denying() -> Policy {
    Policy {
        default: DefaultAction::Deny,
        ..policy()
    }
}

/// The version that was made.
fn made(changed: Result<PolicyChanging, Error>) -> Arc<PolicyVersion> {
    Arc::clone(changed.unwrap().changed().unwrap())
}

/// Ends the ledger, and has everything that it recorded audited.
async fn audited(ledger: TestLedger) {
    let closed = ledger.close().await;
    History::read(closed.path()).assert_verified();
}

#[tokio::test]
async fn versions_count_up_and_the_newest_is_in_force_also_after_a_restart() {
    let ledger = TestLedger::open().await;
    assert_eq!(
        (ledger.policy().version, ledger.policy().in_force.is_none()),
        (0, true)
    );
    let first = made(ledger.run(put(policy(), 0)).await);
    let second = made(ledger.run(put(denying(), 1)).await);
    assert_eq!((first.version, second.version), (1, 2));
    let current = ledger.policy();
    assert_eq!(current.version, 2);
    assert_eq!(
        current.in_force.as_ref().unwrap().digest,
        denying().digest()
    );
    let again = ledger.restart().await;
    assert_eq!(*again.policy(), *current);
    let none = again
        .run(RollbackPolicy {
            version: 0,
            follows: 2,
        })
        .await;
    assert_eq!(made(none).document, None);
    let back = again
        .run(RollbackPolicy {
            version: 1,
            follows: 3,
        })
        .await;
    let back = made(back);
    assert_eq!((back.version, back.restores), (4, Some(1)));
    let again = again.restart().await;
    assert_eq!(
        again.policy().in_force.as_ref().unwrap().digest,
        policy().digest()
    );
    let recorded = again.policy_version(3).await.unwrap().unwrap();
    let Event::PolicyChanged(changed) = recorded.event else {
        panic!("a version is a change of the policy");
    };
    assert_eq!((changed.document, changed.restores), (None, Some(0)));
    assert!(again.policy_version(5).await.unwrap().is_none());
    audited(again).await;
}

#[tokio::test]
async fn of_many_changes_that_follow_one_version_one_is_made() {
    let ledger = TestLedger::open().await;
    ledger.run(put(policy(), 0)).await.unwrap();
    let changes = (0..64).map(|_| ledger.run(put(denying(), 1)));
    let ended: Vec<Result<PolicyChanging, Error>> = futures_util::future::join_all(changes).await;
    let (made, refused): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (1, 63));
    for refused in refused {
        let refused = refusal(refused);
        assert_eq!(refused, Rejection::PolicyVersionMismatch { newest: 2 });
        assert_eq!(refused.kind(), RejectionKind::PreconditionFailed);
    }
    audited(ledger).await;
}

#[tokio::test]
async fn an_admin_changes_the_policy_with_a_fresh_passkey_only() {
    let ledger = TestLedger::open().await;
    let anna = ledger.run(create_user("anna", Role::Admin)).await.unwrap();
    let passkey = enrol(&ledger, anna.id, "anna").await;
    let anna = ledger.load::<User>(anna.id).await.unwrap().unwrap();
    let plain = open_session(&ledger, anna.id, anna.epoch);
    let plain = ledger.run(plain).await.unwrap().session;
    let refused = refusal(ledger.execute(by(&plain), put(policy(), 0)).await);
    assert_eq!(refused, Rejection::StepUpRequired);
    let fresh = passkey_login(&ledger, anna.id, anna.epoch, &passkey);
    let fresh = ledger.run(fresh).await.unwrap().session;
    ledger.execute(by(&fresh), put(policy(), 0)).await.unwrap();
    ledger.clock.advance(Duration::from_secs(301));
    let back = RollbackPolicy {
        version: 0,
        follows: 1,
    };
    let refused = refusal(ledger.execute(by(&fresh), back).await);
    assert_eq!(refused, Rejection::StepUpRequired);
    audited(ledger).await;
}

fn with_rule(change: impl FnOnce(&mut ledger::policy::Rule)) -> Policy {
    let mut asking = rule("asking".parse().unwrap(), RuleAction::Ask);
    change(&mut asking);
    Policy {
        rules: vec![asking],
        ..policy()
    }
}

fn two_people() -> Need {
    Need {
        group: NeedGroup::Default,
        n: 2,
        assurance: Assurance::Any,
    }
}

#[tokio::test]
async fn a_text_that_is_too_long_and_a_group_that_is_gone_are_refused() {
    let ledger = TestLedger::open().await;
    let long = PutPolicy {
        source: "#".repeat(64 * 1024 + 1),
        ..put(policy(), 0)
    };
    assert_eq!(refusal(ledger.run(long).await).code(), "policy_invalid");
    let group = ledger.run(create_group("ops", Vec::new())).await.unwrap();
    let gone = DeleteGroup {
        group_id: group.id,
        reason: None,
    };
    ledger.run(gone).await.unwrap();
    for id in [group.id, GroupId::from_bytes([9; 16])] {
        let asks = with_rule(|rule| rule.needs[0].group = NeedGroup::Group(id));
        assert_eq!(
            refusal(ledger.run(put(asks, 0)).await).code(),
            "policy_invalid"
        );
    }
    let back = RollbackPolicy {
        version: 7,
        follows: 0,
    };
    assert_eq!(
        refusal(ledger.run(back).await),
        Rejection::PolicyVersionNotFound
    );
}

#[tokio::test]
async fn needs_that_nobody_could_meet_are_not_saved() {
    let ledger = TestLedger::open().await;
    let asks = |needs: Vec<Need>| with_rule(|rule| rule.needs = needs);
    let refused = refusal(ledger.run(put(asks(vec![two_people()]), 0)).await);
    assert_eq!(refused.code(), "policy_invalid");
    let anna = ledger.run(create_user("anna", Role::Viewer)).await.unwrap();
    let group = ledger.run(create_group("ops", vec![anna.id])).await;
    let one = |assurance| Need {
        group: NeedGroup::Group(group.as_ref().unwrap().id),
        n: 1,
        assurance,
    };
    let needs = vec![one(Assurance::Any)];
    let refused = refusal(ledger.run(put(asks(needs.clone()), 0)).await);
    assert_eq!(refused.code(), "policy_invalid", "{refused}");
    enrol(&ledger, anna.id, "anna").await;
    let nobody = Need {
        n: 0,
        ..one(Assurance::Any)
    };
    let refused = refusal(ledger.run(put(asks(vec![nobody]), 0)).await);
    assert_eq!(refused.code(), "policy_invalid", "{refused}");
    ledger.run(put(asks(needs), 0)).await.unwrap();
    audited(ledger).await;
}

#[test]
fn a_tree_that_is_not_canonical_is_not_read() {
    let tree = StoredTree::from(policy()).canonical().unwrap();
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let read: StoredTree = serde_json::from_str(&quoted(&tree)).unwrap();
    assert_eq!(**read.policy(), policy());
    let spaced = tree.replacen(':', ": ", 1);
    for other in [spaced.as_str(), "{}", ""] {
        assert!(
            serde_json::from_str::<StoredTree>(&quoted(other)).is_err(),
            "{other}"
        );
    }
}
