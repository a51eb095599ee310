//! What became of questions, the newest answer first.

use super::clearances::Kept;
use super::frame::Frame;
use crate::pages::{Acts, Beside, Short};
use askama::Template;
use projections::ApprovalStatus;
use std::sync::Arc;

/// Answers, the newest first.
#[derive(Debug, Clone, Template)]
#[template(path = "views/history.html")]
pub(crate) struct HistoryPage {
    pub(crate) frame: Frame,
    /// The answers by which the list can be read.
    pub(crate) words: Vec<AnswerWord>,
    /// True where answers of every kind are listed.
    pub(crate) is_all: bool,
    /// Whose questions these are, where they are those of one agent.
    pub(crate) agent: Option<Short>,
    /// Whose answers these are, where they are those of one principal.
    pub(crate) approver: Option<Short>,
    /// The query of the same list as a table of text.
    pub(crate) table: String,
    pub(crate) rows: Vec<AnswerRow>,
    pub(crate) older: Option<String>,
}

/// A kind of answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerWord {
    /// Its word in a query.
    pub(crate) action: &'static str,
    pub(crate) answer: ApprovalStatus,
    pub(crate) is_here: bool,
}

/// One question that was answered.
#[derive(Debug, Clone)]
pub(crate) struct AnswerRow {
    pub(crate) id: String,
    /// Of an apply.
    pub(crate) task: Option<String>,
    /// The request in words; absent where it was erased.
    pub(crate) acts: Option<Arc<Acts>>,
    pub(crate) answer: ApprovalStatus,
    pub(crate) agent: Option<Short>,
    /// Operations that are not named.
    pub(crate) more: usize,
    pub(crate) by: Option<Short>,
    pub(crate) reason: Option<Short>,
    pub(crate) at: Beside,
    pub(crate) is_used: bool,
    /// One person approved it alone in an emergency.
    pub(crate) is_emergency: bool,
    /// The rules of the policy that asked.
    pub(crate) rules: Vec<Short>,
    /// The decision as it is kept, where it is.
    pub(crate) kept: Option<Kept>,
    /// The block that was set with it: `address 192.0.2.0/24`.
    pub(crate) block: Option<Short>,
}

impl AnswerRow {
    /// Operations that a row names.
    pub(crate) const NAMED: usize = 5;

    fn each(&self) -> &[Short] {
        let each = self.acts.as_ref().map_or(&[][..], |acts| &acts.each);
        each.get(..Self::NAMED).unwrap_or(each)
    }

    const fn tone(&self) -> &'static str {
        match self.answer {
            ApprovalStatus::Approved => "good",
            ApprovalStatus::Denied => "bad",
            _ => "neutral",
        }
    }
}

impl HistoryPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}
