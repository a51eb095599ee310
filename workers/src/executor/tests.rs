//! What is concluded without asking upstream. The rest is tried in `tests/it/service`.

use super::conclusion::Conclusion;
use super::execution::Execution;
use crate::recording::Recorder;
use crate::upstream::{Before, UpstreamClient, UpstreamConfig, Upstreams};
use fixtures::commands;
use fixtures::test_ledger::TestLedger;
use ledger::ApplyId;
use ledger::aggregate::{Apply, OperationState};
use ledger::command::StartOperation;
use ledger::event::{ApplyEnd, OperationOutcome};
use ledger::operation::Operation;
use providers::cloudflare;
use secrecy::SecretString;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A client whose every request would fail at once: nothing listens there.
fn nowhere() -> Upstreams {
    let token = SecretString::from("token");
    let provider = Arc::new(cloudflare::Cloudflare);
    let config = UpstreamConfig::new(provider, "http://127.0.0.1:9/client/v4", token);
    Upstreams::new(providers::all(), vec![UpstreamClient::new(config).unwrap()])
}

struct Given {
    ledger: TestLedger,
    apply_id: ApplyId,
}

impl Given {
    async fn apply(operation: Operation) -> Self {
        let ledger = TestLedger::open().await;
        ledger.grant_all().await;
        let token = ledger.task().await;
        let submitted = ledger.submit(&token, "key", vec![operation]).await;
        let apply_id = submitted.unwrap().unwrap().apply.id;
        Self { ledger, apply_id }
    }

    async fn started(self, simulated: bool) -> Self {
        let start = StartOperation {
            apply_id: self.apply_id,
            index: 0,
            simulated,
            method: "POST".to_owned(),
            path: "/".to_owned(),
            body_digest: None,
            read_before: Default::default(),
            read_again: None,
        };
        self.ledger.run(start).await.unwrap();
        self
    }

    fn execution(&self, failures: u32) -> Execution {
        Execution {
            recorder: Recorder::new(self.ledger.ledger.clone(), "executor"),
            upstreams: nowhere(),
            forwarder: None,
            stop: CancellationToken::new(),
            apply_id: self.apply_id,
            failures,
        }
    }

    async fn state(&self) -> Arc<Apply> {
        self.ledger.load(self.apply_id).await.unwrap().unwrap()
    }

    async fn run(&self, failures: u32) -> (Option<ApplyEnd>, &'static str) {
        self.execution(failures).run().await.unwrap();
        let apply = self.state().await;
        let OperationState::Ended { outcome, .. } = &apply.operations[0] else {
            panic!("not ended: {apply:?}");
        };
        let word = match outcome {
            OperationOutcome::Succeeded { .. } => "succeeded",
            OperationOutcome::Failed { code, .. } if code == "executor_failed" => "executor_failed",
            OperationOutcome::Failed { code, .. } if code == "interrupted" => "interrupted",
            OperationOutcome::Failed { .. } => "failed",
            OperationOutcome::Unknown { .. } => "unknown",
        };
        (apply.end, word)
    }
}

#[tokio::test]
async fn an_apply_that_the_executor_fails_over_is_not_sent_in_the_end() {
    let given = Given::apply(commands::dns_create("www")).await;
    let end = Some(ApplyEnd::Failed);
    assert_eq!(given.run(3).await, (end, "executor_failed"));
}

#[tokio::test]
async fn what_was_started_before_the_executor_failed_over_it_is_not_called_failed() {
    let given = Given::apply(commands::dns_create("www"))
        .await
        .started(false)
        .await;
    let end = Some(ApplyEnd::Unknown);
    assert_eq!(given.run(3).await, (end, "unknown"));

    let read = Given::apply(commands::dns_read())
        .await
        .started(false)
        .await;
    let end = Some(ApplyEnd::Failed);
    assert_eq!(read.run(3).await, (end, "interrupted"));
}

#[tokio::test]
async fn an_unreachable_upstream_is_a_failure_that_changed_nothing() {
    let given = Given::apply(commands::dns_create("www")).await;
    assert_eq!(given.run(0).await, (Some(ApplyEnd::Failed), "failed"));
}

#[tokio::test]
async fn an_operation_that_cannot_be_read_is_not_sent() {
    let why = Err("params.ttl: a rule that came later");
    let waiting = Given::apply(commands::dns_create("www")).await;
    let execution = waiting.execution(0);
    let concluded = execution
        .carry_out(&*waiting.state().await, &Before::default(), why)
        .await;
    assert!(matches!(
        &concluded.outcome,
        OperationOutcome::Failed { code, message, .. }
            if code == "operation_unreadable" && message.contains("a rule that came later")
    ));

    let settle = async |given: Given| -> Conclusion {
        let state = given.state().await;
        given
            .execution(0)
            .settle(&state, &Before::default(), why)
            .await
    };
    let sent = Given::apply(commands::dns_create("www"))
        .await
        .started(false)
        .await;
    assert_eq!(settle(sent).await.name(), "unknown");
    let simulated = Given::apply(commands::dns_create("www"))
        .await
        .started(true)
        .await;
    assert_eq!(settle(simulated).await.name(), "failed");
}

#[tokio::test]
async fn an_apply_that_has_ended_is_left_alone() {
    let given = Given::apply(commands::dns_create("www")).await;
    given.run(3).await;
    let size = *given.ledger.size().borrow();
    given.execution(0).run().await.unwrap();
    assert_eq!(*given.ledger.size().borrow(), size);
}
