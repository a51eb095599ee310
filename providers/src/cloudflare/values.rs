//! JSON values of upstream's that are not known here: filters of a read, which become query parameters as
//! they came, and fields that say something.

use super::InvalidOperation;
use super::fields::{Fields, plain_text};
use serde_json::{Map, Value};

/// The fields that nobody asked for, each a text, a number, or true or false.
pub(super) fn other_filters(fields: Fields<'_>) -> Result<Map<String, Value>, InvalidOperation> {
    let place = |name: &str| format!("params.{name}");
    let filters = fields.rest()?;
    for (name, value) in &filters {
        // Upstream's own are `name.contains`, `tag-match`, `per_page`.
        let is_name = name.len() <= 64
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !is_name {
            return Err(InvalidOperation::new(
                place(super::shown_name(name).as_str()),
                "the name of a filter has 1..64 characters of A-Z a-z 0-9 . _ -",
            ));
        }
        let is_filter = match value {
            Value::String(text) => plain_text(text, 0..=4096).is_ok(),
            Value::Bool(_) | Value::Number(_) => true,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        if !is_filter {
            return Err(InvalidOperation::new(
                place(name),
                "a filter is one line of text, a number, or true or false",
            ));
        }
    }
    Ok(filters)
}

/// A filter's value as it stands in a query.
pub(super) fn as_text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// True when a field of an object upstream says something: it is neither empty nor off.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.values().any(says_something),
        Value::String(text) => !text.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}
