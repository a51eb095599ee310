//! Approvals that are given back: only by what surely applied nothing.

use super::{altered, is_first};
use crate::scene::{Scene, end, failed, start, succeeded};
use fixtures::history::History;
use ledger::audit::Check;
use ledger::command::{ContinueApply, Resume};
use ledger::event::Event;
use ledger::{Decision, IdempotencyKey};

/// Approved, failed at once, given back, and carried out under another key.
async fn given_back() -> History {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    scene.decided(&asked, Decision::Approve).await;
    scene.continued(&asked).await.unwrap();
    scene.run(start(asked.apply.id, 0)).await.unwrap();
    scene.run(end(asked.apply.id, 0, failed())).await.unwrap();
    let approval = asked.approval.as_ref().unwrap();
    let again = ContinueApply {
        edge: ledger::policy::Edge::default(),
        token: fixtures::commands::presented(&scene.token).into(),
        key: IdempotencyKey::parse("k2").unwrap(),
        resume: Resume {
            task_id: approval.task_id().unwrap(),
            approval_id: approval.id,
            fingerprint: approval.fingerprint,
        },
    };
    let origin = fixtures::commands::agent(&scene.token);
    let again = scene
        .execute(origin, again)
        .await
        .unwrap()
        .accepted()
        .unwrap();
    scene.run(start(again.apply.id, 0)).await.unwrap();
    scene
        .run(end(again.apply.id, 0, succeeded()))
        .await
        .unwrap();
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn an_approval_that_was_given_back_and_used_again_is_in_order() {
    let history = given_back().await;
    let report = altered(&history, |_| {});
    assert!(report.findings.is_empty(), "{report}");
}

#[tokio::test]
async fn a_second_use_without_a_release_is_named() {
    let history = given_back().await;
    let released = history.first("approval.released");
    let report = altered(&history, |history| drop(history.remove(released)));
    assert!(
        report
            .findings
            .iter()
            .any(|found| found.check == Check::ExecutionOnce || found.check == Check::ApprovalState),
        "{report}"
    );
}

#[tokio::test]
async fn a_release_by_what_was_carried_out_is_named() {
    let history = given_back().await;
    let released = history.first("approval.released");
    let succeeded_at = *history.all("apply.operation_ended").last().unwrap();
    let (_, success) = history.event(succeeded_at);
    let failed_at = history.first("apply.operation_ended");
    let report = altered(&history, |history| {
        history.alter(failed_at, |event| *event = success.clone());
    });
    is_first(&report, Check::ExecutionOnce, Some(released));
}

#[tokio::test]
async fn a_release_that_makes_the_window_longer_is_named() {
    let history = given_back().await;
    let released = history.first("approval.released");
    let report = altered(&history, |history| {
        history.alter(released, |event| {
            if let Event::ApprovalReleased(released) = event {
                released.usable_until = released
                    .usable_until
                    .plus(std::time::Duration::from_secs(1));
            }
        });
    });
    is_first(&report, Check::Deadline, Some(released));
}
