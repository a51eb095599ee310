//! The page on which an approver or user registers a passkey, and what its link shows afterwards.

use super::assets;
use super::moment::Moment;
use super::shown::ShownText;
use askama::Template;

/// An invitation that can still be taken.
#[derive(Debug, Clone, Template)]
#[template(path = "enrolment.html")]
pub struct EnrolmentPage {
    /// The name of who is invited: the principal, or the user's name.
    pub name: ShownText,
    /// True for a user, who will log in by the passkey.
    pub is_user: bool,
    /// The name that whoever made the link gave the passkey.
    pub label: Option<ShownText>,
    /// True when passkeys of theirs decide as the service is configured.
    pub may_decide: bool,
    /// How many passkeys they have already.
    pub registered: usize,
    /// Until when the link works.
    pub expires_at: Moment,
    /// The service's time as the page is made.
    pub now: Moment,
}

/// An invitation that was taken, that nobody took in time, or that ended with its user's sessions.
#[derive(Debug, Clone, Template)]
#[template(path = "enrolment_used.html")]
pub struct EnrolmentUsedPage {
    /// The name of who was invited.
    pub name: ShownText,
    /// A passkey was registered with it; otherwise it ended unused.
    pub used: bool,
    /// Until when the link worked, where it has expired.
    pub expires_at: Option<Moment>,
}

/// Where the first admin is made: a name, and a passkey. It holds nothing of anybody.
#[derive(Debug, Clone, Copy, Template)]
#[template(path = "setup.html")]
pub struct SetupPage;

impl SetupPage {
    fn assets(self) -> String {
        assets::base()
    }
}

impl EnrolmentPage {
    fn assets(&self) -> String {
        assets::base()
    }
}

impl EnrolmentUsedPage {
    fn assets(&self) -> String {
        assets::base()
    }
}
