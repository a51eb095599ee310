//! Answers to an apply. One shape for each way it can stand.

use super::evaluation::EvaluationView;
use super::plan::{Granted, PermissionCheckView};
use super::shortened::shortened;
use app::applies::Traced;
use ledger::aggregate::{Apply, Approval, CancelledBy, OperationState};
use ledger::command::Standing;
use ledger::event::{ApplyEnd, CheckedOperation, Evidence, OnApproval, OperationOutcome};
use ledger::operations_of;
use projections::TaskStatus;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// It waits for a human, or was approved and waits to be continued: 202.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApplyWaiting {
    /// `requires_approval`, or `approved`: then `continue` executes it.
    #[schema(pattern = "^(requires_approval|approved)$")]
    pub(crate) status: &'static str,
    /// The task.
    pub(crate) task_id: String,
    /// The apply.
    pub(crate) apply_id: String,
    /// `waiting_approval` or `ready`.
    pub(crate) apply_state: &'static str,
    /// The approval.
    pub(crate) approval_id: String,
    /// The approval in the place of which that one was asked, because the policy had changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<String>,
    /// For the agent.
    pub(crate) approval_status_url: String,
    /// For a human.
    pub(crate) approval_url: String,
    /// To be handed to `continue`.
    pub(crate) resume_token: String,
    /// The key that asked.
    pub(crate) idempotency_key: String,
    /// When to ask again.
    pub(crate) retry_after_seconds: u64,
    /// The callback that will hear of it: the agent's, or else the one that the task was opened with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) callback_id: Option<String>,
    /// What was granted beforehand and what was not.
    pub(crate) permission_check: PermissionCheckView,
}

/// It runs longer than the request may wait: 202.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApplyRunning {
    /// Always `in_progress`.
    #[schema(pattern = "^in_progress$")]
    pub(crate) status: &'static str,
    /// The task.
    pub(crate) task_id: String,
    /// The apply.
    pub(crate) apply_id: String,
    /// Always `applying`.
    pub(crate) apply_state: &'static str,
    /// The key that asked; asking again under it gives the end when there is one.
    pub(crate) idempotency_key: String,
    /// Names what is sent upstream, once something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) execution_id: Option<String>,
    /// When to ask again.
    pub(crate) retry_after_seconds: u64,
    /// The kept decision that authorised it, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authorised_by: Option<AuthorisedBy>,
}

/// A kept decision that answered without asking anybody.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuthorisedBy {
    /// Its id.
    clearance: String,
}

impl AuthorisedBy {
    pub(crate) fn of(apply: &Apply) -> Option<Self> {
        let clearance = apply.clearance_id?.to_string();
        Some(Self { clearance })
    }
}

/// It ended: 200 when everything was carried out, 409 otherwise.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApplyEnded {
    /// `completed`, `failed` or `unknown`.
    pub(crate) status: &'static str,
    /// The task.
    pub(crate) task_id: String,
    /// The apply.
    pub(crate) apply_id: String,
    /// The same word as `status`.
    pub(crate) apply_state: &'static str,
    /// The key that asked.
    pub(crate) idempotency_key: String,
    /// Names what was sent upstream; null when nothing was.
    pub(crate) execution_id: Option<String>,
    /// True when no credential is configured and nothing was really sent.
    pub(crate) simulated: bool,
    /// Present when nothing was applied and the approval was given back: until then the same operations
    /// can be continued under a new key, with the same resume token. RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) approval_usable_until: Option<String>,
    /// The kept decision that authorised it, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authorised_by: Option<AuthorisedBy>,
    /// One for each operation, in order.
    pub(crate) results: Vec<OperationResult>,
}

/// What became of one operation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OperationResult {
    /// The operation.
    pub(crate) operation_id: String,
    /// Whether it was surely carried out.
    pub(crate) success: bool,
    /// `succeeded`, `failed`, `unknown`, `not_executed` or `not_tried`; `waiting` or `applying` while
    /// the apply has not ended.
    pub(crate) outcome: &'static str,
    /// Upstream's name for the request, also of one whose outcome is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "cloudflare_request_id")]
    pub(crate) upstream_request_id: Option<String>,
    /// Upstream's HTTP status, where there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http_status: Option<u16>,
    /// `result_info` of upstream's answer as it came: `page`, `per_page`, `count`, `total_count`, or
    /// `cursors`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HashMap<String, Value>>)]
    pub(crate) result_info: Option<Value>,
    /// `messages` of upstream's answer as they came; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<HashMap<String, Value>>>)]
    pub(crate) messages: Option<Value>,
    /// What to know about the result, for people: `100 of 137 are in this answer; ask for page 2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// True when the outcome was found by reading back, because the answer was lost.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) read_back: bool,
    /// What upstream said; null when it was not asked.
    pub(crate) result: Value,
}

/// The word for an end, in answers.
pub(crate) const fn end_word(end: ApplyEnd) -> &'static str {
    match end {
        ApplyEnd::Completed => "completed",
        ApplyEnd::Failed => "failed",
        ApplyEnd::Unknown => "unknown",
    }
}

impl ApplyEnded {
    /// The same for the same apply, whenever it is asked for.
    pub(crate) fn of(apply: &Apply, end: ApplyEnd, approval: Option<&Approval>) -> Self {
        let word = end_word(end);
        let usable_until = approval.and_then(|approval| approval.usable_after(apply));
        Self {
            status: word,
            task_id: apply.task_id.to_string(),
            apply_id: apply.id.to_string(),
            apply_state: word,
            idempotency_key: apply.idempotency_key.clone().into(),
            execution_id: apply.execution_id.map(|id| id.to_string()),
            simulated: apply.operations.iter().any(was_simulated),
            approval_usable_until: usable_until.map(|until| until.to_string()),
            authorised_by: AuthorisedBy::of(apply),
            results: results(apply),
        }
    }
}

fn was_simulated(operation: &OperationState) -> bool {
    match operation {
        OperationState::Waiting => false,
        OperationState::Started(started) => started.simulated,
        OperationState::Ended { simulated, .. } => *simulated,
    }
}

/// What became of each operation of an apply.
pub(crate) fn results(apply: &Apply) -> Vec<OperationResult> {
    apply
        .check
        .requested
        .iter()
        .zip(&apply.operations)
        .map(|(asked, state)| result(asked, state, apply))
        .collect()
}

fn result(asked: &CheckedOperation, state: &OperationState, apply: &Apply) -> OperationResult {
    let bare = |outcome, result| OperationResult {
        operation_id: asked.operation.to_string(),
        success: false,
        outcome,
        upstream_request_id: None,
        http_status: None,
        result_info: None,
        messages: None,
        note: None,
        read_back: false,
        result,
    };
    match state {
        OperationState::Waiting if apply.end.is_none() => bare("waiting", Value::Null),
        OperationState::Waiting => bare("not_tried", not_tried(apply)),
        OperationState::Started(_) => bare("applying", Value::Null),
        OperationState::Ended {
            outcome,
            evidence,
            reconciled,
            ..
        } => {
            let (success, word, result) = ended(outcome, evidence, apply.resolved);
            let (http_status, request_id) = answered(outcome, evidence);
            OperationResult {
                success,
                upstream_request_id: request_id,
                http_status,
                result_info: evidence.result_info.as_deref().map(as_json),
                messages: evidence.messages.as_deref().map(as_json),
                note: evidence.pages(),
                read_back: *reconciled,
                ..bare(word, result)
            }
        }
    }
}

fn not_tried(apply: &Apply) -> Value {
    match &apply.stopped {
        Some(why) => json!({"not_tried": why}),
        None => json!({"not_tried": "the apply had stopped at an operation before it"}),
    }
}

fn ended(
    outcome: &OperationOutcome,
    evidence: &Evidence,
    resolved: Option<bool>,
) -> (bool, &'static str, Value) {
    match outcome {
        OperationOutcome::Succeeded { result, .. } => (true, "succeeded", as_json(result)),
        OperationOutcome::Failed {
            code,
            message,
            errors,
            ..
        } => {
            let result = json!({"code": code, "message": message, "errors": as_json(errors)});
            (false, "failed", result)
        }
        OperationOutcome::Unknown { why } => match resolved {
            None => (false, "unknown", unknown(why, evidence)),
            Some(true) => (true, "succeeded", json!({"settled_by": "a person"})),
            Some(false) => (false, "not_executed", json!({"settled_by": "a person"})),
        },
    }
}

/// All that a person needs who looks whether it was carried out.
fn unknown(why: &str, evidence: &Evidence) -> Value {
    let mut result = json!({"unknown": why});
    for (name, text) in [
        ("errors", &evidence.errors),
        ("read_before", &evidence.read_before),
        ("read_back", &evidence.read_back),
    ] {
        if let (Some(text), Some(result)) = (text, result.as_object_mut()) {
            result.insert(name.to_owned(), as_json(text));
        }
    }
    result
}

/// Status and name of the answer, whether or not the outcome could be told from it.
fn answered(outcome: &OperationOutcome, evidence: &Evidence) -> (Option<u16>, Option<String>) {
    match outcome {
        OperationOutcome::Succeeded {
            http_status: Some(status),
            request_id,
            ..
        }
        | OperationOutcome::Failed {
            http_status: Some(status),
            request_id,
            ..
        } => (Some(*status), request_id.clone()),
        _ => (evidence.http_status, evidence.request_id.clone()),
    }
}

/// Upstream's JSON as JSON; what is none is passed on as text.
fn as_json(text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// One apply in full.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApplyDetail {
    /// The apply.
    pub(crate) apply_id: String,
    /// Its task.
    pub(crate) task_id: String,
    /// The word that its task's `status` has while it is the newest; `failed` also when another apply
    /// used the approval.
    pub(crate) status: &'static str,
    /// The word that its task's `apply_state` has while it is the newest.
    pub(crate) apply_state: &'static str,
    /// The key that named it.
    pub(crate) idempotency_key: String,
    /// Hex SHA-256 of what was asked.
    pub(crate) operation_fingerprint: String,
    /// The approval that it waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) approval_id: Option<String>,
    /// The kept decision that authorised it, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authorised_by: Option<AuthorisedBy>,
    /// Names what was sent upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) execution_id: Option<String>,
    /// The reason that came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// The link that came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
    /// `execute` where it is carried out at once after an approval; absent where its agent continues it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_approval: Option<&'static str>,
    /// RFC 3339, UTC.
    pub(crate) accepted_at: String,
    /// RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended_at: Option<String>,
    /// True when nothing was really sent.
    pub(crate) simulated: bool,
    /// The operations as they are sent. Where they are longer than 1 MiB, long texts in them are told by
    /// their length and SHA-256 digest.
    #[schema(value_type = Vec<HashMap<String, Value>>)]
    pub(crate) operations: Vec<Value>,
    /// What became of each.
    pub(crate) results: Vec<OperationResult>,
    /// What was granted beforehand.
    pub(crate) permission_check: PermissionCheckView,
    /// What the policy said of it; absent where no document was in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) evaluation: Option<EvaluationView>,
}

impl ApplyDetail {
    /// With what became of the rules, where a policy was evaluated.
    pub(crate) fn of(
        apply: &Apply,
        standing: &Standing,
        granted: Granted<'_>,
        traced: Option<&Traced>,
    ) -> Self {
        let said = apply.evaluation.as_deref();
        let status = match standing {
            Standing::Waiting => TaskStatus::RequiresApproval,
            Standing::Approved => TaskStatus::Approved,
            Standing::Running => TaskStatus::Applying,
            Standing::Ended(ApplyEnd::Completed) => TaskStatus::Completed,
            Standing::Ended(ApplyEnd::Failed)
            | Standing::Cancelled {
                by:
                    CancelledBy::Lock
                    | CancelledBy::Policy
                    | CancelledBy::Person
                    | CancelledBy::PreState,
            }
            | Standing::ConsumedElsewhere { .. } => TaskStatus::Failed,
            Standing::Ended(ApplyEnd::Unknown) => TaskStatus::Unknown,
            Standing::Denied { .. } => TaskStatus::Denied,
            Standing::Expired { .. } => TaskStatus::Expired,
            Standing::Cancelled {
                by: CancelledBy::Task,
            } => TaskStatus::Closed,
        };
        let executes = apply.on_approval == OnApproval::Execute;
        Self {
            apply_id: apply.id.to_string(),
            task_id: apply.task_id.to_string(),
            status: status.as_str(),
            apply_state: status.apply_state().as_str(),
            idempotency_key: apply.idempotency_key.clone().into(),
            operation_fingerprint: apply.fingerprint.to_string(),
            approval_id: apply.approval_id.map(|id| id.to_string()),
            authorised_by: AuthorisedBy::of(apply),
            execution_id: apply.execution_id.map(|id| id.to_string()),
            reason: apply.purpose.reason.clone().map(Into::into),
            link: apply.purpose.link.clone().map(Into::into),
            on_approval: executes.then(|| apply.on_approval.as_str()),
            accepted_at: apply.accepted_at.to_string(),
            ended_at: apply.ended_at.map(|at| at.to_string()),
            simulated: apply.operations.iter().any(was_simulated),
            // The submission was written by the ledger itself, so it reads.
            operations: shortened(operations_of(apply.submission.as_bytes()).unwrap_or_default()),
            results: results(apply),
            permission_check: PermissionCheckView::of(&apply.check, granted),
            evaluation: said.map(|said| EvaluationView::of(said, traced)),
        }
    }
}
