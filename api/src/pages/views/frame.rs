//! What all views have around them: who is logged in, and the way to the others.

use crate::pages::{Short, assets};
use app::Acting;
use ledger::Role;
use ledger::describe::who;

/// A view, in the order of the links to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Inbox,
    History,
    Tasks,
    Agents,
    Approvers,
    Clearances,
    Admissions,
    Schedules,
    Callbacks,
    Ledger,
    Users,
    Policy,
    System,
    /// One's own key, and the settings of programs.
    Proxy,
}

impl View {
    const ALL: [Self; 14] = [
        Self::Inbox,
        Self::History,
        Self::Tasks,
        Self::Agents,
        Self::Approvers,
        Self::Clearances,
        Self::Admissions,
        Self::Schedules,
        Self::Callbacks,
        Self::Ledger,
        Self::Users,
        Self::Policy,
        Self::System,
        Self::Proxy,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Inbox => "Inbox",
            Self::History => "History",
            Self::Tasks => "Tasks",
            Self::Agents => "Agents",
            Self::Ledger => "Ledger",
            Self::Approvers => "Approvers",
            Self::Clearances => "Kept decisions",
            Self::Admissions => "Blocks",
            Self::Schedules => "Schedules",
            Self::Callbacks => "Callbacks",
            Self::Users => "Users",
            Self::Policy => "Policy",
            Self::System => "System",
            Self::Proxy => "Proxy",
        }
    }

    /// Its path, without a slash before it.
    const fn path(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::History => "history",
            Self::Tasks => "tasks",
            Self::Agents => "agents",
            Self::Ledger => "ledger",
            Self::Approvers => "approvers",
            Self::Clearances => "clearances",
            Self::Admissions => "blocks",
            Self::Schedules => "schedules",
            Self::Callbacks => "callbacks",
            Self::Users => "users",
            Self::Policy => "policy",
            Self::System => "system",
            Self::Proxy => "me/proxy",
        }
    }

    /// The key that leads to it after `g`.
    const fn key(self) -> char {
        match self {
            Self::Inbox => 'i',
            Self::History => 'h',
            Self::Tasks => 't',
            Self::Agents => 'a',
            Self::Ledger => 'l',
            Self::Approvers => 'p',
            Self::Clearances => 'k',
            Self::Admissions => 'b',
            Self::Schedules => 'e',
            Self::Callbacks => 'c',
            Self::Users => 'u',
            Self::Policy => 'o',
            Self::System => 's',
            Self::Proxy => 'x',
        }
    }

    /// The least role that sees it.
    const fn seen_by(self) -> Role {
        match self {
            Self::Inbox
            | Self::History
            | Self::Tasks
            | Self::Approvers
            | Self::Clearances
            | Self::Callbacks
            | Self::Ledger
            | Self::Proxy => Role::Viewer,
            Self::Users => Role::Admin,
            Self::Agents | Self::Admissions | Self::Schedules | Self::Policy | Self::System => {
                Role::Operator
            }
        }
    }
}

impl View {
    /// The kinds of changes that it shows, as the stream names them.
    const fn kinds(self) -> &'static str {
        match self {
            Self::Inbox => "approval apply lock",
            Self::History => "approval clearance",
            Self::Tasks => "task apply approval",
            Self::Agents => "agent key task approval",
            Self::Approvers => "approver user",
            Self::Clearances => "clearance apply task",
            Self::Admissions => "admission agent",
            Self::Schedules => "schedule apply",
            Self::Callbacks => "delivery",
            Self::Users => "user group",
            Self::Proxy => "user",
            Self::Policy => "policy group",
            Self::System => "",
            Self::Ledger => {
                "task apply approval delivery agent approver user group session key template lock policy clearance admission schedule"
            }
        }
    }
}

/// A link to a view.
pub(super) struct Link {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) key: char,
    pub(super) is_here: bool,
}

/// What a view has around it.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    who: Short,
    role: Role,
    /// It is a person, by a session of theirs.
    is_person: bool,
    path: String,
    here: View,
    /// The ledger's size that the view is as of; its script asks for what came after.
    pub(crate) as_of: u64,
}

impl Frame {
    const NAME: usize = 200;

    /// Around a view at that path.
    pub(crate) fn of(by: &Acting, path: &str, here: View, as_of: u64) -> Self {
        let (who, role) = match by.session() {
            Some(session) => (session.user.name.to_string(), session.role()),
            // The service token, and whoever comes while authentication is disabled.
            None => (who(by.actor()), Role::Admin),
        };
        Self {
            who: Short::line(who, Self::NAME),
            role,
            is_person: by.session().is_some(),
            path: path.to_owned(),
            here,
            as_of,
        }
    }

    pub(super) fn who(&self) -> &Short {
        &self.who
    }

    pub(super) fn kinds(&self) -> &'static str {
        self.here.kinds()
    }

    /// Whether the person is of this role, or of one above it.
    pub(crate) fn is_of(&self, role: Role) -> bool {
        self.role >= role
    }

    /// Whether the person may have things done.
    pub(super) fn runs(&self) -> bool {
        self.is_of(Role::Operator)
    }

    /// Whether the person may give.
    pub(super) fn administers(&self) -> bool {
        self.is_of(Role::Admin)
    }

    pub(super) fn assets(&self) -> String {
        assets::base_from(&self.path)
    }

    /// The way to the service's root, with a slash at its end.
    pub(crate) fn root(&self) -> String {
        assets::root_from(&self.path)
    }

    pub(super) fn links(&self) -> Vec<Link> {
        let seen = View::ALL
            .into_iter()
            .filter(|view| view.seen_by() <= self.role)
            .filter(|view| self.is_person || *view != View::Proxy);
        let link = |view: View| Link {
            name: view.name(),
            path: view.path(),
            key: view.key(),
            is_here: view == self.here,
        };
        seen.map(link).collect()
    }
}
