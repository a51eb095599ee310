//! Deliveries: owed for an event, tried while due, each try once.

use super::reports::Key;
use super::streams::State;
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::callback_report::EventBody;
use crate::canonical::parse_strict;
use crate::clock::Timestamp;
use crate::event::{
    AfterAttempt, AggregateKind, AttemptEnded, AttemptOutcome, DeliveryOwed, Event,
};
use crate::id::DeviceId;
use crate::name::IdempotencyKey;
use crate::notifier::Notifier;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Due(Timestamp),
    UnderWay,
    GivenUp,
}

/// A delivery that has not arrived.
#[derive(Debug)]
pub(super) struct DeliveryEntry {
    max_attempts: u32,
    attempts: u32,
    in_round: u32,
    phase: Phase,
}

impl History {
    pub(super) fn delivery_event(&mut self, now: &mut Now<'_>, event: Event) {
        let stream = now.header.stream_id;
        if let Event::DeliveryOwed(owed) = event {
            self.delivery_owed(now, &owed);
            return;
        }
        let Some(State::Delivery(delivery)) = self.streams.state(stream) else {
            return;
        };
        match event {
            Event::AttemptStarted(started) => {
                let due = matches!(delivery.phase, Phase::Due(at) if now.header.recorded_at >= at);
                now.expect(due, Check::Delivery, || {
                    "it is tried and not due".to_owned()
                });
                let next = delivery.attempts.saturating_add(1);
                now.expect(started.attempt == next, Check::Delivery, || {
                    format!("try {} comes where try {next} is the next", started.attempt)
                });
                delivery.attempts = started.attempt;
                delivery.in_round = delivery.in_round.saturating_add(1);
                delivery.phase = Phase::UnderWay;
                self.counts.delivery_attempts += 1;
            }
            Event::AttemptEnded(ended) => {
                let arrived = delivery.ended(now, &ended);
                if arrived {
                    self.counts.delivered += 1;
                    self.streams
                        .put(stream, State::Ended(AggregateKind::Delivery));
                }
            }
            Event::RetryRequested(_) => {
                let given_up = delivery.phase == Phase::GivenUp;
                now.expect(given_up, Check::Delivery, || {
                    "it is to be tried anew and was not given up".to_owned()
                });
                delivery.phase = Phase::Due(now.at());
                delivery.in_round = 0;
            }
            _ => {}
        }
    }

    fn delivery_owed(&mut self, now: &mut Now<'_>, owed: &DeliveryOwed) {
        self.counts.deliveries += 1;
        let stream = now.header.stream_id;
        now.expect(
            owed.delivery_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins delivery {} in stream {stream}", owed.delivery_id),
        );
        self.check_callback(now, owed);
        self.check_reported(now, owed);
        now.expect(owed.max_attempts > 0, Check::Delivery, || {
            "it gets no try".to_owned()
        });
        let entry = DeliveryEntry {
            max_attempts: owed.max_attempts,
            attempts: 0,
            in_round: 0,
            phase: Phase::Due(now.at()),
        };
        self.streams.put(stream, State::Delivery(Box::new(entry)));
    }

    /// A callback that the task has at that moment, which wants this event; or one of the operator's notifiers, which
    /// are settings of the service and are told of questions only; or a device of somebody who may decide.
    fn check_callback(&mut self, now: &mut Now<'_>, owed: &DeliveryOwed) {
        let Some(task_id) = owed.of_task() else {
            return self.told_besides(now, owed);
        };
        self.leaves_behind(task_id.into(), now.position());
        let callbacks = self.streams.find(task_id, |state| match state {
            State::Task(known) => Some(&known.callbacks),
            State::ClosedTask(closed) => Some(&closed.callbacks),
            _ => None,
        });
        let missing = || format!("task {} was not created before", owed.task_id);
        let Some(callbacks) = callbacks.or_tell(now, Check::Reference, missing) else {
            return;
        };
        if let Some(device) = DeviceId::of(owed.callback_id) {
            return self.check_device(now, owed, device);
        }
        let wants = match Notifier::of(owed.callback_id) {
            Some(_) => Notifier::wants(&owed.event_name),
            None => callbacks.want(owed.callback_id, &owed.event_name),
        };
        now.expect(wants, Check::DeliveryEvent, || {
            format!(
                "the task has no callback {}, or it did not ask for {}",
                owed.callback_id, owed.event_name
            )
        });
    }

    /// Of a question that belongs to no task notifiers and devices are told, and nobody else.
    fn told_besides(&mut self, now: &mut Now<'_>, owed: &DeliveryOwed) {
        if let Some(device) = DeviceId::of(owed.callback_id) {
            return self.check_device(now, owed, device);
        }
        let wants = Notifier::of(owed.callback_id).is_some() && Notifier::wants(&owed.event_name);
        now.expect(wants, Check::DeliveryEvent, || {
            format!(
                "callback {} is told of a question that belongs to no task",
                owed.callback_id
            )
        });
    }

    /// The event that it is owed for, a moment ago and by the same command, and what it tells of that.
    fn check_reported(&mut self, now: &mut Now<'_>, owed: &DeliveryOwed) {
        let Some(cause) = now.envelope.cause else {
            self.owed_for_another(now.envelope.command_id);
            return now.wrong(Check::DeliveryEvent, "it is owed for nothing");
        };
        let Some(reported) = self.reports.find(cause) else {
            self.owed_for_another(now.envelope.command_id);
            // It stands a few positions before, and no erasure comes in between: what was erased
            // elsewhere hides nothing here.
            let hidden = match self.missing.contains_key(&cause) {
                true => Some(Obstacle::Erased),
                false if cause < self.from => Some(Obstacle::BeforeRange),
                false => self.streams.unreadable(),
            };
            return match hidden {
                Some(why) => now.cannot(Check::DeliveryEvent, why),
                None => {
                    let reason = format!(
                        "position {cause}, which it is owed for, is not reported to callbacks"
                    );
                    now.wrong(Check::DeliveryEvent, reason);
                }
            };
        };
        let same =
            reported.event_id == owed.event_id && reported.command_id == now.envelope.command_id;
        now.expect(same, Check::DeliveryEvent, || {
            format!("position {cause} holds another event, or one of another command")
        });
        let is_once = self.is_owed_once(cause, owed.callback_id);
        now.expect(is_once, Check::DeliveryEvent, || {
            format!(
                "callback {} is owed position {cause} twice",
                owed.callback_id
            )
        });
        let Some(reported) = self.reports.find(cause) else {
            return;
        };
        let Some(about) = &reported.about else {
            return now.cannot(Check::DeliveryEvent, Obstacle::BeforeRange);
        };
        let names = about.message.name.as_str() == owed.event_name
            && about.task_id == owed.task_id
            && about.apply_id == owed.apply_id
            && about.approval_id == owed.approval_id;
        now.expect(names, Check::DeliveryEvent, || {
            format!(
                "it reports {} of task {}, position {cause} is {} of task {}, or another apply or approval",
                owed.event_name, owed.task_id, about.message.name, about.task_id
            )
        });
        let told = parse_strict(owed.event.as_bytes()).unwrap_or_default();
        let key = match &about.key {
            Key::Absent => None,
            Key::Named(key) => Some(key.clone()),
            Key::OfTheNext => told
                .get("idempotency_key")
                .and_then(Value::as_str)
                .map(IdempotencyKey::unchecked),
        };
        let report = EventBody {
            event_id: owed.event_id,
            message: about.message.clone(),
            task_id: owed.of_task(),
            approval_id: owed.approval_id,
            idempotency_key: key.as_deref(),
            at: reported.at,
        };
        now.expect(told == report.into_json(), Check::DeliveryEvent, || {
            "the body that is delivered does not tell what its event says".to_owned()
        });
        if let (Key::OfTheNext, Some(approval)) = (&about.key, about.approval_id)
            && let Some(State::Approval(question)) = self.streams.state(approval)
        {
            let before = question
                .told_key
                .replace(key.unwrap_or_else(|| IdempotencyKey::unchecked("")));
            now.expect(
                before.is_none() || before == question.told_key,
                Check::DeliveryEvent,
                || "callbacks are told of two idempotency keys of one apply".to_owned(),
            );
        }
    }
}

impl DeliveryEntry {
    /// Takes in the end of a try. `true` when it has arrived.
    fn ended(&mut self, now: &mut Now<'_>, ended: &AttemptEnded) -> bool {
        let under_way = self.phase == Phase::UnderWay && ended.attempt == self.attempts;
        now.expect(under_way, Check::Delivery, || {
            format!("try {} ends and was not under way", ended.attempt)
        });
        let arrived = matches!(ended.outcome, AttemptOutcome::Delivered { .. });
        let accepted = match ended.outcome {
            AttemptOutcome::Delivered { http_status } => (200..300).contains(&http_status),
            AttemptOutcome::Failed { .. } | AttemptOutcome::Interrupted => true,
        };
        now.expect(accepted, Check::Delivery, || {
            "it is told as arrived, and the receiver's answer says otherwise".to_owned()
        });
        let used_up = self.in_round >= self.max_attempts;
        let follows = match ended.after {
            AfterAttempt::Done => arrived,
            // Earlier versions tried a receiver again that had said 410.
            AfterAttempt::RetryAt(at) => !arrived && !used_up && at >= now.at(),
            AfterAttempt::GivenUp => !arrived && (used_up || ended.outcome.is_gone()),
        };
        now.expect(follows, Check::Delivery, || {
            "what comes after the try does not follow from how it ended".to_owned()
        });
        self.phase = match ended.after {
            AfterAttempt::Done => return true,
            AfterAttempt::RetryAt(at) => Phase::Due(at),
            AfterAttempt::GivenUp => Phase::GivenUp,
        };
        false
    }
}
