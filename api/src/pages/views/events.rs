//! What was recorded, one row for each event.

use super::frame::Frame;
use crate::pages::{Beside, Short};
use askama::Template;

/// One event.
#[derive(Debug, Clone)]
pub(crate) struct EventRow {
    pub(crate) position: u64,
    pub(crate) at: Beside,
    /// The same in microseconds since 1970, and the event's number, as its header has them.
    pub(crate) micros: i64,
    pub(crate) number: u16,
    pub(crate) event: Short,
    pub(crate) who: Short,
    /// What happened, with what people and agents wrote in quotes.
    pub(crate) summary: Short,
    /// The task that it concerns.
    pub(crate) task: Option<String>,
    /// Whether a checkpoint that the log signed covers it, and one that its witnesses did.
    pub(crate) signed: bool,
    pub(crate) witnessed: bool,
}

/// The newest events, and how far they are signed.
#[derive(Debug, Clone, Template)]
#[template(path = "views/ledger.html")]
pub(crate) struct LedgerPage {
    pub(crate) frame: Frame,
    /// How many events there are, are covered by a signed checkpoint, and by a witnessed one. The last two are
    /// absent where nothing is signed.
    pub(crate) recorded: u64,
    pub(crate) signed: Option<u64>,
    pub(crate) witnessed: Option<u64>,
    /// True where the person may read headers of events.
    pub(crate) audits: bool,
    pub(crate) events: Vec<EventRow>,
    pub(crate) older: Option<String>,
}

impl LedgerPage {
    /// True where there is a checkpoint for a browser to check.
    fn is_checkable(&self) -> bool {
        self.signed.is_some_and(|size| size > 0)
    }

    fn assets(&self) -> String {
        self.frame.assets()
    }
}
