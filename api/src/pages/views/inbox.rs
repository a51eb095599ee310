//! The inbox: questions that wait for the person, those that wait for others, and those that were decided.

use super::frame::Frame;
use crate::pages::{Beside, Ended, Glance, Short};
use askama::Template;
use std::sync::Arc;

/// The inbox of one person.
#[derive(Debug, Clone, Template)]
#[template(path = "views/inbox.html")]
pub(crate) struct InboxPage {
    pub(crate) frame: Frame,
    pub(crate) sections: Vec<InboxSection>,
    /// Whether more questions are open than are looked at.
    pub(crate) has_more: bool,
    /// No upstream credential is configured: nothing outside will change.
    pub(crate) simulated: bool,
    /// Locks in force, the newest first.
    pub(crate) locks: Vec<LockNotice>,
}

/// A lock that stops something.
#[derive(Debug, Clone)]
pub(crate) struct LockNotice {
    pub(crate) id: String,
    /// What it stops: `Every agent`.
    pub(crate) what: Short,
    pub(crate) since: Beside,
    /// When it ends by itself.
    pub(crate) until: Option<Beside>,
    /// Who set it and why, for who may read that.
    pub(crate) told: Option<(Short, Short)>,
    /// Whether the person may lift it.
    pub(crate) may_lift: bool,
}

/// Questions under one heading.
#[derive(Debug, Clone)]
pub(crate) struct InboxSection {
    /// Its name in addresses.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What stands in its place when there is none.
    pub(crate) none: &'static str,
    pub(crate) rows: Vec<InboxRow>,
    /// How many there are on all its pages.
    pub(crate) total: usize,
    /// The page that this is, from 1, and how many there are; absent where only its beginning is shown.
    pub(crate) page: Option<(usize, usize)>,
}

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct InboxRow {
    pub(crate) id: String,
    pub(crate) glance: Arc<Glance>,
    pub(crate) asked: Beside,
    pub(crate) state: RowState,
}

/// How a question of the inbox stands.
#[derive(Debug, Clone)]
pub(crate) enum RowState {
    Open {
        until: Beside,
        /// Some of those who may decide, and how many more there are.
        deciders: Vec<Short>,
        more: usize,
        /// How far it is, where others than one of those have to approve it.
        needed: Option<Short>,
        /// True while a vote of the person counts, who can take it back.
        has_voted: bool,
    },
    Ended {
        ended: Ended,
        at: Beside,
        /// Those whose answers made the decision.
        by: Vec<Short>,
    },
}

impl RowState {
    const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

impl InboxPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }

    /// For the tab: how many wait for the person.
    fn title(&self) -> String {
        let mine = self.sections.iter().find(|section| section.id == "needs");
        match mine.map_or(0, |section| section.total) {
            0 => "Inbox".to_owned(),
            waiting => format!("({waiting}) Inbox"),
        }
    }
}

impl InboxSection {
    fn is_left_out(&self) -> bool {
        self.page.is_none() && self.total > self.rows.len()
    }

    fn before(&self) -> Option<usize> {
        let (page, _) = self.page?;
        page.checked_sub(1).filter(|page| *page > 0)
    }

    fn after(&self) -> Option<usize> {
        let (page, pages) = self.page?;
        (page < pages).then_some(page + 1)
    }
}
