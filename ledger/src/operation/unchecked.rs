//! A place in an operation's params that was passed on as it came.
//!
//! Upstream knows more than this service does. What is not known here is sent as it came, shown in full
//! to the approver and named as unchecked, so that nobody takes a missing warning for a promise.

use serde_json::Value;

/// Most places that one line for people names.
const MOST_NAMED: usize = 3;

/// Where an unchecked value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unchecked {
    path: String,
    /// RFC 6901, below the params.
    pointer: String,
    last: String,
}

impl Unchecked {
    /// The params as a whole.
    #[must_use]
    pub fn params() -> Self {
        Self {
            path: "params".to_owned(),
            pointer: String::new(),
            last: String::new(),
        }
    }

    /// A field of it.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        Self {
            path: format!("{}.{name}", self.path),
            pointer: format!("{}/{escaped}", self.pointer),
            last: name.to_owned(),
        }
    }

    /// An entry of it, from 0.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        Self {
            path: format!("{}[{index}]", self.path),
            pointer: format!("{}/{index}", self.pointer),
            last: self.last.clone(),
        }
    }

    /// As in refusals: `params.rule.action_parameters.phases[0]`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Below the params: `rule.action_parameters.phases[0]`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.strip_prefix("params.").unwrap_or(&self.path)
    }

    /// The field's own name.
    #[must_use]
    pub fn last(&self) -> &str {
        &self.last
    }

    /// The value in an operation's params.
    #[must_use]
    pub fn value<'a>(&self, params: &'a Value) -> Option<&'a Value> {
        params.pointer(&self.pointer)
    }

    /// True when a row that shows the part of the params with this name shows any of it.
    #[must_use]
    pub fn is_shown_by(&self, row: &str) -> bool {
        let begins = |whole: &str, part: &str| {
            whole
                .strip_prefix(part)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        begins(self.name(), row) || begins(row, self.name())
    }
}

/// `settings.a, rule.b and 4 more`
pub(super) fn named(places: &[Unchecked]) -> String {
    let names = places.iter().take(MOST_NAMED);
    let names: Vec<_> = names.map(|place| super::shown(place.name(), 80)).collect();
    let names = names.join(", ");
    match places.len().saturating_sub(MOST_NAMED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}
