//! What was known of upstream before an operation: for the warnings and losses that depend on it.

use serde_json::{Map, Value};

/// What stood upstream when it was read for an approver; nothing of it is known by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Before<'a> {
    /// What was found where the operation changes something, wrapped in an object that says what it
    /// is: `{"record": …}`. Null: nothing is there.
    pub state: Option<&'a Value>,
    /// What upstream calls the scope, where it has a name that is known.
    pub name: Option<&'a str>,
}

impl<'a> Before<'a> {
    /// The object of this kind, where one was found.
    #[must_use]
    pub fn object(&self, kind: &str) -> Option<&'a Map<String, Value>> {
        self.state?.get(kind)?.as_object()
    }

    /// Whether it was read that there is no object of this kind.
    #[must_use]
    pub fn is_absent(&self, kind: &str) -> bool {
        self.state
            .and_then(|state| state.get(kind))
            .is_some_and(Value::is_null)
    }
}
