//! Events of a group's stream. Frozen forms.

use crate::id::{GroupId, UserId};
use crate::label::GroupName;
use serde::{Deserialize, Serialize};

/// `group.created` 1: without members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupCreated {
    /// The group's stream.
    pub group_id: GroupId,
    /// The name.
    pub name: GroupName,
    /// Why, when somebody said so.
    pub reason: Option<String>,
}

/// `group.changed` 1: the whole of it from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupChanged {
    /// The name.
    pub name: GroupName,
    /// The members, each once.
    pub members: Vec<UserId>,
    /// Why, when somebody said so.
    pub reason: Option<String>,
}

/// `group.deleted` 1. The name is free again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDeleted {
    /// Why, when somebody said so.
    pub reason: Option<String>,
}
