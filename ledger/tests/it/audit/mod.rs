//! The auditor's verifier: an honest history has no findings, and one that breaks a rule is told by it.

mod actors;
mod admissions;
mod backtest;
mod bundles;
mod calls;
mod carried_out;
mod checkpoints;
mod clearances;
mod decisions;
mod deploys;
mod emergencies;
mod erased_keys;
mod executions;
mod honest;
mod keys;
mod lifetimes;
mod locks;
mod people;
mod policies;
mod policy_changes;
mod questions;
mod recomputed;
mod records;
mod releases;
mod roles;
mod ruled;
mod ruled_calls;
mod schedules;
mod software_keys;
mod streams;
mod upstream_keys;
mod upstreams;
mod votes;
mod writes;

use crate::scene::{Scene, end, failed, start, succeeded, unknown};
use fixtures::approver::SoftApprover;
use fixtures::commands::{
    administrator, allow_on, callback, create_task, dns_create, purge, ssl_mode,
};
use fixtures::history::History;
use fixtures::rules::APPROVER;
use fixtures::test_ledger::TestLedger;
use ledger::audit::{Check, Report};
use ledger::command::{
    CloseTask, CreateTask, EndAttempt, ExpireApproval, IssuedToken, ResolveApply, StartAttempt,
    Submitted,
};
use ledger::event::{AttemptOutcome, Event};
use ledger::operation::Operation;
use ledger::{Decision, DeliveryId};
use providers::cloudflare;
use std::time::Duration;

/// A ledger in which about everything happens once; honest from end to end.
async fn told() -> History {
    let ledger = TestLedger::open().await;
    let alice = SoftApprover::new(APPROVER);
    ledger
        .execute(administrator(), alice.registration())
        .await
        .unwrap();
    ledger.grant_all().await;
    let command = CreateTask {
        callback: Some(callback(9, "secret")),
        ..create_task()
    };
    let token = ledger.execute(administrator(), command).await.unwrap();
    let scene = Scene {
        ledger,
        alice,
        token,
    };
    granted_run(&scene).await;
    approved_run(&scene).await;
    deliveries(&scene).await;
    other_ends(&scene).await;
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

/// Granted beforehand: two operations, both succeed.
async fn granted_run(scene: &Scene) {
    let operations = vec![dns_create("a.example.com"), dns_create("b.example.com")];
    let granted = scene.submitted("granted", operations).await;
    for index in [0, 1] {
        scene.run(start(granted.apply.id, index)).await.unwrap();
        scene
            .run(end(granted.apply.id, index, succeeded()))
            .await
            .unwrap();
    }
}

/// Asked, approved with a reason, continued, executed.
async fn approved_run(scene: &Scene) {
    let asked = scene.asked("approved").await;
    let approval = asked.approval.clone().unwrap();
    let reason = Some("looks right");
    let command = scene
        .alice
        .decide(&scene.ledger, &approval, Decision::Approve, reason);
    scene.run(command).await.unwrap().accepted().unwrap();
    scene.continued(&asked).await.unwrap();
    scene.run(start(asked.apply.id, 0)).await.unwrap();
    scene
        .run(end(asked.apply.id, 0, succeeded()))
        .await
        .unwrap();
}

/// One fails and arrives at the second try.
async fn deliveries(scene: &Scene) {
    let owed = scene.all().await.into_iter().find_map(|event| match event {
        Event::DeliveryOwed(owed) => Some(owed.delivery_id),
        _ => None,
    });
    let delivery = owed.unwrap();
    let tried = |outcome| async {
        scene
            .run(StartAttempt {
                delivery_id: delivery,
            })
            .await
            .unwrap();
        scene
            .run(ended(scene, delivery, outcome).await)
            .await
            .unwrap();
    };
    tried(AttemptOutcome::Failed {
        http_status: Some(503),
        code: "http_status".to_owned(),
        message: "the receiver answered 503".to_owned(),
    })
    .await;
    tried(AttemptOutcome::Delivered { http_status: 204 }).await;
}

async fn ended(scene: &Scene, delivery_id: DeliveryId, outcome: AttemptOutcome) -> EndAttempt {
    let delivery = scene
        .load::<ledger::aggregate::Delivery>(delivery_id)
        .await
        .unwrap();
    EndAttempt {
        delivery_id,
        attempt: delivery.unwrap().attempts,
        outcome,
        retry_at: scene.now(),
        duration: Duration::from_millis(3),
    }
}

/// Denied, failed, unknown and settled, refused, expired, cancelled by closing.
async fn other_ends(scene: &Scene) {
    let denied = asked_for(scene, "denied", vec![ssl_mode("off")]).await;
    scene.decided(&denied, Decision::Deny).await;
    let stopped = scene
        .submitted("failed", vec![purge(), dns_create("c.example.com")])
        .await;
    scene.run(start(stopped.apply.id, 0)).await.unwrap();
    scene.run(end(stopped.apply.id, 0, failed())).await.unwrap();
    let lost = scene.submitted("unknown", vec![purge()]).await;
    scene.run(start(lost.apply.id, 0)).await.unwrap();
    scene.run(end(lost.apply.id, 0, unknown())).await.unwrap();
    let settled = ResolveApply {
        apply_id: lost.apply.id,
        executed: true,
        reason: "seen in the dashboard".to_owned(),
    };
    scene.run(settled).await.unwrap();
    let other = other_task(scene).await;
    scene
        .submit(&other, "outside", vec![purge()])
        .await
        .unwrap()
        .unwrap_err();
    let left = scene
        .submit(&other, "left", vec![ssl_mode("flexible")])
        .await
        .unwrap()
        .unwrap();
    assert!(left.approval.is_some());
    let close = CloseTask {
        task_id: other.task.id,
        token: None,
        reason: None,
    };
    scene.run(close).await.unwrap();
    let late = asked_for(scene, "late", vec![ssl_mode("full")]).await;
    scene.clock.advance(Duration::from_secs(601));
    let approval_id = late.approval.unwrap().id;
    assert!(scene.run(ExpireApproval { approval_id }).await.unwrap());
}

async fn other_task(scene: &Scene) -> IssuedToken {
    let command = CreateTask {
        operations: vec![allow_on(cloudflare::SSL_MODE, fixtures::commands::ZONE)],
        ..create_task()
    };
    scene.execute(administrator(), command).await.unwrap()
}

async fn asked_for(scene: &Scene, key: &str, operations: Vec<Operation>) -> Submitted {
    let asked = scene.submitted(key, operations).await;
    assert!(asked.approval.is_some());
    asked
}

/// What the operator, who has the signing key, gets told after altering a history and making
/// everything fit again that needs no approver's key.
pub(crate) fn altered(history: &History, change: impl FnOnce(&mut History)) -> Report {
    let mut history = history.clone();
    change(&mut history);
    history.reseal();
    history.verify()
}

#[track_caller]
fn is_first(report: &Report, check: Check, position: Option<u64>) {
    let first = report
        .first()
        .unwrap_or_else(|| panic!("nothing was found: {report}"));
    assert_eq!((first.check, first.position), (check, position), "{report}");
}

/// It is among what was found.
#[track_caller]
pub(crate) fn is_found(report: &Report, check: Check, position: u64) {
    let found = report
        .findings
        .iter()
        .any(|finding| finding.check == check && finding.position == Some(position));
    assert!(found, "{check} at {position} is not in {report}");
}
