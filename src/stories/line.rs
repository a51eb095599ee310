//! One line of a story.

use ledger::{Event, EventId, RequestId, StreamId, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

/// What happened in one event. Field names are stable; new ones may be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The event's position.
    pub(crate) position: u64,
    /// When it was recorded.
    pub(crate) at: Timestamp,
    /// How far it is indented: 0 for what concerns a task as a whole, more for what it led to.
    pub(crate) depth: u8,
    /// The event's name.
    pub(crate) event: String,
    /// Who acted; absent once that was erased.
    pub(crate) who: Option<String>,
    /// What happened, in words, with who acted. Control and invisible characters are spelled out; still
    /// to be escaped where it is shown.
    pub(crate) text: String,
    /// The task that it belongs to.
    pub(crate) task_id: Option<TaskId>,
    /// The agent that it belongs to.
    pub(crate) agent: Option<String>,
    /// The task, apply, approval, agent, approver or delivery itself.
    pub(crate) subject_id: StreamId,
    /// The position of the event that it answers.
    pub(crate) cause: Option<u64>,
    /// The request that it was for, as in the service's log.
    pub(crate) request_id: Option<RequestId>,
    /// The event's name for good.
    pub(crate) event_id: EventId,
    /// The payload was erased.
    pub(crate) erased: bool,
}

/// How deep an event stands below its task.
pub(super) const fn depth(event: &Event) -> u8 {
    match event {
        Event::LedgerCreated(_)
        | Event::LedgerForked(_)
        | Event::LedgerAccepted(_)
        | Event::LedgerErased(_)
        | Event::TaskCreated(_)
        | Event::TaskClosed(_)
        | Event::AgentRegistered(_)
        | Event::PermissionsReplaced(_)
        | Event::ApproverRegistered(_)
        | Event::CredentialPut(_)
        | Event::EnrolmentOpened(_) => 0,
        Event::TokenIssued(_)
        | Event::TokenRevoked(_)
        | Event::CallbackSet(_)
        | Event::ApplyAccepted(_)
        | Event::ApplyRefused(_)
        | Event::RefusalsCounted(_)
        | Event::ApprovalRequested(_)
        | Event::BackupEligibilityLearnt(_)
        | Event::Erased(_) => 1,
        Event::ApprovalApproved(_)
        | Event::ApprovalDenied(_)
        | Event::ApprovalExpired(_)
        | Event::ApprovalCancelled(_)
        | Event::ApprovalReleased(_)
        | Event::ApprovalConsumed(_)
        | Event::ApplyAuthorised(_)
        | Event::OperationStarted(_)
        | Event::ApplyEnded(_)
        | Event::ApplyResolved(_)
        | Event::DeliveryOwed(_) => 2,
        Event::PreStateRecorded(_)
        | Event::ApprovalNarrowed(_)
        | Event::OperationEnded(_)
        | Event::AttemptStarted(_)
        | Event::AttemptEnded(_)
        | Event::RetryRequested(_) => 3,
    }
}
