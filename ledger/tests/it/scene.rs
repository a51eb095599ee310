//! What most scenarios start from: a ledger, an approver with a passkey, a task with its token.

use fixtures::approver::SoftApprover;
use fixtures::commands::{agent, continue_apply, ssl_mode, submit};
use fixtures::rules::APPROVER;
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::aggregate::Approval;
use ledger::command::{DecideApproval, EndOperation, IssuedToken, StartOperation, Submitted};
use ledger::event::OperationOutcome;
use ledger::operation::Operation;
use ledger::policy::{Fact, Value};
use ledger::{ApplyId, ApprovalId, Decision, Error, Event, Recorded, Rejection};
use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Scene {
    pub(crate) ledger: TestLedger,
    pub(crate) alice: SoftApprover,
    pub(crate) token: IssuedToken,
}

impl Deref for Scene {
    type Target = TestLedger;

    fn deref(&self) -> &TestLedger {
        &self.ledger
    }
}

impl Scene {
    /// Nothing is granted.
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let ledger = TestLedger::with(setup).await;
        let alice = SoftApprover::new(APPROVER);
        ledger.run(alice.registration()).await.unwrap();
        let token = ledger.task().await;
        Self {
            ledger,
            alice,
            token,
        }
    }

    /// The whole catalog is granted; what is sensitive still waits.
    pub(crate) async fn granted() -> Self {
        let ledger = TestLedger::open().await;
        let alice = SoftApprover::new(APPROVER);
        ledger.run(alice.registration()).await.unwrap();
        ledger.grant_all().await;
        let token = ledger.task().await;
        Self {
            ledger,
            alice,
            token,
        }
    }

    /// Accepted, or the test ends.
    pub(crate) async fn submitted(&self, key: &str, operations: Vec<Operation>) -> Submitted {
        self.submit(&self.token, key, operations)
            .await
            .unwrap()
            .unwrap()
    }

    /// A sensitive apply that waits.
    pub(crate) async fn asked(&self, key: &str) -> Submitted {
        self.submitted(key, vec![ssl_mode("strict")]).await
    }

    /// The same, from an address in a network, with a certificate of that subject.
    pub(crate) async fn asked_from(&self, key: &str, subject: &str) -> Submitted {
        let mut command = submit(&self.token, key, vec![ssl_mode("strict")]);
        let text = |text: &str| Fact::Known(Value::Text(text.to_owned()));
        command.edge.say("address", text("192.0.2.7"));
        command.edge.say("asn", Fact::Known(Value::Int(64496)));
        command.edge.say("tls.subject", text(subject));
        let asked = self.execute(agent(&self.token), command).await.unwrap();
        asked.accepted().unwrap()
    }

    pub(crate) async fn decided(&self, asked: &Submitted, decision: Decision) -> Arc<Approval> {
        let approval = asked.approval.as_ref().unwrap();
        let command = self.alice.decide(&self.ledger, approval, decision, None);
        self.run(command).await.unwrap().accepted().unwrap()
    }

    /// A sensitive apply that was approved.
    pub(crate) async fn approved(&self, key: &str) -> Submitted {
        let asked = self.asked(key).await;
        self.decided(&asked, Decision::Approve).await;
        asked
    }

    pub(crate) async fn continued(&self, asked: &Submitted) -> Result<Submitted, Rejection> {
        self.execute(agent(&self.token), continue_apply(&self.token, asked))
            .await
            .unwrap()
            .accepted()
    }

    pub(crate) async fn approval(&self, asked: &Submitted) -> Arc<Approval> {
        let id: ApprovalId = asked.approval.as_ref().unwrap().id;
        self.load(id).await.unwrap().unwrap()
    }

    pub(crate) fn size_now(&self) -> u64 {
        *self.size().borrow()
    }

    pub(crate) async fn since(&self, position: u64) -> Vec<Arc<Recorded>> {
        self.events_from(position, 1000).await.unwrap()
    }

    /// The names of what was appended from a position on.
    pub(crate) async fn names_since(&self, position: u64) -> Vec<&'static str> {
        let events = self.since(position).await;
        events
            .iter()
            .map(|recorded| recorded.event.name())
            .collect()
    }

    pub(crate) async fn all(&self) -> Vec<Event> {
        let events = self.log().events_from(0, 10_000).await.unwrap();
        events.into_iter().map(|recorded| recorded.event).collect()
    }
}

/// The refusal, or the test ends.
pub(crate) fn refusal<T: Debug>(result: Result<T, Error>) -> Rejection {
    match result {
        Err(Error::Rejected(rejection)) => rejection,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

pub(crate) fn start(apply_id: ApplyId, index: usize) -> StartOperation {
    StartOperation {
        apply_id,
        index,
        simulated: false,
        // Those of its operation are put in where it is run.
        method: String::new(),
        path: String::new(),
        body_digest: None,
        read_before: Default::default(),
        read_again: None,
    }
}

pub(crate) fn end(apply_id: ApplyId, index: usize, outcome: OperationOutcome) -> EndOperation {
    EndOperation {
        apply_id,
        index,
        outcome,
        reconciled: false,
        duration: Duration::from_millis(5),
        evidence: Default::default(),
    }
}

pub(crate) fn succeeded() -> OperationOutcome {
    OperationOutcome::Succeeded {
        http_status: Some(200),
        request_id: Some("8f-AMS".to_owned()),
        result: "{}".to_owned(),
    }
}

pub(crate) fn failed() -> OperationOutcome {
    OperationOutcome::Failed {
        http_status: Some(400),
        request_id: None,
        code: "upstream_refused".to_owned(),
        message: "no".to_owned(),
        errors: "[]".to_owned(),
    }
}

pub(crate) fn unknown() -> OperationOutcome {
    OperationOutcome::Unknown {
        why: "the connection broke".to_owned(),
    }
}

/// A decision that is refused, and changes nothing.
pub(crate) async fn refused(scene: &Scene, command: DecideApproval) -> Rejection {
    let before = scene.size_now();
    let refused = refusal(scene.run(command).await);
    assert_eq!(
        scene.size_now(),
        before,
        "a refused decision changes nothing"
    );
    refused
}
