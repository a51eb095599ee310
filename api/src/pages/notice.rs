//! A link that opens nothing, and errors.

use super::assets;
use super::shown::ShownText;
use askama::Template;

/// A short message in place of the page that was asked for.
#[derive(Debug, Clone, Template)]
#[template(path = "notice.html")]
pub struct NoticePage {
    title: &'static str,
    explanation: &'static str,
    advice: &'static str,
    request_id: Option<ShownText>,
    /// Where it stands, when that is not two levels deep.
    path: Option<String>,
}

impl NoticePage {
    /// The link was forged, cut short, or is for another service. Says nothing of what exists.
    #[must_use]
    pub fn link_not_valid() -> Self {
        Self {
            title: "This link is not valid",
            explanation: "It opens nothing here. Links are long, and some programs cut them off or \
                          change them on the way.",
            advice: "Open the link again from the message you got, or ask for a new one.",
            request_id: None,
            path: None,
        }
    }

    /// A view that the person may not see.
    pub(crate) fn not_for_this_role() -> Self {
        Self {
            title: "This is not for your role",
            explanation: "You are logged in, and this page is for a role that may do more than yours.",
            advice: "An administrator can change what you may do here.",
            request_id: None,
            path: None,
        }
    }

    /// A view was asked for in a way that there is not.
    pub(crate) fn not_understood() -> Self {
        Self {
            title: "This address is not complete",
            explanation: "It asks for a part of this page that there is not.",
            advice: "Open the page from the links at its top.",
            request_id: None,
            path: None,
        }
    }

    /// Nothing stands at this address.
    #[must_use]
    pub fn not_found() -> Self {
        Self {
            title: "There is nothing here",
            explanation: "What this link named does not exist in this service.",
            advice: "Check that you opened the newest link you were sent.",
            request_id: None,
            path: None,
        }
    }

    /// The link of a start, once an admin can log in.
    #[must_use]
    pub fn admin_exists() -> Self {
        Self {
            title: "There is an admin already",
            explanation: "This link was for the first admin. One can log in now, and it opens nothing \
                          any more.",
            advice: "Log in at this service’s address, or ask an admin for a user of your own.",
            request_id: None,
            path: None,
        }
    }

    /// A lock stops what is asked, or has ended it.
    #[must_use]
    pub fn locked() -> Self {
        Self {
            title: "A lock has ended this request",
            explanation: "Somebody has locked what it asks for, after it was asked. Nothing was decided, and \
                          nothing comes of it any more.",
            advice: "If it is still wanted once the lock is lifted, the agent has to ask again.",
            request_id: None,
            path: None,
        }
    }

    /// The link is opened more often than people do.
    #[must_use]
    pub fn too_often() -> Self {
        Self {
            title: "Too many tries",
            explanation: "This link is being opened more often than people open links. Nothing was \
                          decided.",
            advice: "Wait a few seconds, then reload this page.",
            request_id: None,
            path: None,
        }
    }

    /// The service cannot answer now.
    #[must_use]
    pub fn unavailable(request_id: Option<String>) -> Self {
        Self {
            title: "Not available right now",
            explanation: "The service is starting, catching up or busy. Nothing was decided and \
                          nothing was lost.",
            advice: "Reload this page in a moment.",
            request_id: request_id.map(ShownText::line),
            path: None,
        }
    }

    /// Something failed in the service itself.
    #[must_use]
    pub fn internal(request_id: Option<String>) -> Self {
        Self {
            title: "Something went wrong",
            explanation: "The service made a mistake. Nothing was decided by you.",
            advice: "Reload this page. If it stays like this, tell an operator the request's id.",
            request_id: request_id.map(ShownText::line),
            path: None,
        }
    }

    /// The page at this path, which is what its files are relative to.
    pub(crate) fn at(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    fn assets(&self) -> String {
        self.path
            .as_deref()
            .map_or_else(assets::base, assets::base_from)
    }
}
