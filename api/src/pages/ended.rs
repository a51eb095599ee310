//! What an approval's link shows once there is nothing left to decide.

use super::assets;
use super::moment::Moment;
use super::shown::ShownText;
use askama::Template;

/// How an approval ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Approved; the agent may continue, for a while.
    Approved,
    /// Approved, and carried out once; it cannot be used again.
    Consumed,
    /// Refused by an approver.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// Approved, but the agent did not continue in time.
    Lapsed,
    /// Its task was closed or its apply was withdrawn.
    Cancelled,
}

/// A decided, expired or cancelled approval.
#[derive(Debug, Clone, Template)]
#[template(path = "ended.html")]
pub struct EndedPage {
    /// How.
    pub ended: Ended,
    /// When.
    pub at: Moment,
    /// Who decided or cancelled; absent when time ran out.
    pub by: Option<ShownText>,
    /// What they gave as the reason.
    pub reason: Option<ShownText>,
    /// Who asked.
    pub agent: ShownText,
    /// For which task.
    pub task_name: ShownText,
    /// The task's id.
    pub task_id: String,
    /// What was asked: each operation's sentence.
    pub operations: Vec<ShownText>,
}

impl EndedPage {
    /// What happened in one line, for whoever does not read pages.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut line = format!("{} ({}", self.ended.title(), self.at);
        if let Some(by) = &self.by {
            line.push_str(&format!(", by {}", by.original()));
        }
        if let Some(reason) = &self.reason {
            line.push_str(&format!(", reason: {}", reason.original()));
        }
        line.push(')');
        line
    }

    fn assets(&self) -> String {
        assets::base()
    }
}

impl Ended {
    fn tone(self) -> &'static str {
        match self {
            Self::Approved | Self::Consumed => "good",
            Self::Denied => "bad",
            Self::Expired | Self::Lapsed | Self::Cancelled => "neutral",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Approved => "Already approved",
            Self::Consumed => "Approved and carried out",
            Self::Denied => "Denied",
            Self::Expired => "This request has expired",
            Self::Lapsed => "Approved, but not used in time",
            Self::Cancelled => "This request was cancelled",
        }
    }

    fn explanation(self) -> &'static str {
        match self {
            Self::Approved => {
                "The agent may carry out exactly what was approved, once. There is nothing left to \
                 decide here."
            }
            Self::Consumed => {
                "The approval has been used for its one execution. Whatever the agent wants to do \
                 next is a new question."
            }
            Self::Denied => "Nothing was sent. The agent has been told.",
            Self::Expired => "Nothing was sent. If it is still wanted, the agent has to ask again.",
            Self::Lapsed => {
                "Nothing was sent: the agent did not continue in time, and the approval is over."
            }
            Self::Cancelled => {
                "Nothing was sent, and nothing is waiting for you: the task was closed."
            }
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Approved | Self::Consumed => "Approved",
            Self::Denied => "Denied",
            Self::Expired | Self::Lapsed => "Expired",
            Self::Cancelled => "Cancelled",
        }
    }
}
