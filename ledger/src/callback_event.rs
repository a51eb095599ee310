//! The names of events that a callback can ask for.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One of the events that a callback can subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CallbackEvent {
    /// `approval.pending`: a question was put to humans.
    #[serde(rename = "approval.pending")]
    ApprovalPending,
    /// `approval.approved`: a human approved; `continue` executes.
    #[serde(rename = "approval.approved")]
    ApprovalApproved,
    /// `approval.denied`: a human denied.
    #[serde(rename = "approval.denied")]
    ApprovalDenied,
    /// `approval.expired`: nobody decided, or nobody continued, in time.
    #[serde(rename = "approval.expired")]
    ApprovalExpired,
    /// `approval.cancelled`: the task was closed while the question was open.
    #[serde(rename = "approval.cancelled")]
    ApprovalCancelled,
    /// `apply.finished`: every operation was carried out.
    #[serde(rename = "apply.finished")]
    ApplyFinished,
    /// `apply.failed`: an operation failed.
    #[serde(rename = "apply.failed")]
    ApplyFailed,
    /// `apply.unknown`: nobody can say whether an operation was carried out.
    #[serde(rename = "apply.unknown")]
    ApplyUnknown,
}

impl CallbackEvent {
    /// All of them; what a callback that names no events subscribes to.
    pub const ALL: [Self; 8] = [
        Self::ApprovalPending,
        Self::ApprovalApproved,
        Self::ApprovalDenied,
        Self::ApprovalExpired,
        Self::ApprovalCancelled,
        Self::ApplyFinished,
        Self::ApplyFailed,
        Self::ApplyUnknown,
    ];

    /// The name in requests and in the delivered body.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApprovalPending => "approval.pending",
            Self::ApprovalApproved => "approval.approved",
            Self::ApprovalDenied => "approval.denied",
            Self::ApprovalExpired => "approval.expired",
            Self::ApprovalCancelled => "approval.cancelled",
            Self::ApplyFinished => "apply.finished",
            Self::ApplyFailed => "apply.failed",
            Self::ApplyUnknown => "apply.unknown",
        }
    }
}

impl fmt::Display for CallbackEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No callback event has this name, which the text leaves out: it can be of any length, and is
/// recorded where it refuses an apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown callback event; known are: {}", CallbackEvent::ALL.map(CallbackEvent::as_str).join(", "))]
pub struct UnknownCallbackEvent;

impl FromStr for CallbackEvent {
    type Err = UnknownCallbackEvent;

    fn from_str(name: &str) -> Result<Self, UnknownCallbackEvent> {
        Self::ALL
            .into_iter()
            .find(|event| event.as_str() == name)
            .ok_or(UnknownCallbackEvent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_found_by_its_own_name_in_text_and_in_json() {
        for event in CallbackEvent::ALL {
            assert_eq!(event.as_str().parse(), Ok(event));
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
        }
    }

    #[test]
    fn an_unknown_name_is_refused() {
        for name in [
            "",
            "approval",
            "apply.done",
            "Approval.Pending",
            "approval.pending ",
        ] {
            assert!(name.parse::<CallbackEvent>().is_err(), "{name:?}");
        }
        let text = UnknownCallbackEvent.to_string();
        assert!(text.ends_with("apply.failed, apply.unknown"), "{text}");
    }
}
