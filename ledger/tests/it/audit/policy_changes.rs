//! Changes of the policy that people decide about: what was made without them, or otherwise than they approved, is
//! found.

use super::{altered, is_found};
use crate::policy_changes::{approves, denying, people, proposed};
use fixtures::history::History;
use ledger::audit::Check;
use ledger::event::{Actor, AskedSubject, Event, StoredRequirement};

/// Anna wants a change, and Ben wants another; Anna's is approved by the two others.
async fn told() -> History {
    let (people, _) = people().await;
    let asked = proposed(&people, 0, denying()).await;
    proposed(&people, 1, fixtures::policies::policy()).await;
    approves(&people, 1, &asked).await;
    approves(&people, 2, &asked).await;
    let closed = people.scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn a_change_that_several_people_approved_is_honest() {
    let report = told().await.verify();
    assert!(report.verified && report.everything, "{report}");
    assert!(report.impossible.is_empty(), "{report}");
}

#[tokio::test]
async fn a_change_that_nobody_approved_is_found() {
    let history = told().await;
    let at = history.first("approval.approved");
    let report = altered(&history, |history| _ = history.remove(at));
    is_found(&report, Check::Policy, history.last("policy.changed") - 1);
    // Nor does it help to say that somebody else made it.
    let report = altered(&history, |history| {
        history.remove(at);
        history.alter_all(history.last("policy.changed"), |envelope, _| {
            envelope.actor = Actor::Operator {
                name: "mallory".to_owned(),
            };
        });
    });
    is_found(&report, Check::Policy, history.last("policy.changed") - 1);
}

#[tokio::test]
async fn another_change_than_the_approved_one_is_found() {
    let history = told().await;
    let at = history.last("policy.changed");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            let Event::PolicyChanged(changed) = event else {
                unreachable!()
            };
            (changed.document, changed.restores) = (None, Some(0));
        });
    });
    is_found(&report, Check::Policy, at);
}

#[tokio::test]
async fn an_approved_change_that_is_not_made_is_found() {
    let history = told().await;
    let at = history.last("policy.changed");
    let report = altered(&history, |history| {
        history.remove(at);
        let anything = history.first("user.created");
        let (envelope, _) = history.event(anything);
        let lifted = history.event(history.first("group.created")).1;
        let stream = ledger::StreamId::from_bytes([7; 16]);
        history.insert_with(history.size(), stream, &envelope, &lifted);
    });
    is_found(&report, Check::Policy, history.first("approval.approved"));
}

#[tokio::test]
async fn a_change_that_its_author_may_answer_is_found() {
    let history = told().await;
    let at = history.first("approval.asked");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            let Event::ApprovalAsked(asked) = event else {
                unreachable!()
            };
            let policy = asked.policy.as_mut().unwrap();
            let mut required = policy.requirement.get().clone();
            required.exclude.clear();
            policy.requirement = StoredRequirement::from(required);
        });
    });
    is_found(&report, Check::Policy, at);
    // What people signed was another question.
    is_found(
        &report,
        Check::DecisionStatement,
        history.first("approval.voted"),
    );
}

#[tokio::test]
async fn a_question_whose_subject_is_another_one_than_was_signed_is_found() {
    let history = told().await;
    let at = history.first("approval.asked");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            let Event::ApprovalAsked(asked) = event else {
                unreachable!()
            };
            let AskedSubject::PolicyChange(change) = &mut asked.subject else {
                unreachable!()
            };
            (change.document, change.restores) = (None, Some(0));
        });
    });
    is_found(&report, Check::Fingerprint, at);
}
