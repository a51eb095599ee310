//! Risks to show an approver.

/// One risk of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Stable name, for rules and styles: `deletes_record`.
    pub code: &'static str,
    /// The danger, for people.
    pub text: String,
}

impl Warning {
    /// One that has this name for good.
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}
