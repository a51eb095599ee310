//! Events of a lock's stream. Frozen forms.

use crate::catalog::OperationId;
use crate::clock::Timestamp;
use crate::id::{AgentId, KeyId, LockId, TaskId, UserId};
use crate::name::CredentialId;
use serde::{Deserialize, Serialize};

/// What a lock stops. Agents and users stand by their ids alone, so that their names can be erased without
/// this.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockTarget {
    /// Every agent. People's sessions go on.
    All,
    /// One agent.
    Agent(AgentId),
    /// The agents of one owner.
    Owner(UserId),
    /// One task.
    Task(TaskId),
    /// One operation of the catalog, whichever agent asks for it.
    Operation(LockedOperation),
    /// One agent key.
    Key(KeyId),
    /// One user: sessions, logins and decisions.
    User(UserId),
    /// One passkey: logins, confirmations and decisions.
    Credential(CredentialId),
}

/// The id of an operation, as text: the numbers of the first seven do not stand in new forms.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LockedOperation(String);

impl LockTarget {
    /// The operations of a list in JSON, as a schedule has them; none of a list that cannot be read.
    #[must_use]
    pub(crate) fn operations_of(list: &str) -> Vec<Self> {
        let list: Vec<serde_json::Value> = serde_json::from_str(list).unwrap_or_default();
        let ids = list
            .iter()
            .filter_map(|one| one.get("operation_id")?.as_str());
        ids.map(|id| Self::Operation(LockedOperation(id.to_owned())))
            .collect()
    }
}

impl From<OperationId> for LockedOperation {
    fn from(id: OperationId) -> Self {
        Self(id.to_string())
    }
}

impl LockedOperation {
    /// Of an operation that stands in a record by its text.
    pub(crate) fn named(id: &str) -> Self {
        Self(id.to_owned())
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LockTarget {
    /// The word of its kind on the surface.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Agent(_) => "agent",
            Self::Owner(_) => "owner",
            Self::Task(_) => "task",
            Self::Operation(_) => "operation",
            Self::Key(_) => "key",
            Self::User(_) => "user",
            Self::Credential(_) => "credential",
        }
    }

    /// The target in words.
    #[must_use]
    pub const fn named(&self) -> &'static str {
        match self {
            Self::All => "every agent",
            Self::Agent(_) => "the agent",
            Self::Owner(_) => "every agent of its owner",
            Self::Task(_) => "the task",
            Self::Operation(_) => "one of the operations",
            Self::Key(_) => "the agent key",
            Self::User(_) => "the user",
            Self::Credential(_) => "the passkey",
        }
    }

    /// Its id on the surface, where that is not a name that can be erased; `None` for [`Self::All`].
    #[must_use]
    pub fn id(&self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Agent(id) => Some(id.to_string()),
            Self::Owner(id) | Self::User(id) => Some(id.to_string()),
            Self::Task(id) => Some(id.to_string()),
            Self::Operation(id) => Some(id.as_str().to_owned()),
            Self::Key(id) => Some(id.to_string()),
            Self::Credential(id) => Some(id.to_string()),
        }
    }

    /// Whether only an administrator sets it, and no service token lifts it.
    #[must_use]
    pub const fn is_of_people(&self) -> bool {
        matches!(self, Self::All | Self::User(_) | Self::Credential(_))
    }
}

/// `lock.set` 1: from here on nothing of the target begins, is decided or goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockSet {
    /// The lock, which is also its stream.
    pub lock_id: LockId,
    /// What it stops.
    pub target: LockTarget,
    /// The reason, which an operator gave.
    pub reason: String,
    /// When it ends by itself; `None`: when it is lifted.
    pub until: Option<Timestamp>,
}

/// `lock.lifted` 1: it stops nothing any more. What was made before it was set stays dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockLifted {}
