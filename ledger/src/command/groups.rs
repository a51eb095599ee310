//! Groups of users.

use super::Command;
use super::acting::still_acts;
use super::users::living;
use crate::aggregate::Group;
use crate::error::Error;
use crate::event::{GroupChanged, GroupCreated, GroupDeleted, Role};
use crate::id::{GroupId, StreamId, UserId};
use crate::label::GroupName;
use crate::rejection::Rejection;
use crate::storage::{LookupKey, LookupKind, NewEvent};
use crate::writer::{Context, Transaction};
use std::sync::Arc;

/// The most members of a group.
const MOST_MEMBERS: usize = 1000;

/// Makes a group.
#[derive(Debug, Clone)]
pub struct CreateGroup {
    /// The name, which no other group has.
    pub name: GroupName,
    /// The members.
    pub members: Vec<UserId>,
    /// The reason, when somebody gave one.
    pub reason: Option<String>,
}

impl Command for CreateGroup {
    type Answer = Arc<Group>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Group>, Error> {
        tx.needs_room()?;
        still_acts(tx, Role::Admin).await?;
        if tx.find(&LookupKey::group(&self.name)).await?.is_some() {
            return Err(Rejection::NameTaken.into());
        }
        let members = members(tx, self.members).await?;
        let context = tx.context();
        let group_id: GroupId = context.id();
        let created = GroupCreated {
            group_id,
            name: self.name.clone(),
            reason: self.reason.clone(),
        };
        let mut events = vec![context.event(group_id, created)];
        if !members.is_empty() {
            let changed = GroupChanged {
                name: self.name,
                members,
                reason: self.reason,
            };
            events.push(context.event(group_id, changed));
        }
        tx.append(events).await?;
        tx.existing::<Group>(group_id).await
    }
}

/// Living users, each once.
async fn members(tx: &mut Transaction<'_>, mut members: Vec<UserId>) -> Result<Vec<UserId>, Error> {
    members.sort_unstable();
    members.dedup();
    if members.len() > MOST_MEMBERS {
        return Err(Rejection::Invalid {
            code: "too_many_members",
            detail: format!("a group has at most {MOST_MEMBERS} members"),
        }
        .into());
    }
    for member in &members {
        living(tx, *member).await?;
    }
    Ok(members)
}

/// The group, where it was not deleted.
async fn standing(tx: &mut Transaction<'_>, id: GroupId) -> Result<Arc<Group>, Error> {
    let group = tx.named::<Group>(id).await?;
    match group.deleted {
        true => Err(Rejection::GroupNotFound.into()),
        false => Ok(group),
    }
}

/// Changes a group; what is absent stays.
#[derive(Debug, Clone)]
pub struct ChangeGroup {
    /// The group.
    pub group_id: GroupId,
    /// Another name.
    pub name: Option<GroupName>,
    /// All members from here on.
    pub members: Option<Vec<UserId>>,
    /// The reason, when somebody gave one.
    pub reason: Option<String>,
}

impl Command for ChangeGroup {
    type Answer = Arc<Group>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Group>, Error> {
        still_acts(tx, Role::Admin).await?;
        let group = standing(tx, self.group_id).await?;
        let holder = match &self.name {
            Some(name) => tx.find(&LookupKey::group(name)).await?,
            None => None,
        };
        let wanted = match self.members {
            Some(wanted) => Some(members(tx, wanted).await?),
            None => None,
        };
        let change = (self.name, wanted, self.reason);
        let events = decide_change(&group, change, holder.map(GroupId::from), &tx.context())?;
        tx.append(events).await?;
        tx.existing::<Group>(group.id).await
    }
}

fn decide_change(
    group: &Group,
    (name, members, reason): (Option<GroupName>, Option<Vec<UserId>>, Option<String>),
    name_holder: Option<GroupId>,
    context: &Context<'_>,
) -> Result<Vec<NewEvent>, Rejection> {
    if name_holder.is_some_and(|holder| holder != group.id) {
        return Err(Rejection::NameTaken);
    }
    let changed = GroupChanged {
        name: name.unwrap_or_else(|| group.name.clone()),
        members: members.unwrap_or_else(|| group.members.clone()),
        reason,
    };
    let stays = changed.name == group.name && changed.members == group.members;
    Ok(match stays {
        true => Vec::new(),
        false => vec![context.event(group.id, changed)],
    })
}

/// Deletes a group; its name is free again.
#[derive(Debug, Clone)]
pub struct DeleteGroup {
    /// The group.
    pub group_id: GroupId,
    /// The reason, when somebody gave one.
    pub reason: Option<String>,
}

impl Command for DeleteGroup {
    type Answer = Arc<Group>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Group>, Error> {
        still_acts(tx, Role::Admin).await?;
        let group = standing(tx, self.group_id).await?;
        let by = tx.policy().map(|known| known.policy.parts_with(group.id));
        if let Some(by) = by.filter(|by| !by.is_empty()) {
            return Err(Rejection::GroupInPolicy { by }.into());
        }
        let deleted = GroupDeleted {
            reason: self.reason,
        };
        let deleted = tx.context().event(group.id, deleted);
        tx.append(vec![deleted]).await?;
        tx.existing::<Group>(group.id).await
    }
}

/// Puts a user into groups.
pub(super) async fn put_into(
    tx: &mut Transaction<'_>,
    user: UserId,
    groups: &[GroupId],
    reason: Option<String>,
) -> Result<(), Error> {
    for id in groups {
        let group = standing(tx, *id).await?;
        let mut wanted = group.members.clone();
        wanted.push(user);
        let wanted = members(tx, wanted).await?;
        set_members(tx, &group, wanted, reason.clone()).await?;
    }
    Ok(())
}

/// Takes a user out of all groups but some.
pub(super) async fn leave_all(
    tx: &mut Transaction<'_>,
    user: UserId,
    but: &[GroupId],
    reason: Option<String>,
) -> Result<(), Error> {
    for id in tx.all_lookups(LookupKind::Group).await?.into_values() {
        let Some(id) = StreamId::from_slice(&id).map(GroupId::from) else {
            continue;
        };
        if but.contains(&id) {
            continue;
        }
        let group = tx.existing::<Group>(id).await?;
        let mut rest = group.members.clone();
        rest.retain(|member| *member != user);
        set_members(tx, &group, rest, reason.clone()).await?;
    }
    Ok(())
}

async fn set_members(
    tx: &mut Transaction<'_>,
    group: &Group,
    members: Vec<UserId>,
    reason: Option<String>,
) -> Result<(), Error> {
    let change = (None, Some(members), reason);
    let events = decide_change(group, change, None, &tx.context())?;
    tx.append(events).await
}
