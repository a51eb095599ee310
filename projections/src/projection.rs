//! The projections: groups of tables that read each other, and nothing of another group. Each has a
//! cursor of its own, so that one that stops leaves the others going.

use ledger::Event;
use ledger::event::{AggregateKind, EventKind};
use std::fmt;
use std::str::FromStr;

/// A group of read tables that is folded, and stops, on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Projection {
    /// Agents with their permissions and keys, templates, locks, blocks, schedules, and what calls used.
    Agents,
    /// Approvers with their credentials, and sessions of users.
    Approvers,
    /// Tasks, capability tokens, approvals, applies and the execution queue.
    Tasks,
    /// Callbacks, deliveries and their attempts.
    Callbacks,
    Timeline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a projection: expected agents, approvers, tasks, callbacks or timeline")]
pub struct UnknownProjection;

impl Projection {
    pub const ALL: [Self; 5] = [
        Self::Agents,
        Self::Approvers,
        Self::Tasks,
        Self::Callbacks,
        Self::Timeline,
    ];

    /// Its name, in the file, in metrics and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Approvers => "approvers",
            Self::Tasks => "tasks",
            Self::Callbacks => "callbacks",
            Self::Timeline => "timeline",
        }
    }

    /// True when its rows are made of events of that type. What was erased concerns all of them.
    pub(crate) const fn folds(self, event_type: u16) -> bool {
        use AggregateKind::{
            Admission, Agent, Apply, Approval, Approver, Clearance, Delivery, Key, Lock, Schedule,
            Session, Task, Template, Usage, User,
        };
        let Some(EventKind {
            aggregate, traits, ..
        }) = Event::kind_of(event_type)
        else {
            return false;
        };
        traits.erases
            || match self {
                Self::Agents => matches!(
                    aggregate,
                    Agent | Key | Template | Lock | Admission | Schedule | Usage
                ),
                Self::Approvers => matches!(aggregate, Approver | Session | User) || traits.decides,
                Self::Tasks => {
                    matches!(aggregate, Task | Apply | Approval | Clearance) && !traits.alone
                }
                Self::Callbacks => matches!(aggregate, Delivery) || traits.addresses,
                Self::Timeline => true,
            }
    }

    /// True when an event that cannot be read stops it. One of a type that this version knows stops
    /// those that fold the type. What a type that it does not know may mean to a projection, it
    /// cannot know either: such an event stops all of them.
    pub(crate) fn needs(self, event_type: Option<u16>) -> bool {
        match event_type {
            Some(number) if Event::kind_of(number).is_some() => self.folds(number),
            _ => true,
        }
    }
}

impl fmt::Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Projection {
    type Err = UnknownProjection;

    fn from_str(name: &str) -> Result<Self, UnknownProjection> {
        let mut all = Self::ALL.into_iter();
        all.find(|projection| projection.as_str() == name)
            .ok_or(UnknownProjection)
    }
}

/// Where and why a projection has stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The position that it stands before.
    pub position: u64,
    /// The problem of the event there, or of the tables.
    pub why: String,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at position {}: {}", self.position, self.why)
    }
}
