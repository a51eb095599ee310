//! The kind of act that an event is, apart from its wording.

use crate::id::TokenId;
use crate::name::CredentialId;

/// The kind of act that an event is, and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How deep it stands below its task: 0 for what concerns a task, an agent or an approver as a
    /// whole, more for what that led to.
    pub depth: u8,
    /// The act.
    pub act: Act,
    /// How much somebody should care.
    pub severity: Severity,
    /// How it went.
    pub status: Status,
    /// A short word on how it went.
    pub detail: Option<String>,
    /// A comment that somebody wrote.
    pub comment: Option<String>,
}

impl Facts {
    /// An act that went well and that nobody has to look at.
    #[must_use]
    pub const fn of(depth: u8, act: Act) -> Self {
        Self {
            depth,
            act,
            severity: Severity::Informational,
            status: Status::Success,
            detail: None,
            comment: None,
        }
    }

    /// The event makes the aggregate of its stream.
    pub(super) const fn created(depth: u8, kind: &'static str) -> Self {
        Self::of(depth, Act::own(Change::Created, kind))
    }

    /// The event changes the aggregate of its stream.
    pub(super) const fn updated(depth: u8, kind: &'static str) -> Self {
        Self::of(depth, Act::own(Change::Updated, kind))
    }

    pub(super) const fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(super) const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(super) fn comment(mut self, comment: Option<&str>) -> Self {
        self.comment = comment.map(str::to_owned);
        self
    }
}

/// How much somebody should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Informational,
    /// A change of who may do what.
    Low,
    /// Something was refused, failed or was taken away.
    Medium,
    /// A person has to look.
    High,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not known, or not yet.
    Unknown,
    /// Well.
    Success,
    /// Not well.
    Failure,
}

/// An act. The agent and the approver are those of the event's topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Something that is managed here was made, changed or ended.
    Managed {
        /// The kind of change.
        change: Change,
        /// The managed thing: `task`.
        kind: &'static str,
        /// Its id; that of the event's stream when absent.
        id: Option<String>,
        /// Its name, where it has one.
        name: Option<String>,
    },
    /// An agent or approver was named for the first time.
    Account {
        /// Its name.
        name: String,
        /// `agent` or `approver`.
        kind: &'static str,
    },
    /// The approver's passkey was registered, or taken away.
    Passkey {
        /// True when it may decide from here on.
        active: bool,
        /// Its id.
        credential_id: CredentialId,
    },
    /// The agent's token began or ended.
    Token {
        /// True when it began.
        issued: bool,
        /// Its `jti`.
        token_id: TokenId,
    },
    /// A human said whether the agent may do what it asked for.
    Decision {
        /// The passkey.
        credential_id: CredentialId,
        /// True where a passkey has signed, whose authenticator verified the approver.
        is_passkey: bool,
    },
    /// The agent's grants were replaced.
    Grants {
        /// All of them, one phrase each.
        grants: Vec<String>,
    },
    /// Something was called, or asked for.
    Call(Box<Call>),
}

impl Act {
    /// The aggregate of the event's stream was made or changed.
    pub(super) const fn own(change: Change, kind: &'static str) -> Self {
        Self::Managed {
            change,
            kind,
            id: None,
            name: None,
        }
    }

    pub(super) fn managed(change: Change, kind: &'static str, id: impl ToString) -> Self {
        Self::Managed {
            change,
            kind,
            id: Some(id.to_string()),
            name: None,
        }
    }
}

/// A change of a managed thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was erased, and what it was is not known any more.
    Unknown,
    /// It was made.
    Created,
    /// It is another than before.
    Updated,
    /// It is gone.
    Deleted,
}

/// The effect of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it was refused.
    #[default]
    None,
    /// It only reads.
    Reads,
    /// It changes something.
    Changes,
    /// It tells somebody.
    Notifies,
}

/// A call, as far as an event tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// Its effect.
    pub effect: Effect,
    /// The operation: one of the catalog where it is one.
    pub operation: String,
    /// It goes to the operation's upstream.
    pub upstream: bool,
    /// The upstream, where it is named.
    pub service: Option<String>,
    /// The id of the apply, or of the execution.
    pub request: Option<String>,
    /// The scopes that it acts on, each a type and an id.
    pub scopes: Option<Vec<(String, String)>>,
    /// A stable code, and what happened.
    pub error: Option<(String, String)>,
    /// The HTTP method.
    pub method: Option<String>,
    /// The path of its URL.
    pub path: Option<String>,
    /// The host that is told.
    pub host: Option<String>,
    /// The number of the try, or of tries.
    pub count: Option<u64>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The HTTP status of the answer.
    pub http_status: Option<u16>,
}
