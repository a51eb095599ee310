//! Those who decide, those who have an account, and what was not delivered to whom.

use super::frame::Frame;
use crate::pages::{Beside, Short};
use askama::Template;

/// Approvers, the newest first.
#[derive(Debug, Clone, Template)]
#[template(path = "views/approvers.html")]
pub(crate) struct ApproversPage {
    pub(crate) frame: Frame,
    pub(crate) rows: Vec<ApproverRow>,
    pub(crate) older: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct ApproverRow {
    pub(crate) name: Short,
    /// The user that it belongs to.
    pub(crate) user: Option<Short>,
    /// Passkeys that are not revoked, and those that are.
    pub(crate) passkeys: usize,
    pub(crate) revoked: usize,
    /// Command-line keys that are not revoked.
    pub(crate) command_line_keys: usize,
    pub(crate) since: Beside,
    /// The path of the API that invites to register one more, where that is the person's to do.
    pub(crate) invite: Option<String>,
    /// The principal as part of an address, where whoever is logged in may make it their own by one of its passkeys.
    pub(crate) links: Option<String>,
}

/// Deliveries that were given up, those given up longest first.
#[derive(Debug, Clone, Template)]
#[template(path = "views/callbacks.html")]
pub(crate) struct CallbacksPage {
    pub(crate) frame: Frame,
    pub(crate) rows: Vec<CallbackRow>,
    /// How many were given up, and how many are owed.
    pub(crate) given_up: u64,
    pub(crate) owed: u64,
}

/// A link to what a callback is about.
#[derive(Debug, Clone)]
pub(crate) struct AboutLink {
    pub(crate) path: String,
    /// `its task`
    pub(crate) words: &'static str,
}

#[derive(Debug, Clone)]
pub(crate) struct CallbackRow {
    pub(crate) id: String,
    pub(crate) event: Short,
    pub(crate) endpoint: Short,
    pub(crate) about: AboutLink,
    pub(crate) tries: u32,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<Short>,
    pub(crate) since: Beside,
}

/// Users, the newest first.
#[derive(Debug, Clone, Template)]
#[template(path = "views/users.html")]
pub(crate) struct UsersPage {
    pub(crate) frame: Frame,
    pub(crate) rows: Vec<UserRow>,
    pub(crate) older: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct UserRow {
    pub(crate) id: String,
    pub(crate) name: Short,
    pub(crate) role: &'static str,
    pub(crate) can_audit: bool,
    pub(crate) disabled: bool,
    pub(crate) has_password: bool,
    pub(crate) passkeys: usize,
    pub(crate) groups: usize,
    pub(crate) since: Beside,
}

impl ApproversPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}

impl CallbacksPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}

impl UsersPage {
    fn assets(&self) -> String {
        self.frame.assets()
    }
}
