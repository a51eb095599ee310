//! Registering a callback, and owing it a delivery in the same commit as the event it reports.

use crate::aggregate::{Apply, Approval, Task};
use crate::callback_event::CallbackEvent;
use crate::callback_report::{EventBody, Message};
use crate::callback_secret::CallbackSecret;
use crate::callback_url::CallbackUrl;
use crate::event::{DeliveryOwed, RegisteredCallback};
use crate::id::{ApplyId, ApprovalId, CallbackId, DeliveryId, DeviceId, StreamId, TaskId};
use crate::name::IdempotencyKey;
use crate::notifier::Notifier;
use crate::rejection::Rejection;
use crate::seal::{SealContext, Sealed};
use crate::storage::NewEvent;
use crate::writer::Context;

/// A callback as a request asks for it, its form already checked.
#[derive(Debug, Clone)]
pub struct NewCallback {
    pub url: CallbackUrl,
    /// The events to be sent; empty stands for all.
    pub events: Vec<CallbackEvent>,
    /// The signing secret in the clear; it is sealed before it is recorded.
    pub secret: CallbackSecret,
}

/// The most callbacks that a task has in its life. Each stands in its stream, which must stay short
/// enough to be read whole.
const MOST_REGISTRATIONS: u32 = 256;

impl NewCallback {
    pub const SECRET_FIELD: &'static str = "callback.secret";

    /// The agent's callback, where it is to be registered: not when events go to just this one already.
    ///
    /// # Errors
    /// [`Rejection::AgentCallbackForbidden`], [`Rejection::TooManyCallbacks`].
    pub(super) fn needed<'c>(
        asked: Option<&'c Self>,
        task: &Task,
        context: &Context<'_>,
    ) -> Result<Option<&'c Self>, Rejection> {
        let Some(asked) = asked.filter(|asked| !asked.stands(task, context)) else {
            return Ok(None);
        };
        if !task.agent_callbacks {
            return Err(Rejection::AgentCallbackForbidden);
        }
        if task.registrations >= MOST_REGISTRATIONS {
            return Err(Rejection::TooManyCallbacks {
                most: MOST_REGISTRATIONS,
            });
        }
        Ok(Some(asked))
    }

    /// True when one of the task's callbacks says the same. The agent's own is registered anew where another
    /// key seals now; the orchestrator's is not the agent's to renew.
    fn stands(&self, task: &Task, context: &Context<'_>) -> bool {
        let says_the_same = |known: &RegisteredCallback| self.says_what(known, task.id, context);
        let is_sealed_now = |known: &&RegisteredCallback| {
            let sealed = Sealed::from_bytes(known.sealed_secret.as_slice().to_vec());
            let current = context.rules.master_keys.current();
            sealed.key_id().is_ok_and(|key| key == current)
        };
        let of_agent = task.agent_callback.as_ref().filter(is_sealed_now);
        task.callback.as_ref().is_some_and(says_the_same) || of_agent.is_some_and(says_the_same)
    }

    fn says_what(&self, known: &RegisteredCallback, task: TaskId, context: &Context<'_>) -> bool {
        if known.url != self.url.as_str() || !known.events.iter().eq(self.wanted()) {
            return false;
        }
        let keys = &context.rules.master_keys;
        let sealed = Sealed::from_bytes(known.sealed_secret.as_slice().to_vec());
        let opened = keys.open(&place(context, task), &sealed);
        opened.is_ok_and(|opened| {
            CallbackSecret::new(opened.as_slice()).is_ok_and(|secret| secret == self.secret)
        })
    }

    fn wanted(&self) -> impl Iterator<Item = &'static str> {
        let wanted: &[CallbackEvent] = if self.events.is_empty() {
            &CallbackEvent::ALL
        } else {
            &self.events
        };
        wanted.iter().map(|event| event.as_str())
    }

    /// Seals the secret for this task and gives the registration an id.
    pub(super) fn register(
        &self,
        context: &Context<'_>,
        task: TaskId,
    ) -> Result<RegisteredCallback, Rejection> {
        let sealed = context
            .rules
            .master_keys
            .seal(context.random, &place(context, task), self.secret.expose())
            .map_err(|error| Rejection::Invalid {
                code: "invalid_callback",
                detail: error.to_string(),
            })?;
        Ok(RegisteredCallback {
            callback_id: CallbackId::from_bytes(context.random.sixteen()),
            url: self.url.as_str().to_owned(),
            events: self.wanted().map(str::to_owned).collect(),
            sealed_secret: sealed.as_bytes().into(),
        })
    }
}

/// The context that a secret of the task's is sealed for.
fn place(context: &Context<'_>, task: TaskId) -> SealContext<'static> {
    SealContext {
        ledger_id: context.ledger_id,
        stream: StreamId::from(task),
        field: NewCallback::SECRET_FIELD,
    }
}

pub(super) struct Subject<'a> {
    pub(super) approval_id: Option<ApprovalId>,
    pub(super) apply_id: Option<ApplyId>,
    pub(super) idempotency_key: Option<&'a IdempotencyKey>,
    /// The devices of people that are told of it.
    pub(super) devices: &'a [DeviceId],
}

impl<'a> Subject<'a> {
    pub(super) fn apply(apply: &'a Apply) -> Self {
        Self {
            approval_id: apply.approval_id,
            apply_id: Some(apply.id),
            idempotency_key: Some(&apply.idempotency_key),
            devices: &[],
        }
    }

    pub(super) fn approval(approval: &Approval) -> Self {
        Self {
            approval_id: Some(approval.id),
            apply_id: approval.apply().map(|apply| apply.apply_id),
            idempotency_key: None,
            devices: &[],
        }
    }
}

/// An event of a question, with the deliveries that it owes. Of what belongs to no task notifiers and devices are told
/// when it is asked, and nobody of the rest.
pub(super) fn of_question(
    context: &Context<'_>,
    task: Option<&Task>,
    approval: &Approval,
    event: NewEvent,
    message: Message,
) -> Vec<NewEvent> {
    match task {
        Some(task) => {
            let subject = Subject::approval(approval);
            with_deliveries(context, task, event, &subject, message)
        }
        None => vec![event],
    }
}

/// An event, with the deliveries that it owes.
pub(super) fn with_deliveries(
    context: &Context<'_>,
    task: &Task,
    event: NewEvent,
    subject: &Subject<'_>,
    message: Message,
) -> Vec<NewEvent> {
    let owed = owe(context, task, &event, subject, message);
    std::iter::once(event).chain(owed).collect()
}

/// The deliveries that an event owes: one to each of the task's callbacks that wants to hear of it, and of a
/// question one to each notifier of the operator's and to each device of the people who may decide it. All of them, on every try, tell the same.
pub(super) fn owe(
    context: &Context<'_>,
    task: &Task,
    reported: &NewEvent,
    subject: &Subject<'_>,
    message: Message,
) -> Vec<NewEvent> {
    let wanting = task
        .callbacks()
        .filter(|callback| {
            let mut wanted = callback.events.iter();
            wanted.any(|wanted| wanted == message.name.as_str())
        })
        .map(|callback| callback.callback_id);
    let wanting = wanting.collect();
    owe_to(context, task.id, wanting, reported, subject, message)
}

/// A question that belongs to no task, with the deliveries that it owes to notifiers and to the devices of the people
/// who may decide it.
pub(super) fn with_deliveries_besides(
    context: &Context<'_>,
    (approval_id, asked): (ApprovalId, NewEvent),
    devices: &[DeviceId],
    message: Message,
) -> Vec<NewEvent> {
    let subject = Subject {
        approval_id: Some(approval_id),
        apply_id: None,
        idempotency_key: None,
        devices,
    };
    let place = DeliveryOwed::place_of(approval_id);
    let owed = owe_to(context, place, Vec::new(), &asked, &subject, message);
    std::iter::once(asked).chain(owed).collect()
}

/// The deliveries to those callbacks, and of a question to notifiers and devices.
fn owe_to(
    context: &Context<'_>,
    task_id: TaskId,
    mut wanting: Vec<CallbackId>,
    reported: &NewEvent,
    subject: &Subject<'_>,
    message: Message,
) -> Vec<NewEvent> {
    let name = message.name.as_str();
    let notifiers = context.rules.notifiers.iter();
    let notifiers = notifiers
        .filter(|_| Notifier::wants(name))
        .map(|notifier| notifier.callback_id());
    wanting.extend(notifiers);
    wanting.extend(subject.devices.iter().map(|device| device.callback_id()));
    if wanting.is_empty() {
        return Vec::new();
    }
    let report = EventBody {
        event_id: reported.event_id,
        message,
        task_id: (subject.approval_id.map(DeliveryOwed::place_of) != Some(task_id))
            .then_some(task_id),
        approval_id: subject.approval_id,
        idempotency_key: subject.idempotency_key.map(IdempotencyKey::as_str),
        at: context.now,
    };
    let event = report.into_json().to_string();
    let owed_to = |callback_id: CallbackId| {
        let delivery_id: DeliveryId = context.id();
        let mut owed = context.event(
            delivery_id,
            DeliveryOwed {
                delivery_id,
                callback_id,
                task_id,
                apply_id: subject.apply_id,
                approval_id: subject.approval_id,
                event_id: reported.event_id,
                event_name: name.to_owned(),
                event: event.clone(),
                max_attempts: context.rules.callback_max_attempts,
            },
        );
        owed.cause = Some(reported.event_id);
        owed
    };
    wanting.into_iter().map(owed_to).collect()
}
