//! Events for security monitoring, in the words of the Open Cybersecurity Schema Framework (OCSF).
//!
//! Which event belongs to which class stands in `docs/siem.md`; a test holds the two together. Nothing
//! secret is in what is written: no tokens, no sealed values, no params in full, URLs as far as their
//! host.

mod attributes;
mod class;

use crate::narrative::Told;
use attributes::{activity, actor, attributes};
use class::{PRODUCT, VERSION};
use ledger::Recorded;
use ledger::describe::Act;
use serde_json::{Map, Value, json};

/// One event as an OCSF object, from its line in a narrative of everything.
pub(crate) fn event(recorded: &Recorded, told: &Told) -> Value {
    let Some(facts) = &told.facts else {
        return Value::Null;
    };
    let (header, line) = (&recorded.header, &told.line);
    let by = &recorded.envelope.actor;
    let activity = activity(&facts.act);
    let (category_uid, category) = activity.class.category();
    let (severity_id, severity) = class::severity(facts.severity);
    let (status_id, status) = class::status(facts.status);
    let mut common = json!({
        "class_uid": activity.class.uid(),
        "class_name": activity.class.caption(),
        "category_uid": category_uid,
        "category_name": category,
        "activity_id": activity.id,
        "activity_name": activity.caption,
        "type_uid": activity.type_uid(),
        "type_name": format!("{}: {}", activity.class.caption(), activity.caption),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "time": header.recorded_at.as_micros() / 1000,
        "message": line.text,
        "metadata": {
            "version": VERSION,
            "product": {
                "name": PRODUCT,
                "vendor_name": PRODUCT,
                "version": env!("CARGO_PKG_VERSION"),
            },
            "uid": header.event_id,
            "sequence": header.position,
            "log_name": "ledger",
            "event_code": line.event,
            "original_time": header.recorded_at,
            "correlation_uid": line.task_id,
            "profiles": activity.class.profiles(),
        },
        "actor": actor(by),
        "unmapped": {
            "stream_id": header.stream_id,
            "stream_version": header.stream_version,
            "schema_version": header.schema_version,
            "record_hash": header.record_hash().to_string(),
            "payload_digest": header.payload_digest.to_string(),
            "cause": line.cause,
            "request_id": line.request_id,
            "command_id": recorded.envelope.command_id,
            "task_id": line.task_id,
            "agent": line.agent,
        },
    });
    // The actor of a decision names its credential, and the decision says what that is.
    if let Act::Decision {
        is_passkey: false, ..
    } = &facts.act
        && let Some(is_mfa) = common.pointer_mut("/actor/session/is_mfa")
    {
        *is_mfa = Value::Bool(false);
    }
    let mut object = match common {
        Value::Object(common) => common,
        _ => Map::new(),
    };
    if let Some(detail) = &facts.detail {
        object.insert("status_detail".to_owned(), Value::from(detail.as_str()));
    }
    if let Value::Object(own) = attributes(&facts.act, header.stream_id, by, &told.topic) {
        object.extend(own);
    }
    if let Some(comment) = facts.comment.as_deref() {
        // Only a managed entity has a place for one.
        match activity.class.has_comment() {
            true => object.insert("comment".to_owned(), Value::from(comment)),
            false => object
                .get_mut("unmapped")
                .and_then(Value::as_object_mut)
                .and_then(|unmapped| unmapped.insert("comment".to_owned(), Value::from(comment))),
        };
    }
    let mut object = Value::Object(object);
    without_nulls(&mut object);
    object
}

/// What is not known is left out: the schema has no null.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(without_nulls);
        }
        Value::Array(values) => values.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
