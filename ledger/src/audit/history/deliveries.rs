//! Deliveries: owed for an event, tried while due, each try once.

use super::streams::{Kind, State};
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::callback_event::CallbackEvent;
use crate::clock::Timestamp;
use crate::event::{AfterAttempt, ApplyEnd, AttemptEnded, AttemptOutcome, DeliveryOwed, Event};
use crate::id::EventId;
use serde_json::Value;
use std::collections::VecDeque;

/// A delivery is owed in the commit of its event, a few positions after it.
const REACH: usize = 64;

/// An event that callbacks are told of.
#[derive(Debug)]
pub(super) struct Reported {
    position: u64,
    event_id: EventId,
    /// Under which names.
    names: &'static [CallbackEvent],
}

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

/// Remembers the event if deliveries may be owed for it.
pub(super) fn report(reported: &mut VecDeque<Reported>, now: &Now<'_>, event: &Event) {
    use CallbackEvent as Name;
    let names: &'static [Name] = match event {
        Event::ApprovalRequested(_) => &[Name::ApprovalPending],
        Event::ApprovalApproved(_) => &[Name::ApprovalApproved],
        Event::ApprovalDenied(_) => &[Name::ApprovalDenied],
        Event::ApprovalExpired(_) => &[Name::ApprovalExpired],
        Event::ApprovalCancelled(_) => &[Name::ApprovalCancelled],
        Event::ApplyEnded(ended) => match ended.end {
            ApplyEnd::Completed => &[Name::ApplyFinished],
            ApplyEnd::Failed => &[Name::ApplyFailed],
            ApplyEnd::Unknown => &[Name::ApplyUnknown],
        },
        Event::ApplyResolved(_) => &[Name::ApplyFinished, Name::ApplyFailed],
        _ => return,
    };
    if reported.len() >= REACH {
        reported.pop_front();
    }
    reported.push_back(Reported {
        position: now.position(),
        event_id: now.header.event_id,
        names,
    });
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
                    self.streams.put(stream, State::Ended(Kind::Delivery));
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
        let body = serde_json::from_str::<Value>(&owed.event).unwrap_or_default();
        let says = |field: &str, what: &str| body.get(field).and_then(Value::as_str) == Some(what);
        let body_fits = says("event_id", &owed.event_id.to_string())
            && says("event_type", &owed.event_name)
            && says("task_id", &owed.task_id.to_string());
        now.expect(body_fits, Check::DeliveryEvent, || {
            "the body that is delivered names another event, name or task".to_owned()
        });
        let entry = DeliveryEntry {
            max_attempts: owed.max_attempts,
            attempts: 0,
            in_round: 0,
            phase: Phase::Due(now.at()),
        };
        self.streams.put(stream, State::Delivery(Box::new(entry)));
    }

    /// A callback that the task has at that moment, which wants this event.
    fn check_callback(&mut self, now: &mut Now<'_>, owed: &DeliveryOwed) {
        self.leaves_behind(owed.task_id.into(), now.position());
        let callbacks = self.streams.find(owed.task_id, |state| match state {
            State::Task(known) => Some(&known.callbacks),
            State::ClosedTask(closed) => Some(&closed.callbacks),
            _ => None,
        });
        let missing = || format!("task {} was not created before", owed.task_id);
        let Some(callbacks) = callbacks.or_tell(now, Check::Reference, missing) else {
            return;
        };
        let wants = callbacks.want(owed.callback_id, &owed.event_name);
        now.expect(wants, Check::DeliveryEvent, || {
            format!(
                "the task has no callback {}, or it did not ask for {}",
                owed.callback_id, owed.event_name
            )
        });
    }

    /// The event that it is owed for, a moment ago.
    fn check_reported(&mut self, now: &mut Now<'_>, owed: &DeliveryOwed) {
        let Some(cause) = now.envelope.cause else {
            return now.wrong(Check::DeliveryEvent, "it is owed for nothing");
        };
        let Some(reported) = self.reported.iter().find(|known| known.position == cause) else {
            // It stands a few positions before, and no erasure comes in between: what was erased
            // elsewhere hides nothing here.
            let hidden = match self.missing.contains_key(&cause) {
                true => Some(Obstacle::Erased),
                false => self.streams.hides_something(),
            };
            match hidden {
                Some(why) => now.cannot(Check::DeliveryEvent, why),
                None => {
                    let reason = format!(
                        "position {cause}, which it is owed for, is not reported to callbacks"
                    );
                    now.wrong(Check::DeliveryEvent, reason);
                }
            }
            return;
        };
        let fits = reported.event_id == owed.event_id
            && reported
                .names
                .iter()
                .any(|name| name.as_str() == owed.event_name);
        now.expect(fits, Check::DeliveryEvent, || {
            format!(
                "it reports {} of event {}, position {cause} holds another",
                owed.event_name, owed.event_id
            )
        });
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
