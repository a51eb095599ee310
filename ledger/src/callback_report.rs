//! What a callback is told of an event: the body's `event` object, and the payload in it.
//!
//! The ledger writes it into `delivery.owed`; an auditor makes it anew from the event that is reported.
//! Both must come to the same JSON for good, so a payload that says more is a new form for both.

use crate::callback_event::CallbackEvent;
use crate::clock::Timestamp;
use crate::event::ApplyEnd;
use crate::fingerprint::Fingerprint;
use crate::id::{ApplyId, ApprovalId, EventId, ExecutionId, TaskId};
use crate::statement::QuestionKind;
use serde_json::{Map, Value};

/// The form of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldForm {
    /// A UUID.
    Id,
    /// A time in RFC 3339, UTC.
    Time,
    /// An address.
    Url,
    /// Any text.
    Text,
    /// A list of texts.
    Texts,
    /// One of these words.
    Word(&'static [&'static str]),
    /// True or false.
    Flag,
}

/// A field of the JSON that callbacks are told. What is told is made of these, and described by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name in the JSON.
    pub name: &'static str,
    /// The form of its value.
    pub form: FieldForm,
    /// True when the value can be null.
    pub is_nullable: bool,
    /// The meaning, for people.
    pub about: &'static str,
}

const fn field(name: &'static str, form: FieldForm, about: &'static str) -> Field {
    Field {
        name,
        form,
        is_nullable: false,
        about,
    }
}

const fn nullable(name: &'static str, form: FieldForm, about: &'static str) -> Field {
    Field {
        is_nullable: true,
        ..field(name, form, about)
    }
}

const APPLY_ID: Field = field("apply_id", FieldForm::Id, "The apply");
const FINGERPRINT: Field = field(
    "operation_fingerprint",
    FieldForm::Text,
    "The digest of what is asked",
);
const APPROVER: Field = field(
    "approver_principal",
    FieldForm::Text,
    "The principal who decided",
);
const REASON: Field = nullable("reason", FieldForm::Text, "The approver's words");

const PENDING: [Field; 3] = [
    APPLY_ID,
    FINGERPRINT,
    field("expires_at", FieldForm::Time, "The end of the question"),
];
/// Of a question that is about no apply. Operators' notifiers are told of it, and no callback.
const PENDING_BESIDES: [Field; 3] = [
    field(
        "kind",
        FieldForm::Word(&["policy_change", "schedule", "review"]),
        "The kind of thing that is asked about, of a question that is about no apply",
    ),
    FINGERPRINT,
    field("expires_at", FieldForm::Time, "The end of the question"),
];
const DENIED: [Field; 3] = [APPROVER, REASON, FINGERPRINT];
const APPROVED: [Field; 4] = [
    APPROVER,
    REASON,
    FINGERPRINT,
    field(
        "continue_until",
        FieldForm::Time,
        "The time until which the agent can continue",
    ),
];
const EXPIRED: [Field; 2] = [
    field("expired_at", FieldForm::Time, "The deadline that passed"),
    field(
        "was_approved",
        FieldForm::Flag,
        "True when it was approved and nobody continued",
    ),
];
const CANCELLED: [Field; 1] = [field("reason", FieldForm::Text, "The cause, as a code")];
const ENDED: [Field; 4] = [
    APPLY_ID,
    nullable(
        "execution_id",
        FieldForm::Id,
        "The execution, where there was one",
    ),
    field(
        "status",
        FieldForm::Word(&["completed", "failed", "unknown"]),
        "How it ended",
    ),
    field(
        "simulated",
        FieldForm::Flag,
        "True when nothing was sent upstream",
    ),
];
const STOPPED: [Field; 3] = [
    APPLY_ID,
    field("status", FieldForm::Word(&["failed"]), "How it ended"),
    field(
        "reason",
        FieldForm::Text,
        "The cause of its being stopped, as a code",
    ),
];

/// The `event` object, but for its payload: what is in each event, then what is in some.
static EVENT: [Field; 6] = [
    field(
        "event_id",
        FieldForm::Id,
        "The event; the same on every try",
    ),
    field("event_type", FieldForm::Text, "The name of the event"),
    nullable(
        "task_id",
        FieldForm::Id,
        "The task; null where a question belongs to none",
    ),
    field("timestamp", FieldForm::Time, "The time of the record"),
    field(
        "approval_id",
        FieldForm::Id,
        "The question, where there is one",
    ),
    field(
        "idempotency_key",
        FieldForm::Text,
        "The apply's key, where it has one",
    ),
];
const IN_EACH: usize = 4;

/// The fields that `approval.pending` gets as it is sent. No record holds them.
pub const SENT: [Field; 5] = [
    field(
        "approval_url",
        FieldForm::Url,
        "The page of the question; whoever has it may read the question",
    ),
    field(
        "summary",
        FieldForm::Texts,
        "A sentence for each of the first operations, and the number of the others",
    ),
    field(
        "risk",
        FieldForm::Word(&["safe", "elevated", "sensitive"]),
        "The highest risk of the operations",
    ),
    field("agent", FieldForm::Text, "The agent that asks"),
    field("task_name", FieldForm::Text, "The task's name"),
];

/// The fields of the `event` object but for its payload: those in each event, and those in some.
#[must_use]
pub fn event_fields() -> (&'static [Field], &'static [Field]) {
    EVENT.split_at(IN_EACH)
}

/// The forms of an event's payload, of which each delivery has one.
#[must_use]
pub const fn payloads(event: CallbackEvent) -> &'static [&'static [Field]] {
    match event {
        CallbackEvent::ApprovalPending => &[&PENDING, &PENDING_BESIDES],
        CallbackEvent::ApprovalApproved => &[&APPROVED],
        CallbackEvent::ApprovalDenied => &[&DENIED],
        CallbackEvent::ApprovalExpired => &[&EXPIRED],
        CallbackEvent::ApprovalCancelled => &[&CANCELLED],
        CallbackEvent::ApplyFinished | CallbackEvent::ApplyUnknown => &[&ENDED],
        CallbackEvent::ApplyFailed => &[&ENDED, &STOPPED],
    }
}

fn object<const N: usize>(fields: &[Field; N], values: [Value; N]) -> Value {
    let named = fields.iter().map(|field| field.name.to_owned());
    Value::Object(named.zip(values).collect())
}

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
    pub(crate) task_id: Option<TaskId>,
    pub(crate) approval_id: Option<ApprovalId>,
    pub(crate) idempotency_key: Option<&'a str>,
    /// When it was recorded.
    pub(crate) at: Timestamp,
}

impl EventBody<'_> {
    /// The body's `event` object.
    pub(crate) fn into_json(self) -> Value {
        let text = |text: Option<String>| text.map(Value::from);
        let values = [
            text(Some(self.event_id.to_string())),
            text(Some(self.message.name.as_str().to_owned())),
            Some(text(self.task_id.map(|id| id.to_string())).unwrap_or_default()),
            text(Some(self.at.to_string())),
            text(self.approval_id.map(|id| id.to_string())),
            text(self.idempotency_key.map(str::to_owned)),
        ];
        let there = EVENT.iter().zip(values);
        let there = there.filter_map(|(field, value)| Some((field.name.to_owned(), value?)));
        let mut event: Map<String, Value> = there.collect();
        event.insert("payload".to_owned(), self.message.payload);
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
    let values = [
        apply.to_string(),
        fingerprint.to_string(),
        expires_at.to_string(),
    ];
    Message {
        name: CallbackEvent::ApprovalPending,
        payload: object(&PENDING, values.map(Value::from)),
    }
}

/// Of a question that was put and is about no apply.
pub(crate) fn pending_besides(
    kind: QuestionKind,
    fingerprint: Fingerprint,
    expires_at: Timestamp,
) -> Message {
    let values = [
        kind.as_str().to_owned(),
        fingerprint.to_string(),
        expires_at.to_string(),
    ];
    Message {
        name: CallbackEvent::ApprovalPending,
        payload: object(&PENDING_BESIDES, values.map(Value::from)),
    }
}

/// Of a decision: an approval where there is a time until which it can be continued, else a denial.
pub(crate) fn decided(
    principal: &str,
    reason: Option<&str>,
    fingerprint: Fingerprint,
    continue_until: Option<Timestamp>,
) -> Message {
    let (principal, reason) = (Value::from(principal), Value::from(reason));
    let fingerprint = Value::from(fingerprint.to_string());
    let (name, payload) = match continue_until {
        Some(until) => {
            let values = [principal, reason, fingerprint, until.to_string().into()];
            (CallbackEvent::ApprovalApproved, object(&APPROVED, values))
        }
        None => {
            let values = [principal, reason, fingerprint];
            (CallbackEvent::ApprovalDenied, object(&DENIED, values))
        }
    };
    Message { name, payload }
}

/// Of a deadline that passed.
pub(crate) fn expired(deadline: Timestamp, was_approved: bool) -> Message {
    Message {
        name: CallbackEvent::ApprovalExpired,
        payload: object(&EXPIRED, [deadline.to_string().into(), was_approved.into()]),
    }
}

/// Of a question that was withdrawn.
pub(crate) fn cancelled(reason: &str) -> Message {
    Message {
        name: CallbackEvent::ApprovalCancelled,
        payload: object(&CANCELLED, [reason.into()]),
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
    let values = [
        apply.to_string().into(),
        execution.map(|id| id.to_string()).into(),
        status.into(),
        simulated.into(),
    ];
    Message {
        name: name_of_end(end),
        payload: object(&ENDED, values),
    }
}

/// Of an apply that was stopped before its next operation.
pub(crate) fn stopped(apply: ApplyId, reason: &str) -> Message {
    let values = [apply.to_string().into(), "failed".into(), reason.into()];
    Message {
        name: CallbackEvent::ApplyFailed,
        payload: object(&STOPPED, values),
    }
}
