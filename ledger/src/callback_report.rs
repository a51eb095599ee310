//! What a callback is told of an event: the body's `event` object, and the payload in it.
//!
//! The ledger writes it into `delivery.owed`; an auditor makes it anew from the event that is reported.
//! Both must come to the same JSON for good, so a payload that says more is a new form for both.

use crate::callback_event::CallbackEvent;
use crate::clock::Timestamp;
use crate::event::ApplyEnd;
use crate::fingerprint::Fingerprint;
use crate::id::{ApplyId, ApprovalId, EventId, ExecutionId, TaskId};
use serde_json::{Map, Value, json};

/// The name under which callbacks are told of an event, and what they are told.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) name: CallbackEvent,
    pub(crate) payload: Value,
}

/// The body's `event` object, before it is JSON.
#[derive(Debug)]
pub(crate) struct EventBody<'a> {
    /// The event that is reported.
    pub(crate) event_id: EventId,
    pub(crate) message: Message,
    pub(crate) task_id: TaskId,
    pub(crate) approval_id: Option<ApprovalId>,
    pub(crate) idempotency_key: Option<&'a str>,
    /// When it was recorded.
    pub(crate) at: Timestamp,
}

impl EventBody<'_> {
    /// The body's `event` object.
    pub(crate) fn into_json(self) -> Value {
        let mut event = Map::new();
        let mut put = |key: &str, value: Value| {
            event.insert(key.to_owned(), value);
        };
        put("event_id", self.event_id.to_string().into());
        put("event_type", self.message.name.as_str().into());
        put("task_id", self.task_id.to_string().into());
        if let Some(approval_id) = self.approval_id {
            put("approval_id", approval_id.to_string().into());
        }
        if let Some(key) = self.idempotency_key {
            put("idempotency_key", key.into());
        }
        put("timestamp", self.at.to_string().into());
        put("payload", self.message.payload);
        Value::Object(event)
    }
}

/// The name that tells of an apply's end.
pub(crate) const fn name_of_end(end: ApplyEnd) -> CallbackEvent {
    match end {
        ApplyEnd::Completed => CallbackEvent::ApplyFinished,
        ApplyEnd::Failed => CallbackEvent::ApplyFailed,
        ApplyEnd::Unknown => CallbackEvent::ApplyUnknown,
    }
}

/// Of a question that was put.
pub(crate) fn pending(apply: ApplyId, fingerprint: Fingerprint, expires_at: Timestamp) -> Message {
    let payload = json!({
        "apply_id": apply.to_string(),
        "operation_fingerprint": fingerprint.to_string(),
        "expires_at": expires_at.to_string(),
    });
    Message {
        name: CallbackEvent::ApprovalPending,
        payload,
    }
}

/// Of a decision: an approval where there is a time until which it can be continued, else a denial.
pub(crate) fn decided(
    principal: &str,
    reason: Option<&str>,
    fingerprint: Fingerprint,
    continue_until: Option<Timestamp>,
) -> Message {
    let mut payload = json!({
        "approver_principal": principal,
        "reason": reason,
        "operation_fingerprint": fingerprint.to_string(),
    });
    if let (Some(until), Some(payload)) = (continue_until, payload.as_object_mut()) {
        payload.insert("continue_until".to_owned(), until.to_string().into());
    }
    let name = match continue_until {
        Some(_) => CallbackEvent::ApprovalApproved,
        None => CallbackEvent::ApprovalDenied,
    };
    Message { name, payload }
}

/// Of a deadline that passed.
pub(crate) fn expired(deadline: Timestamp, was_approved: bool) -> Message {
    Message {
        name: CallbackEvent::ApprovalExpired,
        payload: json!({"expired_at": deadline.to_string(), "was_approved": was_approved}),
    }
}

/// Of a question that was withdrawn.
pub(crate) fn cancelled(reason: &str) -> Message {
    Message {
        name: CallbackEvent::ApprovalCancelled,
        payload: json!({"reason": reason}),
    }
}

/// Of an apply's end.
pub(crate) fn ended(
    apply: ApplyId,
    execution: Option<ExecutionId>,
    end: ApplyEnd,
    simulated: bool,
) -> Message {
    let status = match end {
        ApplyEnd::Completed => "completed",
        ApplyEnd::Failed => "failed",
        ApplyEnd::Unknown => "unknown",
    };
    let payload = json!({
        "apply_id": apply.to_string(),
        "execution_id": execution.map(|id| id.to_string()),
        "status": status,
        "simulated": simulated,
    });
    Message {
        name: name_of_end(end),
        payload,
    }
}

/// Of an apply that was stopped before its next operation.
pub(crate) fn stopped(apply: ApplyId, reason: &str) -> Message {
    Message {
        name: CallbackEvent::ApplyFailed,
        payload: json!({"apply_id": apply.to_string(), "status": "failed", "reason": reason}),
    }
}
