//! A ledger in which much happens once, for what an auditor and a receiver read of it.

#![expect(
    clippy::expect_used,
    reason = "a story that cannot be told ends the run"
)]

use fixtures::approver::SoftApprover;
use fixtures::commands::{
    administrator, agent, callback, continue_apply, create_task, purge, ssl_mode,
};
use fixtures::history::History;
use fixtures::rules::APPROVER;
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::command::{CloseTask, CreateTask, EndOperation, StartOperation};
use ledger::event::OperationOutcome;
use ledger::{ApplyId, Decision, Event};
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// What was told.
pub(crate) struct Story {
    /// All records.
    pub(crate) history: History,
    /// The bodies of the callbacks, with their proofs.
    pub(crate) callbacks: Vec<Value>,
}

/// Told once for each process.
pub(crate) static STORY: LazyLock<Story> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(told())
});

async fn told() -> Story {
    let ledger = TestLedger::with(Setup::signed()).await;
    let alice = SoftApprover::new(APPROVER);
    ledger
        .run(alice.registration())
        .await
        .expect("a passkey is registered");
    ledger.grant_all().await;
    let command = CreateTask {
        callback: Some(callback(9, "a secret")),
        ..create_task()
    };
    let token = ledger
        .execute(administrator(), command)
        .await
        .expect("a task is made");
    let done = ledger.submit(&token, "done", vec![purge()]).await;
    carry_out(
        &ledger,
        done.expect("it is decided")
            .expect("it is granted")
            .apply
            .id,
    )
    .await;
    let asked = ledger
        .submit(&token, "asked", vec![ssl_mode("strict")])
        .await;
    let asked = asked.expect("it is decided").expect("it is asked for");
    let question = asked.approval.as_ref().expect("it waits");
    let decision = alice.decide(&ledger, question, Decision::Approve, Some("fine"));
    let _ = ledger.run(decision).await.expect("it is decided");
    let continued = ledger
        .execute(agent(&token), continue_apply(&token, &asked))
        .await;
    let _ = continued.expect("it is decided");
    carry_out(&ledger, asked.apply.id).await;
    let close = CloseTask {
        task_id: token.task.id,
        token: None,
        reason: None,
    };
    let _ = ledger.run(close).await.expect("the task is closed");
    let callbacks = bodies(&ledger).await;
    drop(token);
    let closed = ledger.close().await;
    Story {
        history: History::read(closed.path()),
        callbacks,
    }
}

async fn carry_out(ledger: &TestLedger, apply_id: ApplyId) {
    let start = StartOperation {
        apply_id,
        index: 0,
        simulated: false,
        // Those of its operation are put in where it is run.
        method: String::new(),
        path: String::new(),
        body_digest: None,
        read_before: Default::default(),
    };
    let _ = ledger.run(start).await.expect("it is started");
    let outcome = OperationOutcome::Succeeded {
        http_status: Some(200),
        request_id: Some("8f-AMS".to_owned()),
        result: "{}".to_owned(),
    };
    let end = EndOperation {
        apply_id,
        index: 0,
        outcome,
        reconciled: false,
        duration: Duration::from_millis(5),
        evidence: Default::default(),
    };
    let _ = ledger.run(end).await.expect("it is ended");
}

async fn bodies(ledger: &TestLedger) -> Vec<Value> {
    let newest = ledger.size().borrow().saturating_sub(1);
    let checkpoints = ledger.checkpoints().expect("it signs");
    let covered = checkpoints.covering(newest, PATIENCE).await;
    let _ = covered.expect("a checkpoint comes");
    let mut bodies = Vec::new();
    for recorded in ledger.events_from(0, 1000).await.expect("it can be read") {
        let Event::DeliveryOwed(owed) = &recorded.event else {
            continue;
        };
        let proof = ledger.prove_delivery(owed.delivery_id, recorded.position());
        let proof = serde_json::to_value(proof.await.expect("it is there")).expect("a proof");
        let event: Value = serde_json::from_str(&owed.event).expect("an event is JSON");
        bodies.push(json!({"event": event, "proof": proof}));
    }
    bodies
}
