//! What one policy says otherwise than another.

use ledger::policy::Policy;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// One place at which two policies differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// `default`, `limits.open`, `rule foreign ttl`, `window office zone`.
    pub place: String,
    /// What the first one says there; `None` where it has nothing there.
    pub from: Option<Value>,
    /// What the second one says.
    pub to: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "~ {place}: {from} -> {to}"),
            (Some(from), None) => write!(f, "- {place}: {from}"),
            (None, Some(to)) => write!(f, "+ {place}: {to}"),
            (None, None) => f.write_str(place),
        }
    }
}

/// Where two policies differ; none where they mean the same.
#[must_use]
pub fn difference(one: &Policy, other: &Policy) -> Vec<Change> {
    let (one, other) = (by_name(one), by_name(other));
    let mut changes = Vec::new();
    let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    for key in keys {
        compare(key, one.get(key), other.get(key), &mut changes);
    }
    changes
}

/// The parts of a policy under the names that people know them by.
fn by_name(policy: &Policy) -> Map<String, Value> {
    let mut parts = match serde_json::to_value(policy) {
        Ok(Value::Object(parts)) => parts,
        _ => Map::new(),
    };
    let rules = parts.remove("rule");
    let rules = rules
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let rules: Vec<_> = rules
        .filter_map(|rule| {
            let id = rule.get("id")?.as_str()?;
            Some((format!("rule {id}"), rule.clone()))
        })
        .collect();
    let windows = parts.remove("windows");
    let windows = windows
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let windows: Vec<_> = windows
        .map(|(name, window)| (format!("window {name}"), window.clone()))
        .collect();
    parts.extend(rules);
    parts.extend(windows);
    parts
}

/// Compares a part of both, field by field where both have fields.
fn compare(place: &str, one: Option<&Value>, other: Option<&Value>, changes: &mut Vec<Change>) {
    // A part that a policy does not have stands as null in its tree.
    let (one, other) = (
        one.filter(|value| !value.is_null()),
        other.filter(|value| !value.is_null()),
    );
    if one == other {
        return;
    }
    if let (Some(Value::Object(these)), Some(Value::Object(those))) = (one, other)
        && !place.contains(" when")
    {
        let keys: BTreeSet<_> = these.keys().chain(those.keys()).collect();
        for key in keys {
            let within = format!("{place} {key}");
            compare(&within, these.get(key), those.get(key), changes);
        }
        return;
    }
    changes.push(Change {
        place: place.to_owned(),
        from: one.cloned(),
        to: other.cloned(),
    });
}
