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
    /// Nobody decided in time, or nobody continued in time.
    Expired,
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
    fn assets(&self) -> String {
        assets::base()
    }
}

impl Ended {
    fn tone(self) -> &'static str {
        match self {
            Self::Approved | Self::Consumed => "good",
            Self::Denied => "bad",
            Self::Expired | Self::Cancelled => "neutral",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Approved => "Already approved",
            Self::Consumed => "Approved and carried out",
            Self::Denied => "Denied",
            Self::Expired => "This request has expired",
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
            Self::Cancelled => "Nothing was sent, and nothing is waiting for you.",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Approved | Self::Consumed => "Approved",
            Self::Denied => "Denied",
            Self::Expired => "Expired",
            Self::Cancelled => "Cancelled",
        }
    }
}
