//! Calls: what agents ask for, what is sent upstream, and callbacks.

use super::class::{Activity, Severity, Status};
use super::classify::Told;
use super::parts::{actor, resource, source};
use crate::stories::Topic;
use ledger::Level;
use ledger::event::{
    AfterAttempt, ApplyAccepted, ApplyEnd, ApplyEnded, ApplyRefused, AttemptEnded, AttemptOutcome,
    Envelope, OperationEnded, OperationOutcome, OperationStarted, RefusalsCounted,
};
use serde_json::{Map, Value, json};

/// The upstream that operations act on.
const UPSTREAM: &str = "Cloudflare";

/// The name of a call that has no operation of the catalog in it.
const APPLY: &str = "apply";

fn call(activity: Activity, envelope: &Envelope, api: Value, more: Value) -> Told {
    let mut attributes = Map::from_iter([
        ("actor".to_owned(), actor(&envelope.actor)),
        ("src_endpoint".to_owned(), source(&envelope.actor)),
        ("api".to_owned(), api),
    ]);
    if let Value::Object(more) = more {
        attributes.extend(more);
    }
    Told::new(activity, Value::Object(attributes))
}

pub(super) fn accepted(envelope: &Envelope, accepted: &ApplyAccepted) -> Told {
    let requested = &accepted.check.requested;
    let reads = requested
        .iter()
        .all(|operation| operation.required_level == Level::Read);
    let activity = if reads {
        Activity::READ
    } else {
        Activity::CHANGED
    };
    let names: Vec<String> = requested
        .iter()
        .map(|operation| operation.operation.to_string())
        .collect();
    let resources: Vec<Value> = requested
        .iter()
        .map(|operation| resource(operation.scope_type, &operation.scope_id))
        .collect();
    let api = json!({
        "operation": if names.is_empty() { APPLY.to_owned() } else { names.join(", ") },
        "request": {"uid": accepted.apply_id},
    });
    let detail = match accepted.check.missing.len() {
        0 => "granted beforehand",
        _ => "waits for a person",
    };
    call(activity, envelope, api, json!({"resources": resources})).detail(detail)
}

pub(super) fn refused(envelope: &Envelope, refused: &ApplyRefused) -> Told {
    let api = json!({
        "operation": APPLY,
        "response": {"error": refused.code, "error_message": refused.detail},
    });
    call(Activity::CALLED, envelope, api, Value::Null)
        .severity(Severity::Medium)
        .status(Status::Failure)
        .detail(refused.code.as_str())
}

pub(super) fn refusals(envelope: &Envelope, counted: &RefusalsCounted) -> Told {
    let more = json!({"count": counted.count});
    call(
        Activity::CALLED,
        envelope,
        json!({"operation": APPLY}),
        more,
    )
    .severity(Severity::Medium)
    .status(Status::Failure)
    .detail("too many refusals to record one by one")
}

/// What is done upstream, by the words of the apply's story: the name comes first in them.
fn upstream(index: u32, topic: &Topic) -> (Activity, Value) {
    let phrase = usize::try_from(index)
        .ok()
        .and_then(|index| topic.operations.get(index));
    let name = phrase
        .and_then(|phrase| phrase.split(' ').next())
        .unwrap_or("operation");
    let activity = if name.ends_with(".read") {
        Activity::READ
    } else {
        Activity::CHANGED
    };
    let api = json!({"operation": name, "service": {"name": UPSTREAM}});
    (activity, api)
}

pub(super) fn started(envelope: &Envelope, started: &OperationStarted, topic: &Topic) -> Told {
    let (activity, mut api) = upstream(started.index, topic);
    put(&mut api, "request", json!({"uid": started.execution_id}));
    let more = json!({
        "http_request": {"http_method": started.method, "url": {"path": started.path}},
    });
    call(activity, envelope, api, more)
        .status(Status::Unknown)
        .detail(if started.simulated {
            "simulated"
        } else {
            "sent"
        })
}

pub(super) fn ended(envelope: &Envelope, ended: &OperationEnded, topic: &Topic) -> Told {
    let (activity, mut api) = upstream(ended.index, topic);
    let (status, severity, detail, http) = match &ended.outcome {
        OperationOutcome::Succeeded { http_status, .. } => {
            (Status::Success, Severity::Informational, None, *http_status)
        }
        OperationOutcome::Failed {
            http_status,
            code,
            message,
            ..
        } => {
            put(
                &mut api,
                "response",
                json!({"error": code, "error_message": message}),
            );
            (Status::Failure, Severity::Medium, Some(code), *http_status)
        }
        OperationOutcome::Unknown { why } => {
            let http_status = ended.evidence.http_status;
            (Status::Unknown, Severity::High, Some(why), http_status)
        }
    };
    let mut more = json!({"duration": ended.duration_micros / 1000});
    if let Some(code) = http {
        put(&mut more, "status_code", json!(code.to_string()));
    }
    let told = call(activity, envelope, api, more)
        .severity(severity)
        .status(status);
    match detail {
        Some(detail) => told.detail(detail.as_str()),
        None => told,
    }
}

pub(super) fn apply_ended(told: Told, ended: &ApplyEnded) -> Told {
    match ended.end {
        ApplyEnd::Completed => told.detail("completed"),
        ApplyEnd::Failed => told
            .severity(Severity::Medium)
            .status(Status::Failure)
            .detail("failed"),
        ApplyEnd::Unknown => told
            .severity(Severity::High)
            .status(Status::Unknown)
            .detail("a person has to settle it"),
    }
}

pub(super) fn pre_state(envelope: &Envelope) -> Told {
    let api = json!({"operation": "read what would change", "service": {"name": UPSTREAM}});
    call(Activity::READ, envelope, api, Value::Null)
}

/// A callback to a host; the rest of its URL may be a secret.
fn callback(envelope: &Envelope, attempt: u32, topic: &Topic) -> Told {
    let (event, host) = match &topic.tells {
        Some((event, host)) => (event.as_str(), host.as_str()),
        None => ("unknown", "unknown"),
    };
    let api = json!({"operation": format!("callback {event}")});
    let more = json!({
        "dst_endpoint": {"hostname": host},
        "http_request": {"http_method": "POST"},
        "count": attempt,
    });
    call(Activity::NOTIFIED, envelope, api, more)
}

pub(super) fn telling(envelope: &Envelope, attempt: u32, topic: &Topic) -> Told {
    callback(envelope, attempt, topic)
        .status(Status::Unknown)
        .detail("begins")
}

pub(super) fn told(envelope: &Envelope, ended: &AttemptEnded, topic: &Topic) -> Told {
    let mut told = callback(envelope, ended.attempt, topic);
    let duration = json!(ended.duration_micros / 1000);
    told.attributes.insert("duration".to_owned(), duration);
    let severity = match ended.after {
        AfterAttempt::GivenUp => Severity::Medium,
        AfterAttempt::Done | AfterAttempt::RetryAt(_) => Severity::Informational,
    };
    let (status, detail, http) = match &ended.outcome {
        AttemptOutcome::Delivered { http_status } => (Status::Success, None, Some(*http_status)),
        AttemptOutcome::Failed {
            http_status, code, ..
        } => (Status::Failure, Some(code.as_str()), *http_status),
        AttemptOutcome::Interrupted => (Status::Unknown, Some("interrupted"), None),
    };
    if let Some(code) = http {
        // API activity has no place for an HTTP response in 1.3.0.
        let code = json!(code.to_string());
        told.attributes.insert("status_code".to_owned(), code);
    }
    let told = told.severity(severity).status(status);
    match detail {
        Some(detail) => told.detail(detail),
        None => told,
    }
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}
