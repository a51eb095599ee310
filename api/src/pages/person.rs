//! People who decide, as others call them: a user by the name that it has now, with what the ledger calls it as
//! the title.

use super::moment::Moment;
use super::shown::ShownText;
use askama::filters::HtmlSafe;
use ledger::aggregate::User;
use ledger::{ApproverName, Timestamp, UserId};
use std::collections::HashMap;
use std::fmt;

/// The names that users have now.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserNames(HashMap<UserId, String>);

/// One who decides. Its `Display` is HTML, as that of [`ShownText`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownPerson {
    pub(super) name: ShownText,
    /// The user, where the name is a user's.
    user: Option<UserId>,
}

/// A person's answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub by: ShownPerson,
    pub at: Moment,
}

/// An approver who answered, and the time.
pub(super) type Given<'a> = (&'a ApproverName, Timestamp);

impl UserNames {
    pub(crate) fn insert(&mut self, id: UserId, name: String) {
        self.0.insert(id, name);
    }

    /// The person behind a principal; one whose name is not known is called by the principal.
    pub(super) fn of(&self, principal: &ApproverName) -> ShownPerson {
        let user = User::named_by(principal).and_then(|id| Some((id, self.0.get(&id)?)));
        match user {
            Some((id, name)) => ShownPerson {
                name: ShownText::line(name),
                user: Some(id),
            },
            None => ShownPerson::principal(principal.as_str()),
        }
    }

    pub(super) fn answers(&self, given: &[Given<'_>]) -> Vec<Answer> {
        let answer = |(principal, at): &Given<'_>| Answer {
            by: self.of(principal),
            at: Moment::new(*at),
        };
        given.iter().map(answer).collect()
    }
}

impl ShownPerson {
    /// One who is called by the name of the principal.
    #[must_use]
    pub fn principal(name: &str) -> Self {
        Self {
            name: ShownText::line(name),
            user: None,
        }
    }
}

impl fmt::Display for ShownPerson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.user {
            Some(id) => write!(
                f,
                "<span title=\"{}{id}\">{}</span>",
                ApproverName::OF_USERS,
                self.name
            ),
            None => fmt::Display::fmt(&self.name, f),
        }
    }
}

impl HtmlSafe for ShownPerson {}
