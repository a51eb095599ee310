//! Events of a delivery's stream. Frozen forms.

use crate::clock::Timestamp;
use crate::id::{ApplyId, ApprovalId, CallbackId, DeliveryId, EventId, TaskId};
use serde::{Deserialize, Serialize};

/// `delivery.owed` 1: in the same commit as the event that it reports (the envelope's cause).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryOwed {
    /// The delivery, which is also its stream.
    pub delivery_id: DeliveryId,
    /// The registration that it goes to.
    pub callback_id: CallbackId,
    /// The task; of a question that belongs to none its own id.
    pub task_id: TaskId,
    /// The apply, where one is concerned.
    pub apply_id: Option<ApplyId>,
    /// The approval, where one is concerned.
    pub approval_id: Option<ApprovalId>,
    /// The event that it reports; the same on every try.
    pub event_id: EventId,
    /// The name at the surface: `approval.pending`, `apply.finished`.
    pub event_name: String,
    /// The body's `event` object as JSON text, the same on every try.
    pub event: String,
    /// How many tries it gets.
    pub max_attempts: u32,
}

impl DeliveryOwed {
    /// What stands in the place of the task for a question that belongs to none: its own id.
    pub(crate) const fn place_of(question: ApprovalId) -> TaskId {
        TaskId::from_bytes(*question.as_bytes())
    }

    /// The task; `None` for a question that belongs to none.
    #[must_use]
    pub fn of_task(&self) -> Option<TaskId> {
        let question = self.approval_id.map(Self::place_of);
        (question != Some(self.task_id)).then_some(self.task_id)
    }
}

/// `delivery.attempt_started` 1: from here on the receiver may have seen it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptStarted {
    /// 1 for the first; counted on after a retry by hand.
    pub attempt: u32,
}

/// What happened to one try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The receiver answered 2xx.
    Delivered {
        /// The HTTP status, or the code of a mail server's reply.
        http_status: u16,
    },
    /// Anything else.
    Failed {
        /// The HTTP status, or the code of a mail server's reply, where there was an answer.
        http_status: Option<u16>,
        /// A stable code.
        code: String,
        /// What happened, for people; no secret in it.
        message: String,
    },
    /// The service stopped while it was under way; the receiver may have seen it.
    Interrupted,
}

impl AttemptOutcome {
    /// The code of a try that a mail server refused for good: 5yz (RFC 5321, section 4.2.1).
    pub const MAIL_REFUSED: &str = "mail_refused";
    /// The code of a try at a device that is not to be told any more.
    pub const DEVICE_GONE: &str = "device_gone";

    /// True when the receiver wants this no more: it said 410 (RFC 9110, section 15.5.11; Standard Webhooks), a mail
    /// server refused it for good, or it is a device that is gone. No further try follows, however many are left.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Failed {
                http_status, code, ..
            } => {
                *http_status == Some(410)
                    || [Self::MAIL_REFUSED, Self::DEVICE_GONE].contains(&code.as_str())
            }
            Self::Delivered { .. } | Self::Interrupted => false,
        }
    }
}

/// What comes after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterAttempt {
    /// Nothing: it arrived.
    Done,
    /// Another try, not before this moment.
    RetryAt(Timestamp),
    /// Nothing, until somebody asks for a retry.
    GivenUp,
}

/// `delivery.attempt_ended` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptEnded {
    /// Which try.
    pub attempt: u32,
    /// What happened.
    pub outcome: AttemptOutcome,
    /// What comes next.
    pub after: AfterAttempt,
    /// How long it took, in microseconds.
    pub duration_micros: u64,
}

/// `delivery.retry_requested` 1: somebody wants it tried again, with a fresh number of tries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRequested {
    /// Why, when somebody said so.
    pub reason: Option<String>,
}
