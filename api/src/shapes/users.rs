//! Users and groups.

use super::agent_descriptions::DescribedAgent;
use super::mistakes::both;
use super::{reason, words};
use crate::problem::ApiError;
use app::users::{Settings, UserView};
use ledger::aggregate::{Agent, Group, Key};
use ledger::command;
use ledger::{GroupId, GroupName, Rejection, Role, UserId, UserName};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listed {
    /// How many at most: 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next` of the page before.
    after: Option<String>,
}

impl Listed {
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        match self.limit.unwrap_or(50) {
            limit @ 1..=200 => Ok(limit),
            _ => Err(ApiError::bad_request("limit: 1 to 200")),
        }
    }

    pub(crate) fn after<T: std::str::FromStr>(&self) -> Result<Option<T>, ApiError> {
        let after = self.after.as_deref().map(str::parse::<T>).transpose();
        after.map_err(|_| ApiError::bad_request("after: the `next` of the page before"))
    }
}

/// A user to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateUserRequest {
    /// 1 to 64 of a-z 0-9 . _ @ -
    #[schema(example = "ann")]
    name: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(example = "operator")]
    role: String,
    /// Whether the user may read every payload of the ledger; no when left out.
    #[serde(default)]
    can_audit: Option<bool>,
    /// Whether the user may do nothing yet; no when left out.
    #[serde(default)]
    disabled: Option<bool>,
    /// Ids of groups.
    #[serde(default)]
    groups: Option<Vec<String>>,
    /// Why, for the ledger.
    #[serde(default)]
    reason: Option<String>,
}

/// A change of a user; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeUserRequest {
    /// 1 to 64 of a-z 0-9 . _ @ -
    #[serde(default)]
    name: Option<String>,
    /// `viewer`, `operator` or `admin`; another one ends the user's sessions.
    #[serde(default)]
    role: Option<String>,
    /// Whether the user may read every payload of the ledger.
    #[serde(default)]
    can_audit: Option<bool>,
    /// Whether the user may do nothing; it ends the user's sessions.
    #[serde(default)]
    disabled: Option<bool>,
    /// Ids of all groups that the user is in from here on.
    #[serde(default)]
    groups: Option<Vec<String>>,
    /// Why, for the ledger.
    #[serde(default)]
    reason: Option<String>,
}

impl CreateUserRequest {
    pub(crate) fn read(self) -> Result<(UserName, Role, Settings), ApiError> {
        let (role, reason) = both(role(&self.role), reason(self.reason))?;
        let settings = Settings {
            can_audit: self.can_audit,
            disabled: self.disabled,
            groups: self.groups.map(groups).transpose()?,
            reason,
        };
        Ok((UserName::parse(&self.name)?, role, settings))
    }
}

impl ChangeUserRequest {
    pub(crate) fn read(self) -> Result<(Option<UserName>, Option<Role>, Settings), ApiError> {
        let role = self.role.map(|text| role(&text)).transpose();
        let (role, reason) = both(role, reason(self.reason))?;
        let settings = Settings {
            can_audit: self.can_audit,
            disabled: self.disabled,
            groups: self.groups.map(groups).transpose()?,
            reason,
        };
        let name = self.name.map(|name| UserName::parse(&name)).transpose()?;
        Ok((name, role, settings))
    }
}

fn role(text: &str) -> Result<Role, ApiError> {
    let all = [Role::Viewer, Role::Operator, Role::Admin];
    let role = all.into_iter().find(|role| role.as_str() == text);
    role.ok_or_else(|| ApiError::bad_request("role: viewer, operator or admin"))
}

fn groups(ids: Vec<String>) -> Result<Vec<GroupId>, ApiError> {
    let read = |id: String| id.parse().map_err(|_| Rejection::GroupNotFound.into());
    ids.into_iter().map(read).collect()
}

/// A password that an administrator sets.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPasswordRequest {
    /// At least 12 characters, at most 1,024 bytes of UTF-8.
    #[schema(value_type = String, format = Password, min_length = 12)]
    pub(crate) password: SecretString,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct User {
    id: String,
    name: String,
    #[schema(example = "operator")]
    role: &'static str,
    can_audit: bool,
    disabled: bool,
    /// Ids.
    groups: Vec<String>,
    has_password: bool,
    /// How many log in.
    passkeys: usize,
    created_at: String,
}

impl From<&UserView> for User {
    fn from(view: &UserView) -> Self {
        let user = &view.user;
        Self {
            id: user.id.to_string(),
            name: user.name.to_string(),
            role: user.role.as_str(),
            can_audit: user.can_audit,
            disabled: user.disabled,
            groups: words(&view.groups),
            has_password: user.password.is_some(),
            passkeys: view.passkeys,
            created_at: user.created_at.to_string(),
        }
    }
}

/// Belongings that go with a user who is disabled or deleted. A parameter that is not known is refused: nobody is to
/// think that it was done.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RevokeQuery {
    /// `keys`: the agent keys that the user made or confirmed are revoked in the same step.
    #[param(inline)]
    revoke: Option<Revoked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Revoked {
    Keys,
}

impl RevokeQuery {
    pub(crate) const fn takes_keys(&self) -> bool {
        matches!(self.revoke, Some(Revoked::Keys))
    }
}

/// A key that a user made or confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeftKey {
    /// The key's id.
    id: String,
    /// The agent's name.
    agent: String,
    created_at: String,
    /// Null while it is in force.
    revoked_at: Option<String>,
}

/// Belongings that a user leaves.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct LeftBehind {
    /// The keys that the user made or confirmed and that were in force, oldest first.
    keys: Vec<LeftKey>,
    /// The agents for which the user answers, oldest first.
    agents: Vec<DescribedAgent>,
}

impl From<command::LeftBehind> for LeftBehind {
    fn from(left: command::LeftBehind) -> Self {
        let key = |(key, agent): &(Arc<Key>, Arc<Agent>)| LeftKey {
            id: key.id.to_string(),
            agent: agent.name.to_string(),
            created_at: key.created_at.to_string(),
            revoked_at: key.revoked_at.map(|at| at.to_string()),
        };
        let agents = left
            .agents
            .iter()
            .map(|agent| DescribedAgent::from(&**agent));
        Self {
            keys: left.keys.iter().map(key).collect(),
            agents: agents.collect(),
        }
    }
}

/// A user who was changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedUser {
    #[serde(flatten)]
    user: User,
    /// Only with `"disabled": true`: the keys that the user made or confirmed and that were in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<LeftKey>>,
    /// Only with `"disabled": true`: the agents for which the user answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    agents: Option<Vec<DescribedAgent>>,
}

impl ChangedUser {
    pub(crate) fn of(user: &UserView, left: Option<command::LeftBehind>) -> Self {
        let left = left.map(LeftBehind::from);
        let (keys, agents) = left.map(|left| (left.keys, left.agents)).unzip();
        Self {
            user: User::from(user),
            keys,
            agents,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserList {
    /// Newest first.
    users: Vec<User>,
    /// The size of the ledger that the answer is of.
    as_of: u64,
    /// What `after` takes; null at the end.
    next: Option<String>,
}

impl UserList {
    /// A page, of one row more than it shows where there are more.
    pub(crate) fn page(mut rows: Vec<UserView>, limit: usize, as_of: u64) -> Self {
        let is_more = rows.len() > limit;
        rows.truncate(limit);
        let users: Vec<User> = rows.iter().map(User::from).collect();
        let last = users.last().filter(|_| is_more);
        Self {
            next: last.map(|user| user.id.clone()),
            users,
            as_of,
        }
    }
}

/// A group to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateGroupRequest {
    /// 1 to 64 of a-z 0-9 . _ @ -
    #[schema(example = "dns-owners")]
    name: String,
    /// Ids of users.
    #[serde(default)]
    members: Vec<String>,
    /// Why, for the ledger.
    #[serde(default)]
    reason: Option<String>,
}

/// A change of a group; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeGroupRequest {
    /// 1 to 64 of a-z 0-9 . _ @ -
    #[serde(default)]
    name: Option<String>,
    /// Ids of all members from here on.
    #[serde(default)]
    members: Option<Vec<String>>,
    /// Why, for the ledger.
    #[serde(default)]
    reason: Option<String>,
}

/// A name, members and a reason, as far as they are given.
type GroupChange = (Option<GroupName>, Option<Vec<UserId>>, Option<String>);

impl CreateGroupRequest {
    pub(crate) fn read(self) -> Result<(GroupName, Vec<UserId>, Option<String>), ApiError> {
        let name = GroupName::parse(&self.name)?;
        Ok((name, members(self.members)?, reason(self.reason)?))
    }
}

impl ChangeGroupRequest {
    pub(crate) fn read(self) -> Result<GroupChange, ApiError> {
        let name = self.name.map(|name| GroupName::parse(&name)).transpose()?;
        let members = self.members.map(members).transpose()?;
        Ok((name, members, reason(self.reason)?))
    }
}

fn members(ids: Vec<String>) -> Result<Vec<UserId>, ApiError> {
    let read = |id: String| id.parse().map_err(|_| Rejection::UserNotFound.into());
    ids.into_iter().map(read).collect()
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupView {
    id: String,
    name: String,
    /// Ids of users.
    members: Vec<String>,
}

impl From<&Group> for GroupView {
    fn from(group: &Group) -> Self {
        Self {
            id: group.id.to_string(),
            name: group.name.to_string(),
            members: words(&group.members),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupList {
    /// Newest first.
    groups: Vec<GroupView>,
    /// The size of the ledger that the answer is of.
    as_of: u64,
    /// What `after` takes; null at the end.
    next: Option<String>,
}

impl GroupList {
    /// A page, of one row more than it shows where there are more.
    pub(crate) fn page(rows: &[Arc<Group>], limit: usize, as_of: u64) -> Self {
        let shown = rows.iter().take(limit);
        let groups: Vec<GroupView> = shown.map(|group| GroupView::from(&**group)).collect();
        let last = groups.last().filter(|_| rows.len() > limit);
        Self {
            next: last.map(|group| group.id.clone()),
            groups,
            as_of,
        }
    }
}
