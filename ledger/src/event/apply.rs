//! Events of an apply's stream. Frozen forms.

use crate::catalog::{Level, OperationKind, ScopeType};
use crate::fingerprint::Fingerprint;
use crate::id::{ApplyId, ApprovalId, CallbackId, ExecutionId, TaskId, TokenId};
use serde::{Deserialize, Serialize};

/// One operation in a permission check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedOperation {
    /// The operation.
    pub operation: OperationKind,
    /// What kind of object.
    pub scope_type: ScopeType,
    /// Which object.
    pub scope_id: String,
    /// The level that a grant must have.
    pub required_level: Level,
}

/// What was asked for and what of it was granted beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PermissionCheck {
    /// Every operation asked for.
    pub requested: Vec<CheckedOperation>,
    /// Those that a grant covers and whose risk needs no human.
    pub pre_approved: Vec<CheckedOperation>,
    /// Those that wait for a human.
    pub missing: Vec<CheckedOperation>,
}

/// Why an apply may be executed, or what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authorisation {
    /// Grants cover every operation.
    Granted,
    /// It waits for this approval.
    Awaiting(ApprovalId),
}

/// `apply.accepted` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyAccepted {
    /// The apply, which is also its stream.
    pub apply_id: ApplyId,
    /// Its task.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent: String,
    /// The idempotency key, 1..=255 visible characters.
    pub idempotency_key: String,
    /// SHA-256 over `submission`.
    pub fingerprint: Fingerprint,
    /// The canonical JSON that the fingerprint covers; the executor sends from it.
    pub submission: String,
    /// What was granted beforehand.
    pub check: PermissionCheck,
    /// Whether it may run or what it waits for.
    pub authorisation: Authorisation,
    /// The capability token that asked.
    pub token_id: TokenId,
    /// The task's callback at that moment.
    pub callback_id: Option<CallbackId>,
}

/// `apply.refused` 1: an attempt that was not accepted; it is the whole of its stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyRefused {
    /// The task that it was for.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent: String,
    /// The idempotency key, where it had a valid one.
    pub idempotency_key: Option<String>,
    /// The stable code of the refusal.
    pub code: String,
    /// The text that the caller got.
    pub detail: String,
    /// SHA-256 of the request's operations, where they could be read.
    pub fingerprint: Option<Fingerprint>,
}

/// `apply.refusals_counted` 1: refusals of one task and minute beyond those recorded one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalsCounted {
    /// The task that they were for.
    pub task_id: TaskId,
    /// The minute, as seconds since 1970.
    pub minute: i64,
    /// How many.
    pub count: u64,
}

/// `apply.authorised` 1: an approval was consumed for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyAuthorised {
    /// The approval, consumed in the same commit.
    pub approval_id: ApprovalId,
}

/// `apply.operation_started` 1: from here on the operation may have an effect upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationStarted {
    /// Its index in the submission.
    pub index: u32,
    /// Names the execution; the same for all operations of an apply.
    pub execution_id: ExecutionId,
    /// No credential is configured: nothing is sent.
    pub simulated: bool,
    /// The HTTP method.
    pub method: String,
    /// Path and query below the API base.
    pub path: String,
    /// Hex SHA-256 of the body, where there is one.
    pub body_digest: Option<String>,
}

/// How one operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationOutcome {
    /// Upstream says that it is done.
    Succeeded {
        /// The HTTP status, absent when simulated or read back.
        http_status: Option<u16>,
        /// Upstream's name for the request (`cf-ray`).
        request_id: Option<String>,
        /// The result as JSON text.
        result: String,
    },
    /// It was surely not carried out.
    Failed {
        /// The HTTP status, where there was an answer.
        http_status: Option<u16>,
        /// Upstream's name for the request.
        request_id: Option<String>,
        /// A stable code.
        code: String,
        /// What happened, for people.
        message: String,
        /// Upstream's errors as JSON text.
        errors: String,
    },
    /// Nobody knows whether it was carried out; a person settles it.
    Unknown {
        /// Why it is not known.
        why: String,
    },
}

/// `apply.operation_ended` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationEnded {
    /// Its index in the submission.
    pub index: u32,
    /// How it ended.
    pub outcome: OperationOutcome,
    /// The outcome was found by reading back instead of from the answer.
    pub reconciled: bool,
    /// No credential is configured: nothing was sent.
    pub simulated: bool,
    /// How long it took, in microseconds.
    pub duration_micros: u64,
}

/// How an apply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyEnd {
    /// Every operation succeeded.
    Completed,
    /// One failed, or it was stopped; later ones were not tried.
    Failed,
    /// One has an unknown outcome; later ones were not tried.
    Unknown,
}

/// `apply.ended` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyEnded {
    /// How.
    pub end: ApplyEnd,
    /// Why it was stopped before its operations were tried: `task_closed`.
    pub stopped: Option<String>,
}

/// `apply.resolved` 1: a person settled an unknown outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyResolved {
    /// Whether the operation had been carried out.
    pub executed: bool,
    /// What the person saw.
    pub reason: String,
}
