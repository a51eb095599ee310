//! Risks to show an approver.

/// How loud a risk is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WarningLevel {
    /// Worth a look.
    Look,
    /// Harm that cannot be undone at once, to people beside the one who asked.
    Danger,
}

/// One risk of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Stable name, for rules and styles: `deletes_record`.
    pub code: &'static str,
    /// How loud it is told.
    pub level: WarningLevel,
    /// The risk, for people.
    pub text: String,
}

impl Warning {
    /// One that is worth a look; it has this name for good.
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code,
            level: WarningLevel::Look,
            text: text.into(),
        }
    }

    /// A danger; it has this name for good.
    pub fn danger(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            level: WarningLevel::Danger,
            ..Self::new(code, text)
        }
    }
}
