//! Events of an apply's stream. Frozen forms.

use super::evaluation::PolicyEvaluation;
use crate::catalog::{Level, OperationId, ScopeType};
use crate::fingerprint::Fingerprint;
use crate::id::{ApplyId, ApprovalId, CallbackId, ClearanceId, ExecutionId, TaskId, TokenId};
use crate::name::{AgentName, IdempotencyKey};
use crate::operation::ScopeId;
use crate::purpose::Purpose;
use serde::{Deserialize, Serialize};

/// One operation in a permission check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedOperation {
    /// The operation.
    pub operation: OperationId,
    /// What kind of object.
    pub scope_type: ScopeType,
    /// Which object.
    pub scope_id: ScopeId,
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
    /// A decision that is kept answers for what grants do not cover.
    Cleared(ClearanceId),
    /// The approval of its schedule as a whole answers for it.
    Scheduled(ApprovalId),
    /// The approval of the write that it follows, which this apply carried out, allowed it besides.
    Follows(ApplyId),
}

impl Authorisation {
    /// Whether the apply may run from its acceptance on.
    #[must_use]
    pub const fn runs_at_once(self) -> bool {
        match self {
            Self::Granted | Self::Cleared(_) | Self::Scheduled(_) | Self::Follows(_) => true,
            Self::Awaiting(_) => false,
        }
    }
}

/// The way in which an apply that waits for people goes on once they approve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnApproval {
    /// The agent has to come back and continue it.
    #[default]
    Wait,
    /// It is carried out at once.
    Execute,
}

impl OnApproval {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Execute => "execute",
        }
    }
}

/// `apply.accepted` 4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyAccepted {
    /// The apply, which is also its stream.
    pub apply_id: ApplyId,
    /// Its task.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent: AgentName,
    /// The idempotency key.
    pub idempotency_key: IdempotencyKey,
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
    /// The reason and the link that came with it.
    pub purpose: Purpose,
    /// How it goes on once it is approved.
    pub on_approval: OnApproval,
    /// What the policy said of it; absent where none was in force.
    pub evaluation: Option<PolicyEvaluation>,
}

/// `apply.accepted` 3: no policy was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyAcceptedV3 {
    /// The apply, which is also its stream.
    pub apply_id: ApplyId,
    /// Its task.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent: AgentName,
    /// The idempotency key.
    pub idempotency_key: IdempotencyKey,
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
    /// The reason and the link that came with it.
    pub purpose: Purpose,
    /// How it goes on once it is approved.
    pub on_approval: OnApproval,
}

/// `apply.accepted` 2: each waited for its agent once it was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyAcceptedV2 {
    /// The apply, which is also its stream.
    pub apply_id: ApplyId,
    /// Its task.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent: AgentName,
    /// The idempotency key.
    pub idempotency_key: IdempotencyKey,
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
    /// The reason and the link that came with it.
    pub purpose: Purpose,
}

/// `apply.accepted` 1: no reason and no link came with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyAcceptedV1 {
    /// The apply, which is also its stream.
    pub apply_id: ApplyId,
    /// Its task.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent: AgentName,
    /// The idempotency key.
    pub idempotency_key: IdempotencyKey,
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

impl From<ApplyAcceptedV3> for ApplyAccepted {
    fn from(old: ApplyAcceptedV3) -> Self {
        Self {
            apply_id: old.apply_id,
            task_id: old.task_id,
            agent: old.agent,
            idempotency_key: old.idempotency_key,
            fingerprint: old.fingerprint,
            submission: old.submission,
            check: old.check,
            authorisation: old.authorisation,
            token_id: old.token_id,
            callback_id: old.callback_id,
            purpose: old.purpose,
            on_approval: old.on_approval,
            evaluation: None,
        }
    }
}

impl From<ApplyAcceptedV2> for ApplyAccepted {
    fn from(old: ApplyAcceptedV2) -> Self {
        Self {
            apply_id: old.apply_id,
            task_id: old.task_id,
            agent: old.agent,
            idempotency_key: old.idempotency_key,
            fingerprint: old.fingerprint,
            submission: old.submission,
            check: old.check,
            authorisation: old.authorisation,
            token_id: old.token_id,
            callback_id: old.callback_id,
            purpose: old.purpose,
            on_approval: OnApproval::Wait,
            evaluation: None,
        }
    }
}

impl From<ApplyAcceptedV1> for ApplyAccepted {
    fn from(old: ApplyAcceptedV1) -> Self {
        Self {
            apply_id: old.apply_id,
            task_id: old.task_id,
            agent: old.agent,
            idempotency_key: old.idempotency_key,
            fingerprint: old.fingerprint,
            submission: old.submission,
            check: old.check,
            authorisation: old.authorisation,
            token_id: old.token_id,
            callback_id: old.callback_id,
            purpose: Purpose::default(),
            on_approval: OnApproval::Wait,
            evaluation: None,
        }
    }
}

/// `apply.refused` 2: an attempt that was not accepted; it is the whole of its stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyRefused {
    /// The task that it was for.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent: AgentName,
    /// The idempotency key, where it had a valid one.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The stable code of the refusal.
    pub code: String,
    /// The text that the caller got.
    pub detail: String,
    /// SHA-256 of the request's operations, where they could be read.
    pub fingerprint: Option<Fingerprint>,
    /// What the policy said of it, where that is why.
    pub evaluation: Option<PolicyEvaluation>,
}

/// `apply.refused` 1: no policy refused it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyRefusedV1 {
    /// The task that it was for.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent: AgentName,
    /// The idempotency key, where it had a valid one.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The stable code of the refusal.
    pub code: String,
    /// The text that the caller got.
    pub detail: String,
    /// SHA-256 of the request's operations, where they could be read.
    pub fingerprint: Option<Fingerprint>,
}

impl From<ApplyRefusedV1> for ApplyRefused {
    fn from(old: ApplyRefusedV1) -> Self {
        Self {
            task_id: old.task_id,
            agent: old.agent,
            idempotency_key: old.idempotency_key,
            code: old.code,
            detail: old.detail,
            fingerprint: old.fingerprint,
            evaluation: None,
        }
    }
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

/// `apply.follows` 1: its request follows a write that was carried out shortly before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyFollows {
    /// The apply that carried that write out.
    pub first: ApplyId,
    /// The name of what it is, among what the approval of that write allowed besides; `None` where people are asked
    /// about it.
    pub allowed_as: Option<String>,
    /// The apply that followed the same write before this one.
    pub previous: Option<ApplyId>,
}

/// `apply.asked_anew` 1: the policy of the day wants another answer than the question of the apply would get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyAskedAnew {
    /// The question that it waits for from here on.
    pub approval_id: ApprovalId,
    /// The question that was cancelled.
    pub replaces: ApprovalId,
    /// What the policy says of it now.
    pub evaluation: PolicyEvaluation,
}

/// `apply.operation_started` 1, which says nothing of what stood upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationStartedV1 {
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

/// `apply.operation_started` 2: from here on the operation may have an effect upstream.
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
    /// What was read upstream just before.
    pub read_before: ReadBefore,
}

impl From<OperationStartedV1> for OperationStarted {
    fn from(old: OperationStartedV1) -> Self {
        Self {
            index: old.index,
            execution_id: old.execution_id,
            simulated: old.simulated,
            method: old.method,
            path: old.path,
            body_digest: old.body_digest,
            read_before: ReadBefore::default(),
        }
    }
}

/// What was read upstream just before an operation was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReadBefore {
    /// The name of the operation's zone in lower-case ASCII (Punycode), where it could be read.
    pub zone_name: Option<String>,
    /// What stood where the operation would change something; absent when it could not be read, and
    /// for operations that leave nothing to read.
    pub state: Option<StateBefore>,
}

impl ReadBefore {
    /// True when what stood there is known to have been other than what the operation makes of it. Only
    /// then can reading back prove that the operation was carried out.
    #[must_use]
    pub fn differed(&self) -> bool {
        self.state
            .as_ref()
            .is_some_and(|state| state.agreement == Agreement::Differs)
    }
}

/// What stood upstream before an operation, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateBefore {
    /// Hex SHA-256 of what was read, as JSON with sorted keys.
    pub digest: String,
    /// Whether it already was as the operation makes it.
    pub agreement: Agreement,
}

/// Whether an object upstream is as an operation makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// In every field that can be compared.
    Agrees,
    /// At least one field is different.
    Differs,
    /// Upstream shows nothing that the operation sets.
    CannotTell,
}

/// How one operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationOutcome {
    /// Upstream says that it is done.
    Succeeded {
        /// The HTTP status, absent when simulated or read back.
        http_status: Option<u16>,
        /// Upstream's name for the request.
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
        /// An account for people.
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

/// `apply.operation_ended` 1, without evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationEndedV1 {
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

impl From<OperationEndedV1> for OperationEnded {
    fn from(old: OperationEndedV1) -> Self {
        Self {
            index: old.index,
            outcome: old.outcome,
            reconciled: old.reconciled,
            simulated: old.simulated,
            duration_micros: old.duration_micros,
            evidence: Evidence::default(),
        }
    }
}

/// What upstream said and showed beside the outcome. Texts are JSON, absent where there was nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// The status of an answer from which the outcome could not be told.
    pub http_status: Option<u16>,
    /// Upstream's name for the request of such an answer.
    pub request_id: Option<String>,
    /// The errors in such an answer.
    pub errors: Option<String>,
    /// `result_info` of the answer: page, per_page, count, total_count, cursors.
    pub result_info: Option<String>,
    /// `messages` of the answer.
    pub messages: Option<String>,
    /// What stood upstream before, kept where reading back was needed.
    pub read_before: Option<String>,
    /// What was found by reading back.
    pub read_back: Option<String>,
}

impl Evidence {
    /// The bytes of its texts.
    #[must_use]
    pub fn len(&self) -> usize {
        [
            &self.request_id,
            &self.errors,
            &self.result_info,
            &self.messages,
            &self.read_before,
            &self.read_back,
        ]
        .into_iter()
        .flatten()
        .map(String::len)
        .sum()
    }

    /// Says that the answer held only a part of a list, and how to get the next one: `100 of 137 are in
    /// this answer; ask for page 2`. `None` where it held all, or does not say.
    #[must_use]
    pub fn pages(&self) -> Option<String> {
        let info: serde_json::Value = serde_json::from_str(self.result_info.as_deref()?).ok()?;
        let number = |name: &str| info.get(name).and_then(serde_json::Value::as_u64);
        let next_cursor = info
            .pointer("/cursors/after")
            .or_else(|| info.get("cursor"));
        if next_cursor.is_some_and(|cursor| cursor.as_str().is_some_and(|text| !text.is_empty())) {
            return Some("there are more than this answer holds, from the cursor on".to_owned());
        }
        let (count, total) = (number("count")?, number("total_count")?);
        let page = number("page").unwrap_or(1);
        let is_last = number("total_pages").map_or_else(
            || {
                let per_page = number("per_page").unwrap_or(count);
                page.saturating_mul(per_page) >= total
            },
            |pages| page >= pages,
        );
        if count >= total {
            return None;
        }
        let next = if is_last {
            "this is the last page".to_owned()
        } else {
            format!("ask for page {}", page.saturating_add(1))
        };
        Some(format!("{count} of {total} are in this answer; {next}"))
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `apply.operation_ended` 2.
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
    /// What upstream said and showed beside it.
    pub evidence: Evidence,
}

impl OperationEnded {
    /// The apply that this operation ends has surely applied nothing: it is the first one, it was really
    /// tried, and it failed by upstream's own word or before it was sent. What was concluded by reading
    /// back is not counted: it tells how things stand, not what happened.
    #[must_use]
    pub fn left_no_trace(&self) -> bool {
        let failed = matches!(self.outcome, OperationOutcome::Failed { .. });
        failed && self.index == 0 && !self.reconciled && !self.simulated
    }
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
    /// True when the operation had been carried out.
    pub executed: bool,
    /// What the person saw.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_holds_a_part_of_a_list_says_so() {
        for (info, expected) in [
            (
                r#"{"page":1,"per_page":100,"count":100,"total_count":137,"total_pages":2}"#,
                Some("100 of 137 are in this answer; ask for page 2"),
            ),
            (
                r#"{"page":2,"per_page":100,"count":37,"total_count":137}"#,
                Some("37 of 137 are in this answer; this is the last page"),
            ),
            (r#"{"count":137,"total_count":137}"#, None),
            (
                r#"{"page":1,"per_page":100,"count":0,"total_count":0}"#,
                None,
            ),
            (
                r#"{"count":25,"cursors":{"after":"abc"}}"#,
                Some("there are more than this answer holds, from the cursor on"),
            ),
            (r#"{"cursors":{"after":""}}"#, None),
            ("[]", None),
            ("not JSON", None),
        ] {
            let evidence = Evidence {
                result_info: Some(info.to_owned()),
                ..Evidence::default()
            };
            assert_eq!(evidence.pages().as_deref(), expected, "{info}");
        }
        assert_eq!(Evidence::default().pages(), None);
    }
}
