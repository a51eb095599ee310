//! What surely applied nothing gives its approval back; nothing else does.

use crate::consistency;
use crate::scene::{Scene, end, failed, start, succeeded, unknown};
use fixtures::commands::{agent, dns_create, ssl_mode};
use ledger::aggregate::ApprovalState;
use ledger::command::{CloseTask, ContinueApply, EndOperation, Resume, Submitted};
use ledger::event::OperationOutcome;
use ledger::operation::Operation;
use ledger::{Decision, IdempotencyKey, Rejection};
use std::time::Duration;

/// Approved and continued; its first operation has begun.
async fn begun(scene: &Scene, operations: Vec<Operation>) -> Submitted {
    let asked = scene.submitted("k", operations).await;
    scene.decided(&asked, Decision::Approve).await;
    scene.continued(&asked).await.unwrap();
    scene.run(start(asked.apply.id, 0)).await.unwrap();
    asked
}

async fn state(scene: &Scene, asked: &Submitted) -> ApprovalState {
    scene.approval(asked).await.state
}

async fn under_a_new_key(
    scene: &Scene,
    asked: &Submitted,
    key: &str,
) -> Result<Submitted, Rejection> {
    let approval = asked.approval.as_ref().unwrap();
    let command = ContinueApply {
        edge: ledger::policy::Edge::default(),
        token: fixtures::commands::presented(&scene.token).into(),
        key: IdempotencyKey::parse(key).unwrap(),
        resume: Resume {
            task_id: approval.task_id().unwrap(),
            approval_id: approval.id,
            fingerprint: approval.fingerprint,
        },
    };
    let ruling = scene.execute(agent(&scene.token), command).await;
    ruling.unwrap().accepted()
}

#[tokio::test]
async fn an_apply_that_failed_at_its_first_operation_gives_its_approval_back_with_its_end() {
    let scene = Scene::new().await;
    let asked = begun(&scene, vec![ssl_mode("strict")]).await;
    let before = scene.size_now();
    scene.run(end(asked.apply.id, 0, failed())).await.unwrap();
    assert_eq!(
        scene.names_since(before).await,
        ["apply.operation_ended", "approval.released", "apply.ended"]
    );
    let approval = scene.approval(&asked).await;
    assert_eq!(approval.state, ApprovalState::Approved);
    assert_eq!(approval.consumed_by, None);
    let window_end = approval.decided_at.unwrap().plus(approval.continuation);
    assert_eq!(approval.continue_until(), Some(window_end));

    let again = under_a_new_key(&scene, &asked, "k2").await.unwrap();
    assert!(again.apply.is_running());
    scene.run(start(again.apply.id, 0)).await.unwrap();
    scene
        .run(end(again.apply.id, 0, succeeded()))
        .await
        .unwrap();
    assert_eq!(state(&scene, &asked).await, ApprovalState::Consumed);
    let third = under_a_new_key(&scene, &asked, "k3").await;
    let by = again.apply.id;
    assert_eq!(third.unwrap_err(), Rejection::ApprovalConsumed { by });
    consistency::check(&scene.ledger).await;
}

#[tokio::test]
async fn what_may_have_had_an_effect_gives_nothing_back() {
    let reconciled = |apply_id, outcome: OperationOutcome| EndOperation {
        reconciled: true,
        ..end(apply_id, 0, outcome)
    };
    for how in 0..3 {
        let scene = Scene::new().await;
        let operations = vec![ssl_mode("strict"), dns_create("a.example.com")];
        let asked = begun(&scene, operations).await;
        let id = asked.apply.id;
        match how {
            0 => drop(scene.run(end(id, 0, unknown())).await.unwrap()),
            1 => drop(scene.run(reconciled(id, failed())).await.unwrap()),
            _ => {
                scene.run(end(id, 0, succeeded())).await.unwrap();
                scene.run(start(id, 1)).await.unwrap();
                scene.run(end(id, 1, failed())).await.unwrap();
            }
        }
        assert_eq!(
            state(&scene, &asked).await,
            ApprovalState::Consumed,
            "{how}"
        );
        consistency::check(&scene.ledger).await;
    }
}

#[tokio::test]
async fn a_closed_task_and_a_window_that_is_over_get_nothing_back() {
    let scene = Scene::new().await;
    let asked = begun(&scene, vec![ssl_mode("strict")]).await;
    let close = CloseTask {
        task_id: scene.token.task.id,
        token: None,
        reason: None,
    };
    scene.run(close).await.unwrap();
    scene.run(end(asked.apply.id, 0, failed())).await.unwrap();
    assert_eq!(state(&scene, &asked).await, ApprovalState::Consumed);
    consistency::check(&scene.ledger).await;

    let scene = Scene::new().await;
    let asked = begun(&scene, vec![ssl_mode("strict")]).await;
    let approval = scene.approval(&asked).await;
    scene.clock.advance(approval.continuation);
    scene.run(end(asked.apply.id, 0, failed())).await.unwrap();
    assert_eq!(state(&scene, &asked).await, ApprovalState::Consumed);
    consistency::check(&scene.ledger).await;
}

#[tokio::test]
async fn what_was_given_back_is_cancelled_with_its_task_and_expires_in_its_time() {
    let scene = Scene::new().await;
    let asked = begun(&scene, vec![ssl_mode("strict")]).await;
    scene.run(end(asked.apply.id, 0, failed())).await.unwrap();
    let approval = scene.approval(&asked).await;
    let window = approval.continuation;
    scene.clock.advance(window - Duration::from_micros(1));
    assert_eq!(approval.state_at(scene.now()), ApprovalState::Approved);
    scene.clock.advance(Duration::from_micros(1));
    assert_eq!(approval.state_at(scene.now()), ApprovalState::Expired);

    let scene = Scene::new().await;
    let asked = begun(&scene, vec![ssl_mode("strict")]).await;
    scene.run(end(asked.apply.id, 0, failed())).await.unwrap();
    let close = CloseTask {
        task_id: scene.token.task.id,
        token: None,
        reason: None,
    };
    scene.run(close).await.unwrap();
    assert_eq!(state(&scene, &asked).await, ApprovalState::Cancelled);
    consistency::check(&scene.ledger).await;
}
