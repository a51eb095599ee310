//! What was known of a zone or a script before an operation.

use ledger::operation::Before;
use serde_json::Value;

/// The rules that the ruleset had.
pub(super) fn rules_before<'a>(before: &Before<'a>) -> &'a [Value] {
    let rules = before
        .object("ruleset")
        .and_then(|found| found.get("rules"));
    rules
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Whether this is the name of the zone itself. Where the zone's name is not known, only `@` is
/// known to be.
pub(super) fn is_apex(before: &Before<'_>, name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "@"
        || before
            .name
            .is_some_and(|zone| name.eq_ignore_ascii_case(zone))
}

/// Whether a field of an object upstream says something: it is neither empty nor off.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.values().any(says_something),
        Value::String(text) => !text.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}
