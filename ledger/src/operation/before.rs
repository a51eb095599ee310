//! What was known of upstream before an operation: for the warnings and losses that depend on it.

use serde_json::{Map, Value};

/// What stood upstream when it was read for an approver; nothing of it is known by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Before<'a> {
    /// What was found where the operation changes something, wrapped in an object that says what it
    /// is: `{"record": …}`, `{"script": …}`, `{"ruleset": …}`, `{"ssl": …}`. Null: nothing is there.
    pub state: Option<&'a Value>,
    /// The zone's name, where the operation is on a zone and it is known.
    pub zone: Option<&'a str>,
}

impl<'a> Before<'a> {
    /// The object of this kind, where one was found.
    pub(super) fn object(&self, kind: &str) -> Option<&'a Map<String, Value>> {
        self.state?.get(kind)?.as_object()
    }

    /// Whether it was read that there is no object of this kind.
    pub(super) fn is_absent(&self, kind: &str) -> bool {
        self.state
            .and_then(|state| state.get(kind))
            .is_some_and(Value::is_null)
    }

    /// The rules that the ruleset had.
    pub(super) fn rules(&self) -> &'a [Value] {
        let rules = self.object("ruleset").and_then(|found| found.get("rules"));
        rules
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Whether this is the name of the zone itself. Where the zone's name is not known, only `@` is
    /// known to be.
    pub(super) fn is_apex(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        name == "@"
            || self
                .zone
                .is_some_and(|zone| name.eq_ignore_ascii_case(zone))
    }
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
