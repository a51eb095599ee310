//! Blocks, and allows.

use super::frame::Frame;
use crate::pages::{Beside, Short};
use askama::Template;
use ledger::aggregate::AdmissionKind;

/// Blocks or allows, those that have ended too, the newest first.
#[derive(Debug, Clone, Template)]
#[template(path = "views/admissions.html")]
pub(crate) struct AdmissionsPage {
    pub(crate) frame: Frame,
    pub(crate) list: AdmissionKind,
    pub(crate) rows: Vec<AdmissionRow>,
    pub(crate) older: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct AdmissionRow {
    pub(crate) id: String,
    /// `Agent`, `Subject`, `Address` or `Autonomous system`.
    pub(crate) kind: &'static str,
    /// Whose requests it is about; `None` for an agent that was erased.
    pub(crate) value: Option<Short>,
    pub(crate) reason: Option<Short>,
    pub(crate) by: Short,
    pub(crate) made: Beside,
    /// When it ends by itself.
    pub(crate) until: Option<Beside>,
    /// When it ended, and why.
    pub(crate) ended: Option<(Beside, &'static str)>,
    /// The question with whose decision it was set, as a part of the address of its page.
    pub(crate) question: Option<String>,
}

impl AdmissionsPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }

    const fn has_blocks(&self) -> bool {
        matches!(self.list, AdmissionKind::Block)
    }

    const fn title(&self) -> &'static str {
        match self.list {
            AdmissionKind::Block => "Blocks",
            AdmissionKind::Allow => "Allows",
        }
    }

    const fn noun(&self) -> &'static str {
        match self.list {
            AdmissionKind::Block => "block",
            AdmissionKind::Allow => "allow",
        }
    }

    /// The list in paths of the API.
    const fn path(&self) -> &'static str {
        match self.list {
            AdmissionKind::Block => "blocks",
            AdmissionKind::Allow => "allows",
        }
    }

    const fn tone(&self) -> &'static str {
        match self.list {
            AdmissionKind::Block => "bad",
            AdmissionKind::Allow => "good",
        }
    }

    const fn explains(&self) -> &'static str {
        match self.list {
            AdmissionKind::Block => "Each new request of these clients is refused.",
            AdmissionKind::Allow => {
                "These clients cannot be blocked. An allow permits no operation."
            }
        }
    }

    const fn none(&self) -> &'static str {
        match self.list {
            AdmissionKind::Block => "Nobody was ever blocked.",
            AdmissionKind::Allow => "Nobody was ever allowed.",
        }
    }

    const fn lifted(&self) -> &'static str {
        match self.list {
            AdmissionKind::Block => {
                "The block is lifted. What this client asks is looked at again."
            }
            AdmissionKind::Allow => "The allow is lifted. This client can be blocked.",
        }
    }
}
