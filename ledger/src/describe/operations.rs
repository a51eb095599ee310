//! Operations in one phrase each: what, on what, and the params, short.

use crate::catalog::{OperationId, ScopeType};
use crate::event::{ApplyAccepted, CheckedOperation};
use crate::fingerprint::operations_of;
use crate::operation::quoted;
use serde_json::{Map, Value};

/// Longer texts are cut; the ledger has them in full.
const MAX_TEXT: usize = 60;
/// More params are counted.
const MAX_PARAMS: usize = 10;
/// Longer lists are counted.
const MAX_ITEMS: usize = 4;
/// More operations are counted.
const MAX_OPERATIONS: usize = 50;

/// The operations of an apply, in their order. From the bytes that will be sent; where those cannot
/// be read, from the permission check, which has no params.
pub(super) fn phrases(accepted: &ApplyAccepted) -> Vec<String> {
    let read = operations_of(accepted.submission.as_bytes());
    match read {
        Ok(operations) if !operations.is_empty() => operations
            .iter()
            .take(MAX_OPERATIONS)
            .map(operation)
            .collect(),
        _ => accepted
            .check
            .requested
            .iter()
            .take(MAX_OPERATIONS)
            .map(checked)
            .collect(),
    }
}

/// An operation of a permission check.
pub(super) fn checked(operation: &CheckedOperation) -> String {
    on_scope(
        operation.operation,
        operation.scope_type,
        &operation.scope_id,
    )
}

/// An operation and what it acts on: `dns.record.write on zone z1`.
pub(super) fn on_scope(operation: OperationId, scope_type: ScopeType, id: &str) -> String {
    format!("{operation} on {scope_type} {}", scope(id))
}

/// Every object of its type, or one.
fn scope(id: &str) -> String {
    match id {
        "*" => "any".to_owned(),
        id if id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) =>
        {
            id.to_owned()
        }
        id => text(id),
    }
}

fn operation(operation: &Value) -> String {
    let part = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or("?");
    let head = format!(
        "{} on {} {}",
        part("operation_id"),
        part("scope_type"),
        scope(part("scope_id"))
    );
    match operation.get("params").and_then(Value::as_object) {
        Some(params) if !params.is_empty() => format!("{head} ({})", self::params(params)),
        _ => head,
    }
}

fn params(params: &Map<String, Value>) -> String {
    let mut parts: Vec<String> = params
        .iter()
        .take(MAX_PARAMS)
        .map(|(name, value)| format!("{name} {}", short(value)))
        .collect();
    if let Some(more) = params
        .len()
        .checked_sub(MAX_PARAMS)
        .filter(|more| *more > 0)
    {
        parts.push(format!("{more} more"));
    }
    parts.join(", ")
}

fn short(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(value) => text(value),
        Value::Array(items) => {
            let plain = items
                .iter()
                .all(|item| !item.is_object() && !item.is_array());
            if plain && items.len() <= MAX_ITEMS {
                let items: Vec<String> = items.iter().map(short).collect();
                format!("[{}]", items.join(", "))
            } else {
                of(items.len(), "item")
            }
        }
        Value::Object(fields) => of(fields.len(), "field"),
    }
}

fn of(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("({number} {what}{s})")
}

/// Quoted, so that what somebody else wrote cannot pass for words of ours.
fn text(value: &str) -> String {
    match value.char_indices().nth(MAX_TEXT) {
        None => quoted(value),
        Some((cut, _)) => {
            let start = value.get(..cut).unwrap_or_default();
            format!("{}… ({} bytes)", quoted(start), value.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn params_are_short_and_quoted() {
        let long = "x".repeat(100);
        let told = operation(&json!({
            "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "z1",
            "params": {"name": "a\n\u{202e}b", "content": long, "ttl": 60, "tags": ["a", "b"],
                       "many": [1, 2, 3, 4, 5], "deep": {"a": 1}},
        }));
        assert!(told.starts_with("dns.record.write on zone z1 ("), "{told}");
        for part in [
            "name \"a\n\u{202e}b\"",
            "… (100 bytes)",
            "ttl 60",
            r#"tags ["a", "b"]"#,
            "many (5 items)",
            "deep (1 field)",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    #[test]
    fn a_scope_that_could_mislead_is_quoted() {
        assert_eq!(scope("*"), "any");
        assert_eq!(scope("0a1b"), "0a1b");
        assert_eq!(scope("z1, approved"), "\"z1, approved\"");
    }
}
