//! Deliveries: what is owed to a callback, and each try.

use super::{
    Act, Call, Describe, Effect, Facts, Severity, Status, Topic, Topics, because, plain, took,
    wrote,
};
use crate::event::{
    AfterAttempt, AttemptEnded, AttemptOutcome, AttemptStarted, DeliveryOwed, RetryRequested,
};
use crate::id::{DeviceId, StreamId};
use crate::notifier::Notifier;

/// The message and its receiver, in detail.
fn of(topic: &Topic) -> String {
    match &topic.tells {
        Some((event, host)) if topic.detailed => format!(" of {event} to {}", plain(host)),
        _ => String::new(),
    }
}

impl Describe for DeliveryOwed {
    fn text(&self, topic: &Topic) -> String {
        let to = topic.tells.as_ref().filter(|_| topic.detailed);
        let to = to.map_or_else(String::new, |(_, host)| format!(" to {}", plain(host)));
        format!("callback {} owed{to}", self.event_name)
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::created(2, "delivery")
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        let task = topics.of(self.task_id.into());
        let device = DeviceId::of(self.callback_id).map(|_| "a device");
        let notifier = Notifier::of(self.callback_id).map(Notifier::as_str);
        let to = notifier
            .or(device)
            .or_else(|| task.host(self.callback_id))
            .unwrap_or("its callback");
        let mut topic = match self.of_task() {
            Some(task_id) => Topic::of(task_id, task.agent.as_deref()),
            None => Topic::default(),
        };
        topic.tells = Some((self.event_name.clone(), to.to_owned()));
        topics.put(stream, topic);
    }
}

/// A try; the rest of the callback's URL may be a secret.
fn call(attempt: u32, topic: &Topic) -> Call {
    let (event, host) = match &topic.tells {
        Some((event, host)) => (event.as_str(), host.as_str()),
        None => ("unknown", "unknown"),
    };
    Call {
        effect: Effect::Notifies,
        operation: format!("callback {event}"),
        host: Some(host.to_owned()),
        method: Some("POST".to_owned()),
        count: Some(u64::from(attempt)),
        ..Call::default()
    }
}

impl Describe for AttemptStarted {
    fn text(&self, topic: &Topic) -> String {
        format!("callback try {}{} begins", self.attempt, of(topic))
    }

    fn facts(&self, topic: &Topic) -> Facts {
        let act = Act::Call(Box::new(call(self.attempt, topic)));
        Facts::of(3, act).status(Status::Unknown).detail("begins")
    }
}

impl Describe for AttemptEnded {
    fn text(&self, topic: &Topic) -> String {
        let how = match &self.outcome {
            AttemptOutcome::Delivered { http_status } => format!("delivered (HTTP {http_status})"),
            AttemptOutcome::Failed { code, message, .. } => {
                format!("failed ({code}): {}", wrote(message, topic))
            }
            AttemptOutcome::Interrupted => "was interrupted".to_owned(),
        };
        let after = match topic.detailed {
            true => format!(", after {}", took(self.duration_micros)),
            false => String::new(),
        };
        let next = match self.after {
            AfterAttempt::Done => String::new(),
            AfterAttempt::RetryAt(due) => format!(", next try from {due}"),
            AfterAttempt::GivenUp => ", given up".to_owned(),
        };
        format!(
            "callback try {}{} {how}{after}{next}",
            self.attempt,
            of(topic)
        )
    }

    fn facts(&self, topic: &Topic) -> Facts {
        let mut call = call(self.attempt, topic);
        call.duration_ms = Some(self.duration_micros / 1000);
        let (status, detail) = match &self.outcome {
            AttemptOutcome::Delivered { http_status } => {
                call.http_status = Some(*http_status);
                (Status::Success, None)
            }
            AttemptOutcome::Failed {
                http_status, code, ..
            } => {
                call.http_status = *http_status;
                (Status::Failure, Some(code.clone()))
            }
            AttemptOutcome::Interrupted => (Status::Unknown, Some("interrupted".to_owned())),
        };
        let severity = match self.after {
            AfterAttempt::GivenUp => Severity::Medium,
            AfterAttempt::Done | AfterAttempt::RetryAt(_) => Severity::Informational,
        };
        Facts {
            severity,
            status,
            detail,
            ..Facts::of(3, Act::Call(Box::new(call)))
        }
    }
}

impl Describe for RetryRequested {
    fn text(&self, topic: &Topic) -> String {
        let reason = because(self.reason.as_deref(), topic);
        format!("callback{} to be tried again{reason}", of(topic))
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::updated(3, "delivery").detail("to be tried again");
        facts.comment(self.reason.as_deref())
    }
}
