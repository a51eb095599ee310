//! Users: what administrators do to them.

use crate::identity::password::{Password, PasswordHasher};
use crate::principal::Acting;
use crate::refusal::Error;
use ledger::aggregate::{Group, User};
use ledger::command::{
    ChangeUser, ChangedUser, CreateUser, DeleteUser, LeftBehind, NewPassword, SetPassword,
};
use ledger::{GroupId, Ledger, Rejection, Role, UserId, UserName};
use std::sync::Arc;

/// Settings of a user; what is absent stays, or is the usual.
#[derive(Debug, Default)]
pub struct Settings {
    pub can_audit: Option<bool>,
    pub disabled: Option<bool>,
    pub groups: Option<Vec<GroupId>>,
    pub reason: Option<String>,
}

/// A user with what is known of it beside its own stream.
#[derive(Debug)]
pub struct UserView {
    pub user: Arc<User>,
    /// Sorted.
    pub groups: Vec<GroupId>,
    /// Those that log in.
    pub passkeys: usize,
}

impl UserView {
    async fn of(ledger: &Ledger, user: Arc<User>, groups: &[Arc<Group>]) -> Result<Self, Error> {
        Ok(Self {
            groups: groups_of(user.id, groups),
            passkeys: ledger.passkeys_of(&user).await?.len(),
            user,
        })
    }
}

/// The groups that a user is in, sorted.
fn groups_of(user: UserId, groups: &[Arc<Group>]) -> Vec<GroupId> {
    let has_user = |group: &&Arc<Group>| group.members.contains(&user);
    let mut ids: Vec<GroupId> = groups.iter().filter(has_user).map(|it| it.id).collect();
    ids.sort_unstable();
    ids
}

/// The groups that a user is in, for themselves.
pub async fn own_groups(ledger: &Ledger, user: UserId) -> Result<Vec<GroupId>, Error> {
    Ok(groups_of(user, &ledger.groups().await?))
}

/// Users, the newest first: at most so many, older than `before`.
pub async fn list(
    ledger: &Ledger,
    _: &Acting,
    before: Option<UserId>,
    limit: usize,
) -> Result<Vec<UserView>, Error> {
    let mut users = ledger.users().await?;
    // Ids begin with the time at which they were drawn.
    users.sort_unstable_by_key(|user| std::cmp::Reverse(user.id));
    users.retain(|user| before.is_none_or(|before| user.id < before));
    users.truncate(limit);
    let groups = ledger.groups().await?;
    let mut views = Vec::with_capacity(users.len());
    for user in users {
        views.push(UserView::of(ledger, user, &groups).await?);
    }
    Ok(views)
}

/// A living user.
///
/// # Errors
/// [`Rejection::UserNotFound`].
pub async fn read(ledger: &Ledger, _: &Acting, id: UserId) -> Result<UserView, Error> {
    let user = ledger.load::<User>(id).await?.filter(|user| !user.deleted);
    shown(ledger, user.ok_or(Rejection::UserNotFound)?).await
}

async fn shown(ledger: &Ledger, user: Arc<User>) -> Result<UserView, Error> {
    UserView::of(ledger, user, &ledger.groups().await?).await
}

/// Makes a user, who has no way to log in yet.
pub async fn create(
    ledger: &Ledger,
    who: Acting,
    name: UserName,
    role: Role,
    settings: Settings,
) -> Result<UserView, Error> {
    let command = CreateUser {
        name,
        role,
        can_audit: settings.can_audit.unwrap_or(false),
        disabled: settings.disabled.unwrap_or(false),
        groups: settings.groups.unwrap_or_default(),
        password: None,
        is_first: false,
        reason: settings.reason,
    };
    shown(ledger, ledger.execute(who.origin, command).await?).await
}

/// Changes a user. Another role, or being disabled, ends the user's sessions. Who is to be disabled leaves keys
/// and agents, which are told; the keys are revoked where that is asked for.
///
/// # Errors
/// [`Rejection::Invalid`] for keys that are to be revoked while the user stays.
pub async fn change(
    ledger: &Ledger,
    who: Acting,
    user_id: UserId,
    name: Option<UserName>,
    role: Option<Role>,
    settings: Settings,
    revoke_keys: bool,
) -> Result<(UserView, Option<LeftBehind>), Error> {
    let command = ChangeUser {
        user_id,
        name,
        role,
        can_audit: settings.can_audit,
        disabled: settings.disabled,
        groups: settings.groups,
        revoke_keys,
        reason: settings.reason,
    };
    let ChangedUser { user, left_behind } = ledger.execute(who.origin, command).await?;
    Ok((shown(ledger, user).await?, left_behind))
}

/// Deletes a user for good. What they leave is told; the keys are revoked where that is asked for.
pub async fn delete(
    ledger: &Ledger,
    who: Acting,
    user_id: UserId,
    revoke_keys: bool,
    reason: Option<String>,
) -> Result<ChangedUser, Error> {
    let command = DeleteUser {
        user_id,
        revoke_keys,
        reason,
    };
    Ok(ledger.execute(who.origin, command).await?)
}

/// Gives a user a password, which has to be changed at its first use; it ends the user's sessions.
pub async fn set_password(
    ledger: &Ledger,
    passwords: &PasswordHasher,
    who: Acting,
    user_id: UserId,
    password: Password,
    reason: Option<String>,
) -> Result<(), Error> {
    // Whoever asks for nobody costs no hash.
    read(ledger, &who, user_id).await?;
    let command = SetPassword {
        user_id,
        password: NewPassword {
            hash: passwords.hash(password).await?,
            must_change: true,
        },
        reissue: None,
        reason,
    };
    ledger.execute(who.origin, command).await?;
    Ok(())
}
