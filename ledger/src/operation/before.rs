//! The state of upstream before an operation: warnings and losses depend on it.

use super::{Entries, Warning};
use serde_json::{Map, Value};

/// The state of upstream when it was read for an approver; unknown by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Before<'a> {
    /// The state where the operation changes something, wrapped in an object that names what it
    /// is: `{"record": …}`. Null: nothing is there.
    pub state: Option<&'a Value>,
    /// The name of the scope upstream, where it has one that is known.
    pub name: Option<&'a str>,
}

/// Warnings, losses and entries of an operation, given that state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beside {
    /// The risks that an approver must see before deciding.
    pub warnings: Vec<Warning>,
    /// Settings that stand upstream now, are not named in the params, and are gone afterwards, by name.
    pub lost: Map<String, Value>,
    /// The list in the params that people read entry by entry, where there is one.
    pub entries: Option<Entries>,
}

impl<'a> Before<'a> {
    /// The object of this kind, where one was found.
    #[must_use]
    pub fn object(&self, kind: &str) -> Option<&'a Map<String, Value>> {
        self.state?.get(kind)?.as_object()
    }

    /// True when it was read that there is no object of this kind.
    #[must_use]
    pub fn is_absent(&self, kind: &str) -> bool {
        self.state
            .and_then(|state| state.get(kind))
            .is_some_and(Value::is_null)
    }

    /// True when it was read what there is of this kind: an object, or none.
    #[must_use]
    pub fn is_known(&self, kind: &str) -> bool {
        self.is_absent(kind) || self.object(kind).is_some()
    }
}
