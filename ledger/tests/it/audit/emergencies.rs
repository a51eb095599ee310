//! Approvals in an emergency: what breaks a rule of them is found.

use super::{altered, is_found};
use crate::emergencies::{Emergency, emergency};
use crate::policy_changes::approves;
use fixtures::history::History;
use ledger::audit::Check;
use ledger::event::{Event, StoredRequirement};

async fn told() -> History {
    let scene: Emergency = emergency().await;
    scene.approved().await;
    let review = scene.review().await;
    approves(&scene.people, 1, &review).await;
    scene.people.continued(&scene.asked).await.unwrap();
    let closed = scene.people.scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn an_emergency_that_was_reviewed_is_honest() {
    let report = told().await.verify();
    assert!(report.verified && report.everything, "{report}");
    assert!(report.impossible.is_empty(), "{report}");
}

#[tokio::test]
async fn an_emergency_without_a_review_is_found() {
    let history = told().await;
    let review = history.first("approval.asked");
    let reviewed = history.last("approval.approved");
    let report = altered(&history, |history| {
        history.remove(reviewed);
        history.remove(review);
    });
    is_found(&report, Check::Vote, history.first("approval.approved"));
}

#[tokio::test]
async fn a_review_that_its_own_decider_may_give_is_found() {
    let history = told().await;
    let review = history.first("approval.asked");
    let report = altered(&history, |history| {
        history.alter(review, |event| {
            let Event::ApprovalAsked(asked) = event else {
                unreachable!()
            };
            let policy = asked.policy.as_mut().unwrap();
            let mut required = policy.requirement.get().clone();
            required.exclude.clear();
            policy.requirement = StoredRequirement::from(required);
        });
    });
    is_found(&report, Check::Vote, review);
}

#[tokio::test]
async fn an_emergency_of_somebody_who_is_not_on_call_is_found() {
    let history = told().await;
    let at = history.all("group.changed");
    let groups = history.all("group.created");
    // The group on call is the second that was made.
    let stream = history.records[usize::try_from(groups[1]).unwrap()]
        .header
        .stream_id;
    let of_it = at.into_iter().find(|at| {
        let index = usize::try_from(*at).unwrap();
        history.records[index].header.stream_id == stream
    });
    let report = altered(&history, |history| {
        history.alter(of_it.unwrap_or(groups[1]), |event| match event {
            Event::GroupChanged(changed) => changed.members.clear(),
            _ => unreachable!("members stand in a change"),
        });
    });
    is_found(&report, Check::Vote, history.first("approval.approved"));
}
