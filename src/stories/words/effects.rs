//! What was sent, what came back, and who was told.

use super::super::moment::moment;
use super::super::topic::Topic;
use super::{plain, quoted, took};
use ledger::event::{
    AfterAttempt, ApplyEnd, ApplyEnded, AttemptEnded, AttemptOutcome, AttemptStarted,
    OperationEnded, OperationOutcome, OperationStarted,
};
use serde_json::Value;

pub(super) fn operation_started(started: &OperationStarted, topic: &Topic) -> String {
    let number = u64::from(started.index) + 1;
    // The params stand where it was asked for.
    let what = usize::try_from(started.index)
        .ok()
        .and_then(|index| topic.operations.get(index))
        .and_then(|operation| operation.split(" (").next())
        .map_or_else(String::new, |operation| format!(" {operation}"));
    let which = match topic.operations.len() {
        0 | 1 => String::new(),
        of => format!(" {number} of {of}:"),
    };
    if started.simulated {
        format!("only simulated, nothing is sent:{which}{what}")
    } else {
        let zone = match &started.read_before.zone_name {
            Some(name) => format!(" in zone {}", plain(name)),
            None => String::new(),
        };
        format!(
            "sends{which}{what}{zone}: {} {}",
            started.method, started.path
        )
    }
}

pub(super) fn operation_ended(ended: &OperationEnded) -> String {
    let after = took(ended.duration_micros);
    let found = match (ended.simulated, ended.reconciled) {
        (true, _) => " (simulated)",
        (false, true) => " (found by reading back)",
        (false, false) => "",
    };
    match &ended.outcome {
        OperationOutcome::Succeeded {
            http_status,
            request_id,
            result,
        } => format!(
            "done after {after}{found}{}{}{}",
            answer(*http_status, request_id.as_deref()),
            made(result),
            part_of_list(ended)
        ),
        OperationOutcome::Failed {
            http_status,
            request_id,
            code,
            message,
            ..
        } => format!(
            "failed after {after}{found} ({code}): {}{}",
            quoted(message),
            answer(*http_status, request_id.as_deref())
        ),
        OperationOutcome::Unknown { why } => format!(
            "nobody knows whether it was done, after {after}{found}: {}{}",
            quoted(why),
            answer(
                ended.evidence.http_status,
                ended.evidence.request_id.as_deref()
            )
        ),
    }
}

fn answer(status: Option<u16>, request_id: Option<&str>) -> String {
    let mut told = String::new();
    if let Some(status) = status {
        told.push_str(&format!(", HTTP {status}"));
    }
    if let Some(id) = request_id {
        told.push_str(&format!(", request {}", plain(id)));
    }
    told
}

/// That the answer holds only a part of a list.
fn part_of_list(ended: &OperationEnded) -> String {
    let pages = ended.evidence.pages();
    pages.map_or_else(String::new, |pages| format!("; {pages}"))
}

/// The upstream's name for what came of it.
fn made(result: &str) -> String {
    serde_json::from_str::<Value>(result)
        .ok()
        .and_then(|result| Some(result.get("id")?.as_str()?.to_owned()))
        .map_or_else(String::new, |id| format!(", object {}", plain(&id)))
}

pub(super) fn apply_ended(ended: &ApplyEnded) -> String {
    let how = match ended.end {
        ApplyEnd::Completed => "completed: all that was asked for is done",
        ApplyEnd::Failed => "failed: not all that was asked for is done",
        ApplyEnd::Unknown => "unknown: a person has to look upstream and settle it",
    };
    match &ended.stopped {
        Some(why) => format!("{how} (stopped: {why})"),
        None => how.to_owned(),
    }
}

fn whom(topic: &Topic) -> (String, &str) {
    match &topic.tells {
        Some((event, host)) => (plain(host), event),
        None => ("the callback".to_owned(), "what happened"),
    }
}

pub(super) fn delivery_owed(topic: &Topic) -> String {
    let (host, event) = whom(topic);
    format!("{host} is to be told: {event}")
}

pub(super) fn attempt_started(started: &AttemptStarted, topic: &Topic) -> String {
    let (host, event) = whom(topic);
    match started.attempt {
        1 => format!("tells {host}: {event}"),
        attempt => format!("tells {host} again, try {attempt}: {event}"),
    }
}

pub(super) fn attempt_ended(ended: &AttemptEnded, topic: &Topic) -> String {
    let (host, event) = whom(topic);
    let after = took(ended.duration_micros);
    let how = match &ended.outcome {
        AttemptOutcome::Delivered { http_status } => {
            format!("{host} took {event} after {after}, HTTP {http_status}")
        }
        AttemptOutcome::Failed { code, message, .. } => {
            format!(
                "{host} did not take {event} after {after} ({code}): {}",
                quoted(message)
            )
        }
        AttemptOutcome::Interrupted => {
            format!("the service stopped; {host} may have seen {event}")
        }
    };
    match ended.after {
        AfterAttempt::Done => how,
        AfterAttempt::RetryAt(due) => format!("{how}; next try from {}", moment(due)),
        AfterAttempt::GivenUp => format!("{how}; given up"),
    }
}
