//! The page on which an approver registers a passkey, and what its link shows afterwards.

use super::assets;
use super::moment::Moment;
use super::shown::ShownText;
use askama::Template;

/// An invitation that can still be taken.
#[derive(Debug, Clone, Template)]
#[template(path = "enrolment.html")]
pub struct EnrolmentPage {
    /// The principal whose passkey it will be.
    pub principal: ShownText,
    /// The name that whoever made the link gave the passkey.
    pub label: Option<ShownText>,
    /// True when the principal may decide as the service is configured.
    pub may_decide: bool,
    /// How many passkeys the principal has already.
    pub registered: usize,
    /// Until when the link works.
    pub expires_at: Moment,
    /// The service's time as the page is made.
    pub now: Moment,
}

/// An invitation that was taken, or that nobody took in time.
#[derive(Debug, Clone, Template)]
#[template(path = "enrolment_used.html")]
pub struct EnrolmentUsedPage {
    /// The principal whose passkey it was to be.
    pub principal: ShownText,
    /// A passkey was registered with it; otherwise it expired unused.
    pub used: bool,
    /// Until when the link worked.
    pub expires_at: Moment,
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
