//! The reason and the link that a task was opened with, or that an agent gave with its apply, as pages show
//! them: as the words of whoever gave them, and with the host that the link leads to.

use super::shown::ShownText;
use ledger::Purpose;

/// Words about a task or an apply, each where they were given.
#[derive(Debug, Clone, Default)]
pub struct Says {
    pub reason: Option<ShownText>,
    pub link: Option<ShownLink>,
}

/// A link to another site.
#[derive(Debug, Clone)]
pub struct ShownLink {
    /// An https URL in ASCII.
    pub(super) href: String,
    /// The host in it, with a port that is not 443.
    pub(super) host: ShownText,
}

impl Says {
    /// A link that was not written by [`ledger::Link::parse`] is left out.
    #[must_use]
    pub fn of(purpose: &Purpose) -> Self {
        let link = purpose.link.as_deref().map(ledger::Link::parse);
        let link = link.and_then(Result::ok).map(|link| ShownLink {
            host: ShownText::line(link.host()),
            href: link.into(),
        });
        Self {
            reason: purpose.reason.as_deref().map(ShownText::block),
            link,
        }
    }
}
