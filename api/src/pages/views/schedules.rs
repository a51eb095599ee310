//! Schedules.

use super::frame::Frame;
use crate::pages::{Beside, Short};
use askama::Template;

/// Schedules, by name.
#[derive(Debug, Clone, Template)]
#[template(path = "views/schedules.html")]
pub(crate) struct SchedulesPage {
    pub(crate) frame: Frame,
    pub(crate) rows: Vec<ScheduleRow>,
}

#[derive(Debug, Clone)]
pub(crate) struct ScheduleRow {
    pub(crate) name: Short,
    /// `Active`
    pub(crate) state: &'static str,
    pub(crate) is_active: bool,
    /// The expression and its zone.
    pub(crate) terms: Short,
    pub(crate) agent: Short,
    /// The operations, each with what it acts on.
    pub(crate) operations: Vec<Short>,
    /// The number of those left out.
    pub(crate) more: usize,
    /// The approval that it or its newest firing waits for, or that denied it.
    pub(crate) waits_for: Option<String>,
    pub(crate) next: Option<Beside>,
    pub(crate) runs: Vec<ScheduleRunRow>,
    /// The path of the API that deletes it.
    pub(crate) delete: String,
}

/// The outcome of an instant.
#[derive(Debug, Clone)]
pub(crate) struct ScheduleRunRow {
    /// `Fired`
    pub(crate) what: String,
    pub(crate) at: Option<Beside>,
    /// The task that was opened.
    pub(crate) task: Option<String>,
}

impl SchedulesPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}
