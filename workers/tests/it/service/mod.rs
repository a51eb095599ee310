//! The workers over a real ledger and real read tables, against stand-ins for everything outside.

mod approvals;
mod bound;
mod deliveries;
mod execution;
mod lost_answers;
mod proofs;
mod restart;
mod schedules;

use crate::cloudflare::{ZONE, client};
use fixtures::approver::SoftApprover;
use fixtures::commands;
use fixtures::receiver::Receiver;
use fixtures::test_ledger::{Closed, Setup, TestLedger};
use fixtures::upstream::FakeUpstream;
use ledger::aggregate::{Apply, Approval, Delivery, DeliveryState, OperationState};
use ledger::command::{CreateTask, IssuedToken, ReplacePermissions, Submitted};
use ledger::event::{ApplyEnd, OperationOutcome};
use ledger::operation::Operation;
use ledger::storage::{StorageError, StorageErrorKind};
use ledger::{
    AgentName, ApplyId, CallbackPolicy, CommitFaults, CommitPoint, Decision, DeliveryId, Event,
    Recorded,
};
use projections::{ProjectionOptions, Projections};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use workers::callback::{CallbackSender, CallbackSenderConfig};
use workers::upstream::Upstreams;
use workers::{Supervisor, WorkersConfig, start};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const SECRET: &str = "the orchestrator's secret";

/// The service without its HTTP surface.
pub(crate) struct Service {
    pub(crate) ledger: TestLedger,
    pub(crate) supervisor: Supervisor,
    pub(crate) projections: Projections,
    pub(crate) stop: CancellationToken,
    runner: JoinHandle<()>,
}

/// What is configured, besides the ledger.
#[derive(Clone)]
pub(crate) struct Outside {
    pub(crate) upstreams: Upstreams,
    pub(crate) callback_roots: String,
}

impl Outside {
    pub(crate) fn simulated() -> Self {
        Self {
            upstreams: Upstreams::new(providers::all(), Vec::new()),
            callback_roots: String::new(),
        }
    }

    pub(crate) fn cloudflare(upstream: &FakeUpstream) -> Self {
        Self {
            upstreams: Upstreams::new(providers::all(), vec![client(upstream)]),
            ..Self::simulated()
        }
    }

    pub(crate) fn trusting(mut self, receiver: &Receiver) -> Self {
        self.callback_roots.push_str(receiver.ca_pem());
        self
    }

    fn config(self) -> WorkersConfig {
        let policy = CallbackPolicy::new(["localhost"]).unwrap();
        let roots = Some(self.callback_roots.into_bytes()).filter(|roots| !roots.is_empty());
        let sender = CallbackSenderConfig {
            extra_roots_pem: roots,
            ..CallbackSenderConfig::new(policy)
        };
        let sender = CallbackSender::new(sender).unwrap();
        WorkersConfig::new(self.upstreams, sender)
    }
}

impl Service {
    pub(crate) async fn over(ledger: TestLedger, outside: Outside) -> Self {
        let options = ProjectionOptions {
            url: format!("sqlite://{}", ledger.dir().join("proxy.db").display()),
            ledger: ledger.ledger.clone(),
        };
        let (projections, runner) = Projections::open(options).await.unwrap();
        let stop = CancellationToken::new();
        let following = stop.child_token();
        let runner = tokio::spawn(async move { runner.run(following).await.unwrap() });
        let supervisor = start(outside.config(), &ledger.ledger, &projections, &stop);
        Self {
            ledger,
            supervisor,
            projections,
            stop,
            runner,
        }
    }

    /// A new ledger whose agent may do everything that no human must look at.
    pub(crate) async fn start(outside: Outside) -> Self {
        let ledger = TestLedger::open().await;
        ledger.grant_all().await;
        Self::over(ledger, outside).await
    }

    /// From here on the read tables stay as they are.
    pub(crate) async fn stop_folding(&self) {
        self.runner.abort();
        until("the runner is gone", async || self.runner.is_finished()).await;
    }

    /// Ends as a killed process does: whatever is in flight is forgotten.
    pub(crate) async fn crash(self) -> Closed {
        drop(self.supervisor);
        self.runner.abort();
        let _ = self.runner.await;
        drop(self.projections);
        soon("the ledger closes", self.ledger.close()).await
    }

    /// Ends in order.
    pub(crate) async fn end(self) -> Closed {
        self.stop.cancel();
        soon("the workers drain", self.supervisor.drained()).await;
        self.runner.await.unwrap();
        drop(self.projections);
        soon("the ledger closes", self.ledger.close()).await
    }

    pub(crate) async fn submit(
        &self,
        token: &IssuedToken,
        key: &str,
        operations: Vec<Operation>,
    ) -> Submitted {
        let submitted = self.ledger.submit(token, key, operations).await;
        submitted.unwrap().unwrap()
    }

    /// Submits in a task of its own and waits for the end.
    pub(crate) async fn apply(&self, operations: Vec<Operation>) -> Arc<Apply> {
        let token = self.ledger.task().await;
        let submitted = self.submit(&token, "key", operations).await;
        ended(&self.ledger, submitted.apply.id).await
    }

    /// A task with a callback at the receiver.
    pub(crate) async fn task_with_callback(&self, receiver: &Receiver) -> IssuedToken {
        let task = CreateTask {
            callback: Some(commands::callback(receiver.address().port(), SECRET)),
            ..commands::create_task()
        };
        self.ledger.run(task).await.unwrap()
    }

    /// The clock moves, and the workers hear of it.
    pub(crate) fn advance(&self, by: Duration) {
        self.ledger.clock.advance(by);
        self.supervisor.wake();
    }
}

/// Fails the test when it takes too long.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("in vain: {what}"),
    }
}

/// Looks again and again until the condition holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

pub(crate) async fn ended(ledger: &TestLedger, apply_id: ApplyId) -> Arc<Apply> {
    let has_ended = |apply: &Apply| apply.end.is_some();
    let apply = ledger
        .wait_for::<Apply>(apply_id, PATIENCE, has_ended)
        .await;
    let apply = apply.unwrap();
    assert!(apply.end.is_some(), "still running: {apply:?}");
    apply
}

pub(crate) async fn events(ledger: &TestLedger) -> Vec<Arc<Recorded>> {
    ledger.events_from(0, 100_000).await.unwrap()
}

pub(crate) async fn count(ledger: &TestLedger, name: &str) -> usize {
    let events = events(ledger).await;
    events
        .iter()
        .filter(|event| event.event.name() == name)
        .count()
}

pub(crate) async fn deliveries(ledger: &TestLedger) -> Vec<DeliveryId> {
    let events = events(ledger).await;
    let owed = events.iter().filter_map(|event| match &event.event {
        Event::DeliveryOwed(owed) => Some(owed.delivery_id),
        _ => None,
    });
    owed.collect()
}

pub(crate) async fn delivery(
    ledger: &TestLedger,
    id: DeliveryId,
    holds: impl Fn(&Delivery) -> bool,
) -> Arc<Delivery> {
    let found = ledger.wait_for::<Delivery>(id, PATIENCE, &holds).await;
    let found = found.unwrap();
    assert!(holds(&found), "{found:?}");
    found
}

pub(crate) fn is_delivered(delivery: &Delivery) -> bool {
    delivery.state == DeliveryState::Delivered
}

/// The outcome of an operation that has ended, and whether it was found by reading back.
pub(crate) fn outcome(apply: &Apply, index: usize) -> (&OperationOutcome, bool) {
    match &apply.operations[index] {
        OperationState::Ended {
            outcome,
            reconciled,
            ..
        } => (outcome, *reconciled),
        other => panic!("not ended: {other:?}"),
    }
}

pub(crate) fn succeeded(apply: &Apply, index: usize) -> serde_json::Value {
    match outcome(apply, index).0 {
        OperationOutcome::Succeeded { result, .. } => serde_json::from_str(result).unwrap(),
        other => panic!("did not succeed: {other:?}"),
    }
}

pub(crate) fn failed_with(apply: &Apply, index: usize) -> &str {
    match outcome(apply, index).0 {
        OperationOutcome::Failed { code, .. } => code,
        other => panic!("did not fail: {other:?}"),
    }
}

pub(crate) fn unknown_because(apply: &Apply, index: usize) -> &str {
    match outcome(apply, index).0 {
        OperationOutcome::Unknown { why } => why,
        other => panic!("is known: {other:?}"),
    }
}

/// Registers a passkey and approves what waits.
pub(crate) async fn approve(ledger: &TestLedger, submitted: &Submitted) -> Arc<Approval> {
    let approver = SoftApprover::new("default");
    ledger.run(approver.registration()).await.unwrap();
    let approval = submitted.approval.as_ref().unwrap();
    let decision = approver.decide(&ledger.ledger, approval, Decision::Approve, None);
    ledger.run(decision).await.unwrap().accepted().unwrap()
}

/// An edit of a record that stands upstream, which can be read back either way.
pub(crate) fn edit(upstream: &FakeUpstream) -> Operation {
    let record = serde_json::json!({"type": "A", "name": "edit", "content": "192.0.2.9"});
    let record_id = upstream.put_record(ZONE, &record);
    crate::cloudflare::operation(
        "dns.record.write",
        serde_json::json!({"action": "edit", "record_id": record_id, "proxied": true}),
    )
}

pub(crate) const COMPLETED: Option<ApplyEnd> = Some(ApplyEnd::Completed);
pub(crate) const FAILED: Option<ApplyEnd> = Some(ApplyEnd::Failed);
pub(crate) const UNKNOWN: Option<ApplyEnd> = Some(ApplyEnd::Unknown);

/// Lets every commit fail while it is switched on.
#[derive(Default)]
pub(crate) struct FullDisk {
    is_full: AtomicBool,
    met: AtomicUsize,
}

impl FullDisk {
    pub(crate) fn fill(&self) {
        self.is_full.store(true, Ordering::SeqCst);
    }

    pub(crate) fn empty(&self) {
        self.is_full.store(false, Ordering::SeqCst);
    }

    /// How many commits have failed.
    pub(crate) fn met(&self) -> usize {
        self.met.load(Ordering::SeqCst)
    }

    pub(crate) async fn ledger(self: &Arc<Self>) -> TestLedger {
        let setup = Setup {
            faults: Some(Arc::clone(self) as Arc<dyn CommitFaults>),
            ..Setup::default()
        };
        let ledger = TestLedger::with(setup).await;
        ledger.grant_all().await;
        ledger
    }
}

impl CommitFaults for FullDisk {
    fn strike(&self, point: CommitPoint) -> Option<StorageError> {
        let strikes = point == CommitPoint::Write && self.is_full.load(Ordering::SeqCst);
        strikes.then(|| {
            self.met.fetch_add(1, Ordering::SeqCst);
            StorageError::new(StorageErrorKind::Passing, "committing", "full")
        })
    }
}
