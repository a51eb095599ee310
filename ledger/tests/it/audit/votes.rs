//! Votes: what approves with fewer people than are needed, or with others, is found.

use super::{altered, is_found};
use crate::passkeys::by_password;
use crate::votes::{People, of};
use fixtures::commands::purge;
use fixtures::history::History;
use fixtures::people::by;
use ledger::audit::Check;
use ledger::command::WithdrawVote;
use ledger::event::{Event, StoredRequirement, VoteLoss, VoteVoided, VoteWithdrawn};
use ledger::policy::{Excluded, Exclusion};
use ledger::{ApproverName, Decision, UserId};

/// Anna votes, takes it back and votes again; Ben's approval is enough, and what was asked goes on.
async fn told() -> History {
    let people = People::of(["anna", "ben"]).await;
    let security = people.group("security", &[0, 1]).await;
    people.needs(&[of(security, 2)]).await;
    let asked = people.submitted("k", vec![purge()]).await;
    people.votes(0, &asked, Decision::Approve).await;
    let withdraw = WithdrawVote {
        approval_id: people.approval(&asked).await.id,
    };
    let anna = by_password(&people.ledger, people.users[0]).await;
    people.execute(by(&anna), withdraw).await.unwrap();
    people.votes(0, &asked, Decision::Approve).await;
    people.votes(1, &asked, Decision::Approve).await;
    people.continued(&asked).await.unwrap();
    let closed = people.scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn a_question_that_several_people_approved_is_honest() {
    let report = told().await.verify();
    assert!(report.verified && report.everything, "{report}");
    assert!(report.impossible.is_empty(), "{report}");
}

#[tokio::test]
async fn an_approval_by_fewer_people_than_it_needs_is_found() {
    let history = told().await;
    let vote = history.last("approval.voted");
    let report = altered(&history, |history| _ = history.remove(vote));
    is_found(&report, Check::Vote, history.first("approval.approved") - 1);
}

#[tokio::test]
async fn a_vote_of_somebody_in_no_group_that_is_needed_is_found() {
    let history = told().await;
    let at = history.first("group.changed");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            let Event::GroupChanged(changed) = event else {
                unreachable!()
            };
            changed.members.clear();
        });
    });
    is_found(&report, Check::Vote, history.first("approval.voted"));
    is_found(&report, Check::Vote, history.first("approval.approved"));
}

#[tokio::test]
async fn a_vote_that_is_counted_twice_or_taken_back_by_nobody_is_found() {
    let history = told().await;
    let at = history.last("approval.voted");
    let stream = history.records[usize::try_from(at).unwrap()]
        .header
        .stream_id;
    let report = altered(&history, |history| {
        let (envelope, event) = history.event(at);
        history.insert_with(at + 1, stream, &envelope, &event);
    });
    is_found(&report, Check::Vote, at + 1);

    let at = history.first("approval.vote_withdrawn");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            *event = VoteWithdrawn {
                principal: ApproverName::unchecked("mallory"),
            }
            .into();
        });
    });
    is_found(&report, Check::Vote, at);
}

#[tokio::test]
async fn a_vote_that_is_void_although_its_voter_may_vote_is_found() {
    let history = told().await;
    let at = history.last("approval.voted");
    let approved = history.first("approval.approved");
    let stream = history.records[usize::try_from(at).unwrap()]
        .header
        .stream_id;
    let report = altered(&history, |history| {
        let (_, vote) = history.event(at);
        let (envelope, _) = history.event(approved);
        let voided = VoteVoided {
            principal: vote.vote().unwrap().principal.clone(),
            why: VoteLoss::Group,
        };
        history.insert_with(approved, stream, &envelope, &voided.into());
    });
    is_found(&report, Check::Vote, approved);
}

#[tokio::test]
async fn a_question_that_excludes_others_than_whose_wish_it_is_is_found() {
    let history = told().await;
    let at = history.first("approval.requested");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            let Event::ApprovalRequested(asked) = event else {
                unreachable!()
            };
            let policy = asked.policy.as_mut().unwrap();
            let mut required = policy.requirement.get().clone();
            required.exclude.push(Excluded {
                user_id: UserId::from_bytes([7; 16]),
                why: Exclusion::TaskOpener,
            });
            policy.requirement = StoredRequirement::from(required);
        });
    });
    is_found(&report, Check::Vote, history.first("apply.accepted"));
}
