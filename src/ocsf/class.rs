//! The classes of the Open Cybersecurity Schema Framework that events are told in.

use ledger::describe::{Severity, Status};

pub(super) const PRODUCT: &str = "llm-permission-proxy";

pub(super) const VERSION: &str = "1.3.0";

/// A class with its category. Numbers and captions are the schema's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// An account, or what it proves itself with, was changed.
    AccountChange,
    AuthorizeSession,
    /// Something that is managed was made, changed or ended.
    EntityManagement,
    /// A user's privileges were changed.
    UserAccess,
    /// Something was called.
    ApiActivity,
}

impl Class {
    pub(super) const fn uid(self) -> u32 {
        match self {
            Self::AccountChange => 3001,
            Self::AuthorizeSession => 3003,
            Self::EntityManagement => 3004,
            Self::UserAccess => 3005,
            Self::ApiActivity => 6003,
        }
    }

    pub(super) const fn caption(self) -> &'static str {
        match self {
            Self::AccountChange => "Account Change",
            Self::AuthorizeSession => "Authorize Session",
            Self::EntityManagement => "Entity Management",
            Self::UserAccess => "User Access Management",
            Self::ApiActivity => "API Activity",
        }
    }

    /// The profiles that its events use. Who acted has a place in these classes by the profile of a host.
    pub(super) const fn profiles(self) -> &'static [&'static str] {
        match self {
            Self::ApiActivity => &[],
            Self::AccountChange
            | Self::AuthorizeSession
            | Self::EntityManagement
            | Self::UserAccess => &["host"],
        }
    }

    /// Whether it has a place for what somebody wrote beside it.
    pub(super) const fn has_comment(self) -> bool {
        matches!(self, Self::EntityManagement)
    }

    pub(super) const fn category(self) -> (u32, &'static str) {
        match self {
            Self::ApiActivity => (6, "Application Activity"),
            _ => (3, "Identity & Access Management"),
        }
    }
}

/// What was done, in the words of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Activity {
    pub(super) class: Class,
    pub(super) id: u32,
    pub(super) caption: &'static str,
}

const fn activity(class: Class, id: u32, caption: &'static str) -> Activity {
    Activity { class, id, caption }
}

impl Activity {
    pub(super) const ACCOUNT_CREATED: Self = activity(Class::AccountChange, 1, "Create");
    pub(super) const FACTOR_ENABLED: Self = activity(Class::AccountChange, 10, "MFA Factor Enable");
    pub(super) const FACTOR_DISABLED: Self =
        activity(Class::AccountChange, 11, "MFA Factor Disable");
    pub(super) const SESSION_AUTHORISED: Self =
        activity(Class::AuthorizeSession, 1, "Assign Privileges");
    pub(super) const SESSION_REVOKED: Self = activity(Class::AuthorizeSession, 99, "Revoke");
    pub(super) const ENTITY_UNKNOWN: Self = activity(Class::EntityManagement, 0, "Unknown");
    pub(super) const ENTITY_CREATED: Self = activity(Class::EntityManagement, 1, "Create");
    pub(super) const ENTITY_UPDATED: Self = activity(Class::EntityManagement, 3, "Update");
    pub(super) const ENTITY_DELETED: Self = activity(Class::EntityManagement, 4, "Delete");
    pub(super) const ASSIGNED: Self = activity(Class::UserAccess, 1, "Assign Privileges");
    pub(super) const REVOKED: Self = activity(Class::UserAccess, 2, "Revoke Privileges");
    pub(super) const CALLED: Self = activity(Class::ApiActivity, 0, "Unknown");
    pub(super) const READ: Self = activity(Class::ApiActivity, 2, "Read");
    pub(super) const CHANGED: Self = activity(Class::ApiActivity, 3, "Update");
    pub(super) const NOTIFIED: Self = activity(Class::ApiActivity, 99, "Notify");

    /// `class_uid * 100 + activity_id`, as the schema has it.
    pub(super) const fn type_uid(self) -> u32 {
        self.class.uid() * 100 + self.id
    }
}

/// The schema's number and caption of a severity.
pub(super) const fn severity(severity: Severity) -> (u32, &'static str) {
    match severity {
        Severity::Informational => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
    }
}

/// The schema's number and caption of a status.
pub(super) const fn status(status: Status) -> (u32, &'static str) {
    match status {
        Status::Unknown => (0, "Unknown"),
        Status::Success => (1, "Success"),
        Status::Failure => (2, "Failure"),
    }
}
