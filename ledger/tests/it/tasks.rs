//! Making and closing tasks.

use crate::scene::{Scene, end, failed, refusal, start, succeeded, unknown};
use fixtures::commands::{
    administrator, agent, allow, callback, continue_apply, create_task, dns_create, presented,
    purge, ssl_mode,
};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::{Apply, ApprovalState, CancelledBy, Task};
use ledger::command::{
    AllowedEntry, CloseTask, CreateTask, OperationStart, ResolveApply, Standing, standing,
};
use ledger::event::{ApplyEnd, Event};
use ledger::{Decision, Level, Rejection, Risk, TaskId};
use providers::cloudflare;
use std::time::Duration;

fn close(task_id: TaskId) -> CloseTask {
    CloseTask {
        task_id,
        token: None,
        reason: Some("done".to_owned()),
    }
}

#[tokio::test]
async fn a_task_is_made_with_its_agent_and_its_first_token_in_one_commit() {
    let ledger = TestLedger::open().await;
    let before = *ledger.size().borrow();
    let token = ledger.task().await;
    let events = ledger.events_from(before, 10).await.unwrap();
    let names: Vec<_> = events.iter().map(|event| event.event.name()).collect();
    assert_eq!(
        names,
        ["agent.registered", "task.created", "task.token_issued"]
    );
    assert_eq!(token.claims.exp - token.claims.iat, 300);
    assert_eq!(token.claims.nbf, token.claims.iat);
    assert_eq!(token.task.tokens[0].claims_hash, token.claims.hash());
    // The agent is registered once.
    let before = *ledger.size().borrow();
    ledger.task().await;
    let again = ledger.events_from(before, 10).await.unwrap();
    assert_eq!(again.len(), 2);
}

#[tokio::test]
async fn a_task_that_cannot_be_is_refused() {
    let ledger = TestLedger::open().await;
    let with = |change: fn(&mut CreateTask)| {
        let mut command = create_task();
        change(&mut command);
        command
    };
    let cases = [
        (with(|c| c.name = String::new()), "invalid_name"),
        (with(|c| c.name = "x".repeat(201)), "invalid_name"),
        (with(|c| c.operations.clear()), "no_operations"),
        (
            with(|c| {
                c.operations = vec![AllowedEntry {
                    required_level: Some(Level::Read),
                    ..allow(cloudflare::DNS_RECORD_WRITE)
                }];
            }),
            "catalog_lowered",
        ),
        (
            with(|c| {
                c.operations = vec![AllowedEntry {
                    risk_tier: Some(Risk::Elevated),
                    ..allow(cloudflare::SSL_MODE)
                }];
            }),
            "catalog_lowered",
        ),
    ];
    let before = *ledger.size().borrow();
    for (command, code) in cases {
        let shown = format!("{command:?}");
        let refused = refusal(ledger.execute(administrator(), command).await);
        assert_eq!(refused.code(), code, "{shown}");
    }
    assert_eq!(*ledger.size().borrow(), before);
}

#[tokio::test]
async fn two_hundred_characters_are_a_name_however_many_bytes_they_are() {
    let ledger = TestLedger::open().await;
    let command = CreateTask {
        name: "é".repeat(200),
        ..create_task()
    };
    assert!(ledger.execute(administrator(), command).await.is_ok());
}

#[tokio::test]
async fn closing_revokes_the_tokens_at_once_and_for_good() {
    let scene = Scene::new().await;
    let task = scene.run(close(scene.token.task.id)).await.unwrap();
    assert!(task.closed_at.is_some());
    let refused = refusal(scene.submit(&scene.token, "k", vec![purge()]).await);
    assert_eq!(refused, Rejection::TokenRevoked);
    // Closing again changes nothing.
    let before = scene.size_now();
    let again = scene.run(close(scene.token.task.id)).await.unwrap();
    assert_eq!(again.closed_at, task.closed_at);
    assert_eq!(scene.size_now(), before);
}

#[tokio::test]
async fn a_task_closes_with_its_own_token_only() {
    let scene = Scene::new().await;
    let other = scene.task().await;
    let foreign = CloseTask {
        task_id: scene.token.task.id,
        token: Some(presented(&other).into()),
        reason: None,
    };
    assert_eq!(refusal(scene.run(foreign).await), Rejection::TokenUnknown);
    let own = CloseTask {
        task_id: scene.token.task.id,
        token: Some(presented(&scene.token).into()),
        reason: None,
    };
    assert!(scene.run(own).await.unwrap().closed_at.is_some());
    assert_eq!(
        refusal(scene.run(close(TaskId::from_bytes([9; 16]))).await),
        Rejection::TaskNotFound
    );
}

#[tokio::test]
async fn closing_cancels_what_waits_for_a_decision_or_for_its_continuation() {
    let scene = Scene::new().await;
    let pending = scene.asked("k1").await;
    let approved = scene.submitted("k2", vec![ssl_mode("full")]).await;
    scene.decided(&approved, Decision::Approve).await;
    let denied = scene.submitted("k3", vec![ssl_mode("off")]).await;
    scene.decided(&denied, Decision::Deny).await;
    scene.run(close(scene.token.task.id)).await.unwrap();
    let state = async |asked| scene.approval(asked).await.state;
    assert_eq!(state(&pending).await, ApprovalState::Cancelled);
    assert_eq!(state(&approved).await, ApprovalState::Cancelled);
    assert_eq!(state(&denied).await, ApprovalState::Denied);
    let approval = scene.approval(&pending).await;
    assert_eq!(
        standing(&pending.apply, Some(&approval), scene.now()),
        Standing::Cancelled {
            by: CancelledBy::Task
        }
    );
    // Whoever holds the link learns it.
    let late = scene
        .alice
        .decide(&scene.ledger, &approval, Decision::Approve, None);
    assert_eq!(refusal(scene.run(late).await), Rejection::ApprovalCancelled);
}

#[tokio::test]
async fn closing_after_a_deadline_records_the_expiry_instead_of_a_cancellation() {
    let scene = Scene::new().await;
    let asked = scene.asked("k1").await;
    scene.clock.advance(Duration::from_secs(600));
    let before = scene.size_now();
    scene.run(close(scene.token.task.id)).await.unwrap();
    assert_eq!(
        scene.names_since(before).await,
        ["approval.expired", "task.token_revoked", "task.closed"]
    );
    assert_eq!(scene.approval(&asked).await.state, ApprovalState::Expired);
}

#[tokio::test]
async fn closing_stops_an_apply_that_has_not_begun() {
    let scene = Scene::granted().await;
    let queued = scene.submitted("k1", vec![purge()]).await;
    scene.run(close(scene.token.task.id)).await.unwrap();
    let apply = scene.load::<Apply>(queued.apply.id).await.unwrap().unwrap();
    assert_eq!(apply.end, Some(ApplyEnd::Failed));
    assert_eq!(apply.stopped.as_deref(), Some("task_closed"));
    assert_eq!(
        refusal(scene.run(start(apply.id, 0)).await),
        Rejection::NotExecutable
    );
}

#[tokio::test]
async fn closing_stops_an_approved_apply_that_was_continued_and_has_not_begun() {
    let scene = Scene::new().await;
    let asked = scene.approved("k1").await;
    scene.continued(&asked).await.unwrap();
    scene.run(close(scene.token.task.id)).await.unwrap();
    let apply = scene.load::<Apply>(asked.apply.id).await.unwrap().unwrap();
    assert_eq!(apply.stopped.as_deref(), Some("task_closed"));
    assert_eq!(
        scene.approval(&asked).await.state,
        ApprovalState::Consumed,
        "what was consumed stays consumed"
    );
}

#[tokio::test]
async fn an_apply_under_way_ends_its_operation_and_stops_at_the_next() {
    let scene = Scene::granted().await;
    let running = scene
        .submitted("k1", vec![dns_create("a.example.com"), purge()])
        .await;
    let id = running.apply.id;
    scene.run(start(id, 0)).await.unwrap();
    scene.run(close(scene.token.task.id)).await.unwrap();
    let apply = scene.load::<Apply>(id).await.unwrap().unwrap();
    assert_eq!(apply.end, None, "its operation may have had an effect");
    scene.run(end(id, 0, succeeded())).await.unwrap();
    assert_eq!(
        scene.run(start(id, 1)).await.unwrap(),
        OperationStart::Stopped
    );
    let apply = scene.load::<Apply>(id).await.unwrap().unwrap();
    assert_eq!(apply.end, Some(ApplyEnd::Failed));
    assert_eq!(apply.stopped.as_deref(), Some("task_closed"));
}

#[tokio::test]
async fn the_last_operation_of_a_closed_task_still_ends_truthfully() {
    for (outcome, expected) in [
        (succeeded(), ApplyEnd::Completed),
        (failed(), ApplyEnd::Failed),
        (unknown(), ApplyEnd::Unknown),
    ] {
        let scene = Scene::granted().await;
        let running = scene.submitted("k1", vec![purge()]).await;
        let id = running.apply.id;
        scene.run(start(id, 0)).await.unwrap();
        scene.run(close(scene.token.task.id)).await.unwrap();
        let apply = scene.run(end(id, 0, outcome)).await.unwrap();
        assert_eq!(apply.end, Some(expected));
    }
}

#[tokio::test]
async fn an_unknown_outcome_of_a_closed_task_can_still_be_settled() {
    let scene = Scene::granted().await;
    let running = scene.submitted("k1", vec![purge()]).await;
    let id = running.apply.id;
    scene.run(start(id, 0)).await.unwrap();
    scene.run(end(id, 0, unknown())).await.unwrap();
    scene.run(close(scene.token.task.id)).await.unwrap();
    let settled = scene
        .run(ResolveApply {
            apply_id: id,
            executed: true,
            reason: "seen in the audit log".to_owned(),
        })
        .await
        .unwrap();
    assert_eq!(settled.end, Some(ApplyEnd::Completed));
}

#[tokio::test]
async fn closing_tells_the_callback_of_everything_that_it_ended() {
    let ledger = TestLedger::open().await;
    ledger.grant_all().await;
    let command = CreateTask {
        callback: Some(callback(9, "secret")),
        ..create_task()
    };
    let token = ledger.execute(administrator(), command).await.unwrap();
    let origin = || agent(&token);
    let submit = async |key, operation| {
        let command = fixtures::commands::submit(&token, key, vec![operation]);
        let ruling = ledger.execute(origin(), command).await.unwrap();
        ruling.accepted().unwrap()
    };
    let waiting = submit("k1", ssl_mode("strict")).await;
    let queued = submit("k2", purge()).await;
    let before = *ledger.size().borrow();
    ledger
        .execute(administrator(), close(token.task.id))
        .await
        .unwrap();
    let events = ledger.events_from(before, 20).await.unwrap();
    let mut owed: Vec<_> = events
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::DeliveryOwed(owed) => Some((owed, recorded.envelope.cause)),
            _ => None,
        })
        .collect();
    owed.sort_by_key(|(owed, _)| owed.event_name.clone());
    let names: Vec<_> = owed.iter().map(|(o, _)| o.event_name.as_str()).collect();
    assert_eq!(names, ["apply.failed", "approval.cancelled"]);
    assert_eq!(owed[0].0.apply_id, Some(queued.apply.id));
    assert_eq!(owed[1].0.approval_id, waiting.apply.approval_id);
    for (owed, cause) in owed {
        let reported = &events[usize::try_from(cause.unwrap() - before).unwrap()];
        assert_eq!(reported.event_id(), owed.event_id);
    }
    let task = ledger.load::<Task>(token.task.id).await.unwrap().unwrap();
    assert!(task.closed_at.is_some());
    let refused = refusal(
        ledger
            .execute(origin(), continue_apply(&token, &waiting))
            .await,
    );
    assert_eq!(refused, Rejection::TokenRevoked);
}
