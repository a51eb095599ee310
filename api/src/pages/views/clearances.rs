//! Decisions that are kept.

use super::frame::Frame;
use crate::pages::{Beside, Short};
use askama::Template;

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
    /// `Exactly these operations, in any task of the agent`
    pub(crate) covers: &'static str,
    pub(crate) by: Short,
    pub(crate) made: Beside,
    pub(crate) until: Option<Beside>,
    /// When it ended, and why.
    pub(crate) ended: Option<(Beside, &'static str)>,
    pub(crate) uses: u64,
    pub(crate) last_used: Option<Beside>,
    /// The question, as a part of the address of its page.
    pub(crate) question: String,
    /// The path of the API that ends it, where that is the person's to do.
    pub(crate) end: Option<String>,
}

impl ClearancesPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}
