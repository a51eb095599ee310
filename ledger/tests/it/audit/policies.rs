//! The policy: versions that skip, digests of other trees, and rollbacks to what was not there are found.

use super::{altered, is_found};
use fixtures::history::History;
use fixtures::policies::{policy, put};
use fixtures::test_ledger::TestLedger;
use ledger::audit::Check;
use ledger::command::RollbackPolicy;
use ledger::event::{Event, PolicyChanged};
use ledger::policy::{DefaultAction, Policy};
use ledger::{Actor, PolicyId};

/// Two documents, a rollback to the first, and one to none.
async fn told() -> History {
    let ledger = TestLedger::open().await;
    let denying = Policy {
        default: DefaultAction::Deny,
        ..policy()
    };
    ledger.run(put(policy(), 0)).await.unwrap();
    ledger.run(put(denying, 1)).await.unwrap();
    for (version, follows) in [(1, 2), (0, 3)] {
        let back = RollbackPolicy { version, follows };
        ledger.run(back).await.unwrap();
    }
    let closed = ledger.close().await;
    History::read(closed.path())
}

/// The positions of the versions.
fn versions(history: &History) -> [u64; 4] {
    let first = history.first("policy.changed");
    [first, first + 1, first + 2, first + 3]
}

/// The history with one version changed.
#[track_caller]
fn is_found_in(history: &History, at: u64, check: Check, change: impl Fn(&mut PolicyChanged)) {
    let report = altered(history, |history| {
        history.alter(at, |event| {
            if let Event::PolicyChanged(changed) = event {
                change(changed);
            }
        });
    });
    is_found(&report, check, at);
}

#[tokio::test]
async fn versions_that_count_up_and_rollbacks_are_honest() {
    let report = told().await.verify();
    assert!(report.verified && report.everything, "{report}");
}

#[tokio::test]
async fn a_version_out_of_order_is_found() {
    let history = told().await;
    let [first, second, ..] = versions(&history);
    is_found_in(&history, first, Check::Policy, |changed| {
        changed.version = 2
    });
    is_found_in(&history, second, Check::Policy, |changed| {
        changed.version = 1
    });
    is_found_in(&history, second, Check::Policy, |changed| {
        changed.version = 3
    });
}

#[tokio::test]
async fn a_tree_of_another_digest_is_found() {
    let history = told().await;
    let [first, second, ..] = versions(&history);
    let (_, event) = history.event(second);
    let Event::PolicyChanged(other) = event else {
        unreachable!()
    };
    let other = other.document.unwrap();
    is_found_in(&history, first, Check::Policy, |changed| {
        changed.document.as_mut().unwrap().tree = other.tree.clone();
    });
}

#[tokio::test]
async fn a_rollback_to_something_else_than_what_was_is_found() {
    let history = told().await;
    let [first, second, third, fourth] = versions(&history);
    is_found_in(&history, third, Check::Policy, |changed| {
        changed.restores = Some(2)
    });
    is_found_in(&history, third, Check::Policy, |changed| {
        changed.restores = Some(3)
    });
    is_found_in(&history, fourth, Check::Policy, |changed| {
        changed.restores = Some(1)
    });
    is_found_in(&history, fourth, Check::Policy, |changed| {
        changed.restores = None
    });
    is_found_in(&history, first, Check::Policy, |changed| {
        changed.document = None
    });
    is_found_in(&history, second, Check::StreamIdentity, |changed| {
        changed.policy_id = PolicyId::from_bytes([9; 16]);
    });
}

#[tokio::test]
async fn a_policy_that_an_agents_orchestrator_or_worker_saved_is_found() {
    let history = told().await;
    let [first, ..] = versions(&history);
    let report = altered(&history, |history| {
        history.alter_all(first, |envelope, _| {
            envelope.actor = Actor::system("executor")
        });
    });
    is_found(&report, Check::Actor, first);
}
