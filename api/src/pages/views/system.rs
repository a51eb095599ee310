//! How the service stands: its read tables, its queues, and what it takes at a time.

use super::frame::Frame;
use crate::pages::{Moment, Short};
use askama::Template;
use projections::Progress;

/// How the service stands.
#[derive(Debug, Clone, Template)]
#[template(path = "views/system.html")]
pub(crate) struct SystemPage {
    pub(crate) frame: Frame,
    pub(crate) now: Moment,
    pub(crate) version: &'static str,
    pub(crate) simulated: bool,
    /// Why it should get no traffic; empty when it should.
    pub(crate) reasons: Vec<Short>,
    pub(crate) events: u64,
    pub(crate) projections: Vec<ProjectionRow>,
    /// How far a rebuild is that is under way.
    pub(crate) rebuilding: Option<Progress>,
    /// How far the log is signed and witnessed; absent where it has no key.
    pub(crate) signed: Option<SignedRow>,
    /// What waits, and how much of it.
    pub(crate) queues: Vec<(&'static str, u64)>,
    /// What is bounded, how much of it is taken (where that is counted), and the bound.
    pub(crate) limits: Vec<LimitRow>,
}

#[derive(Debug, Clone)]
pub(crate) struct ProjectionRow {
    pub(crate) name: &'static str,
    /// How many events it holds, and how many it is behind.
    pub(crate) cursor: u64,
    pub(crate) behind: u64,
    /// Why nothing is folded any more.
    pub(crate) stopped: Option<Short>,
}

/// How far the log is signed and witnessed.
#[derive(Debug, Clone)]
pub(crate) struct SignedRow {
    /// How many events the newest checkpoint covers.
    pub(crate) signed: u64,
    /// The reason for which none can be signed now.
    pub(crate) failing: Option<Short>,
    /// How many events the newest witnessed checkpoint covers, and who cosigned it; absent where none has been
    /// witnessed since the start.
    pub(crate) witnessed: Option<(u64, Vec<Short>)>,
}

#[derive(Debug, Clone)]
pub(crate) struct LimitRow {
    pub(crate) what: &'static str,
    pub(crate) taken: Option<usize>,
    pub(crate) most: String,
}

impl SystemPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}
