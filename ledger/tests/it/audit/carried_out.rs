//! Applies that are carried out by the decision itself: neither more nor less than what was asked so.

use super::{altered, is_found};
use crate::scene::Scene;
use fixtures::commands::{
    AGENT, agent_with_key, create_key, create_template, open_task, presented_key, ssl_mode, submit,
};
use fixtures::history::History;
use ledger::audit::Check;
use ledger::command::{RevokeKey, SubmitApply};
use ledger::event::{Actor, Event, OnApproval};
use ledger::{AgentName, ApproverName, Decision};

/// An apply that a token asked for, approved and carried out at once, and one that shares its question.
async fn by_token(on_approval: OnApproval) -> History {
    let scene = Scene::new().await;
    let command = |key| SubmitApply {
        on_approval,
        ..submit(&scene.token, key, vec![ssl_mode("strict")])
    };
    let asked = scene.run(command("k")).await.unwrap().accepted().unwrap();
    scene.run(command("l")).await.unwrap().accepted().unwrap();
    scene.decided(&asked, Decision::Approve).await;
    // Another command follows.
    scene.grant_all().await;
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

/// One that a key asked for, approved after the key was taken away, or before.
async fn by_key(revoked_first: bool) -> History {
    let scene = Scene::new().await;
    let key = scene.run(create_key("cak_one")).await.unwrap();
    scene.run(create_template("deploy")).await.unwrap();
    let opened = scene.execute(agent_with_key(&key), open_task(&key, "deploy"));
    let task = opened.await.unwrap();
    let command = SubmitApply {
        token: presented_key(&key, &task).into(),
        on_approval: OnApproval::Execute,
        ..submit(&scene.token, "k", vec![ssl_mode("strict")])
    };
    let asked = scene.execute(agent_with_key(&key), command).await;
    let asked = asked.unwrap().accepted().unwrap();
    let revoke = RevokeKey {
        agent: AgentName::unchecked(AGENT),
        key_id: key.id,
        reason: None,
    };
    if revoked_first {
        scene.run(revoke).await.unwrap();
        scene.decided(&asked, Decision::Approve).await;
    } else {
        scene.decided(&asked, Decision::Approve).await;
        scene.run(revoke).await.unwrap();
    }
    scene.grant_all().await;
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

fn asks(history: &mut History, position: u64, on_approval: OnApproval) {
    history.alter(position, |event| {
        if let Event::ApplyAccepted(accepted) = event {
            accepted.on_approval = on_approval;
        }
    });
}

#[tokio::test]
async fn honest_ones_are_verified() {
    for history in [
        by_token(OnApproval::Execute).await,
        by_token(OnApproval::Wait).await,
        by_key(true).await,
        by_key(false).await,
    ] {
        let report = history.verify();
        assert!(report.verified, "{report}");
    }
}

#[tokio::test]
async fn a_decision_carries_out_nothing_that_waits_for_its_agent() {
    let history = by_token(OnApproval::Execute).await;
    let used = history.first("approval.consumed");
    let report = altered(&history, |history| {
        for position in history.all("apply.accepted") {
            asks(history, position, OnApproval::Wait);
        }
    });
    is_found(&report, Check::Authorisation, used);
}

#[tokio::test]
async fn what_is_to_be_carried_out_at_once_is_carried_out_by_its_decision() {
    for history in [by_token(OnApproval::Wait).await, by_key(false).await] {
        let approved = history.first("approval.approved");
        let report = altered(&history, |history| {
            for position in history.all("apply.accepted") {
                asks(history, position, OnApproval::Execute);
            }
            for name in ["apply.authorised", "approval.consumed"] {
                for position in history.all(name) {
                    history.remove(position);
                }
            }
        });
        is_found(&report, Check::Authorisation, approved);
    }
}

#[tokio::test]
async fn a_question_that_was_asked_to_wait_is_not_shared_by_one_that_does_not() {
    let history = by_token(OnApproval::Wait).await;
    let second = history.last("apply.accepted");
    let report = altered(&history, |history| {
        asks(history, second, OnApproval::Execute);
    });
    is_found(&report, Check::ApprovalState, second);
}

#[tokio::test]
async fn a_decision_uses_the_approval_for_the_apply_that_asked() {
    let history = by_token(OnApproval::Execute).await;
    let used = history.first("approval.consumed");
    let (_, Event::ApplyAccepted(other)) = history.event(history.last("apply.accepted")) else {
        panic!("it is the other apply");
    };
    let report = altered(&history, |history| {
        history.alter(used, |event| {
            if let Event::ApprovalConsumed(consumed) = event {
                consumed.apply_id = other.apply_id;
            }
        });
    });
    is_found(&report, Check::Authorisation, used);
}

#[tokio::test]
async fn nobody_but_who_approved_uses_it_with_the_decision() {
    let history = by_token(OnApproval::Execute).await;
    let used = history.first("approval.consumed");
    let report = altered(&history, |history| {
        history.alter_all(used, |envelope, _| {
            if let Actor::Approver { principal, .. } = &mut envelope.actor {
                *principal = ApproverName::unchecked("mallory");
            }
        });
    });
    is_found(&report, Check::Actor, used);
}

#[tokio::test]
async fn a_decision_carries_out_nothing_for_a_key_that_was_taken_away() {
    let history = by_key(false).await;
    let approved = history.first("approval.approved");
    let report = altered(&history, |history| {
        let revoked = history.first("key.revoked");
        let (envelope, event) = history.event(revoked);
        let key = history.record(revoked).header.stream_id;
        history.remove(revoked);
        history.insert_with(approved, key, &envelope, &event);
    });
    is_found(
        &report,
        Check::AgentKey,
        history.first("approval.consumed") + 1,
    );
}
