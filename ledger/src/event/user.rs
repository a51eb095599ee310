//! Events of a user's stream. Frozen forms.

use super::session::PasskeyProof;
use crate::blob::Blob;
use crate::id::{ApproverId, DeviceId, UserId};
use crate::label::UserName;
use crate::name::ApproverName;
use crate::push::EndpointDigest;
use serde::{Deserialize, Serialize};

/// What a user may do, each role all that the one before may. Frozen: the order is that of the rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Runs tasks, and takes grants and credentials away.
    Operator,
    /// Does the rest.
    Admin,
}

impl Role {
    /// The word in requests and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// `user.created` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCreated {
    /// The user's stream.
    pub user_id: UserId,
    /// The name.
    pub name: UserName,
    /// The role.
    pub role: Role,
    /// True for one who may read every payload of the ledger.
    pub can_audit: bool,
    /// Why, when somebody said so.
    pub reason: Option<String>,
}

/// `user.changed` 1: the whole of the settings from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserChanged {
    /// The name.
    pub name: UserName,
    /// The role.
    pub role: Role,
    /// True for one who may read every payload of the ledger.
    pub can_audit: bool,
    /// True for one who may do nothing at all.
    pub disabled: bool,
    /// Why, when somebody said so.
    pub reason: Option<String>,
}

/// `user.password_set` 1. It ends the sessions that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordSet {
    /// The password's hash as a PHC string, sealed.
    pub sealed_hash: Blob,
    /// True where it has to be changed before anything else is done.
    pub must_change: bool,
    /// Why, when somebody said so.
    pub reason: Option<String>,
}

/// `user.deleted` 1. The name is free again, and nothing brings the user back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDeleted {
    /// Why, when somebody said so.
    pub reason: Option<String>,
}

/// `user.sessions_ended` 1: every session that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsEnded {
    /// Why, when somebody said so.
    pub reason: Option<String>,
}

/// `user.principal_linked` 1: the user has shown a passkey of an approver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalLinked {
    /// The approver.
    pub approver_id: ApproverId,
    /// Its principal.
    pub principal: ApproverName,
    /// The assertion, by a passkey of that principal.
    pub proof: PasskeyProof,
}

/// `user.device_added` 1: the user wants that device to be told of questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAdded {
    /// The device.
    pub device_id: DeviceId,
    /// The host of its push service.
    pub service: String,
    /// The digest of its address there.
    pub endpoint_digest: EndpointDigest,
    /// The address and the keys of messages to it, sealed.
    pub sealed_subscription: Blob,
}

/// Why a device is not told of questions any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceEnd {
    /// The user has taken it away, or has registered it anew.
    Removed,
    /// Its push service has said that it is gone.
    Gone,
}

/// `user.device_removed` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRemoved {
    /// The device.
    pub device_id: DeviceId,
    /// Why.
    pub why: DeviceEnd,
}
