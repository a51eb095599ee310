//! Compares a callback's body with the event that it reports.

use super::error::CallbackProofError;
use crate::callback_event::CallbackEvent;
use crate::callback_report::name_of_end;
use crate::event::{ApprovalDecided, Event};
use crate::record::Header;
use serde_json::{Map, Value, json};

/// Checks every field of a body's `event` that the recorded event decides.
pub(super) fn check_content(
    said: &Value,
    header: &Header,
    event: &Event,
) -> Result<CallbackEvent, CallbackProofError> {
    let name = name_of(said, event)?;
    let stream = header.stream_id.to_string();
    let mut fields = vec![
        ("event_id", json!(header.event_id)),
        ("timestamp", json!(header.recorded_at)),
    ];
    match event {
        Event::ApprovalRequested(asked) => {
            if !at(said, "payload.agent").is_null() {
                fields.push(("payload.agent", json!(asked.agent)));
            }
            fields.extend([
                ("approval_id", json!(stream)),
                ("task_id", json!(asked.task_id)),
                ("payload.apply_id", json!(asked.apply_id)),
                (
                    "payload.operation_fingerprint",
                    json!(asked.fingerprint.to_string()),
                ),
                ("payload.expires_at", json!(asked.expires_at)),
            ])
        }
        Event::ApprovalAsked(asked) => fields.extend([
            ("approval_id", json!(stream)),
            ("task_id", Value::Null),
            ("payload.kind", json!(asked.subject.kind().as_str())),
            (
                "payload.operation_fingerprint",
                json!(asked.fingerprint.to_string()),
            ),
            ("payload.expires_at", json!(asked.expires_at)),
        ]),
        Event::ApprovalApproved(decided) => fields.extend(decision(&stream, &decided.0)),
        Event::ApprovalDenied(decided) => fields.extend(decision(&stream, &decided.0)),
        Event::ApprovalExpired(expired) => fields.extend([
            ("approval_id", json!(stream)),
            ("payload.expired_at", json!(expired.deadline)),
            ("payload.was_approved", json!(expired.was_approved)),
        ]),
        Event::ApprovalCancelled(cancelled) => fields.extend([
            ("approval_id", json!(stream)),
            ("payload.reason", json!(cancelled.reason)),
        ]),
        Event::ApplyEnded(ended) => {
            fields.push(("event_type", json!(name_of_end(ended.end))));
            fields.push(("payload.apply_id", json!(stream)));
            fields.push(("payload.status", json!(status(name))));
            if let Some(reason) = &ended.stopped {
                fields.push(("payload.reason", json!(reason)));
            }
        }
        Event::ApplyResolved(resolved) => {
            // Carried out, and yet failed where operations after it were left.
            if !resolved.executed {
                fields.push(("event_type", json!(CallbackEvent::ApplyFailed)));
            }
            fields.push(("payload.apply_id", json!(stream)));
            fields.push(("payload.status", json!(status(name))));
        }
        _ => {}
    }
    for (field, recorded) in fields {
        let found = at(said, field);
        if *found != recorded {
            return Err(differs(&format!("event.{field}"), found, &recorded));
        }
    }
    Ok(name)
}

/// The name that the body gives the event, when it is one of those that the event may be told under.
fn name_of(said: &Value, event: &Event) -> Result<CallbackEvent, CallbackProofError> {
    let may_be = event.kind().map_or(&[][..], |kind| kind.told);
    if may_be.is_empty() {
        let event = event.name();
        return Err(CallbackProofError::NotReported { event });
    }
    let found = at(said, "event_type");
    let fits = |name: &&CallbackEvent| found.as_str() == Some(name.as_str());
    may_be.iter().find(fits).copied().ok_or_else(|| {
        let names: Vec<&str> = may_be.iter().map(|name| name.as_str()).collect();
        differs("event.event_type", found, &json!(names.join(" or ")))
    })
}

const fn status(name: CallbackEvent) -> &'static str {
    match name {
        CallbackEvent::ApplyFinished => "completed",
        CallbackEvent::ApplyUnknown => "unknown",
        _ => "failed",
    }
}

/// Task and fingerprint stand in the statement that was signed.
fn decision(stream: &str, decided: &ApprovalDecided) -> Vec<(&'static str, Value)> {
    let statement: Value = serde_json::from_str(&decided.statement).unwrap_or_default();
    vec![
        ("approval_id", json!(stream)),
        ("approval_id", at(&statement, "approval_id").clone()),
        ("task_id", at(&statement, "task_id").clone()),
        (
            "payload.operation_fingerprint",
            at(&statement, "fingerprint").clone(),
        ),
        ("payload.approver_principal", json!(decided.principal)),
        ("payload.reason", json!(decided.reason)),
    ]
}

/// The value at a path of names; null where there is none.
fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.')
        .try_fold(value, |value, name| value.get(name))
        .unwrap_or(&Value::Null)
}

/// Checks that two objects are the same, and names the first field that is not.
pub(super) fn check_same(
    place: &str,
    said: &Value,
    recorded: &Value,
) -> Result<(), CallbackProofError> {
    let (Value::Object(here), Value::Object(there)) = (said, recorded) else {
        return if said == recorded {
            Ok(())
        } else {
            Err(differs(place, said, recorded))
        };
    };
    let value =
        |object: &Map<String, Value>, name: &str| object.get(name).cloned().unwrap_or_default();
    for name in here.keys().chain(there.keys()) {
        let inner = format!("{place}.{name}");
        if here.contains_key(name) != there.contains_key(name) {
            return Err(differs(&inner, &value(here, name), &value(there, name)));
        }
        check_same(&inner, &value(here, name), &value(there, name))?;
    }
    Ok(())
}

fn differs(field: &str, said: &Value, recorded: &Value) -> CallbackProofError {
    CallbackProofError::Differs {
        field: field.to_owned(),
        said: said.to_string(),
        recorded: recorded.to_string(),
    }
}
