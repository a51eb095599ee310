//! Groups of users.

use crate::principal::Acting;
use crate::refusal::Error;
use ledger::aggregate::Group;
use ledger::command::{ChangeGroup, CreateGroup, DeleteGroup};
use ledger::{GroupId, GroupName, Ledger, Rejection, UserId};
use std::sync::Arc;

/// Groups, the newest first: at most so many, older than `before`.
pub async fn list(
    ledger: &Ledger,
    _: &Acting,
    before: Option<GroupId>,
    limit: usize,
) -> Result<Vec<Arc<Group>>, Error> {
    let mut groups = ledger.groups().await?;
    // Ids begin with the time at which they were drawn.
    groups.sort_unstable_by_key(|group| std::cmp::Reverse(group.id));
    groups.retain(|group| before.is_none_or(|before| group.id < before));
    groups.truncate(limit);
    Ok(groups)
}

/// A group.
///
/// # Errors
/// [`Rejection::GroupNotFound`].
pub async fn read(ledger: &Ledger, _: &Acting, id: GroupId) -> Result<Arc<Group>, Error> {
    let group = ledger.load::<Group>(id).await?;
    let group = group.filter(|group| !group.deleted);
    Ok(group.ok_or(Rejection::GroupNotFound)?)
}

/// Makes a group.
pub async fn create(
    ledger: &Ledger,
    who: Acting,
    name: GroupName,
    members: Vec<UserId>,
    reason: Option<String>,
) -> Result<Arc<Group>, Error> {
    let command = CreateGroup {
        name,
        members,
        reason,
    };
    Ok(ledger.execute(who.origin, command).await?)
}

/// Changes a group; what is absent stays.
pub async fn change(
    ledger: &Ledger,
    who: Acting,
    group_id: GroupId,
    name: Option<GroupName>,
    members: Option<Vec<UserId>>,
    reason: Option<String>,
) -> Result<Arc<Group>, Error> {
    let command = ChangeGroup {
        group_id,
        name,
        members,
        reason,
    };
    Ok(ledger.execute(who.origin, command).await?)
}

/// Deletes a group.
pub async fn delete(
    ledger: &Ledger,
    who: Acting,
    group_id: GroupId,
    reason: Option<String>,
) -> Result<(), Error> {
    let command = DeleteGroup { group_id, reason };
    ledger.execute(who.origin, command).await?;
    Ok(())
}
