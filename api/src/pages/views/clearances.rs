//! Decisions that are kept.

use super::frame::Frame;
use crate::pages::{Beside, Short};
use askama::Template;
use ledger::Timestamp;
use projections::ClearanceView;

/// Decisions that are kept, those that have ended too, the newest first.
#[derive(Debug, Clone, Template)]
#[template(path = "views/clearances.html")]
pub(crate) struct ClearancesPage {
    pub(crate) frame: Frame,
    pub(crate) rows: Vec<ClearanceRow>,
    pub(crate) older: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct ClearanceRow {
    pub(crate) is_denial: bool,
    pub(crate) agent: Short,
    /// The operations, each with what it acts on.
    pub(crate) operations: Vec<Short>,
    /// How many more there are.
    pub(crate) more: usize,
    /// The rules for which an approval answers.
    pub(crate) rules: Option<Short>,
    /// The number of requests that it authorised and that have not ended.
    pub(crate) active: usize,
    pub(crate) kept: Kept,
    pub(crate) by: Short,
    pub(crate) made: Beside,
    pub(crate) uses: u64,
    pub(crate) last_used: Option<Beside>,
    /// The question, as a part of the address of its page.
    pub(crate) question: String,
    /// The path of the API that ends it, where that is the person's to do.
    pub(crate) end: Option<String>,
}

/// The applies that a kept decision answers, and for how long.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// `Exactly these operations, in any task of the agent`
    pub(crate) covers: &'static str,
    /// When it ends by itself.
    pub(crate) until: Option<Beside>,
    /// When it ended, and why.
    pub(crate) ended: Option<(Beside, &'static str)>,
}

impl Kept {
    pub(crate) fn of(view: &ClearanceView, now: Timestamp) -> Self {
        let ended = view.ended_by(now).map(|(at, why)| {
            let why = match why {
                "expired" => "Its time is over",
                "task_closed" => "Its task was closed",
                _ => "Ended by a person",
            };
            (Beside::past(at, now), why)
        });
        Self {
            covers: match (view.breadth.as_str(), view.binding.as_str()) {
                ("scope", "task") => "The same operations with any params, in its task",
                ("scope", _) => "The same operations with any params, in any task of the agent",
                (_, "task") => "Exactly these operations, in its task",
                _ => "Exactly these operations, in any task of the agent",
            },
            until: view.until.map(|until| Beside::ahead(until, now)),
            ended,
        }
    }
}

impl ClearancesPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}
