//! A finding: what was found, how bad it is, and what to do about it.

use serde::Serialize;

/// How bad a finding is. The worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grade {
    Ok,
    /// Works, and should be looked at.
    Warning,
    /// Does not work, or will not at the next start, or lets somebody in.
    Problem,
}

/// An error and what is behind it; what is behind that says the same again.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at: one of few words, the same in every release.
    check: &'static str,
    grade: Grade,
    found: String,
    /// What to do; there is always something to do about what is not ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    pub(crate) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            grade: Grade::Ok,
            found: found.into(),
            advice: None,
        }
    }

    pub(crate) fn warning(
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            check,
            grade: Grade::Warning,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    pub(crate) fn problem(
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            grade: Grade::Problem,
            ..Self::warning(check, found, advice)
        }
    }

    pub(crate) const fn check(&self) -> &'static str {
        self.check
    }

    pub(crate) const fn grade(&self) -> Grade {
        self.grade
    }

    pub(crate) fn found(&self) -> &str {
        &self.found
    }

    pub(crate) fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }
}
