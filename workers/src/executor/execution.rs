//! One apply, from where the log says it stands to its end.
//!
//! After a crash, by where it happened:
//!
//! | crash | in the log | next start |
//! |---|---|---|
//! | before the intent is committed | operation waiting | starts it |
//! | after that, before or after sending, before the outcome is committed | started | simulated: ends it; a read: sends it again; otherwise reads back, never sends; what is not there counts as not applied only once nothing can land any more |
//! | after the outcome is committed | ended | goes on with the next operation |

use super::conclusion::{
    Conclusion, EXECUTOR_FAILED, INTERRUPTED, Landing, Lost, NO_CREDENTIAL, UNREADABLE,
};
use crate::error::Error;
use crate::forwarding::{Forwarder, Forwarding, NotForwarded, digest_of, without_content};
use crate::pre_state::read_again;
use crate::recording::Recorder;
use crate::upstream::{Before, UpstreamClient, Upstreams, simulate};
use ledger::aggregate::{Apply, Approval, OperationState, Task};
use ledger::command::{EndOperation, OperationStart, ReadAgain, StartOperation};
use ledger::operation::{Operation, RequestDescription};
use ledger::provider::Body;
use ledger::{ApplyId, Rejection};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long reading back may take in all before the outcome counts as unknown.
const READ_BACK_PATIENCE: Duration = Duration::from_secs(120);
/// After so many failures of the executor itself an apply is concluded without asking upstream.
const MOST_FAILURES: u32 = 3;
/// Why there is no answer to what an earlier process started.
const STOPPED: &str = "the service stopped before the answer was recorded";
/// Why a forwarded request is not read back.
const UNREAD_BACK: &str = "what such a request changes cannot be read back here";

/// Everything that one apply needs.
pub(super) struct Execution {
    pub(super) recorder: Recorder,
    pub(super) upstreams: Upstreams,
    pub(super) forwarder: Option<Arc<dyn Forwarder>>,
    pub(super) stop: CancellationToken,
    pub(super) apply_id: ApplyId,
    /// How often this was tried and failed for reasons on this side.
    pub(super) failures: u32,
}

/// Where this apply is carried out. One that has begun to be simulated stays so: its results would
/// otherwise be partly true.
enum Way<'a> {
    Simulated,
    Sent(&'a UpstreamClient),
    /// Sent as its client sent it, and read back with the service's own credential, where there is one and the
    /// operation can be read back.
    Forwarded(Option<&'a UpstreamClient>),
    /// It was begun with a credential that is gone.
    Closed,
}

impl Execution {
    /// Carries the apply out as far as it may be. When told to stop it leaves after the operation
    /// that is under way; the next start goes on.
    pub(super) async fn run(self) -> Result<(), Error> {
        let Some(mut apply) = self.recorder.ledger().load::<Apply>(self.apply_id).await? else {
            tracing::error!(apply.id = %self.apply_id, "the execution queue names an unknown apply");
            return Ok(());
        };
        if !apply.is_running() {
            return Ok(());
        }
        let operations = self.upstreams.read_operations(&apply);
        while apply.is_running() {
            let Some(index) = apply.next_operation() else {
                return Ok(());
            };
            let operation = match &operations {
                Ok(operations) => operations.get(index).ok_or("it is not in the submission"),
                Err(why) => Err(why.as_str()),
            };
            let began = Instant::now();
            let conclusion = match apply.operations.get(index) {
                Some(OperationState::Started(started)) => {
                    let before = Before::from_log(&started.read_before);
                    self.settle(&apply, &before, operation).await
                }
                Some(OperationState::Waiting) if self.stop.is_cancelled() => return Ok(()),
                Some(OperationState::Waiting) => {
                    let again = self.read_again(&apply, &operations).await?;
                    let before = self.read_before(&apply, operation).await;
                    let may_start = self.may_start(&apply, index, (&before, again), operation);
                    if !may_start.await? {
                        return Ok(());
                    }
                    self.carry_out(&apply, &before, operation).await
                }
                Some(OperationState::Ended { .. }) | None => return Ok(()),
            };
            self.report(&apply, operation, &conclusion, began.elapsed());
            let ended = EndOperation {
                apply_id: apply.id,
                index,
                outcome: conclusion.outcome,
                reconciled: conclusion.reconciled,
                duration: began.elapsed(),
                evidence: conclusion.evidence,
            };
            apply = match self.recorder.record(ended).await {
                Ok(apply) => apply,
                Err(ledger::Error::Rejected(Rejection::NotExecutable)) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(())
    }

    /// Reads what the operation will change, so that it can be told later whether it did. Where nothing
    /// will be sent, nothing is read.
    async fn read_before(&self, apply: &Apply, operation: Result<&Operation, &str>) -> Before {
        match (self.way(apply, operation), operation) {
            (Way::Sent(client) | Way::Forwarded(Some(client)), Ok(operation))
                if self.failures < MOST_FAILURES =>
            {
                client.read_before(operation).await
            }
            _ => Before::default(),
        }
    }

    /// Reads again what the people saw who approved the apply, where they approved it for that state only. `None` once
    /// it has begun: from then on its own operations change the state.
    async fn read_again(
        &self,
        apply: &Apply,
        operations: &Result<Vec<Operation>, String>,
    ) -> Result<Option<ReadAgain>, Error> {
        let Ok(operations) = operations else {
            return Ok(None);
        };
        let approval = apply.approval_id.filter(|_| {
            apply.evaluation.is_some()
                && apply.execution_id.is_none()
                && (self.upstreams.carry(apply)
                    || operations.iter().any(|it| it.forwarded().is_some()))
        });
        let Some(approval) = approval else {
            return Ok(None);
        };
        let approval = self.recorder.ledger().load::<Approval>(approval).await?;
        if !approval.is_some_and(|approval| approval.binds_pre_state()) {
            return Ok(None);
        }
        Ok(Some(read_again(&self.upstreams, operations).await))
    }

    /// Commits the intent. `false` when the apply is not to go on: its task was closed, it is asked about anew, or
    /// somebody else executes it.
    async fn may_start(
        &self,
        apply: &Apply,
        index: usize,
        (before, again): (&Before, Option<ReadAgain>),
        operation: Result<&Operation, &str>,
    ) -> Result<bool, Error> {
        let request = operation.map_or_else(
            |_| RequestDescription {
                method: "none".to_owned(),
                path: String::new(),
                body_sha256: None,
            },
            |operation| operation.request(before.name()).description(),
        );
        let start = StartOperation {
            apply_id: apply.id,
            index,
            simulated: matches!(self.way(apply, operation), Way::Simulated),
            method: request.method,
            path: request.path,
            body_digest: request.body_sha256.map(hex::encode),
            read_before: before.recorded(),
            read_again: again,
        };
        match self.recorder.record_unless(&self.stop, start).await {
            None | Some(Ok(OperationStart::Stopped)) => Ok(false),
            Some(Ok(OperationStart::Go)) => Ok(true),
            Some(Err(ledger::Error::Rejected(Rejection::NotExecutable))) => Ok(false),
            Some(Err(error)) => Err(error.into()),
        }
    }

    fn way(&self, apply: &Apply, operation: Result<&Operation, &str>) -> Way<'_> {
        if let Ok(operation) = operation
            && operation.forwarded().is_some()
        {
            let client = self.upstreams.of(operation);
            return Way::Forwarded(client.filter(|_| operation.reconcilable()));
        }
        let mut begun = apply.operations.iter().filter_map(|state| match state {
            OperationState::Waiting => None,
            OperationState::Started(started) => Some(started.simulated),
            OperationState::Ended { simulated, .. } => Some(*simulated),
        });
        match begun.next_back() {
            Some(true) => Way::Simulated,
            None if !self.upstreams.carry(apply) => Way::Simulated,
            Some(false) | None => {
                let client = operation.ok().and_then(|it| self.upstreams.of(it));
                client.map_or(Way::Closed, Way::Sent)
            }
        }
    }

    /// Does what the committed intent says.
    pub(super) async fn carry_out(
        &self,
        apply: &Apply,
        before: &Before,
        operation: Result<&Operation, &str>,
    ) -> Conclusion {
        let operation = match operation {
            Ok(operation) => operation,
            Err(why) => return Conclusion::not_sent(UNREADABLE, unreadable(why)),
        };
        if self.failures >= MOST_FAILURES {
            return Conclusion::not_sent(EXECUTOR_FAILED, failed_too_often(self.failures));
        }
        match self.way(apply, Ok(operation)) {
            Way::Simulated => Conclusion::simulated(&simulate(operation)),
            Way::Closed => Conclusion::not_sent(
                NO_CREDENTIAL,
                format!(
                    "the {} token was taken away after the apply had begun; nothing was sent",
                    title(operation)
                ),
            ),
            Way::Sent(client) => self.send(client, apply, before, operation).await,
            Way::Forwarded(client) => self.forward(client, apply, before, operation).await,
        }
    }

    /// Sends a client's own request with the key of its agent.
    async fn forward(
        &self,
        client: Option<&UpstreamClient>,
        apply: &Apply,
        before: &Before,
        operation: &Operation,
    ) -> Conclusion {
        let (Some(forwarder), Some(request)) = (&self.forwarder, operation.forwarded()) else {
            return Conclusion::not_sent(NO_CREDENTIAL, "this service has no proxies");
        };
        let task = self.recorder.ledger().existing::<Task>(apply.task_id).await;
        let agent_id = match task {
            Ok(task) => task.agent_id,
            Err(error) => return Conclusion::not_sent(EXECUTOR_FAILED, error.to_string()),
        };
        let forwarding = Forwarding {
            apply_id: apply.id,
            agent_id,
            request,
        };
        let answer = match forwarder.forward(forwarding).await {
            Ok(answer) => Ok(answer),
            Err(NotForwarded::NoKey(why)) => return Conclusion::not_sent(NO_CREDENTIAL, why),
            Err(NotForwarded::NoAnswer(why)) => Err(why),
        };
        let body = match &answer {
            Ok(answer) => match &answer.body {
                Body::Complete(bytes) => Some(digest_of(bytes)),
                Body::Oversized | Body::Broken(_) => None,
            },
            Err(_) => None,
        };
        let ends = operation.ends_with_its_answer();
        let outcome = operation.provider().outcome(answer, ends);
        // What follows is held to what this has made.
        let keeps_id = !request.also_allowed.is_empty();
        // What is withheld of the request may stand in what upstream says of it.
        let keeps_errors = !request.needs_its_call();
        let outcome = without_content(outcome, body, (keeps_id, keeps_errors));
        match (Conclusion::of(outcome), client) {
            (Ok(conclusion), _) => conclusion,
            (Err(lost), Some(client)) => {
                let lost = (lost, Landing::Possible);
                self.read_back(client, apply, before, operation, lost).await
            }
            (Err(lost), None) => Conclusion::unsettled(lost, before, UNREAD_BACK),
        }
    }

    async fn send(
        &self,
        client: &UpstreamClient,
        apply: &Apply,
        before: &Before,
        operation: &Operation,
    ) -> Conclusion {
        match Conclusion::of(client.send(operation, before.name()).await) {
            Ok(conclusion) => conclusion,
            Err(lost) => {
                let lost = (lost, Landing::Possible);
                self.read_back(client, apply, before, operation, lost).await
            }
        }
    }

    /// Ends what an earlier process, or a task that failed, started. Nothing that may have changed
    /// something is sent again.
    pub(super) async fn settle(
        &self,
        apply: &Apply,
        before: &Before,
        operation: Result<&Operation, &str>,
    ) -> Conclusion {
        let way = self.way(apply, operation);
        let operation = match (operation, &way) {
            (Ok(operation), _) => operation,
            (Err(why), Way::Simulated) => {
                return Conclusion::not_sent(UNREADABLE, unreadable(why));
            }
            (Err(why), _) => {
                return Conclusion::unknown(format!("{STOPPED}; {}", unreadable(why)));
            }
        };
        let is_read = !operation.changes_upstream();
        let without_upstream = |why: String| {
            if is_read {
                Conclusion::not_sent(INTERRUPTED, why)
            } else {
                Conclusion::unknown(why)
            }
        };
        match way {
            Way::Simulated => Conclusion::simulated(&simulate(operation)),
            _ if self.failures >= MOST_FAILURES => {
                without_upstream(format!("{STOPPED}; {}", failed_too_often(self.failures)))
            }
            Way::Closed => without_upstream(format!(
                "{STOPPED}; no {} token is configured to find out",
                title(operation)
            )),
            Way::Forwarded(Some(client)) => {
                let lost = (Lost::without_answer(STOPPED), self.landing(client, apply));
                self.read_back(client, apply, before, operation, lost).await
            }
            Way::Forwarded(None) => {
                Conclusion::unsettled(Lost::without_answer(STOPPED), before, UNREAD_BACK)
            }
            // Under the name that the intent has, so that it is the same request.
            Way::Sent(client) if is_read => self.send(client, apply, before, operation).await,
            Way::Sent(client) => {
                let lost = (Lost::without_answer(STOPPED), self.landing(client, apply));
                self.read_back(client, apply, before, operation, lost).await
            }
        }
    }

    /// Whether what an earlier process sent may still be carried out, by the intent's age.
    fn landing(&self, client: &UpstreamClient, apply: &Apply) -> Landing {
        let now = self.recorder.ledger().now();
        let is_over = apply
            .started_at
            .is_some_and(|started| now.since(started) >= client.may_land_within());
        if is_over {
            Landing::Over
        } else {
            Landing::Possible
        }
    }

    async fn read_back(
        &self,
        client: &UpstreamClient,
        apply: &Apply,
        before: &Before,
        operation: &Operation,
        (lost, landing): (Lost, Landing),
    ) -> Conclusion {
        tracing::warn!(
            apply.id = %apply.id,
            operation = operation.entry.id.as_str(),
            upstream.request_id = lost.evidence.request_id,
            upstream.status = lost.evidence.http_status,
            lost = lost.why,
            "the answer was lost; reading back"
        );
        let found = client.reconcile(operation, before);
        match tokio::time::timeout(READ_BACK_PATIENCE, found).await {
            Ok(found) => Conclusion::read_back(found, before, lost, landing),
            Err(_) => {
                let seconds = READ_BACK_PATIENCE.as_secs();
                let why = format!("reading back did not end within {seconds} seconds");
                Conclusion::unsettled(lost, before, &why)
            }
        }
    }

    fn report(
        &self,
        apply: &Apply,
        operation: Result<&Operation, &str>,
        conclusion: &Conclusion,
        took: Duration,
    ) {
        let kind = operation.map_or_else(
            |_| "unreadable".to_owned(),
            |operation| operation.entry.id.to_string(),
        );
        let simulated = matches!(self.way(apply, operation), Way::Simulated);
        metrics::counter!(
            "operations_total",
            "operation" => kind.clone(),
            "outcome" => conclusion.name(),
            "simulated" => if simulated { "true" } else { "false" },
            "reconciled" => if conclusion.reconciled { "true" } else { "false" },
        )
        .increment(1);
        let duration_ms = took.as_millis();
        if simulated {
            tracing::debug!(
                apply.id = %apply.id,
                task.id = %apply.task_id,
                operation = kind,
                outcome = conclusion.name(),
                "operation simulated"
            );
        } else {
            tracing::info!(
                apply.id = %apply.id,
                task.id = %apply.task_id,
                operation = kind,
                outcome = conclusion.name(),
                reconciled = conclusion.reconciled,
                duration_ms,
                "operation ended"
            );
        }
    }
}

/// The provider whose token it takes.
fn title(operation: &Operation) -> &'static str {
    operation.provider().names().title
}

fn unreadable(why: &str) -> String {
    format!("this version cannot read the operations of the apply ({why})")
}

fn failed_too_often(failures: u32) -> String {
    format!("the executor failed {failures} times over this apply; see the service's log")
}
